__all__ = [
    "Annotation",
    "AnnotationLog",
    "AnnotationView",
    "Contents",
    "Group",
    "Judge",
    "LLMJudge",
    "ProgramJudge",
    "Verdict",
    "annotate",
    "bias",
    "catch_up",
    "fill",
    "groups",
    "judge_race",
    "read_log",
    "resume",
    "verdict_of",
]

from .collect import annotate, bias, catch_up, fill, judge_race, resume, verdict_of
from .judges import Group, Judge, ProgramJudge, Verdict, groups
from .llm import LLMJudge
from .log import AnnotationLog
from .person import AnnotationView
from .replay import Annotation, Contents, read_log
