__all__ = [
    "Annotation",
    "AnnotationLog",
    "AnnotationView",
    "Carried",
    "Challenge",
    "Check",
    "Contents",
    "Group",
    "Judge",
    "LLMJudge",
    "Overlap",
    "ProgramJudge",
    "Verdict",
    "advance",
    "annotate",
    "bias",
    "carry",
    "catch_up",
    "check_log",
    "failures",
    "fill",
    "groups",
    "judge_race",
    "overlap",
    "read_log",
    "remarks_of",
    "resume",
    "verdict_of",
    "warnings_of",
]

from .carry import Carried, carry
from .collect import advance, annotate, catch_up, fill, judge_race, resume, verdict_of
from .inspect_race import Challenge
from .judges import Group, Judge, ProgramJudge, Verdict, groups
from .llm import LLMJudge
from .log import AnnotationLog
from .overlaps import Overlap, overlap
from .person import AnnotationView
from .provenance import bias, failures, remarks_of, warnings_of
from .repair import Check, check_log
from .replay import Annotation, Contents, read_log
