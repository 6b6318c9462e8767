__all__ = [
    "Model",
    "Plan",
    "Prices",
    "QueryRefused",
    "Server",
    "ServerError",
    "ask_all",
    "estimate_tokens",
    "failures",
    "plan",
    "read_answers",
    "read_models",
    "read_questions",
    "spent",
]

from .formats import read_questions
from .generate import Plan, ask_all, failures, plan, spent
from .models import Model, read_models
from .read import read_answers
from .server import Prices, QueryRefused, Server, ServerError, estimate_tokens
