__all__ = [
    "Model",
    "Plan",
    "Prices",
    "Server",
    "ServerError",
    "ask_all",
    "estimate_tokens",
    "plan",
    "read_answers",
    "read_models",
    "read_questions",
    "spent",
]

from .formats import read_questions
from .generate import Plan, ask_all, plan, spent
from .models import Model, read_models
from .read import read_answers
from .server import Prices, Server, ServerError, estimate_tokens
