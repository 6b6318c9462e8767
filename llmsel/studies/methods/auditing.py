"""The audit race as a method: what it pays for over many realizations."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from llmsel._base.errors import unknown
from llmsel.pool import Pool
from llmsel.racing.audit import Audit, AuditRace
from llmsel.racing.audit.features import answer_features, verdict_features
from llmsel.studies.methods.desk import Desk, Method

FEATURES: Mapping[str, Callable[[Pool], np.ndarray]] = {
    "answers": answer_features,
    "votes": lambda pool: np.concatenate(
        [verdict_features(votes) for votes in np.moveaxis(pool.need("votes"), 2, 0)], axis=2
    ),
}


class Auditing(Method):
    """An audit race as a method of `llmsel.studies.by_call.compete`.

    It plays `llmsel.racing.audit.AuditRace` itself, one realization after the other, so
    that its choices are those of a real decision with the same seed.

    Args:
        rule: settings; None takes `Audit` with its defaults.
        delta: win-rate margin (0..1) of the claim, fixed beforehand; 0 for the best model itself.
        width: cells that each race plans at once, for parallel judges.
        features: of cells, to help the race's predictions, known for nothing: "answers", their
            lengths and similarities; "votes", those of the weak judges; None for none.
        name: what tables call it.

    Raises:
        InputError: a parameter out of range, or unknown features.
    """

    features: str | None = None
    _known: np.ndarray | None = None

    def __init__(
        self,
        rule: Audit | None = None,
        delta: float = 0.0,
        *,
        width: int = 1,
        features: str | None = None,
        name: str | None = None,
    ):
        """Check the parameters."""
        self.rule, self.delta = Audit() if rule is None else rule, delta
        self.width = width
        self.name = name or "audit race"
        self.rule.begin(2, 2, baseline=1, delta=delta, width=width)  # checks the ranges
        if features is not None:
            if features not in FEATURES:
                raise unknown("features", features, FEATURES)
            self.features = features

    def check(self, pool: Pool, pool_size: int) -> None:
        """Work the features out, once for all realizations.

        Raises:
            InputError: a pool without the answers or votes that they are made of.
        """
        self._known = None if self.features is None else FEATURES[self.features](pool)

    def start(self, desk: Desk, r: int) -> AuditRace:
        """Start the race of one realization, with a seed of its own."""
        seed = r if desk.seeds is None else int(desk.seeds[r].generate_state(1, np.uint64)[0])
        return self.rule.begin(
            desk.pool_size,
            desk.n_models,
            baseline=desk.baseline,
            delta=self.delta,
            seed=seed,
            width=self.width,
            features=None if self._known is None else desk.in_order(r, self._known),
        )

    def play(self, desk: Desk, budget: int) -> None:
        """Judge the cells each race asks for."""
        for r in range(desk.realizations):
            race = self.start(desk, r)
            while cells := race.ask():
                outcomes = desk.judge(r, cells, race)
                for cell, outcome in zip(cells, outcomes, strict=True):
                    race.tell(cell, outcome)
            who = np.array([r])
            desk.answer(who, race.winners[None])
            desk.finish(who, race.stop, race.certified)
