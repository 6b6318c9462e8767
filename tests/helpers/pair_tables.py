"""Tables of outcomes between all pairs, made to tempt a race without a baseline."""

import numpy as np

from llmsel.pool import MISSING
from llmsel.racing.pairs import CondorcetRace


def table_of(gaps, size, draws, rng):
    """Outcomes (M, M, P) in which a wins over b exactly ``gaps[a][b]`` times more than it loses."""
    n = len(gaps)
    table = np.zeros((n, n, size), dtype=np.int8)
    for a in range(n):
        for b in range(a + 1, n):
            drawn = int(draws * size)
            drawn += (size - drawn - gaps[a][b]) % 2
            won = (size - drawn + gaps[a][b]) // 2
            cells = np.zeros(size, dtype=np.int8)
            cells[:won], cells[won : size - drawn] = 1, -1
            table[a, b] = rng.permutation(cells)
            table[b, a] = -table[a, b]
    return table


def circle(n, gap):
    """Each model beats the next half of the others: nobody beats every other."""
    ahead = (np.arange(n) - np.arange(n)[:, None]) % n
    return gap * ((ahead > 0) & (ahead <= (n - 1) // 2)) - gap * (ahead > n // 2)


def top(n, gap, below):
    """The first beats every other by little; the others go round in a circle."""
    gaps = np.zeros((n, n), dtype=int)
    gaps[0, 1:], gaps[1:, 0] = gap, -gap
    gaps[1:, 1:] = circle(n - 1, below)
    return gaps


HOSTILE = {
    "all tied": np.zeros((4, 4), dtype=int),
    "a circle by a little": circle(3, 2),
    "a circle": circle(5, 8),
    "one ahead by one": top(4, 1, 0),
    "one ahead by a little, a circle below": top(6, 2, 6),
    "two share the top": np.array([[0, 0, 4], [0, 0, 4], [-4, -4, 0]]),
    "ahead of all but one": np.array(
        [[0, 8, 8, -2], [-8, 0, 2, 4], [-8, -2, 0, 4], [2, -4, -4, 0]]
    ),
}


def with_missing(table, rng, share=0.2, outcome=1):
    """Give up some wins (or losses) of the models that come first."""
    table = table.copy()
    for a, b in zip(*np.triu_indices(len(table), 1), strict=True):
        gone = (table[a, b] == outcome) & (rng.random(table.shape[2]) < share)
        table[a, b, gone] = table[b, a, gone] = MISSING
    return table


def finish(race, table, watch=None):
    """Tell a race all it asks for, each round backwards."""
    while pairs := race.ask():
        if watch is not None:
            watch.append(pairs)
        for i, a, b in pairs[::-1]:
            race.tell((i, a, b), int(table[a, b, i]))
    return race


def wrong(race, truth, delta):
    """Tell whether a certificate is untrue; ``truth`` is complete."""
    sums = truth.sum(axis=2) / 2
    if not race.certified:
        return False
    if race.stop == "no winner" and delta:
        return bool((sums.max(axis=0) <= delta * truth.shape[2]).any())
    if race.stop == "no winner":
        beats = (sums > 0) | np.eye(len(sums), dtype=bool)
        return bool(beats.all(axis=1).any())
    named = np.flatnonzero(race.winners)
    if isinstance(race, CondorcetRace):
        return bool((sums[:, named].max(axis=0) > delta * truth.shape[2] + 1e-9).any())
    mean = sums.sum(axis=1)
    rows = truth.shape[2] * (len(truth) - 1)
    return bool((mean.max() - mean[named] > delta * rows + 1e-9).any())
