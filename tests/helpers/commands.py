"""Run the command line in this process."""

from pathlib import Path

from typer.testing import CliRunner

from llmsel.cli import app

ANSWERS = Path(__file__).parents[1] / "fixtures" / "answers" / "long.jsonl"


def run(*arguments, **options):
    return CliRunner().invoke(app, [str(a) for a in arguments], **options)


def ok(*arguments, **options):
    result = run(*arguments, **options)
    assert result.exit_code == 0, (result.output, result.exception)
    return result.stdout
