"""What every rule of a race has: parameters that a log can hold, and whether it certifies."""

from __future__ import annotations

import dataclasses
from typing import Any, ClassVar

from llmsel._base.errors import InputError


class Rule:
    """A rule of a race, with frozen parameters. How a race begins depends on the kind of rule."""

    certifies: ClassVar[bool] = False

    @property
    def settings(self) -> dict[str, Any]:
        """Class name and parameters, as JSON can hold them; `from_settings` reads them.

        Raises:
            InputError: a rule that is no dataclass.
        """
        if not dataclasses.is_dataclass(self):
            raise InputError(f"the rule {self!r} is no dataclass; its parameters are not known.")
        return {"name": type(self).__name__, **dataclasses.asdict(self)}


def check_margin(delta: float) -> None:
    """Refuse a margin of win rates that is none.

    Raises:
        InputError: it is outside [0, 1).
    """
    if not 0 <= delta < 1:
        raise InputError(f"delta={delta} must be a win-rate margin in [0, 1), as 0.01 for 1 %.")
