"""What quality costs: win rate against price and speed of the answers."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib import style
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import StrMethodFormatter

from llmsel._base.errors import InputError
from llmsel._base.files import json_lines
from llmsel._base.intervals import wilson
from llmsel._base.words import at_least, margin
from llmsel.judging.replay import Contents
from llmsel.pool import MISSING, Pool
from llmsel.reporting.categories import lower, whole, with_outcomes
from llmsel.reporting.figures import OTHER
from llmsel.reporting.outputs import inline_svg

COLUMNS = ("model", "answers", "price", "seconds", "tokens_out")


def read_costs(path: str | Path) -> pd.DataFrame:
    """Read what answers cost, as `llmsel generate` notes it beside each.

    Args:
        path: JSON Lines of answers.

    Returns:
        A row per model that has any of it: ``model``, ``answers``, ``price`` (mean, per 1000
        answers, in the currency of models.toml; NaN without prices), ``seconds`` (median) and
        ``tokens_out`` (mean). Empty where nothing was noted, or the file is of another kind.

    Raises:
        InputError: no such file, or a line that is not JSON.
    """
    path = Path(path)
    rows = json_lines(path) if path.suffix == ".jsonl" and path.is_file() else []
    noted = [row for row in rows if "seconds" in row and "model" in row]
    if not noted:
        return pd.DataFrame(columns=list(COLUMNS))
    frame = pd.DataFrame(noted).reindex(columns=["model", "cost", "seconds", "tokens_out"])
    numbers = frame[["cost", "seconds", "tokens_out"]].apply(pd.to_numeric, errors="coerce")
    by_model = numbers.assign(model=frame["model"].astype(str)).groupby("model", sort=False)
    found = by_model.agg(
        answers=("seconds", "size"),
        price=("cost", lambda each: 1000 * each.mean(skipna=False)),
        seconds=("seconds", "median"),
        tokens_out=("tokens_out", "mean"),
    )
    return found.reset_index()


def value_table(source: Pool | Contents, costs: pd.DataFrame) -> pd.DataFrame:
    """Put win rates beside prices.

    Args:
        source: a pool with outcomes, or a log.
        costs: what `read_costs` returned.

    Returns:
        A row per model with a price or a time, the cheapest first: ``model``, ``win_rate``,
        ``low``, ``high`` (its 95 % interval for queries like these; a guide in a race), ``price``,
        ``seconds``.
    """
    pool = with_outcomes(source)
    known = costs.set_index("model")
    rows = []
    for model in pool.models:
        column = pool.need("outcomes")[:, pool.column(model)]
        judged = column[column != MISSING]
        if model not in known.index or not len(judged):
            continue
        rate = float((judged.mean() + 1) / 2)
        low, high = wilson(np.array(rate), len(judged))
        ends = (rate, rate) if model == pool.baseline else (float(low), float(high))
        price, seconds = known.loc[model, ["price", "seconds"]]
        rows.append((model, rate, *ends, price, seconds))
    table = pd.DataFrame(rows, columns=["model", "win_rate", "low", "high", "price", "seconds"])
    return table.sort_values(["price", "seconds"], ignore_index=True)


def cheapest_within(
    source: Pool | Contents, costs: pd.DataFrame, *, delta: float, alpha: float = 0.05
) -> tuple[str | None, str]:
    """Name the cheapest model that is shown to be within a margin of the best win rate.

    Every model is tested against every other on the same queries, all tests counted.

    Args:
        source: a pool with outcomes or a log of whole queries, not of a race.
        costs: what `read_costs` returned.
        delta: margin, in win rate (0..1).
        alpha: chance that the model is further from the best than that.

    Returns:
        The model, or None if none is shown to be; and a sentence.

    Raises:
        InputError: a race, no prices, or no query judged for every model.
    """
    pool, judged = whole(source)
    rows = pool.need("outcomes")[judged]
    prices = costs.dropna(subset=["price"]).set_index("model")["price"]
    if not set(prices.index) & set(pool.models):
        raise InputError(
            "no model of the pool has a price; give prices in models.toml before llmsel generate."
        )
    level = alpha / (pool.n_models * (pool.n_models - 1))
    for model in prices[prices.index.isin(pool.models)].sort_values(kind="stable").index:
        mine = rows[:, pool.column(model)].astype(float)
        others = (rows[:, j] for j, name in enumerate(pool.models) if name != model)
        if all(lower([(mine - other, 1.0)], level) / 2 >= -delta for other in others):
            return model, (
                f"'{model}' is the cheapest model within {margin(delta)} of the best win rate, at "
                f"{prices[model]:.4g} per 1000 answers (with probability at least "
                f"{at_least(alpha)}; {len(rows)} queries)."
            )
    return None, (
        f"no model is shown to be within {margin(delta)} of the best win rate on {len(rows)} "
        "queries; judge more, or allow a wider margin."
    )


def value_picture(table: pd.DataFrame) -> str:
    """Draw win rate against price, or against time where there are no prices, as inline SVG."""
    by, unit = ("price", "price per 1000 answers")
    if table["price"].isna().any():
        by, unit = "seconds", "median seconds per answer"
    with style.context("default"):
        figure = Figure(figsize=(7.2, 3.2), layout="constrained")
        axes = figure.subplots()
        _scatter(table, by, axes)
        axes.set_xlabel(unit)
        return str(inline_svg(figure, f"win rate against {unit}"))


def _scatter(table: pd.DataFrame, by: str, axes: Axes) -> None:
    """Draw each model with its interval and its name, the dear ones with it on the left."""
    middle, middle_price = 100 * table["win_rate"], table[by].median()
    spread = [middle - 100 * table["low"], 100 * table["high"] - middle]
    axes.errorbar(table[by], middle, yerr=spread, fmt="o", color=OTHER, capsize=2)
    for row in table.to_dict("records"):
        left = row[by] > middle_price
        axes.annotate(
            row["model"],
            (row[by], 100 * row["win_rate"]),
            xytext=(-5 if left else 5, 4),
            textcoords="offset points",
            ha="right" if left else "left",
        )
    if (table[by] > 0).all() and table[by].max() > 20 * table[by].min():
        axes.set_xscale("log")
        axes.xaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
    axes.set_ylabel("win rate (%)")
    axes.grid(alpha=0.3)
    axes.spines[["top", "right"]].set_visible(False)


def shown(table: pd.DataFrame) -> list[tuple[str, ...]]:
    """Write a table of values out, for a page."""

    def number(value: float) -> str:
        return "" if math.isnan(value) else f"{value:.4g}"

    return [
        (
            str(row["model"]),
            f"{row['win_rate']:.1%} ({row['low']:.1%} to {row['high']:.1%})",
            number(row["price"]),
            number(row["seconds"]),
        )
        for row in table.to_dict("records")
    ]
