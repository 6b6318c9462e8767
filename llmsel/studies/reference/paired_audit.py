"""The paired audit straight from its formulas: loops, no NumPy but for random numbers."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

MISSING = -128
RATES = [5e-4 * 2 ** (k / 6) for k in range(86)]
NODES = ((-math.sqrt(3), 1 / 6), (0.0, 2 / 3), (math.sqrt(3), 1 / 6))


@functools.cache
def pad_and_weight(p: float, draw: float, rate: int) -> tuple[float, float]:
    """Solve f'(a) = exp(theta) for f(a) = exp E log(a + y); return a and f(a) exp(-theta)."""
    loss = p - draw / 2
    win = 1 - loss - draw
    low, high = -12.0, 10.0
    for _ in range(45):
        a = math.exp((low + high) / 2)
        f = (1 + a) ** loss * (0.5 + a) ** draw * a**win
        if f * (loss / (1 + a) + draw / (0.5 + a) + win / a) > math.exp(RATES[rate]):
            low = math.log(a)
        else:
            high = math.log(a)
    a = math.exp((low + high) / 2)
    return a, (1 + a) ** loss * (0.5 + a) ** draw * a**win / math.exp(RATES[rate])


def expit(z: float) -> float:
    """Turn a logit into a probability."""
    return 1 / (1 + math.exp(-z))


def levels(s: SimpleNamespace, j: int, c: int, places: list[int]) -> list[tuple[float, float]]:
    """Predict y on each open query: its mean and the chance of 1/2, both rounded to the table."""
    logistic, kinds = s.logistic, {}
    means: list[float] = []
    shares: list[float] = []
    for i in places:
        mine, its = i not in s.seen_of[j], i not in s.seen_of[c]
        mean = halves = 0.0
        for x, mass in NODES:
            z = logistic.level + logistic.difficulty[i] + x * math.sqrt(logistic.spread_query[i])
            loss, lost = (
                expit((z + logistic.strength[m]) / math.sqrt(1 + math.pi / 8 * spread))
                for m, spread in ((j, logistic.spread_model[j]), (c, logistic.spread_model[c]))
            )
            kept = 1 - logistic.draws / 4
            v, w = loss * (1 - loss) * kept, lost * (1 - lost) * kept
            y, variance = loss, v
            if its:
                y, variance = ((1 + loss - lost) / 2, (v + w) / 4) if mine else (1 - lost, w)
            mean += mass * y
            halves += mass * (y - variance - y * y)
        means.append(mean)
        shares.append(4 * halves / (2 * min(mean, 1 - mean)))
        kinds[i] = (mine, its)
    out = []
    for i, mean, share in zip(places, means, shares, strict=True):
        alike = [m for k, m in zip(places, means, strict=True) if kinds[k] == kinds[i]]
        p = 0.9 * mean + 0.1 * sum(alike) / len(alike)
        p = (int(p * 100) + 0.5) / 100
        share = round(min(max(share, 0.0), 1.0) * 12) / 12
        out.append((p, share * 2 * min(p, 1 - p)))
    return out


def paired(s: SimpleNamespace, leader: int, end: Callable[[int], Any]) -> Any:  # noqa: C901
    """Go on from a plain race with a paired audit; in one piece, as it is read.

    Args:
        s: what is known (the variables and functions of `llmsel.studies.reference.audit.audit`).
        leader: the champion at first.
        end: makes the ending from the last champion.

    Returns:
        As of `llmsel.studies.reference.audit.audit`.
    """
    champion, margin = leader, s.delta * s.size
    factor = dict.fromkeys(s.everyone, 0.0)  # log, since the audit began
    kept = dict(factor)  # what may be kept at a change by guess
    gone: set[int] = set()
    changes = 0
    duels: dict[int, list[int]] = {}  # draws so far, and when to look again

    def capital(j: int) -> float:
        return float(s.against(champion)[j] + factor[j])

    def slack(j: int) -> float:
        return float(s.high[j] + s.left(j) - s.low[champion] + s.left(champion) - margin)

    def open_of(j: int) -> list[int]:
        both = s.seen_of[j] & s.seen_of[champion]
        return [i for i in range(s.size) if i not in both]

    def predicted(j: int) -> float:
        rest = [i for i in range(s.size) if i not in s.seen_of[j]]
        if not rest or not s.half[j]:
            return float(s.total[j])
        return float(s.total[j] + sum(0.5 - p for p in s.logistic.predict(j, rest)))

    def drop() -> None:
        for j in sorted(s.live - {champion}):
            if slack(j) < 0 or capital(j) >= s.limit:
                s.live.discard(j)
                gone.add(j)

    drop()
    while len(s.live) > 1 and any(len(s.seen_of[j]) < s.size for j in s.live):
        plan, spare, asked = [], s.width, list(duels)
        while spare > 0:
            if not asked:
                s.refit()
                waiting = [j for j in s.live - {champion} if open_of(j) and j not in duels]
                if not waiting:
                    break
                first = min(waiting, key=lambda j: (round(s.logistic.strength[j], 9), s.rank[j]))
                asked, duels[first] = [first], [0, 5]
            j = asked.pop(0)
            places, d = open_of(j), slack(j)
            both = [not s.seen_of[j] & {i} and not s.seen_of[champion] & {i} for i in places]
            ahead = round(6 * math.log2(1 + 1 / max(1, len(s.live) - 1)))
            at_levels = levels(s, j, champion, places)
            pads, weights, growth = [math.nan] * len(places), [1.0] * len(places), 0.0
            for k in range(80):
                terms = [
                    [(1 + pair) * v for v in pad_and_weight(p, draw, k + pair * ahead)]
                    for (p, draw), pair in zip(at_levels, both, strict=True)
                ]
                if sum(f - a for a, f in terms) <= d:
                    break
                pads, weights, growth = [a for a, _ in terms], [f for _, f in terms], RATES[k]
            wanted = (s.limit - capital(j)) / growth if growth else math.inf
            calls, most = 0, spare
            while places and calls < min(most, max(1, wanted)):
                number, passed = s.streams[j].random() * sum(weights), 0.0
                for at, weight in enumerate(weights):  # noqa: B007
                    passed += weight
                    if passed > number:
                        break
                i, models = places[at], (j, champion)
                cells = [(i, m) for m in models if i not in s.seen_of[m]]
                plan.append((j, cells, weights[at] / sum(weights), pads[at], sum(pads)))
                calls, spare = calls + len(cells), spare - len(cells)
                duels[j][0] += 1
                for values in (places, weights, pads):
                    s.remove(values, at)
        told = list(dict.fromkeys(cell for _, cells, *_ in plan for cell in cells))
        s.rounds.append(told)
        slacks = {j: slack(j) for j in duels}
        for j, cells, chance, pad, padding in plan:
            y = 0.0
            for i, m in cells:
                a = s.table[i][m]
                y += 0.0 if a == MISSING else 0.5 + 0.5 * a * (1 if m == champion else -1)
            d = slacks[j]
            if d >= 0 and d + padding > 0 and capital(j) < s.limit:
                factor[j] += math.log((y + pad) / (chance * (d + padding)))
            slacks[j] -= y
        for cell in told:
            s.learn(*cell)
        for j in duels:
            s.logistic.refine(j)
        decided = any(capital(j) >= s.limit or slack(j) < 0 or not open_of(j) for j in duels)
        for j, (drawn, look) in () if decided else list(duels.items()):
            if drawn < look:
                continue
            duels[j][1] += 3 * (1 + (drawn - look) // 3)
            if predicted(j) - predicted(champion) > max(1 + changes, 0.5 * margin):
                factor = kept = {m: min(factor[m], kept[m]) for m in s.everyone}
                factor = dict(kept)
                s.live |= gone
                gone.clear()
                champion, changes, decided = j, changes + 1, True
                duels.clear()
                break
        if decided:
            full = [j for j in s.live if len(s.seen_of[j]) == s.size]
            best = max(full, key=lambda j: (s.low[j], -j), default=champion)
            if champion in full and s.low[best] > s.low[champion]:
                kept = {m: min(factor[m], kept[m]) for m in s.everyone}
                champion = best
                duels.clear()
            drop()
            duels = {j: state for j, state in duels.items() if j in s.live and open_of(j)}
    s.capital[:] = [capital(j) for j in s.everyone]
    return end(champion)
