"""The audit race straight from its formulas: one pool, loops, no NumPy but for random numbers."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from types import SimpleNamespace

import numpy as np

from llmsel.studies.reference.duel import Draw, Logistic, draw, remove
from llmsel.studies.reference.paired_audit import paired

MISSING = -128


Ending = tuple[list[list[tuple[int, int]]], list[float], set[int], set[int], str]


def audit(  # noqa: C901 - in one piece, as it is read
    table: Sequence[Sequence[int]],
    baseline: int,
    *,
    alpha: float = 0.05,
    delta: float = 0.0,
    seed: int = 0,
    width: int = 1,
    switch: str = "predicted",
    gain: float = 0.8,
    start: float = 0.5,
    prune: Sequence[tuple[float, float]] = ((2.5, 1 / 3), (6.0, 0.1)),
    few: int = 8,
    pairing: float = 1.0,
) -> Ending:
    """Race over a table in drawn order; options as of `llmsel.racing.audit.Audit`.

    Args:
        table: one row per query, one outcome per model.
        baseline: its column.
        alpha: probability of a wrong certificate.
        delta: win-rate margin of the claim.
        seed: of the draws and of ties.
        width: cells planned at once.
        switch: when the audit starts.
        gain: as of `Audit`.
        start: as of `Audit`.
        prune: as of `Audit`.
        few: as of `Audit`.
        pairing: as of `Audit`.

    Returns:
        The rounds of cells in planned order, log capitals, live models, winners, stop.
    """
    size, models = len(table), len(table[0])
    pairs = delta > 0 and models <= few and pairing > 0
    share = 0.3 if delta > 0 and models <= few and not pairing else 0.0
    everyone, half = range(models), [0.0 if j == baseline else 0.5 for j in range(models)]
    rank = np.random.default_rng([seed, 0]).permutation(models).tolist()
    streams = {j: np.random.default_rng([seed, 1, j]) for j in everyone}
    logistic = Logistic(size, models)
    capital, live, racing = [math.log(1 - share)] * models, set(everyone), set(everyone)
    pair = {(l, j): share / (models - 1) * (l != j) for l in everyone for j in everyone}  # noqa: E741
    pair_growth: dict[tuple[int, int], float] = {}
    seen_of = [set(range(size)) if j == baseline else set() for j in everyone]
    low, high, total, known = ([0.0] * models for _ in range(4))
    known[baseline] = size
    limit = -math.log(alpha)
    rounds: list[list[tuple[int, int]]] = []
    past: list[list[float]] = []
    growth = [0.0] * models
    state = {"calls": 0, "fitted": 0}

    def learn(place: int, j: int) -> None:
        seen_of[j].add(place)
        state["calls"] += j != baseline
        a = table[place][j]
        low[j] += -0.5 if a == MISSING else a / 2
        high[j] += 0.5 if a == MISSING else a / 2
        if a != MISSING:
            total[j] += a / 2
            known[j] += 1
            logistic.cells.append((place, j, 0.5 - a / 2))

    def refit() -> None:
        if len(logistic.cells) > 1.05 * state["fitted"]:
            logistic.fit()
            state["fitted"] = len(logistic.cells)

    def rate(j: int) -> float:
        if j not in live or (not known[j] and seen_of[j]):
            return -math.inf
        return total[j] / known[j] if known[j] else 0.0

    def left(j: int) -> float:
        return (size - len(seen_of[j])) * half[j]

    def leader(of: Iterable[int]) -> int:
        return min(of, key=lambda j: (-rate(j), rank[j]))

    def decided() -> bool:
        if len(live) == 1:
            return True
        return all(len(seen_of[j]) == size for j in live)

    def drop(keep: int, gone: Callable[[int], bool]) -> None:
        for j in sorted(live):
            if j != keep and (gone(j) or capital[j] >= limit):
                live.discard(j)
                racing.discard(j)

    def drop_in_plain() -> None:
        floor = max(low[a] - left(a) for a in live)
        drop(leader(racing), lambda j: floor > high[j] + left(j))

    def bets(t: int) -> dict[int, tuple[list[int], list[float], list[float]]]:
        """Opponents and stakes of each model, before the shared query t (1, 2, ...)."""
        rem, out = size - t + 1, {}
        ranked = sorted(
            (j for j in racing if rate(j) > -math.inf), key=lambda j: (-rate(j), rank[j])
        )
        for j in everyone:
            group = [a for a in ranked[:4] if a != j][:3] or [j]
            group = (group + [group[0]] * 3)[:3]
            best: tuple[float, list[float]] = (-math.inf, [])
            for u in range(5):
                for v in range(5 - u):
                    w = [u / 4, v / 4, (4 - u - v) / 4]
                    s = sum(wk * (low[a] - high[j]) for wk, a in zip(w, group, strict=True))
                    square = sum(
                        sum(wk * (r[a] - r[j]) for wk, a in zip(w, group, strict=True)) ** 2
                        for r in past
                    )
                    loss = half[j] + sum(wk * half[a] for wk, a in zip(w, group, strict=True))
                    d = s / (t + 4)
                    variance = max(0.01, (square + 1.25) / (t + 4) - d * d)
                    e = max(d, 0.0) * size / rem
                    stake = min(e / (variance + e * e), 0.9 / max(loss - s / rem, 1e-9))
                    value = stake * e - stake * stake * (variance + e * e) / 2
                    if round(value, 12) > best[0]:
                        best = (round(value, 12), [stake * wk for wk in w])
            allowed = [-(low[a] - high[j]) / rem for a in group]
            out[j] = (group, best[1], allowed)
            growth[j] = best[0]
        return out

    def pair_bets(t: int) -> dict[tuple[int, int], tuple[float, float]]:
        """Stake and allowed mean of each pair (l, j): j is better than l by more than delta."""
        rem, out = size - t + 1, {}
        for l in everyone:  # noqa: E741
            for j in everyone if share else ():
                s = low[l] - high[j]
                square = sum((r[l] - r[j]) ** 2 for r in past)
                d, m = s / (t + 4), (-delta * size - s) / rem
                variance = max(0.01, (square + 1.25) / (t + 4) - d * d)
                e = max(d + delta, 0.0) * size / rem
                stake = min(e / (variance + e * e), 0.9 / max(half[l] + half[j] + m, 1e-9))
                out[l, j] = (stake, m)
                pair_growth[l, j] = stake * e - stake * stake * (variance + e * e) / 2
        return out

    def against(l: int, kept: list[float] | None = None) -> list[float]:  # noqa: E741
        """Log capitals against "better than l by more than delta"; kept: those on the best."""
        kept = capital if kept is None else kept
        if not share:
            return list(kept)
        return [math.log(math.exp(kept[j]) + pair[l, j]) for j in everyone]

    def within() -> bool:
        if not delta or not past:
            return False
        l = leader(racing)  # noqa: E741
        won = against(l)
        return all(
            won[j] >= limit or low[l] - high[j] + delta * size >= left(l) + left(j)
            for j in live - {l}
        )

    def shared(places: Iterable[int]) -> None:
        paid = sorted(racing - {baseline})
        rounds.append([(place, j) for place in places for j in paid])
        for place in places:
            placed, pairs_placed = bets(place + 1), pair_bets(place + 1)
            for j in paid:
                learn(place, j)
            row = table[place]
            for j in racing:
                group, stakes, allowed = placed[j]
                factor = 1.0
                for a, stake, m in zip(group, stakes, allowed, strict=True):
                    lost = -0.5 if row[a] == MISSING else row[a] / 2
                    won = 0.5 if row[j] == MISSING else row[j] / 2
                    factor += stake * (lost - won - m)
                capital[j] += math.log(factor)
                for l in racing if share else ():  # noqa: E741
                    stake, m = pairs_placed[l, j]
                    lost = -0.5 if row[l] == MISSING else row[l] / 2
                    pair[l, j] *= 1 + stake * (lost - won - m)
            past.append(
                [row[a] / 2 if a in racing and row[a] != MISSING else 0.0 for a in everyone]
            )

    def switch_now(t: int) -> bool:
        if switch == "never" or pairs or t < 2 or state["calls"] < start * size:
            return False
        if switch == "early":
            return True
        first, rem, loss = leader(racing), size - t, {}
        for j in everyone:
            loss[j] = (known[j] / 2 - total[j] + 1) / (known[j] + 2)
        mark = max(loss[first] - delta, 0.01)
        plain, audited, won = {}, {}, against(first)
        for j in live - {first}:
            p, need = loss[j], limit - capital[j]
            kl = p * math.log(p / mark) + (1 - p) * math.log((1 - p) / (1 - mark))
            kl = kl if p > loss[first] - delta else 0.0
            plain[j] = min(need / max(growth[j], 1e-12), 0.8 * rem)
            if share:
                short = limit - math.log(pair[first, j])
                plain[j] = min(plain[j], short / max(pair_growth[first, j], 1e-12))
            audited[j] = min((limit - won[j]) / max(kl, 1e-12), 0.8 * rem)
        paid = [j for j in plain if j != baseline]
        cost = sum(plain[j] for j in paid) + (max(plain.values()) if first != baseline else 0)
        other = (rem if first != baseline else 0) + sum(audited[j] for j in paid)
        return other < gain * cost

    def end(champion: int | None = None) -> Ending:
        named = {j for j in live if rate(j) == max(rate(a) for a in live)}
        if len(live) == 1:
            stop = "within delta" if delta > 0 and champion is not None else "one left"
            return rounds, capital, live, named, stop
        may = named if champion is None else {j for j in live if low[j] == low[champion]}
        lead = {j: low[j] - max(high[a] for a in live - {j}) for j in may}
        best = {j for j in may if lead[j] >= 0}
        near = {j for j in may if lead[j] >= -delta * size}
        if best:
            return rounds, capital, live, best, "tied" if len(best) > 1 else "pool exhausted"
        if near and delta > 0:
            return rounds, capital, live, near, "within delta"
        return rounds, capital, live, named, "outcomes missing"

    # the plain race, and the best after the switch
    t, switched = 0, None
    while True:
        if decided():
            return end()
        if within():
            return rounds, capital, live, {leader(racing)}, "within delta"
        if pairs and switch != "never" and t >= 3 and state["calls"] >= pairing * size:
            facts = SimpleNamespace(
                **{"table": table, "delta": delta, "width": width, "size": size, "limit": limit},
                **{"everyone": everyone, "half": half, "rank": rank, "streams": streams},
                **{"logistic": logistic, "capital": capital, "live": live, "seen_of": seen_of},
                **{"low": low, "high": high, "total": total, "rounds": rounds, "left": left},
                **{"against": against, "refit": refit, "learn": learn, "remove": remove},
            )
            ended: Ending = paired(facts, leader(racing), end)
            return ended
        if switched is None and switch_now(t):
            switched = t
        if switched is not None:
            part = next((s for f, s in prune if t < min(f * switched, size)), None)
            if part is not None:
                count = math.ceil(part * len(live))
                for j in sorted(racing, key=lambda j: (-rate(j), rank[j]))[count:]:
                    racing.discard(j)
            if part is None or len(racing) == 1:
                break
        paid = len(racing - {baseline})
        places = range(t, min(t + max(1, width // max(1, paid)), size))
        shared(places)
        t += len(places)
        drop_in_plain()

    # the champion in full
    champion = leader(racing)
    kept, capital = capital, against(champion)
    rest = [i for i in range(size) if i not in seen_of[champion]]
    if rest:
        rounds.append([(i, champion) for i in rest])
        for i in rest:
            learn(i, champion)
        drop(champion, lambda j: max(low[a] - left(a) for a in live) > high[j] + left(j))
        if decided():
            return end(champion)

    def slack(j: int) -> float:
        return high[j] + left(j) - low[champion] - delta * size

    # challengers, strongest first
    drop(champion, lambda j: slack(j) < 0)
    duels: dict[int, list[int]] = {}
    while not decided():
        plan: list[tuple[int, Draw]] = []
        spare, asked = width, list(duels)
        while spare:
            if not asked:
                refit()
                waiting = [j for j in live if len(seen_of[j]) < size and j not in duels]
                if not waiting:
                    break
                asked = [min(waiting, key=lambda j: (round(logistic.strength[j], 9), rank[j]))]
                duels[asked[0]] = [i for i in range(size) if i not in seen_of[asked[0]]]
            j = asked.pop(0)
            open_, d = duels[j], slack(j)
            drawn = draw(logistic, j, open_, d, limit - capital[j], spare, streams[j])
            plan += [(j, each) for each in drawn]
            spare -= len(drawn)
        rounds.append([(each.place, j) for j, each in plan])
        for j, each in plan:
            outcome = table[each.place][j]
            if capital[j] < limit:
                r = 0.5 if outcome == MISSING else outcome / 2
                capital[j] += each.gain(0.5 - r, slack(j))
            learn(each.place, j)
        for j in duels:
            logistic.refine(j)
        if any(capital[j] >= limit or slack(j) < 0 or not places for j, places in duels.items()):
            full = [j for j in live if len(seen_of[j]) == size]
            best = max(full, key=lambda j: (low[j], -j))
            if low[best] > low[champion]:
                old, new = against(champion, kept), against(best, kept)
                capital = [k + new[j] - old[j] for j, k in enumerate(capital)]
                champion = best
            drop(champion, lambda j: slack(j) < 0)
            duels = {j: places for j, places in duels.items() if j in live and places}
    return end(champion)
