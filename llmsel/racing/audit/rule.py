"""Settings of the audit race. Rule and proof: `llmsel.racing.audit`."""

from __future__ import annotations

import dataclasses
from typing import Any, ClassVar

from llmsel._base.errors import InputError
from llmsel.racing.audit.race import AuditRace
from llmsel.racing.audit.two_judges import TwoJudges
from llmsel.racing.rules import Rule

SWITCH = ("predicted", "early", "never")


@dataclasses.dataclass(frozen=True)
class Audit(Rule):
    """Settings of an audit race; `begin` starts one.

    The rule and its proof are in `llmsel.racing.audit`.

    Attributes:
        alpha: probability of a wrong certificate, in (0, 1).
        switch: when the audit starts: "predicted", where it is predicted to cost less than
            ``gain`` times the rest of the plain race; "early", as soon as it may; "never", a
            plain race to its end.
        gain: see switch.
        start: calls per query of the pool that come before the audit.
        prune: (factor, share) pairs: after the switch at query t, the best ``share`` of the live
            models race on until query ``factor t``, to find the champion.
        few: how many models count as few; see pairing. With 8 candidates and more the champion in
            full was cheaper on the development boards, with 6 and fewer the paired audit.
        pairing: with a margin delta and few models, calls per query of the pool that come before a
            paired audit, in which the champion too is judged only where it is drawn. 0: the audit
            is as with many models, and PAIR_SHARE of alpha goes to bets on pairs in the plain race.
        best: how many of the best models are to be named: every model outside is beaten by all of
            them, with total error alpha. More are named where they tie for the last place.

    Raises:
        InputError: a parameter out of range.
    """

    alpha: float = 0.05
    switch: str = "predicted"
    gain: float = 0.8
    start: float = 0.5
    prune: tuple[tuple[float, float], ...] = ((2.5, 1 / 3), (6.0, 0.1))
    few: int = 8
    pairing: float = 1.0
    best: int = 1
    certifies: ClassVar[bool] = True

    def __post_init__(self) -> None:
        """Check the ranges; lists, as logs hold them, become tuples."""
        object.__setattr__(self, "prune", tuple((f, s) for f, s in self.prune))
        if not 0 < self.alpha < 1:
            raise InputError(f"alpha={self.alpha} must be in (0, 1).")
        if self.switch not in SWITCH:
            raise InputError(f"switch='{self.switch}' must be one of {', '.join(SWITCH)}.")
        if self.gain <= 0 or self.start < 0 or self.pairing < 0:
            raise InputError(f"{self}: gain is above 0, start and pairing at least 0.")
        if self.best < 1:
            raise InputError(f"best={self.best}; at least one model is named.")
        if any(factor < 1 or not 0 < share <= 1 for factor, share in self.prune):
            raise InputError(f"prune={self.prune}: factors are at least 1, shares in (0, 1].")

    @property
    def settings(self) -> dict[str, Any]:
        """Class name and parameters, as JSON can hold them."""
        return {**super().settings, "prune": [list(pair) for pair in self.prune]}

    def begin(self, pool_size: int, n_models: int, **options: Any) -> AuditRace:
        """Start a race; options as of `AuditRace`, or of `TwoJudges` with a ``cheap_price``."""
        if options.get("cheap_price") is not None:
            return TwoJudges(self, pool_size, n_models, **options)
        options.pop("cheap_price", None)
        return AuditRace(self, pool_size, n_models, **options)
