"""What to do about answers, scores and verdicts that are missing: one rule, told all at once."""

from __future__ import annotations

from collections.abc import Sequence

from llmsel._base.errors import InputError, unknown

REFUSE, DROP, LOSS = "refuse", "drop", "loss"
KEEP = "keep"  # unknown: only an outcome can be
RULES = (REFUSE, DROP, LOSS)
SHOWN = 10  # faults that are named


def check_rule(missing: str, *, also: tuple[str, ...] = ()) -> None:
    """Refuse what is no rule.

    Args:
        missing: what was asked for.
        also: rules beside `RULES`.

    Raises:
        InputError: none of them.
    """
    if missing not in (*RULES, *also):
        raise unknown("rule for what is missing", missing, (*RULES, *also))


def refusal(faults: Sequence[str], what: str) -> InputError:
    """Build the error that names what is missing, and the two ways to go on without it.

    Args:
        faults: one clause each, with the place.
        what: one of the things that are missing, e.g. ``"answer"``.
    """
    named = "; ".join(faults[:SHOWN])
    more = len(faults) - SHOWN
    rest = f"; and {more} more" if more > 0 else ""
    plural = "s" if len(faults) > 1 else ""
    return InputError(
        f"{len(faults)} {what}{plural} missing: {named}{rest}. Give them, or say missing=drop "
        "(--missing drop: without these queries) or missing=loss (--missing loss: they count as "
        "lost)."
    )
