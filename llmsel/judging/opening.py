"""How a log is opened: its header must agree with the pool, and with what the caller asks for."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from llmsel import strategies
from llmsel._base.errors import InputError
from llmsel._base.files import VERSION
from llmsel.judging.keys import holding, standing
from llmsel.judging.lines import FORMAT, damage, need_fields, printable, read_lines
from llmsel.pool import Pool
from llmsel.racing import elimination
from llmsel.racing.elimination import LockstepRule
from llmsel.session import Session
from llmsel.strategies import Strategy, make
from llmsel.weak_judges import add_votes

Types = dict[str, type | tuple[type, ...]]
STAMP: Types = {"time": str, "version": str}
_HEADER: Types = {
    "llmsel": str,
    "pool": str,
    "pool_name": str,
    "baseline": str,
    "strategy": (str, dict),
    "seed": int,
}
_HEADER_MORE: Types = STAMP | {
    "rule": (dict, type(None)),
    "delta": (int, float),
    "format": int,
    "seed_chosen": bool,
    "votes": (str, type(None)),
}


def stamp() -> dict[str, str]:
    """When a line is written, and by which version."""
    return {"time": datetime.now(UTC).isoformat(timespec="seconds"), "version": VERSION}


@dataclasses.dataclass(frozen=True)
class Wanted:
    """What the caller of a log asks for, see `Session`; None takes that of the log."""

    strategy: str | Strategy | None = None
    seed: int | None = None
    rule: LockstepRule | None = None
    delta: float | None = None


def begin_session(
    path: Path,
    header: Mapping[str, Any],
    *,
    pool: Pool,
    wanted: Wanted,
) -> Session:
    """Start the session that the header describes; what is given must agree with it.

    Args:
        path: of the log, for messages.
        header: of the log.
        pool: see `Session`; votes that the strategy needs are added.
        wanted: what the caller asks for.

    Raises:
        InputError: a damaged header, or one of them differs.
    """
    try:
        need_fields(header, _HEADER, _HEADER_MORE)
        chosen = _chosen(header, wanted)
        kept_rule, kept_delta = header.get("rule"), header.get("delta", 0.0)
        known = None if kept_rule is None else elimination.from_settings(kept_rule)
        pool = _same_pool(path, header, ready(pool, chosen))
        session = Session(pool, chosen, seed=header["seed"], rule=known, delta=kept_delta)
        session.seed_drawn = not header["seed_chosen"] if "seed_chosen" in header else None
    except InputError:
        raise
    except (KeyError, TypeError, ValueError, OverflowError) as error:
        raise damage(path, 1, error) from error
    kept_strategy = header["strategy"]  # old logs have its repr
    told = repr(chosen) if isinstance(kept_strategy, str) else plain(chosen.settings)
    for what, asked, kept in (
        ("strategy", told, kept_strategy),
        ("seed", wanted.seed, header["seed"]),
        ("rule", None if wanted.rule is None else plain(wanted.rule.settings), kept_rule),
        ("delta", wanted.delta, kept_delta),
    ):
        if asked is not None and asked != kept:
            raise InputError(
                f"'{path.name}' was begun with {what} {kept}, not {asked}; use that, or a new log."
            )
    return session


def _chosen(header: Mapping[str, Any], wanted: Wanted) -> Strategy:
    if wanted.strategy is None:
        return strategy_of(header["strategy"])
    return make(wanted.strategy)


def ready(pool: Pool, strategy: Strategy) -> Pool:
    """Add the weak votes where the strategy needs them; a race has no use for them."""
    if "votes" in strategy.needs and pool.votes is None and pool.responses is not None:
        return add_votes(pool)
    return pool


def pool_hash(pool: Pool) -> str:
    """Name what is annotated: queries, models, baseline and responses, without votes."""
    bare = pool.outcomes is None and pool.votes is None  # then its hash is made once
    return (pool if bare else pool.replace(outcomes=None, votes=None)).content_hash


def votes_hash(pool: Pool) -> str | None:
    """Name the weak votes; None without any."""
    return None if pool.votes is None else hashlib.sha256(pool.votes.tobytes()).hexdigest()


def _same_pool(path: Path, header: Mapping[str, Any], pool: Pool) -> Pool:
    """Return the pool if it is the header's.

    Raises:
        InputError: it is another.
    """
    if header.get("format") == FORMAT:
        same = header["pool"] == pool_hash(pool)
        same = same and header.get("votes") in (None, votes_hash(pool))
    else:  # the hash of old logs counts the votes, needed or not
        same = header["pool"] == pool.hide_outcomes().content_hash
        if not same and pool.votes is None and pool.responses is not None:
            pool = add_votes(pool)
            same = header["pool"] == pool.hide_outcomes().content_hash
    if not same:
        raise InputError(
            f"'{path.name}' is the log of another pool ('{header['pool_name']}' with baseline "
            f"'{header['baseline']}'; queries, responses or votes differ); {_still(path, pool)}use "
            "that pool or a new log."
        )
    return pool


def _still(path: Path, pool: Pool) -> str:
    """Say what of a log still holds on another pool; nothing if it cannot be told."""
    try:
        held = standing(event for _, event in read_lines(path).events)
        kept = len(holding(held, pool)[1])
    except (InputError, KeyError, TypeError, AttributeError):  # damaged: not the matter here
        return ""
    if not kept:
        return ""
    return (
        f"{kept} of its {len(held)} verdicts hold on this pool too: `llmsel session carry "
        f"{path.name} NEW` begins a new log with them; or "
    )


def strategy_of(written: str | Mapping[str, Any]) -> Strategy:
    """Make the strategy of a header: its settings, or its repr as old logs have it.

    Raises:
        InputError: a strategy that llmsel does not know.
    """
    try:
        if not isinstance(written, str):
            return strategies.from_settings(written)
        found = re.fullmatch(r"(\w+)\((.*)\)", written)  # LLMSelector(eps_loss=0.2, eps_draw=0.4)
        if found is None:
            raise ValueError("no class and parameters")
        pairs = [pair.partition("=") for pair in found[2].split(", ") if pair]
        parameters = {name: json.loads(value.replace("'", '"')) for name, _, value in pairs}
        return strategies.from_settings({"name": found[1], **parameters})
    except (TypeError, ValueError) as error:
        raise InputError(
            f"the log was begun with the strategy {printable(str(written))}, which llmsel cannot "
            "rebuild; give it as 'strategy'."
        ) from error


def plain(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return settings as JSON reads them: lists for tuples."""
    return dict(json.loads(json.dumps(settings, default=repr)))
