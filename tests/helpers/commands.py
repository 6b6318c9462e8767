"""Run the command line in this process."""

from pathlib import Path

from typer.testing import CliRunner

from llmsel.cli import app

ANSWERS = Path(__file__).parents[1] / "fixtures" / "answers" / "long.jsonl"


def run(*arguments, **options):
    """Run a command; what it raises beyond exit codes is raised here too."""
    return CliRunner().invoke(app, [str(a) for a in arguments], catch_exceptions=False, **options)


def ok(*arguments, code=0, **options):
    """Run a command that ends with this exit code; return what it prints."""
    result = run(*arguments, **options)
    assert result.exit_code == code, result.output
    return result.stdout


def mistake(*arguments, **options):
    """Run a command that cannot be; return the one sentence that it ends with."""
    result = run(*arguments, **options)
    assert result.exit_code == 2, (result.exit_code, result.output)
    assert result.stderr.startswith("llmsel: ") and result.stderr.count("\n") == 1, result.stderr
    assert not result.stdout
    return result.stderr.removeprefix("llmsel: ").rstrip("\n")
