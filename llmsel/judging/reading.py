"""What a judge's reply says: read strictly and in linear time, never guessed.

A verdict is the whole reply: one JSON object with a ``verdict`` (and a reason, if the instruction
asks for one), or the bare word. Prose around it may quote an injection, so it is no verdict. What a
model thinks aloud before it, up to one ``</think>``, is left out; an answer may hold that tag too,
so where one does, only a block that the reply opened itself counts.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from typing import Any

THOUGHT = "</think"  # how an end of thinking begins
LONGEST_REASON = 2000  # characters that are kept
WORDS = {"a": "A", "b": "B", "tie": "tie", "a tie": "tie", "draw": "tie", "a draw": "tie"}
CUT = ("length", "content_filter")  # a reply that ended before its end
LONGEST = 40  # characters of a verdict that is no JSON
_LABEL = re.compile(r"(?:the )?(?:final )?(?:verdict|answer|winner)\b\s*(?:is\b|[:=])?")
_FENCE = re.compile(r"```(?:json)?\n(.*)\n```", re.DOTALL | re.IGNORECASE)


def form(*, reasons: bool) -> dict[str, Any]:
    """The ``response_format`` that has a server force the verdict, after a reason if one is asked.

    Args:
        reasons: whether one is; it comes first, or it would be made up for the verdict.
    """
    fields: dict[str, Any] = {"reason": {"type": "string"}} if reasons else {}
    fields["verdict"] = {"enum": ["A", "B", "tie"]}
    schema = {
        "type": "object",
        "properties": fields,
        "required": list(fields),
        "additionalProperties": False,
    }
    held = {"name": "verdict", "strict": True, "schema": schema}
    return {"type": "json_schema", "json_schema": held}


def parse(reply: str, finish: str | None = None, *, quotable: bool = False) -> str | None:
    """Read a verdict.

    Args:
        reply: all that the judge said.
        finish: why it stopped; what was cut off is read only as whole JSON.
        quotable: the judge was shown a text with `THOUGHT` in it, which it may quote.

    Returns:
        "A", "B" or "tie"; None if there is no verdict, or none that is beyond doubt.
    """
    said = _spoken(reply, finish, quotable=quotable)
    if said is None:
        return None
    if said.startswith("{"):
        verdict = _json(said).get("verdict")
        return WORDS.get(verdict.strip().lower()) if isinstance(verdict, str) else None
    return None if finish in CUT else _word(said)


def reason_in(reply: str) -> str | None:
    """Read the reason of a reply that holds a verdict; None if it gives none."""
    reason = _json(_spoken(reply, None, quotable=False) or "").get("reason")
    return reason.strip()[:LONGEST_REASON] or None if isinstance(reason, str) else None


def _spoken(reply: str, finish: str | None, *, quotable: bool) -> str | None:
    """Return what is said after thinking, out of its fence; None if that is not beyond doubt."""
    thought, found, said = reply.partition("</think>")
    if found and (finish in CUT or (quotable and not thought.lstrip().startswith("<think>"))):
        return None
    if "<think" in said or (not found and "<think" in thought):
        return None  # still thinking
    said = (said if found else thought).strip()
    fenced = _FENCE.fullmatch(said)
    return fenced[1].strip() if fenced else said


def _json(said: str) -> dict[str, Any]:
    """Read one JSON object; an empty one if that is none."""
    try:
        content = json.loads(said, object_pairs_hook=_once)
    except (ValueError, RecursionError):
        return {}
    return content if isinstance(content, dict) else {}


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
