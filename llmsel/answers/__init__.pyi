__all__ = [
    "Comparison",
    "Model",
    "Plan",
    "Prices",
    "QueryRefused",
    "Server",
    "ServerError",
    "ask_all",
    "compare_models",
    "estimate_tokens",
    "failures",
    "plan",
    "pool_of_scores",
    "pool_of_verdicts",
    "read_answers",
    "read_models",
    "read_questions",
    "read_scores",
    "read_verdicts",
    "spent",
]

from .compare import Comparison, compare_models
from .formats import read_questions
from .generate import Plan, ask_all, failures, plan, spent
from .models import Model, read_models
from .outcomes import pool_of_scores, pool_of_verdicts
from .read import read_answers
from .recorded import read_verdicts
from .scores import read_scores
from .server import Prices, QueryRefused, Server, ServerError, estimate_tokens
