"""The paired audit: every course of small pools, the min rule, and attacks on it."""

import math

import numpy as np
import pytest
from helpers.audit_courses import BASELINE, Scripted, leaves, random_table, started, sums
from helpers.audits import bound, coins, hostile_tables, play, with_baseline

from llmsel.racing.audit import Audit, pair_duel
from llmsel.racing.audit.pair_bets import GROWTH, best_pair_bet, level_of, pair_table
from llmsel.racing.audit.tenure import Tenure

DELTA = 0.15
undisturbed = pair_duel.pair_losses


class Tempted(Scripted):
    """A scripted race that crowns the baseline by a guess as soon as the best model is gone."""

    changed = 0

    def _guess(self):
        for duel in self._duels.values():
            tempted = not self.live[1] and duel.model == BASELINE
            duel.seems_better = lambda *_, tempted=tempted: tempted
        changed = super()._guess()
        self.changed += changed
        return changed


@pytest.fixture(autouse=True)
def hashed_predictions(monkeypatch):
    """Predict anything: numbers that have nothing to do with the pool."""

    def hashed(predictor, model, champion, places, mine, its):
        rng = np.random.default_rng([predictor.n_cells, model, champion])
        return rng.uniform(0.01, 0.99, len(places)), rng.uniform(0, 1, len(places))

    monkeypatch.setattr(pair_duel, "pair_losses", hashed)


def judged_in_part(seed, share=0.4):
    rng = np.random.default_rng([seed, 7])
    return {j: np.flatnonzero(rng.random(5) < share).tolist() for j in (0, 1)}


def value(race, j):
    return math.exp(race.capital[j])


@pytest.mark.parametrize("width", [1, 3])
@pytest.mark.parametrize("missing", [False, True])
def test_a_true_claim_gains_nothing_from_any_start(missing, width):
    """Cells of both judged in part, carried capital, hashed predictions: E[K] <= K of the start."""
    rule, checked, grew = Audit(alpha=1e-12), 0, 0
    for seed in range(80):
        table = random_table(500 + seed, missing)
        low, high = sums(table)
        if high[1] < max(low[0], low[BASELINE]) + DELTA * len(table) or checked == 8:
            continue
        seen = judged_in_part(seed)

        def make(script, seen=seen, table=table, seed=seed):
            options = {"delta": DELTA, "salt": seed, "script": script, "width": width}
            return started(rule, table, "paired", seen, [1.0, 2.5, 1.0], **options)

        mean = total = 0.0
        for race in leaves(make, table):
            mean += race.chance * value(race, 1)
            total += race.chance
            grew += value(race, 1) > 2.6
        assert total == pytest.approx(1)
        assert mean <= 2.5 + 1e-9
        checked += 1
    assert checked == 8 and grew


def tempting_table(seed):
    """Three steps, each below delta, and two of them above: model 1, model 0, the baseline."""
    rng = np.random.default_rng(seed)
    columns = [rng.permutation([1, 1, 0, 0, -1]), rng.permutation([1, 1, 1, 0, -1]), np.zeros(5)]
    return np.column_stack(columns).astype(np.int8)


def chance_of_error(seed, alpha, width=1):
    """Sum over all courses of a race that is tempted to crown the baseline."""
    table = tempting_table(seed)
    rule, seen = Audit(alpha=alpha), judged_in_part(seed, 0.2)

    def make(script):
        options = {"delta": DELTA, "salt": seed, "script": script, "width": width}
        return started(rule, table, "paired", seen, [1.0, 1.0, 1.0], kind=Tempted, **options)

    total = wrong = changed = 0.0
    for race in leaves(make, table):
        total += race.chance
        changed += race.chance * (race.changed > 0)
        wrong += race.chance * bool(race.certified and race.winners[BASELINE])
    assert total == pytest.approx(1)
    return wrong, changed


@pytest.mark.parametrize(("seed", "width"), [(0, 1), (10, 1), (22, 1), (22, 2)])
def test_the_min_rule_keeps_the_error_below_alpha_and_is_what_does_it(seed, width, monkeypatch):
    """Without it, who was dropped for less than delta stays away from a worse champion."""
    wrong, changed = chance_of_error(seed, 0.5, width)
    assert changed > 0.005 and wrong <= 0.5

    def forget(tenure):
        tenure.gone[:] = False
        tenure.changes += 1
        return tenure.gone

    monkeypatch.setattr(Tenure, "guess", forget)
    assert chance_of_error(seed, 0.5, width)[0] > wrong


def test_capitals_fall_back_to_the_start_of_the_tenure_at_a_guess_only():
    """By hand: gains before a guess are lost, losses are not; known totals keep the lower one."""
    tenure = Tenure(3)
    tenure.capital[:] = [2.0, -1.0, 0.0]
    tenure.gone[0] = True
    assert tenure.guess().tolist() == [True, False, False]
    assert tenure.capital.tolist() == [0.0, -1.0, 0.0] and not tenure.gone.any()
    tenure.capital[:] = [1.0, -3.0, 0.0]
    tenure.crown()
    assert tenure.capital.tolist() == [1.0, -3.0, 0.0]
    tenure.capital[:] = [2.0, 5.0, 1.0]
    tenure.guess()
    assert tenure.capital.tolist() == [0.0, -3.0, 0.0]
    assert tenure.changes == 2


def test_each_factor_of_a_pair_has_mean_at_most_one_and_none_is_negative():
    """One draw in closed form: y in [0, 1] where one cell is open, in [0, 2] where both are."""
    rng = np.random.default_rng(0)
    bets = 0
    for _ in range(200):
        rem = int(rng.integers(1, 12))
        both = rng.random(rem) < 0.5
        y = rng.choice([0, 0.5, 1.0], rem) + both * rng.choice([0, 0.5, 1.0], rem)
        slack = float(y.sum() + rng.choice([0, 0.5, 1.0]))  # the claim is true
        level = level_of(rng.uniform(0.01, 0.99, rem), rng.uniform(0, 1, rem))
        bet = best_pair_bet(level, both, slack, price=float(rng.uniform(1, 2)))
        if np.isnan(bet.pad).all() or slack + bet.pad.sum() == 0:
            continue
        q = bet.weight / bet.weight.sum()
        factor = (y + bet.pad) / (q * (slack + bet.pad.sum()))
        assert (factor >= 0).all()
        assert (q * factor).sum() <= 1 + 1e-9
        bets += 1
    assert bets > 50


def test_the_table_of_pairs_holds_the_best_pads():
    """f(a) exp(-growth) - a is at least what any other pad gives."""
    table = pair_table()
    for share, k in ((0, 30), (6, 50), (12, 79)):
        p = (np.arange(100) + 0.5) / 100
        draw = share / 12 * 2 * np.minimum(p, 1 - p)
        loss = p - draw / 2
        at = level_of(p, np.full(100, share / 12))
        for a in (0.01, 0.3, 2.0, 20.0):
            f = (1 + a) ** loss * (0.5 + a) ** draw * a ** (1 - loss - draw)
            assert (f / np.exp(GROWTH[k]) - a <= table.gain[k, at] + 1e-9).all()


def test_no_bet_is_placed_on_pairs_where_no_growth_is_predicted():
    bet = best_pair_bet(level_of(np.full(10, 0.2), np.zeros(10)), np.zeros(10, bool), 8.0, price=1)
    assert np.isnan(bet.pad).all() and (bet.weight == 1).all() and not bet.growth


def test_the_champion_of_a_paired_audit_is_not_judged_in_full():
    rng = np.random.default_rng(3)
    table = with_baseline(coins(rng, [0.65, 0.45, 0.4], (200, 3)))
    race = Audit(pairing=0.2).begin(*table.shape, baseline=3, delta=0.05, seed=1)
    while cells := race.ask():
        for cell in cells:
            race.tell(cell, int(table[cell]))
    assert race.champion == 0 and race.stop == "within delta"
    assert race.ledger.judged[0] < 200


@pytest.mark.slow
@pytest.mark.parametrize("turn", [lambda p: p, lambda p: 1 - p, lambda p: p.clip(0.98, None)])
def test_certificates_hold_for_any_predictor_on_pools_around_delta(turn, monkeypatch):
    """The right one, an inverted one, one that sees losses everywhere."""
    right = undisturbed

    def turned(*arguments):
        p, share = right(*arguments)
        return turn(p).clip(0.005, 0.994), share

    monkeypatch.setattr(pair_duel, "pair_losses", turned)
    pools = [one for one in hostile_tables() if one[2] > 0 and one[1].size <= 1500]
    races, wrong = 4, {}
    for name, table, delta in pools:
        runs = [play(with_baseline(table), Audit(), delta=delta, seed=s) for s in range(races)]
        wrong[name] = sum(off for _, off in runs)
    assert sum(wrong.values()) <= bound(races * len(pools)), wrong
