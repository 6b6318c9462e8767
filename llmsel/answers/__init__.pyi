__all__ = [
    "Model",
    "Plan",
    "Prices",
    "Server",
    "ServerError",
    "estimate_tokens",
    "plan",
    "read_answers",
    "read_models",
    "read_questions",
    "run",
    "spent",
]

from .formats import read_questions
from .generate import Model, Plan, plan, read_models, run, spent
from .read import read_answers
from .server import Prices, Server, ServerError, estimate_tokens
