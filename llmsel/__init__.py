"""llmsel: find the best LLM for your queries with as few judgements as possible."""

from llmsel._base.errors import InputError
from llmsel._base.files import VERSION as __version__
from llmsel.answers.read import read_answers
from llmsel.benchmarks import load
from llmsel.elimination import Certified, Heuristic
from llmsel.judging.judges import ProgramJudge
from llmsel.judging.log import AnnotationLog
from llmsel.judging.replay import replay
from llmsel.pool import MISSING, Outcome, Pool
from llmsel.race import Certificate, Race
from llmsel.reporting.page import write_report
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
from llmsel.studies.by_call import compete
from llmsel.studies.by_query import Result, run
from llmsel.studies.diagnose import diagnose
from llmsel.weak_judges import add_votes

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
