"""All pairs of a pool as one more pool, so that judges, logs and races treat them like any other.

A query of it is a query with one model in the baseline's place, "q7 vs model-b"; its candidates are
the models. Of two models only the one that comes first in the pool is judged against the other;
the cells that would say the same again hold the other's own answer, a draw that nobody asks about.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np

from llmsel._base.errors import InputError
from llmsel.pool import MISSING, Pool
from llmsel.racing.pairs.course import PairsRace
from llmsel.racing.pairs.table import Comparison

OPPONENT = "(the other model)"  # the baseline's name in a pool of all pairs

Cell = tuple[int, int]  # query and model of the pool of all pairs


def all_pairs(pool: Pool, outcomes: np.ndarray | None = None) -> Pool:
    """Lay out every model of a pool against every other.

    Args:
        pool: any pool; its baseline is a model like the others. Votes and outcomes against the
            baseline are left out.
        outcomes: int8 (M, M, n), of the first model against the second on each query; -1, 0, 1 or
            MISSING. None if nothing is known.

    Returns:
        A pool of ``n (M - 1)`` queries and ``M + 1`` models, the last of them `OPPONENT`.

    Raises:
        InputError: a pool that is one of all pairs already, names that cannot be told apart in
            one, or a table of outcomes of another shape.
    """
    if has_pairs(pool):
        raise InputError(f"pool '{pool.name}' is one of all pairs already.")
    if OPPONENT in pool.models:
        raise InputError(
            f"'{OPPONENT}' has a meaning of its own in a pool of all pairs; rename it."
        )
    n, m = pool.n_queries, pool.n_models
    if outcomes is not None and np.shape(outcomes) != (m, m, n):
        raise InputError(f"outcomes of shape {np.shape(outcomes)}; {(m, m, n)} are needed.")
    place, other = np.divmod(np.arange(n * (m - 1)), m - 1)
    other += 1
    unused = ~_used(n, m)
    responses = table = None
    if pool.responses is not None:
        its = pool.responses[place, other]
        mine = np.where(unused, its[:, None], pool.responses[place])
        responses = np.concatenate([mine, its[:, None]], axis=1)
    if outcomes is not None:
        known = np.where(unused, 0, np.asarray(outcomes)[:, other, place].T)
        table = np.concatenate([known, np.zeros((len(known), 1))], axis=1).astype(np.int8)

    def stretched(values: Sequence[str] | None) -> tuple[str, ...] | None:
        return None if values is None else tuple(values[i] for i in place)

    names = _names(pool.queries, pool.models[1:])
    if len(set(names)) < len(names):
        twice = next(name for name, count in Counter(names).items() if count > 1)
        raise InputError(
            f"'{twice}' can be read in two ways, as a query and whom its answers are compared "
            "with; rename a model or a query whose name contains ' vs '."
        )
    return pool.replace(
        queries=names,
        models=(*pool.models, OPPONENT),
        baseline=OPPONENT,
        texts=stretched(pool.texts or pool.queries),
        categories=stretched(pool.categories),
        responses=responses,
        outcomes=table,
        votes=None,
    )


def outcomes_of(pool: Pool) -> np.ndarray:
    """Return the outcomes of a pool of all pairs as `all_pairs` takes them: int8 (M, M, n)."""
    m = pool.n_models - 1
    rows = pool.need("outcomes")[:, :m].reshape(-1, m - 1, m)
    table = np.zeros((m, m, len(rows)), dtype=np.int8)
    for b in range(1, m):
        known = rows[:, b - 1, :b].T
        table[:b, b] = known
        table[b, :b] = np.where(known == MISSING, MISSING, -known)
    return table


def used_cells(pool: Pool) -> np.ndarray:
    """Mark the cells of a pool of all pairs that stand for a comparison: bool (n, M + 1)."""
    m = pool.n_models - 1
    return np.pad(_used(pool.n_queries // (m - 1), m), ((0, 0), (0, 1)))


def _used(n_queries: int, m: int) -> np.ndarray:
    """Mark the models that come before the opponent of each row: bool (n (M - 1), M)."""
    return np.tile(np.arange(m) < np.arange(1, m)[:, None], (n_queries, 1))


def _names(queries: Sequence[str], opponents: Sequence[str]) -> tuple[str, ...]:
    return tuple(f"{query} vs {opponent}" for query in queries for opponent in opponents)


def has_pairs(pool: Pool) -> bool:
    """Tell whether a pool is one of `all_pairs`."""
    return pool.baseline == OPPONENT


def contestants(pool: Pool) -> tuple[str, ...]:
    """Name the models that a race is about: all, but for the opponent of `all_pairs`."""
    return pool.candidates if has_pairs(pool) else pool.models


def check_pairs(pool: Pool) -> None:
    """Refuse a pool that only looks like one of `all_pairs`: rows are read by their place.

    Raises:
        InputError: it was cut or turned since, or has a baseline with the opponent's name.
    """
    opponents = pool.models[1:-1]
    firsts = pool.queries[:: max(len(opponents), 1)]
    queries = [name.removesuffix(f" vs {each}") for each in opponents[:1] for name in firsts]
    if pool.models[-1] != OPPONENT or pool.queries != _names(queries, opponents):
        raise InputError(
            f"pool '{pool.name}' has the baseline '{OPPONENT}' but is not laid out as "
            "llmsel.all_pairs does; choose queries and models first, then call all_pairs, and give "
            "a model of one's own another name."
        )


def compared(pool: Pool, query: str) -> tuple[str, ...]:
    """Name the candidates that are judged on a query: over all pairs those before the opponent.

    Raises:
        InputError: a query that the pool does not have.
    """
    if not has_pairs(pool):
        return pool.candidates
    return pool.models[: pool.column(met(pool, query)[1])]


def check_compared(pool: Pool, query: str, model: str) -> None:
    """Refuse a cell that would say of two models again what another says.

    Raises:
        InputError: it is such a cell; the message names the one to judge.
    """
    if model in compared(pool, query):
        return
    plain, opponent = met(pool, query)
    other = f": '{opponent}' is judged on '{plain} vs {model}'" if model != opponent else ""
    raise InputError(f"'{model}' is not judged on '{query}'{other}.")


def described(pool: Pool) -> str:
    """Say how large a pool is, and who is compared with whom."""
    if has_pairs(pool):
        m = len(pool.candidates)
        return f"{pool.n_queries // (m - 1)} queries, every pair of {m} models"
    return f"{pool.n_queries} queries, {len(pool.candidates)} candidates against '{pool.baseline}'"


def comparisons(pool: Pool) -> int:
    """Count what there is to compare in a pool, equal answers included."""
    return pool.n_queries * len(pool.candidates) // (2 if has_pairs(pool) else 1)


def met(pool: Pool, query: str) -> tuple[str, str]:
    """Name the query itself, and whom its candidates are compared with: the opponent, or baseline.

    Raises:
        InputError: a query that the pool does not have.
    """
    place = pool.place(query)
    if not has_pairs(pool):
        return query, pool.baseline
    opponent = pool.models[place % (pool.n_models - 2) + 1]
    return query.removesuffix(f" vs {opponent}"), opponent


class PairsCourse:
    """A race over all pairs in the cells of a pool of all pairs; it has what `Race` needs.

    Args:
        race: over the pairs themselves.
    """

    def __init__(self, race: PairsRace):
        """Ask for nothing yet."""
        self.race = race

    @property
    def live(self) -> np.ndarray:
        """Mark the models that can still be named: bool (M + 1,)."""
        return np.append(self.race.live, False)

    @property
    def winners(self) -> np.ndarray:
        """Mark the answer, or who leads: bool (M + 1,)."""
        return np.append(self.race.winners, False)

    @property
    def stop(self) -> str:
        """Why the race ended; empty while it goes on."""
        return self.race.stop

    def judged(self, model: int) -> int:
        """Count the comparisons of a model that are told."""
        table = self.race.table
        return 0 if model == table.n_models else int(table.judged[model].sum()) - table.pool_size

    def ask(self) -> list[Cell]:
        """Return the planned cells that are not told yet."""
        others = self.race.table.n_models - 1
        return [(i * others + b - 1, a) for i, a, b in self.race.ask()]

    def tell(self, cell: Cell, outcome: int) -> None:
        """Learn one cell."""
        self.race.tell(self._comparison(cell), outcome)

    def _comparison(self, cell: Cell) -> Comparison:
        row, a = cell
        i, b = divmod(row, self.race.table.n_models - 1)
        return i, a, b + 1
