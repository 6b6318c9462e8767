"""`python -m llmsel.cli`, for where the command `llmsel` is not on the path."""

from llmsel.cli import main

main()
