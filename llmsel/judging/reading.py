"""What a judge's reply says: read strictly and in linear time, never guessed.

A verdict is the whole reply: one JSON object with a ``verdict`` (and a reason, if the instruction
asks for one), or the bare word. Prose around it may quote an injection, so it is no verdict.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from typing import Any

SCHEMA = {
    "type": "object",
    "properties": {"verdict": {"enum": ["A", "B", "tie"]}},
    "required": ["verdict"],
    "additionalProperties": False,
}
FORMAT = {
    "type": "json_schema",
    "json_schema": {"name": "verdict", "strict": True, "schema": SCHEMA},
}
WORDS = {"a": "A", "b": "B", "tie": "tie", "a tie": "tie", "draw": "tie", "a draw": "tie"}
LONGEST = 40  # characters of a verdict that is no JSON
_LABEL = re.compile(r"(?:the )?(?:final )?(?:verdict|answer|winner)\b\s*(?:is\b|[:=])?")
_FENCE = re.compile(r"```(?:json)?\n(.*)\n```", re.DOTALL | re.IGNORECASE)


def parse(reply: str, finish: str | None = None) -> str | None:
    """Read a verdict.

    Args:
        reply: all that the judge said.
        finish: why it stopped; what was cut off is read only as whole JSON.

    Returns:
        "A", "B" or "tie"; None if there is no verdict, or none that is beyond doubt.
    """
    _, found, said = reply.rpartition("</think>")
    cut = finish in ("length", "content_filter")
    if "<think" in said or (found and cut):
        return None  # still thinking
    said = said.strip()
    if fenced := _FENCE.fullmatch(said):
        said = fenced[1].strip()
    if said.startswith("{"):
        return _json(said)
    return None if cut else _word(said)


def _json(said: str) -> str | None:
    try:
        content = json.loads(said, object_pairs_hook=_once)
    except (ValueError, RecursionError):
        return None
    verdict = content.get("verdict") if isinstance(content, dict) else None
    return WORDS.get(verdict.strip().lower()) if isinstance(verdict, str) else None


def _once(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    content = dict(pairs)
    if len(content) < len(pairs):
        raise ValueError("a key is given twice")
    return content


def _word(said: str) -> str | None:
    if len(said) > LONGEST or not said.isascii():
        return None
    bare = said.lower().strip(" \t\n\r*_`'\"[]().,!:")
    label = _LABEL.match(bare)
    rest = bare[label.end() :] if label else bare
    return WORDS.get(rest.strip(" \t\n\r*_`'\"[]().,!:"))
