"""The audit race with a cheap judge beside the dear one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from llmsel.pool import MISSING
from llmsel.racing.audit.cheap import CheapJudge, with_column
from llmsel.racing.audit.duel import Cell, Draw, Duel
from llmsel.racing.audit.race import CHALLENGE, AuditRace

if TYPE_CHECKING:
    from llmsel.racing.audit.rule import Audit

EARLY = 8  # models with cheap verdicts before the predictor keeps to its own times of fitting


class TwoJudges(AuditRace):
    """An audit race that buys verdicts of a cheap judge where they are predicted to pay.

    Before a round of the audit it may want cheap verdicts: `ask_cheap` names the cells, and
    nothing is asked of the dear judge until all of them are told. They never count as outcomes
    or calls, and no certificate depends on them: see `llmsel.racing.audit.cheap`.

    Args:
        rule: settings.
        pool_size: number of queries P.
        n_models: number of models M, the baseline included.
        cheap_price: of a cheap verdict, in calls of the dear judge; 0 for one that costs nothing.
        features: float64 (P, M, F) known for all cells; None for none.
        options: further ones of `AuditRace`.

    Attributes:
        cheap: the cheap judge: what it said, what that cost, and what it is worth.

    Raises:
        InputError: a price or another option out of range.
    """

    def __init__(
        self,
        rule: Audit,
        pool_size: int,
        n_models: int,
        *,
        cheap_price: float,
        features: np.ndarray | None = None,
        **options: Any,
    ):
        """Plan the first round; nothing is judged yet."""
        known = with_column(features, (pool_size, n_models))
        self.cheap = CheapJudge(known[..., -1], cheap_price)
        super().__init__(rule, pool_size, n_models, features=known, **options)

    def ask_cheap(self, limit: int | None = None) -> list[Cell]:
        """Return cells (place, model) whose cheap verdict is wanted, at most so many."""
        return self.cheap.wanted(limit)

    def tell_cheap(self, cell: Cell, verdict: int) -> None:
        """Learn one cheap verdict, in any order: -1, 0, 1, or MISSING where there is none.

        Raises:
            InputError: a cell whose cheap verdict is not wanted, or a verdict that is none.
        """
        self.cheap.tell(cell, verdict)
        if self._waits:
            return
        self.cheap.settle()
        self.predictor.outdate()
        if self.cheap.bought.sum() <= EARLY:  # how far the judges agree is learned fastest now
            self.predictor.fit()
        self._advance()

    @property
    def _waits(self) -> bool:  # type: ignore[override]
        return self.cheap.waits

    def _plan_draws(self) -> None:
        """Buy cheap verdicts first, where they pay; a paired audit, of few models, has no use."""
        if self.phase == CHALLENGE:
            next(self._challengers(), None)  # open the first duel, if none is
            self.cheap.switch_off_if_worthless()
            if self.cheap.bought.any() or self.cheap.off:
                self._buy()
            else:
                self._explore()
        if not self._waits:
            super()._plan_draws()

    def _buy(self) -> None:
        """Want the verdicts of the challengers for whom they pay."""
        for duel in self._duels.values():
            if isinstance(duel, Duel):
                duel.gauged = bool(self.cheap.bought[duel.model])
                if self.cheap.due(duel.model, duel.drawn) and self.cheap.pays(self._saving(duel)):
                    self.cheap.want(duel.model)

    def _explore(self) -> None:
        """Want the verdicts of the model that is judged most, where any could pay."""
        waiting = np.flatnonzero(self.live & (self.ledger.judged < self.ledger.pool_size))
        duels = (Duel(j, self.ledger.open_places(j)) for j in waiting.tolist())
        most = np.where(self.ledger.half > 0, self.ledger.judged, -1).argmax()
        self.cheap.explore(int(most), map(self._saving, duels))

    def _saving(self, duel: Duel) -> float:
        slack = self.ledger.slack(duel.model, self.champion, self._margin)
        short = self._limit - float(self.capital[duel.model])
        return self.cheap.saving(duel, self.predictor, (slack, short))

    def _settle_draw(self, draw: Draw, slack: float, y: float) -> None:
        """Show the gauge what the draw brought."""
        outcome = self._told[draw.cells[0]]
        if draw.trial is not None and outcome != MISSING:
            self.cheap.gauge.learn(draw.model, draw.trial, 0.5 - 0.5 * outcome)
        super()._settle_draw(draw, slack, y)

    def _drop_beaten(self) -> None:
        """Tell the gauge who is beaten."""
        before = self.live.copy()
        super()._drop_beaten()
        for j in np.flatnonzero(before & ~self.live).tolist():
            self.cheap.gauge.drop(j)
