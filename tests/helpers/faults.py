"""Faults of every kind, at a place of the test's choice: stops, disks that fail, damaged bytes."""

import contextlib
import errno
import json
import os
import subprocess
import sys
import zlib
from pathlib import Path

import llmsel
from llmsel.judging.lines import seal

ROOM = str(Path(llmsel.__file__).parent / "judging")


class Stop:
    """Ctrl-C at the n-th line of the judging room that runs inside the block; None counts only."""

    def __init__(self, at=None):
        self.at, self.lines, self.hit = at, 0, False

    def __enter__(self):
        self.before = sys.gettrace()
        sys.settrace(self.trace)
        return self

    def __exit__(self, kind, *_):
        sys.settrace(self.before)
        return kind is KeyboardInterrupt and self.hit

    def trace(self, frame, event, _):
        if not frame.f_code.co_filename.startswith(ROOM):
            return None
        if event == "line":
            self.lines += 1
            if self.lines == self.at:
                self.hit = True
                sys.settrace(None)
                raise KeyboardInterrupt
        return self.trace


class BadDisk:
    """``os.write`` and ``os.fsync`` that fail, as a test says.

    ``fail`` is a list of what the next calls do: None for well, ("write", n) for an error after n
    bytes, "fsync" for an error when all is written.
    """

    def __init__(self, monkeypatch, code=errno.EIO):
        self.fail, self.code = [], code
        self.write, self.fsync = os.write, os.fsync
        monkeypatch.setattr(os, "write", self.bad_write)
        monkeypatch.setattr(os, "fsync", self.bad_fsync)

    def error(self):
        return OSError(self.code, os.strerror(self.code))

    def bad_write(self, file, data):
        fault = self.fail[0] if self.fail else None
        if isinstance(fault, tuple):
            self.fail.pop(0)
            if fault[1]:
                self.write(file, data[: fault[1]])
            raise self.error()
        return self.write(file, data)

    def bad_fsync(self, file):
        due = bool(self.fail) and not isinstance(self.fail[0], tuple)
        if due and self.fail.pop(0) == "fsync":
            raise self.error()
        return self.fsync(file)


@contextlib.contextmanager
def small_disk(folder, size="128k"):
    """Mount a tmpfs of this size on a folder; yields None where that is not allowed."""
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(folder)]
    try:
        done = subprocess.run(command, capture_output=True, check=False).returncode == 0
    except OSError:
        done = False
    try:
        yield folder if done else None
    finally:
        if done:
            subprocess.run(["umount", str(folder)], check=True)


MUTATIONS = (
    "flip a bit",
    "change a byte",
    "delete bytes",
    "insert bytes",
    "cut",
    "delete a line",
    "repeat a line",
    "swap lines",
    "change a value",
    "drop an entry",
    "add an entry",
)
VALUES = (
    b"null",
    b"true",
    b"-1",
    b"2",
    b"1e999",
    b"NaN",
    b'""',
    b'"q0"',
    b'"\\ud800"',
    b"[]",
    b"{}",
    b"[[[]]]",
    b'{"name": "Certified", "alpha": 2}',
    b"9" * 30,
    b"9" * 5000,
    b"[" * 3000 + b"]" * 3000,
)


def mutate(raw, rng):
    """Damage a log in one way, drawn by ``rng`` (random.Random); returns what and the bytes."""
    kind = rng.choice(MUTATIONS)
    data, lines = bytearray(raw), raw.split(b"\n")
    place, line = rng.randrange(len(raw)), rng.randrange(len(lines) - 1)
    if kind == "flip a bit":
        data[place] ^= 1 << rng.randrange(8)
    elif kind == "change a byte":
        data[place] = rng.randrange(256)
    elif kind == "delete bytes":
        del data[place : place + rng.randrange(1, 60)]
    elif kind == "insert bytes":
        data[place:place] = rng.choice([b"\0" * 9, b"\n", b'"', b"}", b"\xff\xfe", b"\\", b"{"])
    elif kind == "cut":
        del data[place:]
    else:
        data = bytearray(b"\n".join(_mutated_lines(kind, lines, line, rng)))
    return kind, bytes(data)


def _mutated_lines(kind, lines, line, rng):
    lines = list(lines)
    if kind == "delete a line":
        del lines[line]
    elif kind == "repeat a line":
        lines.insert(rng.randrange(len(lines)), lines[line])
    elif kind == "swap lines":
        other = rng.randrange(len(lines) - 1)
        lines[line], lines[other] = lines[other], lines[line]
    else:
        lines[line] = _mutated_entry(kind, lines[line], rng)
    return lines


def _mutated_entry(kind, line, rng):
    """Change an entry of a line as a hand or another program would: with a checksum that holds."""
    try:
        event = json.loads(line)
    except ValueError:
        return line
    sealed = event.pop("crc", None) is not None
    key = rng.choice(list(event))
    inner = event[key] if isinstance(event[key], dict) and event[key] else event
    key = rng.choice(list(inner))
    if kind == "drop an entry":
        del inner[key]
    elif kind == "add an entry":
        inner[rng.choice(["surprise", "undo", "race", "judge", "outcome", "detail"])] = 1
    else:
        inner[key] = "@@@"
    text = seal(event)[:-1] if sealed else json.dumps(event, ensure_ascii=False).encode()
    if kind != "change a value":
        return text
    body = text[: -len(', "crc": "01234567"}')] + b"}" if sealed else text
    body = body.replace(b'"@@@"', rng.choice(VALUES))
    if not sealed:
        return body
    return body[:-1] + b', "crc": "%08x"}' % zlib.crc32(body[:-1])
