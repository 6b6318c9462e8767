"""Judges that fail, in the ways that tempt a race into an untrue certificate."""

import numpy as np

from llmsel.pool import MISSING
from llmsel.racing.race import Race

FAILURES = (
    "at random",
    "wins of the best",
    "wins of the best, all",
    "losses of the worst",
    "one model",
    "later queries",
    "skipped as it goes",
    "one cell",
    "never",
)


def failing(pool, kind, rng):
    """Outcomes of a pool, int8 (n, M), with those missing that a failing judge does not give."""
    outcomes = pool.outcomes.copy()
    n, models = outcomes.shape
    candidates = pool.candidate_columns
    total = outcomes[:, candidates].sum(axis=0)
    best, worst = candidates[total.argmax()], candidates[total.argmin()]
    luck = rng.random(outcomes.shape)
    if kind == "never":
        lost = np.ones_like(luck, dtype=bool)
    elif kind in ("wins of the best", "wins of the best, all"):
        lost = (outcomes == 1) & (np.arange(models) == best)
        lost &= luck < (0.2 if kind == "wins of the best" else 2)
    elif kind == "losses of the worst":
        lost = (outcomes == -1) & (np.arange(models) == worst)
    elif kind == "one model":
        lost = np.broadcast_to(np.arange(models) == rng.choice(candidates), luck.shape).copy()
        lost[rng.integers(n)] = False
    elif kind == "one cell":
        lost = np.zeros_like(luck, dtype=bool)
        lost[rng.integers(n), rng.choice(candidates)] = True
    elif kind == "later queries":
        lost = luck < np.linspace(0, 0.6, n)[:, None]
    else:
        lost = luck < rng.choice([0.02, 0.1, 0.4])
    lost[:, pool.baseline_index] = False
    outcomes[lost] = MISSING
    return outcomes


def skip(race, model, outcome):
    """What a person does who likes no surprises: skip what would help a model that trails."""
    return outcome == 1 and model not in race.verdict().winners


def run(pool, kind, rng, **options):
    """Race with a failing judge to its end; return the verdict and the models it may name."""
    outcomes = failing(pool, kind, rng)
    race = Race(pool, most_failed=1.0, **options)
    while tasks := race.ask():
        for task in tasks:
            row = outcomes[pool.place(task.query)]
            told = {model: int(row[pool.column(model)]) for model in task.models}
            if kind == "skipped as it goes":
                told = {m: MISSING if skip(race, m, a) else a for m, a in told.items()}
            race.tell(task.query, told)
    rates = pool.win_rates()
    verdict = race.verdict()
    margin = options.get("delta", 0.0) if verdict.stop == "within delta" else 0.0
    near = rates >= rates.max() - margin - 1e-9
    return verdict, {model for model, well in zip(pool.models, near, strict=True) if well}
