"""Data cards: a benchmark described from its data."""

from __future__ import annotations

from typing import Any

from llmsel.benchmarks import _find, load
from llmsel.pool import MISSING


def facts(name: str, **options: Any) -> dict[str, Any]:
    """Return the data card's content: size, judged cells, draws, win rates, oddities."""
    pool = load(name, **options)
    outcomes = pool.need("outcomes")[:, pool.candidate_columns]
    judged = outcomes[outcomes != MISSING]
    rates = sorted(zip(pool.win_rates().tolist(), pool.models, strict=True), reverse=True)
    return {
        "name": name,
        "about": _find(name).about,
        "simulated": pool.simulated,
        "queries": pool.n_queries,
        "candidates": len(pool.candidates),
        "baseline": pool.baseline,
        "cells": outcomes.size,
        "missing": outcomes.size - judged.size,
        "wins": float((judged == 1).mean()),
        "draws": float((judged == 0).mean()),
        "losses": float((judged == -1).mean()),
        "win_rates": {model: rate for rate, model in rates},
        "notes": dict(pool.notes),
        "sha256": pool.content_hash,
    }


def card(name: str, **options: Any) -> str:
    """Describe a benchmark from its data (see `facts`) as text."""
    has = facts(name, **options)
    rates = [f"{model} {rate:.1%}" for model, rate in has["win_rates"].items()]
    return "\n".join(
        [
            f"{name}: {has['about']}",
            *(["SIMULATED: no real data in it"] if has["simulated"] else []),
            f"queries {has['queries']}, candidates {has['candidates']}, baseline {has['baseline']}",
            f"judged cells {has['cells'] - has['missing']} of {has['cells']}, "
            f"missing {has['missing']}",
            f"wins {has['wins']:.1%}, draws {has['draws']:.1%}, losses {has['losses']:.1%}",
            "best:  " + ", ".join(rates[:3]),
            "worst: " + ", ".join(rates[-3:]),
            *(f"{key}: {_plain(value)}" for key, value in has["notes"].items()),
            f"content sha256 {has['sha256']}",
        ]
    )


def _plain(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{key}: {each}" for key, each in value.items()) or "none"
    if isinstance(value, list):
        return "; ".join(" = ".join(pair) for pair in value)
    return str(value)
