"""Graders that may fail: each failure is an error with one reason, and never ends the program.

`Isolated` calls a function of a file in a process of its own, with a time limit: it may print,
exit, hang, fork, crash. `called` calls a Python function here. Neither is a sandbox: a grader is
its user's own code. What it returns is read by `score_in` and `outcome_in`.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import math
import os
import re
import selectors
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import IO, Any, cast

from llmsel._base.errors import InputError
from llmsel.judging import grader_process
from llmsel.pool import MISSING

SECONDS = 60.0  # for one call
START_SECONDS = 300.0  # to import the file, which may load a model
PRINTED = 300  # characters shown of what a failed call printed

_ESCAPES = re.compile(
    r"\x1b[\]PX^_].*?(?:\x07|\x1b\\|\Z)"  # OSC and its kin, up to their end
    r"|(?:\x1b\[|\x9b)[0-?]*[ -/]*[@-~]?"  # CSI: colours, the cursor
    r"|\x1b.?|[\x00-\x1f\x7f-\x9f]",  # any other escape or control character
    re.DOTALL,
)


class GraderError(Exception):
    """A grader gave no judgement; the message goes on after its name: "raised ..."."""


def printable(text: str) -> str:
    """Return the text on one line, without terminal escapes and control characters."""
    return " ".join(_ESCAPES.sub(" ", text).split())


def called(function: Callable[..., Any], *arguments: str) -> Any:
    """Call a Python function in this process.

    Raises:
        GraderError: it raised an exception or called `sys.exit`.
    """
    try:
        return function(*arguments)
    except GraderError:
        raise
    except (Exception, SystemExit) as error:
        path = getattr(getattr(function, "__code__", None), "co_filename", "")
        raise GraderError(printable(grader_process.describe(error, path))) from error


def score_in(value: Any) -> float:
    """Read a returned score.

    Raises:
        GraderError: it is NaN or no number.
    """
    try:
        score = float(value)
    except (TypeError, ValueError, OverflowError):
        raise GraderError(f"returned {_shown(value)}; return a number") from None
    if math.isnan(score):
        raise GraderError("returned NaN; return a number")
    return score


def outcome_in(value: Any) -> int:
    """Read a returned outcome: -1, 0, 1, or `Outcome.MISSING`.

    Raises:
        GraderError: it is none of these.
    """
    number = score_in(value)
    if isinstance(value, str) or number not in (-1, 0, 1, MISSING):
        raise GraderError(f"returned {_shown(value)}; return -1, 0 or 1")
    return int(number)


def _shown(value: Any) -> str:
    try:
        return printable(repr(value))[: grader_process.SHOWN]
    except Exception:  # a value whose repr fails
        return f"a {type(value).__name__}"


class Isolated:
    """A function of a file, called in a process of its own with a time limit for each call.

    Calls from several threads run in as many processes. A process that hangs or dies is replaced.
    Use it as a context manager, or `close` it, to end the processes.

    Args:
        program: ``file.py:function``.
        seconds: time limit of one call.

    Raises:
        InputError: no such file or function, or importing the file fails.
    """

    def __init__(self, program: str, *, seconds: float = SECONDS) -> None:
        """Start a first process, so that mistakes are told before anything is judged."""
        path, _, self.__name__ = program.rpartition(":")
        if not path or not Path(path).is_file():
            raise InputError(f"no program '{program}'; name it as file.py:function.")
        if not 0 < seconds < math.inf:
            raise InputError(f"the time limit of '{program}' is {seconds}; give seconds above 0.")
        self._path = str(Path(path).resolve())
        self.source = hashlib.sha256(Path(self._path).read_bytes()).hexdigest()[:12]
        self._seconds = seconds
        self._idle: SimpleQueue[_Worker] = SimpleQueue()
        try:
            self._idle.put(self._start())
        except GraderError as error:
            raise InputError(f"'{path}' {error}.") from error

    def __call__(self, *arguments: str) -> Any:
        """Call the function; return its value as a number, text, bool or None.

        Raises:
            GraderError: it raised, exited, died, took too long, or returned something else.
        """
        worker = self._take()
        try:
            return worker.call(list(arguments), self._seconds)
        except GraderError:
            raise
        except BaseException:  # Ctrl-C: its answer is no longer waited for
            worker.kill()
            raise
        finally:
            if not worker.dead:
                self._idle.put(worker)

    def close(self) -> None:
        """End the processes that wait for a call."""
        with contextlib.suppress(Empty):
            while True:
                self._idle.get_nowait().kill()

    def __enter__(self) -> Isolated:
        """Return itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """End the processes."""
        self.close()

    def _take(self) -> _Worker:
        with contextlib.suppress(Empty):
            while True:
                worker = self._idle.get_nowait()
                if worker.runs():  # it may have died between calls
                    return worker
        return self._start()

    def _start(self) -> _Worker:
        worker = _Worker(self._path, self.__name__, self._seconds)
        try:
            worker.receive(START_SECONDS)
        except BaseException:
            worker.kill()
            raise
        return worker


class _Worker:
    """One process of a grader, and the pipes to it."""

    def __init__(self, path: str, name: str, seconds: float) -> None:
        self.dead = False
        self._process = subprocess.Popen(
            # -P: the folder of the script, which is llmsel's, does not shadow the grader's imports
            [sys.executable, "-P", grader_process.__file__, path, name, str(seconds)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,  # Ctrl-C is for llmsel; and its forks can be killed with it
        )
        self._requests = cast(IO[bytes], self._process.stdin)
        self._replies = cast(IO[bytes], self._process.stdout)
        self._prints = cast(IO[bytes], self._process.stderr)
        self._selector = selectors.DefaultSelector()
        for pipe in (self._replies, self._prints):
            os.set_blocking(pipe.fileno(), False)
            self._selector.register(pipe, selectors.EVENT_READ)

    def runs(self) -> bool:
        """Tell whether the process can take a call; tidy up if not."""
        if self._process.poll() is not None:
            self.kill()
        return not self.dead

    def call(self, arguments: list[Any], seconds: float) -> Any:
        """Send the arguments and wait for the value."""
        self._read(self._prints)  # of a thread that the last call left running
        with contextlib.suppress(BrokenPipeError):  # `receive` finds out how it ended
            self._requests.write((json.dumps(arguments) + "\n").encode())
            self._requests.flush()
        return self.receive(seconds)

    def receive(self, seconds: float) -> Any:
        """Wait for a reply while keeping the end of what is printed.

        Raises:
            GraderError: the reply says so, or none came: then the process is killed.
        """
        end = time.monotonic() + seconds
        reply, printed = b"", b""
        while not reply.endswith(b"\n"):
            left = end - time.monotonic()
            ended = self._process.poll()  # asked before reading: what it wrote is in the pipes
            # short naps: a fork of a process that died may hold its pipes open
            self._selector.select(max(0.0, min(left, 0.2)))
            reply += self._read(self._replies)
            printed = (printed + self._read(self._prints))[-8 * PRINTED :]
            if not reply.endswith(b"\n") and (ended is not None or left <= 0):
                self.kill()
                late = f"took longer than {seconds:g} s"
                raise _failure(late if ended is None else _ending(ended), printed)
        content: dict[str, Any] = json.loads(reply)
        if "failed" in content:
            raise _failure(content["failed"], printed)
        return content["value"]

    def kill(self) -> None:
        """End the process and what it has started."""
        self.dead = True
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        self._selector.close()
        for pipe in (self._requests, self._replies, self._prints):
            with contextlib.suppress(OSError):  # arguments that nobody has read
                pipe.close()

    def _read(self, pipe: IO[bytes]) -> bytes:
        """Return what the pipe holds, at most about a MiB: a grader may print for ever."""
        parts: list[bytes] = []
        with contextlib.suppress(BlockingIOError):
            while len(parts) < 16:
                parts.append(os.read(pipe.fileno(), 65536))
                if not parts[-1]:  # closed: it would be ready for ever
                    with contextlib.suppress(KeyError):
                        self._selector.unregister(pipe)
                    break
        return b"".join(parts)


def _ending(code: int) -> str:
    """Say how a process ended, by its exit code or, if negative, its signal."""
    if code >= 0:
        return f"ended its process (exit code {code})"
    with contextlib.suppress(ValueError):
        return f"was killed ({signal.Signals(-code).name})"
    return f"was killed (signal {-code})"


def _failure(what: str, printed: bytes) -> GraderError:
    """Build the error, with the end of what the call printed."""
    what = printable(what)
    tail = printable(printed.decode(errors="replace"))[-PRINTED:]
    return GraderError(f"{what}; it printed: {tail}" if tail else what)
