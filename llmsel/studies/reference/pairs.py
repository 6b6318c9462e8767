"""Races over all pairs straight from their rules: one pool, loops, dictionaries."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable
from typing import Any

import numpy as np

from llmsel.studies.reference.duel import Draw, Logistic, draw

MISSING = -128
Comparison = tuple[int, int, int]
Ending = tuple[list[list[Comparison]], int, str]  # rounds in planned order, champion, stop


class Known:
    """What is judged: (i, a, b) -> outcome from the side of a, both ways round."""

    def __init__(self, table: Any, size: int, models: int):
        """Know nothing yet."""
        self.table, self.size, self.everyone = table, size, range(models)
        self.told: dict[Comparison, int] = {}
        self.rounds: list[list[Comparison]] = []

    def judge(self, wanted: list[Comparison]) -> None:
        """Judge a round: each comparison once, the model of the lower column first."""
        cells = list(dict.fromkeys((i, min(a, b), max(a, b)) for i, a, b in wanted))
        self.rounds.append(cells)
        for i, a, b in cells:
            outcome = int(self.table[a][b][i])
            self.told[i, a, b] = outcome
            self.told[i, b, a] = outcome if outcome == MISSING else -outcome

    def open(self, a: int, b: int) -> list[int]:
        """Return the queries on which two models are not compared."""
        return [i for i in range(self.size) if (i, a, b) not in self.told]

    def most(self, a: int, b: int) -> float:
        """Return the largest sum of r that a can still reach against b."""
        known = [self.told.get((i, a, b), MISSING) for i in range(self.size)]
        return sum(0.5 if o == MISSING else o / 2 for o in known) if a != b else 0.0

    def y(self, i: int, a: int, b: int) -> float:
        """Return the loss fraction of a; a missing outcome counts as its win."""
        outcome = self.told[i, a, b]
        return 0.0 if outcome == MISSING else 0.5 - outcome / 2

    def ratings(self) -> np.ndarray:
        """Rate the models: ridge Bradley-Terry, eight Newton steps, rounded."""
        n = len(self.everyone)
        games, points = np.zeros((n, n)), np.zeros(n)
        for (_, a, b), outcome in self.told.items():
            if outcome != MISSING:
                games[a, b] += 1
                points[a] += 0.5 + outcome / 2
        rating = np.zeros(n)
        for _ in range(8):
            slope, curve = points - rating / 1.5**2, np.eye(n) / 1.5**2
            for a in self.everyone:
                for b in self.everyone:
                    chance = 1 / (1 + math.exp(rating[b] - rating[a]))
                    weight = games[a, b] * chance * (1 - chance)
                    slope[a] -= games[a, b] * chance
                    curve[a, a] += weight
                    curve[a, b] -= weight
            rating = rating + np.clip(np.linalg.solve(curve, slope), -2, 2)
        return rating.round(9)


def search(known: Known, seek: int, order: list[int], rank: list[int]) -> int:
    """Find a first champion: stars around the best rated, until it is its own."""
    champion = rank.index(0)
    for looks in range(4):
        ranked = sorted(known.everyone, key=lambda j: (-known.ratings()[j], rank[j]))
        if looks and (looks == 3 or ranked[0] == champion):
            return ranked[0]
        champion = ranked[0] if looks else champion
        some = ranked[: (len(ranked) + 2) // 2] if looks else ranked
        places = order[looks * seek : (looks + 1) * seek]
        wanted = [(i, champion, j) for i in places for j in some if j != champion]
        wanted = [cell for cell in wanted if cell not in known.told]
        if wanted:
            known.judge(wanted)
    return champion


def condorcet(  # noqa: C901 - in one piece, as it is read
    table: Any, *, alpha: float, seek: int, delta: float, width: int, seed: int
) -> Ending:
    """Look for a model that no other beats.

    Args:
        table: outcomes (M, M, P).
        alpha: probability of a wrong certificate.
        seek: queries of a star.
        delta: win-rate margin.
        width: comparisons planned at once.
        seed: of all draws.
    """
    models, size = len(table), len(table[0][0])
    known, limit, margin = Known(table, size, models), -math.log(alpha), round(delta * size, 9)
    rng = np.random.default_rng([seed, 0])
    rank, order = rng.permutation(models).tolist(), rng.permutation(size).tolist()
    streams = {j: np.random.default_rng([seed, 1, j]) for j in known.everyone}
    gain: dict[tuple[int, int], float] = defaultdict(float)
    live = set(known.everyone)
    champion, prey, changes = search(known, min(seek, size), order, rank), -1, 0

    def worst(a: int) -> float:
        return min(gain[a, b] for b in known.everyone)

    def lost(of: Callable[[int], float]) -> float:
        return sum(min(0.0, of(a)) for a in known.everyone if a != champion)

    def needed() -> float:
        return limit - lost(worst)

    def undecided() -> list[int]:
        return [
            j
            for j in known.everyone
            if j != champion and known.most(j, champion) > margin and gain[champion, j] < needed()
        ]

    def drop() -> None:
        for j in sorted(live):
            others = [a for a in known.everyone if a != j]
            sure = any(-known.most(j, a) > margin for a in others)
            shown = gain[champion, j] + lost(lambda a, j=j: gain[a, j])  # type: ignore[misc]
            if sure or (not delta and gain[champion, j] > 0 and shown >= limit):
                live.discard(j)

    def blocked(j: int) -> bool:
        others = [a for a in known.everyone if a != j]
        return any(not known.open(a, j) and known.most(a, j) > margin for a in others)

    drop()
    duels: dict[int, list[int]] = {}
    look: dict[int, list[int]] = {}
    logistic, fitted = Logistic(size, models), 0

    def star() -> Logistic:
        new = Logistic(size, models)
        for j in known.everyone:
            for i in range(size):
                if j != champion and known.told.get((i, j, champion), MISSING) != MISSING:
                    new.cells.append((i, j, known.y(i, j, champion)))
        return new

    logistic = star()
    while True:
        able = [j for j in live if not blocked(j)]
        if champion in live and not undecided():
            sure = all(known.most(j, champion) <= margin for j in known.everyone)
            stop = "within delta" if delta else "pool exhausted" if sure else "one left"
            return known.rounds, champion, stop
        if not live:
            return known.rounds, champion, "no winner"
        if not able:
            ratings = known.ratings()
            champion = min(live, key=lambda j: (-ratings[j], rank[j]))
            return known.rounds, champion, "outcomes missing"
        stays = champion in able if prey < 0 else prey in live and known.open(prey, champion)
        if not stays:
            ratings = known.ratings()
            champion, prey = min(able, key=lambda j: (-ratings[j], rank[j])), -1
            logistic, duels, look, fitted = star(), {}, {}, 0
            continue
        plan: list[tuple[int, Draw]] = []
        asked = list(duels)
        while len(plan) < width:
            if not asked:
                if len(logistic.cells) > 1.05 * fitted:
                    logistic.fit()
                    fitted = len(logistic.cells)
                waiting = [j for j in ([prey] if prey >= 0 else undecided()) if j not in duels]
                if not waiting:
                    break
                ratings = known.ratings()
                asked = [min(waiting, key=lambda j: (-ratings[j], rank[j]))]
                duels[asked[0]] = known.open(asked[0], champion)
                look[asked[0]] = [5, 0]
            j = asked.pop(0)
            d, short = known.most(j, champion) - margin, needed() - gain[champion, j]
            drawn = draw(logistic, j, duels[j], d, short, width - len(plan), streams[j])
            look[j][1] += len(drawn)
            plan += [(j, each) for each in drawn]
        d_of = {j: known.most(j, champion) - margin for j in duels}
        known.judge([(each.place, j, champion) for j, each in plan])
        enough = needed()
        for j, each in plan:
            y = known.y(each.place, j, champion)
            if gain[champion, j] < enough:
                gain[champion, j] += each.gain(y, d_of[j])
            d_of[j] -= y
            if known.told[each.place, j, champion] != MISSING:
                logistic.cells.append((each.place, j, y))
        drop()
        still = undecided()
        for j in list(duels):
            logistic.refine(j)
            if j not in still or not duels[j]:
                del duels[j]
                continue
            if look[j][1] < look[j][0]:
                continue
            look[j][0] = look[j][1] + 3
            told = [known.told.get((i, j, champion), MISSING) for i in range(size)]
            ahead = sum(o / 2 for o in told if o != MISSING)
            ahead += sum(0.5 - p for p in logistic.predict(j, duels[j]))
            if ahead > max(1 + changes, 0.5 * margin):
                changes += 1
                champion, prey = j, -1 if j in live else champion
                logistic, duels, look, fitted = star(), {}, {}, 0
                break


def borda(  # noqa: C901 - in one piece, as it is read
    table: Any, *, alpha: float, seek: int, delta: float, width: int, seed: int
) -> Ending:
    """Look for the model of the highest mean win rate; arguments as of `condorcet`."""
    models, size = len(table), len(table[0][0])
    known, limit = Known(table, size, models), -math.log(alpha)
    margin = delta * size * (models - 1)
    rng = np.random.default_rng([seed, 0])
    rank, order = rng.permutation(models).tolist(), rng.permutation(size).tolist()
    streams = {j: np.random.default_rng([seed, 1, j]) for j in known.everyone}
    champion = search(known, min(seek, size), order, rank)
    logistic, capital = Logistic(size * models, models), [0.0] * models
    live, challenging, fitted = set(known.everyone), list[int](), 0

    def rows(j: int) -> list[int]:
        """Open rows, i * M + o."""
        every = [(i, o) for i in range(size) for o in known.everyone]
        return [i * models + o for i, o in every if o != j and (i, j, o) not in known.told]

    def most(j: int) -> float:
        return sum(known.most(j, o) for o in known.everyone)

    def least(j: int) -> float:
        return -sum(known.most(o, j) for o in known.everyone)

    def learn(cells: list[Comparison]) -> None:
        for i, a, b in cells:
            if known.told[i, a, b] != MISSING:
                logistic.cells.append((i * models + b, a, known.y(i, a, b)))
                logistic.cells.append((i * models + a, b, known.y(i, b, a)))

    def crown() -> int:
        full = [j for j in sorted(live) if not rows(j)]
        best = max(full, key=lambda j: (least(j), -j))
        now = best if least(best) > least(champion) else champion
        for j in sorted(live - {now}):
            if most(j) < least(now) + margin or capital[j] >= limit:
                live.discard(j)
        return now

    learn(list(dict.fromkeys(cell for cells in known.rounds for cell in cells)))
    others = [j for j in known.everyone if j != champion]
    wanted = [(i, champion, j) for i in range(size) for j in others]
    wanted = [cell for cell in wanted if cell not in known.told]
    if wanted:
        known.judge(wanted)
        learn(known.rounds[-1])
    champion = crown()
    while True:
        if len(live) == 1:
            return known.rounds, champion, "within delta" if delta else "one left"
        if not any(rows(j) for j in live):
            best = [j for j in live if least(j) == least(champion)]
            lead = {j: least(j) - max(most(a) for a in live - {j}) for j in best}
            if delta:
                near = any(ahead >= -margin for ahead in lead.values())
                return known.rounds, champion, "within delta" if near else "outcomes missing"
            sure = [j for j in best if lead[j] >= 0]
            stop = ("tied" if len(sure) > 1 else "pool exhausted") if sure else "outcomes missing"
            return known.rounds, champion, stop
        plan: list[tuple[int, Draw]] = []
        asked = list(challenging)
        while len(plan) < width:
            if not asked:
                if len(logistic.cells) > 1.05 * fitted:
                    logistic.fit()
                    fitted = len(logistic.cells)
                waiting = [j for j in live if rows(j) and j not in challenging]
                if not waiting:
                    break
                ratings = known.ratings()
                asked = [min(waiting, key=lambda j: (-ratings[j], rank[j]))]
                challenging += asked
            j = asked.pop(0)
            d, short = most(j) - least(champion) - margin, limit - capital[j]
            drawn = draw(logistic, j, rows(j), d, short, width - len(plan), streams[j])
            plan += [(j, each) for each in drawn]
        d_of = {j: most(j) - least(champion) - margin for j in challenging}
        known.judge([(each.place // models, j, each.place % models) for j, each in plan])
        for j, each in plan:
            y = known.y(each.place // models, j, each.place % models)
            if capital[j] < limit:
                capital[j] += each.gain(y, d_of[j])
            d_of[j] -= y
        learn(known.rounds[-1])
        for j in challenging:
            logistic.refine(j)
        champion = crown()
        challenging = [j for j in challenging if j in live and rows(j)]
