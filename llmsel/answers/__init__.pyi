__all__ = [
    "BudgetSpent",
    "Comparison",
    "Model",
    "Plan",
    "Prices",
    "Purse",
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
from .prices import BudgetSpent, Prices, Purse, estimate_tokens
from .read import read_answers
from .recorded import read_verdicts
from .scores import read_scores
from .server import QueryRefused, Server, ServerError
