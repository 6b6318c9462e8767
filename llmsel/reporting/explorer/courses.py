"""The course of one decision on any pool, frame by frame: a strategy, a race, or an audit race.

A course is an iterator: a frame is made when it is looked at, so a long course costs what is seen.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from llmsel._base.errors import InputError, unknown
from llmsel._base.words import at_least, counted, percent
from llmsel.pool import Pool, draw_orders
from llmsel.racing.audit import Audit, AuditRace
from llmsel.racing.elimination import Certified, Heuristic, Standing
from llmsel.reporting.explorer.frames import Frame, Panel, Row
from llmsel.session import Session
from llmsel.strategies import STRATEGIES, Random, make, possible

SHOWN = 12  # models in a frame; of more, those that lead
TINY = 1e-300  # a capital that is lost has a logarithm too
RACE, AUDIT = "race", "audit race"
PHASES = {
    "plain": "all that can still win are judged on the next query",
    "prune": "only the best race on, to find the champion",
    "champion": "the champion is judged on every query",
    "challenge": "one challenger is tested alone against the champion's known total",
    "over": "the race is over",
}


def names(pool: Pool) -> list[str]:
    """Courses that this pool allows, by name."""
    return [RACE, AUDIT, *possible(pool)]


def course(pool: Pool, name: str, *, seed: int = 0) -> Iterator[Frame]:
    """Play one decision.

    Args:
        pool: with outcomes, which answer what is asked.
        name: one of `names`.
        seed: of the order of the queries, and of what the audit draws.

    Raises:
        InputError: an unknown name, or a pool without what the strategy needs.
    """
    pool.need("outcomes")
    known: dict[str, Callable[..., Iterator[Frame]]] = {RACE: race, AUDIT: audit}
    if name in known:
        return known[name](pool, seed=seed)
    if name not in STRATEGIES:
        raise unknown("course", name, names(pool))
    return strategy(pool, name, seed=seed)


# -- a strategy -------------------------------------------------------------------------------


def strategy(pool: Pool, name: str, *, seed: int = 0) -> Iterator[Frame]:
    """Annotate query by query as a strategy asks; a stopping rule says who can still win."""
    rule = Certified() if make(name).__class__ is Random else Heuristic()
    session = Session(pool, name, seed=seed, rule=rule)
    none = Panel("win rate on the annotated queries", _empty(pool), 1.0, mark=0.5)
    chance = Panel("chance to be the best of the pool", _empty(pool), 1.0)
    yield Frame(f"{name}: nothing is annotated", session.ask().reason, ((none,), (chance,)))
    while session.remaining:
        query = session.ask().query
        session.tell(query, pool.row(query))
        yield _annotated(pool, session)


def _annotated(pool: Pool, session: Session) -> Frame:
    answer = session.best()
    rows = np.array([row for _, row in session.history])
    judged = rows >= -1
    points = np.where(judged, (rows + 1) / 2, 0).sum(axis=0)
    rates = points / np.maximum(judged.sum(axis=0), 1)
    chance = np.array([answer.chance[m] for m in pool.models])
    held = answer.certificate
    live = np.array([held is None or m in held.live for m in pool.models])
    shown = _shown(rates + 10 * live)
    won = Panel("win rate on the annotated queries", _rows(pool, shown, rates, live), 1.0, 0.5)
    best = Panel("chance to be the best of the pool", _rows(pool, shown, chance, live), 1.0)
    why = session.ask().reason if session.remaining else "every query is annotated."
    who = f"{live.sum()} of {pool.n_models} can still win"
    title = f"{answer.annotated} of {answer.queries} queries annotated; {who}"
    return Frame(title, f"Next: {why}" if session.remaining else why, ((won,), (best,)))


def _empty(pool: Pool) -> tuple[Row, ...]:
    return tuple(Row(pool.models[j], 0.0, "unknown") for j in _shown(np.zeros(pool.n_models)))


def _rows(pool: Pool, shown: np.ndarray, values: np.ndarray, live: np.ndarray) -> tuple[Row, ...]:
    top = values.max()
    return tuple(
        Row(
            _short(pool.models[j]),
            float(values[j]),
            percent(float(values[j])),
            "gone" if not live[j] else "strong" if values[j] >= top - 1e-12 else "plain",
        )
        for j in shown
    )


# -- a race -----------------------------------------------------------------------------------


def race(pool: Pool, *, seed: int = 0, alpha: float = 0.05) -> Iterator[Frame]:
    """Race by the certified rule, query by query: every model's claim to be the best is bet on."""
    n, models = pool.n_queries, pool.n_models
    now = Standing(1, models, baseline=pool.baseline_index, pool_size=n)
    evidence: Any = Certified(alpha).begin(now, 0.0)
    outcomes = pool.need("outcomes")
    judged, capital = np.zeros(models, dtype=int), np.zeros(models)
    order = draw_orders(n, n, realizations=1, seed=seed)[0]
    paid = np.arange(models) != pool.baseline_index
    for place in [None, *order.tolist()]:
        if place is not None:
            judged += now.live[0] & paid
            evidence.stake(now)
            evidence.settle(*now.add(outcomes[place][None]))
            beaten, _ = evidence.verdict(now)
            capital = np.where(now.live[0], np.log(np.maximum(evidence.capital[0], TINY)), capital)
            now.live &= ~((beaten & ~now.leaders) | now.out_of_reach)
        live = now.live[0].copy()
        yield _race_frame(pool, (now, judged, live), capital, alpha)
        if live.sum() == 1:
            return


def _race_frame(
    pool: Pool, state: tuple[Standing, np.ndarray, np.ndarray], capital: np.ndarray, alpha: float
) -> Frame:
    now, judged, live = state
    at = f"query {now.seen} of {now.pool_size}"
    if live.sum() == 1:
        sure = f"with probability at least {at_least(alpha)}"
        note = f"{_named(pool, live)} is the best of this pool, {sure}."
    elif now.seen == now.pool_size:
        note = f"Every query is judged: {_named(pool, now.leaders[0])} won most."
    else:
        note = f"Next: a random query; {_left(pool, live)} are judged on it."
    return _capitals(pool, (judged, live, capital), alpha, f"{RACE}, {at}", note)


def audit(pool: Pool, *, seed: int = 0, rule: Audit | None = None) -> Iterator[Frame]:
    """Race by the audit's rule, one frame per round of calls."""
    rule = Audit() if rule is None else rule
    played = rule.begin(pool.n_queries, pool.n_models, baseline=pool.baseline_index, seed=seed)
    outcomes = pool.need("outcomes")
    order = draw_orders(pool.n_queries, pool.n_queries, realizations=1, seed=seed)[0]
    yield _audit_frame(pool, played)
    while cells := played.ask():
        for cell in cells:
            played.tell(cell, int(outcomes[order[cell[0]], cell[1]]))
        yield _audit_frame(pool, played)


def _audit_frame(pool: Pool, played: AuditRace) -> Frame:
    judged = np.array(played.ledger.judged)
    judged[pool.baseline_index] = 0
    state = judged, played.live, played.capital
    note = f"Next: {PHASES[played.phase]}."
    if played.stop:
        note = f"Over ({played.stop}): {_named(pool, played.winners)} is the answer."
    champion = "" if played.champion < 0 else f", champion {pool.models[played.champion]}"
    title = f"{AUDIT}, {played.phase}{champion}"
    return _capitals(pool, state, played.rule.alpha, title, note)


def _capitals(
    pool: Pool,
    state: tuple[np.ndarray, np.ndarray, np.ndarray],
    alpha: float,
    title: str,
    note: str,
) -> Frame:
    """Draw capitals on a logarithmic scale, and what has been paid for each model."""
    judged, live, capital = state
    limit = -math.log(alpha)
    shown = _shown(-np.clip(capital, -limit, limit) + 10 * live)
    bets = tuple(
        Row(
            _short(pool.models[j]),
            float(capital[j]),
            _times(float(capital[j])),
            "plain" if live[j] else "gone",
        )
        for j in shown
    )
    calls = tuple(
        Row(
            _short(pool.models[j]),
            float(judged[j]),
            str(int(judged[j])),
            "strong" if live[j] else "gone",
        )
        for j in shown
    )
    total = (pool.n_models - 1) * pool.n_queries
    said = f"{title}: {counted(int(judged.sum()), 'call')} of {total}, {int(live.sum())} can win"
    claim = f"capital against “I am the best” (out at {1 / alpha:g}×)"
    against = Panel(claim, bets, 1.25 * limit, mark=limit)
    paid = Panel("queries judged", calls, float(pool.n_queries))
    return Frame(said, note, ((against,), (paid,)))


def _times(capital: float) -> str:
    size = math.exp(min(capital, 50.0))
    return f"{size:.1f}×" if size < 100 else "over 100×"


def _named(pool: Pool, which: np.ndarray) -> str:
    return " and ".join(pool.models[j] for j in np.flatnonzero(which))


def _left(pool: Pool, live: np.ndarray) -> str:
    some = [pool.models[j] for j in np.flatnonzero(live) if j != pool.baseline_index]
    return ", ".join(some) if len(some) < 5 else f"the {len(some)} candidates that can still win"


def _shown(strength: np.ndarray) -> np.ndarray:
    """Columns to show: all in their order where they are few, else the strongest, in order."""
    if len(strength) <= SHOWN:
        return np.arange(len(strength))
    return np.argsort(-strength, kind="stable")[:SHOWN]


def _short(name: str) -> str:
    return name if len(name) <= 15 else f"{name[:14]}…"


def thinned(frames: list[Frame], most: int) -> list[Frame]:
    """Keep at most so many frames, evenly, the first and the last among them.

    Raises:
        InputError: fewer than two.
    """
    if most < 2:
        raise InputError(f"most={most}: a film has at least two frames.")
    if len(frames) <= most:
        return frames
    places = np.unique(np.linspace(0, len(frames) - 1, most).round().astype(int))
    return [frames[k] for k in places]
