"""llmsel: find the best LLM for your queries with as few judgements as possible."""

__version__ = "0.1.0"
