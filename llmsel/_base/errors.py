"""Errors whose message says what was wrong, where, and what to do."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class InputError(ValueError):
    """The caller's input cannot be used; the message is one clear sentence."""


def unknown(kind: str, name: str, known: Iterable[str]) -> InputError:
    """Build the error for a name that does not exist, with the nearest name that does.

    Args:
        kind: what the name stands for, e.g. ``"model"``.
        name: the name that was not found.
        known: all names that would have been right.
    """
    names = list(known)
    near = difflib.get_close_matches(name, names, n=1, cutoff=0.4)
    if near:
        hint = f"did you mean '{near[0]}'?"
    else:
        shown = ", ".join(names[:8]) + (", ..." if len(names) > 8 else "")
        hint = f"known: {shown}." if names else "there is none."
    return InputError(f"unknown {kind} '{name}': {hint}")
