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
    "read_answers",
    "read_models",
    "read_questions",
    "read_scores",
    "spent",
]

from .compare import Comparison, compare_models
from .formats import read_questions
from .generate import Plan, ask_all, failures, plan, spent
from .models import Model, read_models
from .read import read_answers
from .scores import read_scores
from .server import Prices, QueryRefused, Server, ServerError, estimate_tokens
