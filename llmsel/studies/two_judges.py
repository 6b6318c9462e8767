"""Races with a cheap judge beside the dear one: what they cost at a price, and what was said."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from llmsel._base.errors import InputError
from llmsel._base.intervals import mean_interval
from llmsel.pool import Pool
from llmsel.racing.audit import Audit, AuditRace, TwoJudges
from llmsel.studies.protocol import Block, Protocol, play
from llmsel.studies.scores import SLACK

BLOCK = 5  # realizations in one process at a time
MEASURED = ("calls", "verdicts", "models", "low", "said", "high", "off", "certified", "correct")


def two_judges(
    pool: Pool,
    prices: Sequence[float],
    *,
    realizations: int = 100,
    pool_size: int | None = None,
    seed: int = 0,
    rule: Audit | None = None,
    delta: float = 0.0,
    jobs: int | None = None,
) -> pd.DataFrame:
    """Run audit races alone and with a cheap judge, on the same pools with the same seeds.

    Args:
        pool: with outcomes of the dear judge, and as votes, of one weak judge, those of the cheap.
        prices: of a cheap verdict, in calls of the dear judge.
        realizations: number of random pools.
        pool_size: queries per pool; None takes ``min(400, n)``.
        seed: of everything.
        rule: settings of the race; None takes `Audit` with its defaults.
        delta: win-rate margin (0..1) of the claim.
        jobs: parallel processes; None takes ``LLMSEL_JOBS`` from the environment, or all cores.

    Returns:
        One row per realization and price; the price of a race without a cheap judge is NaN.
        Columns ``realization``, ``price``, ``calls``, ``verdicts`` (cheap ones bought), ``models``
        (with cheap verdicts), ``low``, ``said``, ``high`` (calls saved, as the race itself
        measured them; NaN where it could not), ``off`` (switched off), ``certified``, ``correct``
        (share of the models named that keep the promise), ``bill`` (calls, and verdicts at their
        price) and ``saved`` (calls less than without the cheap judge).

    Raises:
        InputError: a pool without outcomes, or without the votes of exactly one weak judge.
    """
    votes = pool.need("votes")
    if votes.shape[2] != 1:
        raise InputError(
            f"'{pool.name}' holds votes of {votes.shape[2]} weak judges; a cheap judge is one: "
            "load the pool with cheap=."
        )
    rule = Audit() if rule is None else rule
    protocol = Protocol.draw(pool, realizations=realizations, pool_size=pool_size, seed=seed)
    alone: float | None = None
    parts = play(
        [
            Block(
                "alone" if price is None else repr(price),
                start,
                functools.partial(
                    _play,
                    pool,
                    protocol.orders[start : start + BLOCK],
                    first=start,
                    rule=rule,
                    options={"delta": delta, "cheap_price": price},
                ),
            )
            for price in (alone, *prices)
            for start in range(0, realizations, BLOCK)
        ],
        pool.name,
        jobs=jobs,
    )
    frames: list[pd.DataFrame] = []
    for price, part in zip((np.nan, *prices), parts.values(), strict=True):
        frame = pd.DataFrame({"realization": np.arange(realizations), "price": price} | part)
        frame["bill"] = frame["calls"] + np.nan_to_num(price) * frame["verdicts"]
        frame["saved"] = frames[0]["calls"] - frame["calls"] if frames else 0.0
        frames.append(frame)
    return pd.concat(frames, ignore_index=True)


def price_table(runs: pd.DataFrame) -> pd.DataFrame:
    """One row per price of `two_judges`, with 95 % intervals over the paired pools.

    Returns:
        Index ``price``; columns ``calls``, ``verdicts``, ``models`` (means), ``saved`` (calls, in
        percent of those without the cheap judge), ``saved_low``, ``saved_high``, ``said`` (the
        same as the races said, where they said it), ``net``, ``net_low``, ``net_high`` (saved on
        the bill, verdicts paid), ``off`` (share of the races that switched it off), ``wrong``
        (certificates).
    """
    alone = runs[runs["price"].isna()].set_index("realization")
    rows = []
    for price, some in runs.dropna(subset="price").groupby("price"):
        some, base = some.set_index("realization"), alone["calls"]
        saved = mean_interval(100 * (some["saved"] / base).to_numpy())
        net = mean_interval(100 * (1 - some["bill"] / base).to_numpy())
        said = 100 * some["said"] / (some["calls"] + some["said"])
        wrong = some["certified"].astype(bool) & (some["correct"] < 1 - SLACK)
        means = some[["calls", "verdicts", "models", "off"]].mean()
        rows.append(
            {
                "price": price,
                **means,
                **dict(zip(("saved_low", "saved", "saved_high"), saved, strict=True)),
                "said": said.mean(),
                **dict(zip(("net_low", "net", "net_high"), net, strict=True)),
                "wrong": int(wrong.sum()),
            }
        )
    return pd.DataFrame(rows).set_index("price")


def gauge_course(
    pool: Pool,
    price: float,
    *,
    pool_size: int,
    seed: int = 0,
    realization: int = 0,
    every: int = 25,
) -> pd.DataFrame:
    """Follow the gauge of one race.

    Args:
        pool: as of `two_judges`.
        price: of a cheap verdict, in calls of the dear judge.
        pool_size: queries of the pool.
        seed: of everything.
        realization: which of the pools.
        every: calls between two readings.

    Returns:
        Columns ``calls``, ``cost`` (of the verdicts so far, in calls), ``low``, ``said``, ``high``
        (calls saved so far; NaN before it is ready), ``off``.
    """
    protocol = Protocol.draw(pool, realizations=realization + 1, pool_size=pool_size, seed=seed)
    readings: list[tuple[Any, ...]] = []

    def read(race: TwoJudges) -> None:
        if race.calls >= every * (len(readings) + 1):
            cheap = race.cheap
            readings.append((race.calls, cheap.cost, *cheap.gauge.saved(), cheap.off))

    order = protocol.orders[realization]
    race = _begin(pool, order, Audit(), seed=realization, options={"cheap_price": price})
    _race(race, pool.need("outcomes")[order], pool.need("votes")[order, :, 0], watch=read)
    return pd.DataFrame(readings, columns=["calls", "cost", "low", "said", "high", "off"])


def _begin(
    pool: Pool, order: np.ndarray, rule: Audit, *, seed: int, options: dict[str, Any]
) -> AuditRace:
    return rule.begin(len(order), pool.n_models, baseline=pool.baseline_index, seed=seed, **options)


def _race(race: AuditRace, table: np.ndarray, verdicts: np.ndarray, watch: Any = None) -> None:
    """Play a race to its end."""
    while not race.stop:
        if isinstance(race, TwoJudges):
            for cell in race.ask_cheap():
                race.tell_cheap(cell, int(verdicts[cell]))
        for cell in race.ask():
            race.tell(cell, int(table[cell]))
        if watch is not None:
            watch(race)


def _play(
    pool: Pool, orders: np.ndarray, *, first: int, rule: Audit, options: dict[str, Any]
) -> dict[str, np.ndarray]:
    """Measure the races of a block."""
    outcomes, votes = pool.need("outcomes"), pool.need("votes")[..., 0]
    rows = []
    for r, order in enumerate(orders, first):
        race = _begin(pool, order, rule, seed=r, options=options)
        _race(race, outcomes[order], votes[order])
        rates = pool.win_rates(order)
        near = rates >= rates.max() - race.delta - SLACK
        correct = (race.winners & near).sum() / race.winners.sum()
        rows.append((race.calls, *_worth(race), race.certified, correct))
    columns = np.array(rows, dtype=float).T
    return dict(zip(MEASURED, columns, strict=True))


def _worth(race: AuditRace) -> tuple[float, ...]:
    """Verdicts, models, what the gauge says, and whether it is off."""
    if not isinstance(race, TwoJudges):
        return 0, 0, np.nan, np.nan, np.nan, False
    cheap = race.cheap
    return cheap.asked, int(cheap.bought.sum()), *cheap.gauge.saved(), cheap.off
