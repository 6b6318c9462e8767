"""`python -m llmsel`, for where the command `llmsel` is not on the path."""

from llmsel.cli import main

if __name__ == "__main__":
    main()
