"""Every course that an audit race can take on a small pool, each with its probability."""

import collections
import itertools

import numpy as np

from llmsel.pool import MISSING
from llmsel.racing.audit import AuditRace

SIZE, MODELS, BASELINE = 5, 3, 2  # of the pools that are enumerated


class Following:
    """A kind of race whose draws follow a script of positions; past its end it takes the first."""

    def __init__(self, *arguments, script=(), **options):
        self.script, self.taken, self.chance = list(script), [], 1.0
        super().__init__(*arguments, **options)

    def _pick(self, j, weight):
        place = self.script[len(self.taken)] if len(self.taken) < len(self.script) else 0
        self.taken.append((place, len(weight)))
        chance = float(weight[place] / weight.sum())
        self.chance *= chance
        return place, chance


class Scripted(Following, AuditRace):
    """An audit race that follows a script, with predictions that know nothing of the pool."""

    def __init__(self, *arguments, salt=0, **options):
        self.salt = salt
        super().__init__(*arguments, **options)
        self.predictor.predict = self.hashed

    def hashed(self, model, base, spread):
        """Predict anything: a function of what is known that has nothing to do with the pool."""
        seed = [self.salt, model, self.calls, int(1000 * self.ledger.total.sum()) % 997]
        return np.random.default_rng(seed).uniform(0.01, 0.99, len(base))


def finish(race, table):
    while cells := race.ask():
        for cell in cells:
            race.tell(cell, int(table[cell]))
    return race


def leaves(make, table, play=finish):
    """Play every course of a race; each comes with its probability in ``chance``."""
    script: list[int] = []
    while True:
        race = play(make(script), table)
        yield race
        taken = [list(t) for t in race.taken]
        while taken and taken[-1][0] + 1 == taken[-1][1]:
            taken.pop()
        if not taken:
            return
        script = [place for place, _ in taken[:-1]] + [taken[-1][0] + 1]


def random_table(seed, missing=False):
    """Draw a pool of frequent draws and losses; two queries repeat: fewer orders differ."""
    rng = np.random.default_rng(seed)
    values = [-1, 0, 1, MISSING] if missing else [-1, 0, 1]
    table = rng.choice(values, size=(SIZE, MODELS)).astype(np.int8)[[0, 1, 2, 0, 1]]
    table[:, BASELINE] = 0
    return table


def sums(table):
    low = np.where(table == MISSING, -1, table).sum(axis=0) / 2
    high = np.where(table == MISSING, 1, table).sum(axis=0) / 2
    return low, high


def started(rule, table, phase, seen, capital, *, kind=Scripted, **options):
    """A race in its audit, on a pool judged in part; model 0 is the champion."""
    race = kind(rule, *table.shape, baseline=BASELINE, **options)
    for j, places in seen.items():
        for place in places:
            race._learn((place, j), int(table[place, j]))
    race._bets.pairs = None
    race._bets.capital[:] = np.log(capital)
    race._enthrone([0])
    race.phase = phase
    race._drop_beaten()
    race._advance()
    return race


def courses(rule, table, delta, salt, width=1):
    """Play every course in every order of the queries: (race, probability).

    Orders that show the race the same table are played once, with the weight of all of them.
    """
    orders = [table[list(order)] for order in itertools.permutations(range(SIZE))]
    different = {mine.tobytes(): mine for mine in orders}
    weight = collections.Counter(mine.tobytes() for mine in orders)
    for key, mine in different.items():

        def make(script):
            options = {"baseline": BASELINE, "delta": delta, "width": width}
            return Scripted(rule, SIZE, MODELS, script=script, salt=salt, **options)

        for race in leaves(make, mine):
            yield race, race.chance * weight[key] / len(orders)
