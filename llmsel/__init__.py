"""llmsel: find the best LLM for your queries with as few judgements as possible."""

from llmsel.annotation_log import AnnotationLog
from llmsel.annotations import replay
from llmsel.contest import compete
from llmsel.datasets import load
from llmsel.diagnose import diagnose
from llmsel.errors import InputError
from llmsel.experiment import Result, run
from llmsel.importers import read_answers
from llmsel.judges import ProgramJudge
from llmsel.paths import VERSION as __version__
from llmsel.pool import MISSING, Outcome, Pool
from llmsel.race import Certificate, Race
from llmsel.report import write_report
from llmsel.rules import Certified, Heuristic
from llmsel.session import Answer, Question, Session
from llmsel.strategies import (
    BradleyTerry,
    Confidence,
    LLMSelector,
    MostDraws,
    Random,
    SelectLLM,
    Strategy,
    Uncertainty,
)
from llmsel.weak import add_votes

__all__ = [
    "MISSING",
    "AnnotationLog",
    "Answer",
    "BradleyTerry",
    "Certificate",
    "Certified",
    "Confidence",
    "Heuristic",
    "InputError",
    "LLMSelector",
    "MostDraws",
    "Outcome",
    "Pool",
    "ProgramJudge",
    "Question",
    "Race",
    "Random",
    "Result",
    "SelectLLM",
    "Session",
    "Strategy",
    "Uncertainty",
    "__version__",
    "add_votes",
    "compete",
    "diagnose",
    "load",
    "read_answers",
    "replay",
    "run",
    "write_report",
]
