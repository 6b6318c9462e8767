"""llmsel: find the best LLM for your queries with as few judgements as possible."""

from llmsel.contest import compete
from llmsel.datasets import load
from llmsel.diagnose import diagnose
from llmsel.errors import InputError
from llmsel.experiment import Result, run
from llmsel.paths import VERSION as __version__
from llmsel.pool import MISSING, Outcome, Pool
from llmsel.race import Certificate, Race
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
    "run",
]
