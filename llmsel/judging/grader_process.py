"""The inside of a grader's own process: load a function of a file, call it, report what it did.

`llmsel.judging.isolated` starts this file as a script, ``grader_process.py FILE FUNCTION SECONDS``;
it imports nothing of llmsel, so that a grader finds the interpreter as a script of its own would.
Requests are lists of arguments, a line of JSON each, on stdin; replies are lines on stdout.
"""

from __future__ import annotations

import contextlib
import faulthandler
import importlib.util
import json
import os
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

SHOWN = 300  # characters of a message or a value


class Channel:
    """The pipes to the parent, out of reach of what the grader reads and prints."""

    def __init__(self) -> None:
        """Keep stdin and stdout; give the grader an empty stdin, and stderr for its prints."""
        self._process = os.getpid()
        self._requests = os.fdopen(os.dup(0), encoding="utf-8")
        self._replies = os.dup(1)
        null = os.open(os.devnull, os.O_RDONLY)
        os.dup2(null, 0)
        os.close(null)
        os.dup2(2, 1)

    def receive(self) -> list[Any] | None:
        """Wait for the next arguments; None if the parent has gone."""
        line = self._requests.readline()
        arguments: list[Any] | None = json.loads(line) if line else None
        return arguments

    def send(self, reply: dict[str, Any]) -> None:
        """Answer the parent; a fork that the grader left running ends here instead."""
        for stream in (sys.stdout, sys.stderr):
            with contextlib.suppress(Exception):  # the grader may have closed or replaced them
                stream.flush()
        if os.getpid() != self._process:
            os._exit(0)
        os.write(self._replies, (json.dumps(reply) + "\n").encode())


def load(path: str, name: str) -> Callable[..., Any] | None:
    """Import the file, with its folder on the path as for a script; return its function."""
    sys.path.insert(0, str(Path(path).resolve().parent))
    spec = importlib.util.spec_from_file_location("llmsel_program", path)
    if spec is None or spec.loader is None:
        raise ImportError("it is no Python file")
    module = importlib.util.module_from_spec(spec)
    sys.modules["llmsel_program"] = module
    spec.loader.exec_module(module)
    function = getattr(module, name, None)
    return function if callable(function) else None


def describe(error: BaseException, path: str) -> str:
    """Say what was raised, and on which line of the grader's file."""
    if isinstance(error, SystemExit):
        what = f"called sys.exit({error.code!r})"
    else:
        what = f"raised {type(error).__name__}: {error}"[:SHOWN].rstrip(": ")
    lines = [f.lineno for f in traceback.extract_tb(error.__traceback__) if f.filename == path]
    return f"{what} ({Path(path).name}, line {lines[-1]})" if lines else what


def sendable(value: Any) -> dict[str, Any]:
    """Return the reply for a returned value: itself, its number, or how it looks."""
    if value is None or type(value) in (bool, int, float, str):
        return {"value": value}
    try:
        return {"value": float(value)}  # of NumPy, Decimal, Fraction
    except Exception:
        return {"failed": f"returned {value!r:.{SHOWN}}; return a number"}


def call(function: Callable[..., Any], arguments: list[Any], path: str) -> dict[str, Any]:
    """Call the function; return the reply, whatever it does."""
    try:
        return sendable(function(*arguments))
    except BaseException as error:  # sys.exit too
        return {"failed": describe(error, path)}


def main(path: str, name: str, seconds: float) -> None:
    """Load the function, then answer one request after the other until the parent goes."""
    channel = Channel()
    try:
        function = load(path, name)
    except BaseException as error:
        channel.send({"failed": describe(error, path)})
        return
    if function is None:
        channel.send({"failed": f"has no function '{name}'"})
        return
    channel.send({"value": True})
    while (arguments := channel.receive()) is not None:
        # the parent kills a call that hangs; this ends one whose parent has been killed
        faulthandler.dump_traceback_later(seconds + 10, exit=True)
        reply = call(function, arguments, path)
        faulthandler.cancel_dump_traceback_later()
        channel.send(reply)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], float(sys.argv[3]))
