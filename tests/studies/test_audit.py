"""The audit race: exact enumeration of small pools, missing cells, replay, rounds."""

import json
import math

import numpy as np
import pytest
from helpers.audit_courses import (
    BASELINE,
    MODELS,
    SIZE,
    courses,
    finish,
    leaves,
    random_table,
    started,
    sums,
)

from llmsel._base.errors import InputError
from llmsel._base.verdicts import INCOMPLETE, WITHIN
from llmsel.pool import MISSING
from llmsel.racing.audit import OVER, Audit
from llmsel.racing.audit.bets import LEVELS, RATES, best_bet, bet_table
from llmsel.racing.elimination import from_settings
from llmsel.studies.reference import audit as audit_literal

LONGEST = 1 / 2  # alpha of the enumerations: so large that models are dropped by capital


def judged_rate(table):
    known = np.maximum((table != MISSING).sum(axis=0), 1)
    return np.where(table == MISSING, 0, table).sum(axis=0) / 2 / known


RULES = [
    (Audit(alpha=LONGEST, switch="early", prune=()), 1),
    (Audit(alpha=LONGEST, switch="early", prune=()), 4),
    (Audit(alpha=LONGEST, switch="early", few=2), 1),
    (Audit(alpha=LONGEST), 1),
    (Audit(alpha=LONGEST, switch="never"), 1),
]


def chances_of_error(rule, table, delta, seed, width=1):
    """Sum over all orders and all draws; a model that is left out may be within delta.

    Returns:
        float64 (M,): if what is missing are the wins of that model, and losses of all others.
    """
    total, wrong = 0.0, np.zeros(MODELS)
    low, high = sums(table)
    for race, chance in courses(rule, table, delta, seed, width):
        total += chance
        named = np.where(np.eye(MODELS, dtype=bool), np.inf, low)[:, race.winners].min(axis=1)
        wrong += chance * (race.certified & (named < high - delta * SIZE - 1e-9))
    assert total == pytest.approx(1)
    return wrong


@pytest.mark.parametrize("delta", [0.0, 0.15])
@pytest.mark.parametrize(
    ("rule", "width"), RULES, ids=["early", "wide", "pruned", "predicted", "plain"]
)
def test_wrong_certificates_have_at_most_probability_alpha(rule, width, delta):
    wrong = chances_of_error(rule, random_table(0, missing=True), delta, 0, width)
    assert (wrong <= LONGEST + 1e-9).all()


@pytest.mark.parametrize(("seed", "missing"), [(14, True), (12, False)])
def test_wrong_certificates_exist_where_they_are_allowed(seed, missing):
    """Pools found by search; so the sum above is not 0 merely because no model is ever dropped."""
    wrong = chances_of_error(RULES[0][0], random_table(seed, missing), 0.0, seed).max()
    assert 0.005 < wrong <= LONGEST + 1e-9


@pytest.mark.parametrize("missing", [False, True])
@pytest.mark.parametrize("width", [1, 4])
def test_the_capital_of_a_best_model_does_not_grow_in_the_mean(width, missing):
    """Carried over from the plain race, through changes of champion: its mean is at most 1."""
    rule = Audit(alpha=1e-12, switch="early", prune=())  # nobody is dropped by it
    for seed in range(2):
        table = random_table(10 + seed, missing)
        best = int(judged_rate(table).argmax())
        mean = 0.0
        for race, chance in courses(rule, table, 0.0, seed, width):
            mean += chance * math.exp(race.capital[best])
        assert mean <= 1 + 1e-9


@pytest.mark.parametrize("delta", [0.0, 0.1])
@pytest.mark.parametrize("width", [1, 3])
def test_a_true_claim_gains_nothing_from_any_start(width, delta):
    """Partly judged starts, carried capital, hashed predictions: E[K] <= K of the start."""
    rule = Audit(alpha=1e-12)
    checked = 0
    for seed in range(40):
        table = random_table(100 + seed, missing=seed % 2 == 1)
        rng = np.random.default_rng(seed)
        low, high = sums(table)
        if high[1] < max(low[0], low[BASELINE]) + delta * SIZE:  # a claim is false
            continue
        seen = {0: range(SIZE), 1: np.flatnonzero(rng.random(SIZE) < 0.3).tolist()}

        def make(script, seen=seen, table=table, seed=seed):
            options = {"delta": delta, "salt": seed, "script": script, "width": width}
            return started(rule, table, "challenge", seen, [1.0, 2.5, 1.0], **options)

        mean = total = 0.0
        for race in leaves(make, table):
            assert race.live[1]
            mean += race.chance * math.exp(race.capital[1])
            total += race.chance
        assert total == pytest.approx(1)
        assert mean <= 2.5 + 1e-9
        checked += 1
    assert checked >= 10


def test_each_factor_has_mean_at_most_one_and_none_is_negative():
    """One draw, in closed form: sum_i q_i factor_i <= 1 exactly when the claim allows it."""
    rng = np.random.default_rng(0)
    bets = 0
    for _ in range(300):
        rem = int(rng.integers(1, 12))
        r = rng.choice([-0.5, 0, 0.5], rem)
        slack = float(rem / 2 - r.sum() + rng.choice([0, 0.5, 1.0]))  # the claim is true
        bet = best_bet(rng.uniform(0.01, 0.99, rem), slack, float(rng.uniform(0, 2)))
        pad = np.array([bet.pad(at) for at in range(rem)])
        if np.isnan(bet.pads) or slack + bet.pads == 0:
            continue
        assert bet.pads == pytest.approx(pad.sum())
        q = bet.weight / bet.weight.sum()
        factor = (0.5 - r + pad) / (q * (slack + bet.pads))
        assert (factor >= 0).all()
        assert (q * factor).sum() <= 1 + 1e-9
        bets += 1
    assert bets > 50


def test_the_table_holds_the_best_pads():
    """f'(c) = rho, f is at least what any other pad gives at that rate."""
    table = bet_table(0.7)
    p = (np.arange(LEVELS) + 0.5) / LEVELS
    draw = 0.7 * p * (1 - p)
    loss, win = p - draw / 2, 1 - p - draw / 2
    for k in (20, 50, 79):
        for c in (0.01, 0.3, 2.0, 20.0):
            f = (1 + c) ** loss * (0.5 + c) ** draw * c**win
            assert (f / RATES[k] - c <= table.gain[k] + 1e-9).all()


def test_no_bet_is_placed_where_no_growth_is_predicted():
    bet = best_bet(np.full(10, 0.2), 8.0, 0.0)
    assert np.isnan(bet.pads) and np.isnan(bet.pad(3)) and (bet.weight == 1).all()


def pool(seed=0, queries=40, models=7, missing=0.0):
    rng = np.random.default_rng(seed)
    chance = np.linspace(0.75, 0.3, models - 1)
    hard = rng.normal(0, 1, (queries, 1))
    win = rng.random((queries, models - 1)) < 1 / (
        1 + np.exp(-(np.log(chance / (1 - chance)) + hard))
    )
    table = np.where(rng.random(win.shape) < 0.1, 0, np.where(win, 1, -1))
    table = np.where(rng.random(win.shape) < missing, MISSING, table)
    return np.column_stack([table, np.zeros(queries, dtype=int)]).astype(np.int8)


def race_on(table, rule=None, seed=0, **options):
    rule = Audit(switch="early") if rule is None else rule
    return rule.begin(*table.shape, baseline=table.shape[1] - 1, seed=seed, **options)


def trace(race, table, how):
    """Play with a way of asking; return the rounds of cells, each sorted."""
    rng, rounds, done = np.random.default_rng(1), [], set()
    while cells := race.ask():
        rounds.append(sorted(cells))
        while open_ := [c for c in race.ask(how["limit"]) if c not in done]:
            open_ = [open_[i] for i in rng.permutation(len(open_))] if how["shuffle"] else open_
            for cell in open_:
                done.add(cell)
                race.tell(cell, int(table[cell]))
            if set(rounds[-1]) <= done:
                break
    return rounds


@pytest.mark.parametrize("width", [1, 4, 16, 64])
def test_same_seed_same_cells_however_they_are_asked_and_told(width):
    table = pool(1)
    ways = [{"limit": None, "shuffle": False}, {"limit": 3, "shuffle": True}]
    first, second = (race_on(table, width=width), race_on(table, width=width))
    assert trace(first, table, ways[0]) == trace(second, table, ways[1])
    assert (first.capital == second.capital).all()
    assert (first.stop, first.calls) == (second.stop, second.calls)


def test_another_seed_draws_other_cells():
    table = pool(1)
    plain = {"limit": None, "shuffle": False}
    assert trace(race_on(table, seed=0), table, plain) != trace(
        race_on(table, seed=1), table, plain
    )


def test_a_race_is_replayed_from_what_was_told():
    """Stop anywhere; the tells so far bring a new race to the same state."""
    table = pool(2, missing=0.05)
    race, told = race_on(table), []
    while cells := race.ask():
        race.tell(cells[-1], int(table[cells[-1]]))
        told.append((cells[-1], int(table[cells[-1]])))
        if len(told) in (5, 60, 120):
            again = race_on(table)
            for cell, outcome in told:
                again.tell(cell, outcome)
            assert again.ask() == race.ask()
            assert (again.capital == race.capital).all()
            assert again.state() == race.state()


@pytest.mark.parametrize("switch", ["predicted", "early", "never"])
@pytest.mark.parametrize("width", [1, 8])
def test_every_race_ends_with_the_best_model_of_an_easy_pool(switch, width):
    table = pool(3, queries=120)
    race = finish(race_on(table, Audit(switch=switch), width=width), table)
    assert race.certified and race.phase == OVER
    assert race.winners.tolist() == (judged_rate(table) == judged_rate(table).max()).tolist()
    assert race.calls < table.size


def test_missing_judgements_never_freeze_a_race_and_drop_nobody_they_could_save():
    """All of one challenger's judgements fail: it may be the best, so it stays."""
    table = pool(4, queries=30)
    table[:, 1] = MISSING
    race = finish(race_on(table), table)
    assert race.phase == OVER
    assert race.live[1]
    assert race.stop == INCOMPLETE and not race.certified
    assert not race.winners[1]


@pytest.mark.parametrize("switch", ["early", "never"])
@pytest.mark.parametrize(("delta", "stop"), [(0.0, INCOMPLETE), (0.05, INCOMPLETE), (0.1, WITHIN)])
def test_what_is_missing_may_leave_the_answer_open(switch, delta, stop):
    """9 wins and 6 losses lead; with its three missing outcomes the second may have 10 and 5."""
    first = np.array([1] * 9 + [-1] * 6)
    second = np.roll([1] * 7 + [MISSING] * 3 + [-1] * 5, 6)
    table = np.column_stack([first, second, np.zeros(15, dtype=int)]).astype(np.int8)
    race = finish(race_on(table, Audit(alpha=1e-12, switch=switch), delta=delta), table)
    assert (race.stop, race.certified) == (stop, stop == WITHIN)
    assert race.winners.tolist() == [True, False, False]
    assert race.live[1] or stop == WITHIN


def test_a_missing_judgement_counts_as_a_win_of_the_challenger():
    table = pool(5)
    race = race_on(table)
    while race.phase != "challenge":
        for cell in race.ask():
            race.tell(cell, int(table[cell]))
    (cell,) = race.ask()
    before, slack = race.capital[cell[1]], race.ledger.slack(cell[1], race.champion, 0.0)
    race.tell(cell, MISSING)
    assert race.capital[cell[1]] <= before
    assert race.ledger.slack(cell[1], race.champion, 0.0) == slack
    assert race.ledger.unknown[cell[1]] == 1


def test_a_tie_for_the_best_is_said_to_be_one():
    table = pool(6, queries=12, models=4)
    table[:, 1] = table[::-1, 0]
    table[:, 2] = -1
    table[:, :2] = np.where(np.arange(12)[:, None] < 6, [[1, 1]], [[1, -1]])
    table[:, 1] = table[::-1, 0]
    race = finish(race_on(table), table)
    assert race.stop == "tied"
    assert race.winners.tolist() == [True, True, False, False]


def test_a_baseline_that_beats_everyone_wins_for_free():
    table = pool(7)
    table[:, :-1] = -1
    race = finish(race_on(table), table)
    assert race.winners.tolist() == [False] * 6 + [True]
    assert race.stop == "one left"


def test_features_may_be_given_and_change_no_verdict():
    table = pool(8, queries=80)
    features = np.random.default_rng(0).normal(size=(*table.shape, 2))
    race = finish(race_on(table, features=features), table)
    assert race.winners.argmax() == judged_rate(table).argmax()


def test_settings_survive_a_log():
    rule = Audit(alpha=0.1, prune=((2.0, 0.5),))
    known = {"Audit": Audit}
    assert rule.certifies
    assert from_settings(json.loads(json.dumps(rule.settings)), known) == rule
    assert json.loads(json.dumps(rule.settings)) == rule.settings


@pytest.mark.parametrize(
    "options", [{"alpha": 0}, {"switch": "now"}, {"gain": 0}, {"prune": ((0.5, 1),)}]
)
def test_settings_out_of_range_are_refused(options):
    with pytest.raises(InputError):
        Audit(**options)


def test_cells_not_asked_for_are_refused():
    race = race_on(pool(9))
    with pytest.raises(InputError, match="not asked for"):
        race.tell((39, 0), 1)
    race.tell((0, 0), 1)
    with pytest.raises(InputError, match="told before"):
        race.tell((0, 0), 1)
    with pytest.raises(InputError, match="outcome 2"):
        race.tell((0, 1), 2)
    with pytest.raises(InputError, match="delta"):
        Audit().begin(5, 3, baseline=2, delta=1.0)
    with pytest.raises(InputError, match="width"):
        Audit().begin(5, 3, baseline=2, width=0)


def planned(race, table):
    """Play; return the rounds in planned order."""
    rounds = []
    while cells := race.ask():
        rounds.append(cells)
        for cell in cells:
            race.tell(cell, int(table[cell]))
    return rounds


@pytest.mark.parametrize("width", [1, 5])
@pytest.mark.parametrize(
    ("delta", "few", "pairing"),
    [
        (0.0, 20, 1.0),
        (0.0, 2, 1.0),
        (0.05, 20, 0.0),
        (0.05, 20, 1.0),
        (0.02, 20, 0.2),
        (0.05, 2, 1),
    ],
)
@pytest.mark.parametrize("switch", ["predicted", "early", "never"])
def test_the_literal_version_chooses_the_same_cells(switch, delta, few, pairing, width):
    for seed in range(2):
        table = pool(20 + seed, queries=40, models=9, missing=0.04 * seed)
        options = {"switch": switch, "few": few, "pairing": pairing}
        race = race_on(table, Audit(**options), seed=seed, delta=delta, width=width)
        rounds = planned(race, table)
        expected = audit_literal.audit(
            table.tolist(), 8, width=width, delta=delta, seed=seed, **options
        )
        assert rounds == expected[0]
        assert race.capital == pytest.approx(expected[1], abs=1e-6)
        assert set(np.flatnonzero(race.live)) == expected[2]
        assert set(np.flatnonzero(race.winners)) == expected[3]
        assert race.stop == expected[4]
