"""What stands between a command and its user: plain text, one sentence per mistake, exit codes.

0: done, and what is said stands. 1: no certificate yet, or a warning; something failed. 2: a
mistake, said in one sentence. 130: stopped, by Ctrl-C or SIGTERM.
"""

from __future__ import annotations

import errno
import warnings
from contextvars import ContextVar
from typing import Any

import typer
from typer.core import TyperGroup

from llmsel._base.errors import InputError
from llmsel._base.terminal import plain

DOUBT, MISTAKE, STOPPED = 1, 2, 130
EXIT_CODES = (
    "Exit codes: 0 done, and what is said stands; 1 no certificate yet, a warning about the "
    "judgements, or something failed; 2 a mistake, said in one sentence; 130 stopped by Ctrl-C."
)
LONGEST = 1000  # characters of a sentence: a damaged file may bring a name of a million
_KEPT = ContextVar("kept", default="")
_HINTS = {
    errno.ENOENT: "name one that is there",
    errno.EISDIR: "it is a folder; name a file",
    errno.ENOTDIR: "a part of its path is a file; name another place",
    errno.EACCES: "check who may read and write it, or name another place",
    errno.EPERM: "check who may read and write it, or name another place",
    errno.EROFS: "name a place that can be written",
    errno.ENOSPC: "free some space and run it again: what was written before is kept",
    errno.EDQUOT: "free some space and run it again: what was written before is kept",
}


def say(text: object, *, err: bool = False) -> None:
    """Print text, without what a terminal would obey: much of it comes from strangers.

    Args:
        text: to be printed as `str` shows it.
        err: print to stderr.
    """
    typer.echo(plain(str(text)), err=err)


def keeps(what: str) -> None:
    """Note what a stop leaves behind and how to go on; Ctrl-C ends with that sentence."""
    _KEPT.set(what)


def consent(*, yes: bool) -> None:
    """Ask whether to start; end the command if the answer is no, or cannot be given."""
    try:
        if yes or typer.confirm("start?", err=True):
            return
    except typer.Abort:  # no terminal to answer from
        say("\nllmsel: nothing was started; --yes starts without asking.", err=True)
    raise typer.Exit(DOUBT)


def sentence(error: BaseException) -> str:
    """Say in one sentence what an error means for the user, and what to do."""
    if isinstance(error, EOFError):
        return "a file ends before its time; remove it, or restore it from a copy."
    if isinstance(error, MemoryError):
        return "there is not enough memory; take fewer queries or models at a time."
    if isinstance(error, RecursionError):
        return "a file is nested too deeply to be read; restore it from a copy."
    if not isinstance(error, OSError) or error.errno is None or error.strerror is None:
        text = " ".join(str(error).split())
        return text if len(text) <= LONGEST else f"{text[:LONGEST]} ..."
    place = f"'{error.filename}': " if error.filename else ""
    hint = _HINTS.get(error.errno, "check it, then run it again")
    return f"{place}{error.strerror}; {hint}."


def _warn(message: Warning | str, *_: object, **__: object) -> None:
    say(f"llmsel: {message}", err=True)


class Commands(TyperGroup):
    """Commands whose mistakes are one sentence on stderr; never a traceback, never "Aborted."."""

    def invoke(self, ctx: Any) -> Any:
        """Run a command.

        Args:
            ctx: typer's context; its type differs between typer's versions.

        Raises:
            typer.Exit: with the exit code of a mistake or of Ctrl-C.
        """
        _KEPT.set("")
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("default", UserWarning)
                warnings.showwarning = _warn
                return super().invoke(ctx)
        except KeyboardInterrupt:
            say(f"\nllmsel: stopped; {_KEPT.get() or 'run it again to go on'}.", err=True)
            raise typer.Exit(STOPPED) from None
        except (InputError, OSError, EOFError, MemoryError, RecursionError) as error:
            if isinstance(error, OSError) and error.errno == errno.EPIPE:
                raise  # the reader of the output has gone: click ends quietly
            say(f"llmsel: {sentence(error)}", err=True)
            raise typer.Exit(MISTAKE) from error
