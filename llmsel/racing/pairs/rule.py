"""Settings of the races over all pairs. Rules and proofs: `llmsel.racing.pairs`."""

from __future__ import annotations

import dataclasses
from typing import Any, ClassVar

from llmsel._base.errors import InputError
from llmsel._base.verdicts import RaceVerdict
from llmsel.racing.pairs.borda import BordaRace
from llmsel.racing.pairs.condorcet import CondorcetRace
from llmsel.racing.pairs.course import PairsRace
from llmsel.racing.pairs.words import borda_claim, condorcet_claim
from llmsel.racing.rules import Rule


@dataclasses.dataclass(frozen=True)
class PairsRule(Rule):
    """What `Condorcet` and `Borda` have.

    Attributes:
        alpha: probability of a wrong certificate, in (0, 1).
        seek: random queries on which a first champion meets the others, at a time.

    Raises:
        InputError: a parameter out of range.
    """

    alpha: float = 0.05
    seek: int = 10
    certifies: ClassVar[bool] = True
    plays: ClassVar[type[PairsRace]]

    def __post_init__(self) -> None:
        """Check the ranges."""
        if not 0 < self.alpha < 1:
            raise InputError(f"alpha={self.alpha} must be in (0, 1).")
        if self.seek < 1:
            raise InputError(f"seek={self.seek}; at least one query.")

    @staticmethod
    def claim(verdict: RaceVerdict, n_models: int, delta: float) -> str:
        """Say what a race by this rule claims; see `llmsel.racing.pairs.words`."""
        raise NotImplementedError

    def begin(self, pool_size: int, n_models: int, **options: Any) -> PairsRace:
        """Start a race; options as of `PairsRace`."""
        return self.plays(self.alpha, self.seek, pool_size, n_models, **options)


@dataclasses.dataclass(frozen=True)
class Condorcet(PairsRule):
    """Name the model that no other beats; parameters as of `PairsRule`."""

    plays: ClassVar[type[PairsRace]] = CondorcetRace
    claim = staticmethod(condorcet_claim)


@dataclasses.dataclass(frozen=True)
class Borda(PairsRule):
    """Name the model with the highest mean win rate; parameters as of `PairsRule`."""

    plays: ClassVar[type[PairsRace]] = BordaRace
    claim = staticmethod(borda_claim)
