"""Numbers in words: what is not certain is never written as 0 % or 100 %."""

from __future__ import annotations

from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal


def percent(share: float, digits: int = 0) -> str:
    """Write a share of 0..1 in percent; rounding never makes it certain.

    Args:
        share: in [0, 1].
        digits: after the point.
    """
    text = f"{share:.{digits}%}"
    step = 10.0**-digits
    if share < 1 and text == f"{1:.{digits}%}":
        return f"over {100 - step:.{digits}f}%"
    if share > 0 and text == f"{0:.{digits}%}":
        return f"under {step:.{digits}f}%"
    return text


def at_least(alpha: float) -> str:
    """Write ``1 - alpha`` in percent, exactly: 99.99% for 0.0001.

    Args:
        alpha: in (0, 1).
    """
    left = 100 - 100 * Decimal(repr(float(alpha)))
    text = f"{left:f}"
    return f"{text.rstrip('0').rstrip('.') if '.' in text else text}%"


def margin(delta: float) -> str:
    """Write a margin of win rates in percent, rounded up, so that no less is claimed than holds.

    Args:
        delta: in [0, 1); 0.01 is written 1.0%, and 0.0104 is written 1.04%.
    """
    return _written(100 * Decimal(repr(float(delta))), ROUND_CEILING)


def majority(delta: float, *, reached: bool) -> str:
    """Write the win rate of who beats another by a margin, so that no more is claimed than holds.

    Args:
        delta: in [0, 1); the rate is 1/2 + delta: 0.01 is written 51.0%.
        reached: it is claimed to be exceeded, and rounded down; otherwise not to be, and up.
    """
    rate = 50 + 100 * Decimal(repr(float(delta)))
    return _written(rate, ROUND_FLOOR if reached else ROUND_CEILING)


def _written(percentage: Decimal, rounding: str) -> str:
    """Write a percentage with one to three digits after the point."""
    whole, _, rest = f"{percentage.quantize(Decimal('0.001'), rounding):f}".partition(".")
    return f"{whole}.{rest.rstrip('0') or '0'}%"


def counted(number: int, what: str) -> str:
    """Write a number of things: ``1 judgement``, ``2 judgements``.

    Args:
        number: how many.
        what: one of them.
    """
    return f"{number} {what}{'' if number == 1 else 's'}"
