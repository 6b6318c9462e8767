"""How much of `make torture` is run: LLMSEL_TORTURE_SHARE in (0, 1]; all if it is not set."""

import os

SHARE = float(os.environ.get("LLMSEL_TORTURE_SHARE", "1"))


def sized(count):
    """Return the share of a count that is to be run, at least one."""
    return max(1, round(count * SHARE))
