"""The certified race straight from its formulas: one realization, loops, no NumPy."""

from __future__ import annotations

import math
from collections.abc import Sequence

MISSING = -128


def certified(  # noqa: C901 - in one piece, as the formulas stand in Certified
    rows: Sequence[Sequence[int]],
    baseline: int,
    alpha: float = 0.05,
    share: float = 0.1,
    delta: float = 0.0,
) -> tuple[set[int], str, int, int, dict[int, int]]:
    """Race over rows of outcomes in drawn order; missing cells as the worst for each claim.

    Returns winners, stop, queries seen, calls, {model: queries after which it was dropped}.
    """
    size, models = len(rows), range(len(rows[0]))
    half = [0.0 if j == baseline else 0.5 for j in models]
    live, calls = set(models), 0
    dropped: dict[int, int] = {}
    capital = dict.fromkeys(models, 1.0)
    pair = {(l, j): 1.0 for l in models for j in models if l != j}  # noqa: E741
    low, high, judged, total = ([0.0] * len(models) for _ in range(4))
    past: list[dict[int, float]] = []

    def bet(group: Sequence[int], j: int, t: int, margin: float) -> tuple[float, float]:
        """Part to stake and mean allowed, for x = mean of the group's r minus r_j."""
        rem = size - t + 1
        s = sum(low[a] for a in group) / len(group) - high[j]
        m = (-margin * size - s) / rem
        loss = half[j] + sum(half[a] for a in group) / len(group)
        squares = sum((sum(r[a] for a in group) / len(group) - r[j]) ** 2 for r in past)
        d = s / (t + 4)
        v = max(0.01, (squares + 1.25) / (t + 4) - d * d)
        e = max(d + margin, 0) * size / rem
        return min(e / (v + e * e), 0.9 / max(loss + m, 1e-9)), m

    for t, row in enumerate(rows, start=1):
        calls += len(live - {baseline})
        rate = {
            j: total[j] / judged[j] if judged[j] else 0.0 if t == 1 else -math.inf for j in live
        }
        k = max(1, min(math.ceil(share * len(live)), len(live) - 1))
        bets, pair_bets = {}, {}
        for j in live:
            others = [a for a in live if a != j]
            last = sorted((rate[a] for a in others), reverse=True)[k - 1]
            group = [a for a in others if rate[a] >= last]
            bets[j] = (group, *bet(group, j, t, 0.0))
            if delta:
                for l in others:  # noqa: E741
                    pair_bets[l, j] = bet([l], j, t, delta)
        loss = {a: (-0.5 if row[a] == MISSING else row[a] / 2) for a in live}
        win = {a: (0.5 if row[a] == MISSING else row[a] / 2) for a in live}
        for j, (group, part, m) in bets.items():
            x = sum(loss[a] for a in group) / len(group) - win[j]
            capital[j] *= max(0, 1 + part * (x - m))
        for (a, j), (part, m) in pair_bets.items():
            pair[a, j] *= max(0, 1 + part * (loss[a] - win[j] - m))
        past.append({a: 0.0 if row[a] == MISSING else row[a] / 2 for a in models})
        for a in live:
            low[a] += loss[a]
            high[a] += win[a]
            judged[a] += row[a] != MISSING
            total[a] += 0 if row[a] == MISSING else row[a] / 2
        rate = {j: total[j] / judged[j] if judged[j] else -math.inf for j in live}
        leaders = {j for j in live if rate[j] == max(rate.values())}
        left = size - t
        floor = max(low[a] - left * half[a] for a in live)
        limit = 1 / alpha if not delta else 1 / (0.7 * alpha)

        within = {
            l
            for l in leaders  # noqa: E741
            if delta
            and all(
                0.7 * capital[j] + 0.3 * pair[l, j] / (len(models) - 1) >= 1 / alpha
                or low[l] - high[j] + delta * size >= left * (half[l] + half[j])
                for j in live - {l}
            )
        }
        gone = {j for j in live if capital[j] >= limit and j not in leaders}
        gone |= {j for j in live if floor > high[j] + left * half[j]}
        dropped |= dict.fromkeys(gone, t)
        live -= gone
        if len(live) == 1:
            return live, "one left", t, calls, dropped
        if t == size:
            for margin in (0, delta * size) if delta else (0,):
                sure = {l for l in leaders if all(low[l] >= high[j] - margin for j in live - {l})}  # noqa: E741
                if sure:
                    ties = "tied" if len(sure) > 1 else "pool exhausted"
                    return sure, "within delta" if margin else ties, t, calls, dropped
            return leaders, "outcomes missing", t, calls, dropped
        if within:
            return within, "within delta", t, calls, dropped
    raise AssertionError
