"""llmsel: find the best LLM for your queries with as few judgements as possible."""

from llmsel.datasets import load
from llmsel.diagnose import diagnose
from llmsel.errors import InputError
from llmsel.experiment import Result, run
from llmsel.paths import VERSION as __version__
from llmsel.pool import MISSING, Outcome, Pool
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
    "Confidence",
    "InputError",
    "LLMSelector",
    "MostDraws",
    "Outcome",
    "Pool",
    "Question",
    "Random",
    "Result",
    "SelectLLM",
    "Session",
    "Strategy",
    "Uncertainty",
    "__version__",
    "add_votes",
    "diagnose",
    "load",
    "run",
]
