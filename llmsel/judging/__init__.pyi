__all__ = [
    "Agreement",
    "Annotation",
    "AnnotationLog",
    "AnnotationView",
    "Calibration",
    "Carried",
    "Challenge",
    "Check",
    "Contents",
    "Group",
    "Judge",
    "LLMJudge",
    "Overlap",
    "Panel",
    "ProgramJudge",
    "Verdict",
    "advance",
    "agreement",
    "annotate",
    "bias",
    "calibrate",
    "carry",
    "catch_up",
    "check_log",
    "failures",
    "fill",
    "groups",
    "judge_race",
    "overlap",
    "pairwise",
    "read_log",
    "read_references",
    "remarks_of",
    "resume",
    "verdict_of",
    "warnings_of",
]

from .agreement import Agreement, agreement
from .calibration import Calibration, calibrate
from .carry import Carried, carry
from .collect import advance, annotate, catch_up, fill, judge_race, resume, verdict_of
from .inspect_pairwise import pairwise
from .inspect_race import Challenge
from .instruction import read_references
from .judges import Group, Judge, ProgramJudge, Verdict, groups
from .llm import LLMJudge
from .log import AnnotationLog
from .overlaps import Overlap, overlap
from .panel import Panel
from .person import AnnotationView
from .provenance import bias, failures, remarks_of, warnings_of
from .repair import Check, check_log
from .replay import Annotation, Contents, read_log
