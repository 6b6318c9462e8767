"""A cheap judge beside the dear one: what it may not change, when it pays, what it is worth."""

import math

import numpy as np
import pytest
from helpers.audits import bound, hostile_tables, with_baseline

from llmsel import studies
from llmsel._base.errors import InputError
from llmsel.pool import MISSING, Pool
from llmsel.racing.audit import Audit, AuditRace, TwoJudges
from llmsel.racing.audit.bets import LEVELS, best_bet, expected_draws
from llmsel.racing.audit.cheap import CheapJudge, moved, predicted_saving
from llmsel.racing.audit.features import answer_features, verdict_features
from llmsel.racing.audit.gauge import TRUST, Gauge, Trial, words

EARLY = Audit(switch="early")


def board(seed=0, queries=150, models=16):
    """Wins by skill, difficulty of queries and chance; the baseline last."""
    rng = np.random.default_rng(seed)
    logit = np.linspace(0.9, -0.7, models) + rng.normal(0, 1, (queries, 1))
    table = np.where(rng.logistic(size=logit.shape) < logit, 1, -1)
    return with_baseline(np.where(rng.random(table.shape) < 0.15, 0, table))


def flipped(table, share, seed=1):
    """The verdicts of a judge that is wrong in a share of the cells."""
    wrong = np.random.default_rng(seed).random(table.shape) < share
    return np.where(wrong, -table, table)


def race_on(table, price, rule=EARLY, **options):
    options.setdefault("seed", 0)
    baseline = table.shape[1] - 1
    return rule.begin(*table.shape, baseline=baseline, cheap_price=price, **options)


def play(race, table, verdicts, *, shuffle=None):
    """Play a race; return the cells asked of both judges, in order."""
    asked = []
    while not race.stop:
        cheap = race.ask_cheap()
        for cell in cheap if shuffle is None else shuffle.permutation(cheap).tolist():
            race.tell_cheap(tuple(cell), int(verdicts[tuple(cell)]))
        for cell in race.ask():
            race.tell(cell, int(table[cell]))
            asked.append(cell)
    return asked


def test_without_a_price_nothing_changes():
    assert type(race_on(board(), None)) is AuditRace


@pytest.mark.parametrize("price", [-0.1, math.inf, math.nan])
def test_a_price_is_a_number_of_calls(price):
    with pytest.raises(InputError, match="cheap_price"):
        race_on(board(), price)


def test_verdicts_are_waited_for_and_count_no_calls():
    table = board()
    race = race_on(table, 0.0)
    while not race.ask_cheap():
        for cell in race.ask():
            race.tell(cell, int(table[cell]))
    calls, wanted = race.calls, race.ask_cheap()
    assert race.ask() == []
    assert race.ask_cheap(3) == wanted[:3]
    for cell in wanted:
        race.tell_cheap(cell, 0)
    assert race.calls == calls and race.cheap.asked == len(wanted)
    with pytest.raises(InputError, match="no cheap verdict is wanted"):
        race.tell_cheap(wanted[0], 0)


def test_a_verdict_is_a_loss_a_draw_a_win_or_missing():
    race = race_on(board(), 0.0)
    race.cheap.want(0)
    with pytest.raises(InputError, match="verdict 2"):
        race.tell_cheap((0, 0), 2)


def test_the_order_of_the_verdicts_changes_nothing():
    table = board()
    cheap = flipped(table, 0.2)
    first, second = race_on(table, 0.0), race_on(table, 0.0)
    assert play(first, table, cheap) == play(second, table, cheap, shuffle=np.random.default_rng(0))
    assert (first.capital == second.capital).all()


def test_a_perfect_cheap_judge_saves_calls_and_says_so():
    alone = total = 0
    said = []
    for seed in range(4):
        table = board(seed, queries=250)
        for price in (None, 0.0):
            race = race_on(table, price)
            if price is None:
                while cells := race.ask():
                    for cell in cells:
                        race.tell(cell, int(table[cell]))
                alone += race.calls
            else:
                play(race, table, table)
                total += race.calls
                said.append(race.cheap.report(race.calls))
    assert total < 0.9 * alone
    assert sum(one["saved"][1] for one in said) > 0.3 * (alone - total)
    assert all(one["saved"][0] > 0 and "saves" in one["words"] for one in said)


def test_an_inverted_judge_is_as_good():
    """What counts is that it tells queries apart, not which way."""
    table = board(1, queries=250)
    race, inverted = race_on(table, 0.0), race_on(table, 0.0)
    play(race, table, table)
    play(inverted, table, -table)
    assert inverted.calls == race.calls


def test_an_independent_judge_is_bought_for_one_model_at_most():
    """Its verdicts on the champion show that it knows nothing, or that it does not pay."""
    for seed in range(3):
        table = board(seed, queries=250)
        noise = np.random.default_rng(seed).integers(-1, 2, table.shape)
        race = race_on(table, 0.03)
        play(race, table, noise)
        assert race.cheap.bought.sum() <= 1


def test_a_dear_cheap_judge_is_never_asked():
    table = board()
    race = race_on(table, 1.0)
    play(race, table, table)
    assert race.cheap.asked == 0
    assert "switched off" in race.cheap.report(race.calls)["words"]


def test_the_higher_the_price_the_fewer_the_verdicts():
    table = board(2, queries=250)
    asked = []
    for price in (0.0, 0.02, 0.1, 1.0):
        race = race_on(table, price)
        play(race, table, flipped(table, 0.1))
        asked.append(race.cheap.asked)
    assert asked == sorted(asked, reverse=True)
    assert asked[0] > asked[1] > asked[-1] == 0


def test_failed_verdicts_are_unknown_and_stop_nothing():
    table = board()
    race, silent = race_on(table, 0.0), np.full(table.shape, MISSING)
    play(race, table, silent)
    assert race.certified
    assert (race.predictor.gamma == 0).all()


ATTACKS = {
    "knows the outcomes": lambda table: table,
    "denies the outcomes": lambda table: -table,
    "flatters all but the best": lambda table: (
        np.where(np.arange(table.shape[1]) == table.sum(axis=0).argmax(), -1, 1)
        * np.ones_like(table)
    ),
    "inverted on the best only": lambda table: np.where(
        np.arange(table.shape[1]) == table.sum(axis=0).argmax(), -table, table
    ),
}


@pytest.mark.slow
@pytest.mark.parametrize("attack", ATTACKS)
def test_certificates_hold_whatever_the_cheap_judge_says(attack):
    """Verdicts made by one who knows every outcome, on pools made to tempt the audit."""
    wrong = races = 0
    for _, some, delta in hostile_tables():
        if some.size > 1500:
            continue
        for seed in range(2):
            order = np.random.default_rng([seed, 9]).permutation(len(some))
            table = with_baseline(some)[order]
            race = race_on(table, 0.0, delta=delta, seed=seed)
            play(race, table, ATTACKS[attack](np.where(table == MISSING, 0, table)))
            low = np.where(table == MISSING, -1, table).mean(axis=0) / 2
            high = np.where(table == MISSING, 1, table).mean(axis=0) / 2
            low[high.argmax()] = high.max()
            off = low[race.winners].min() < high.max() - delta - 1e-9
            wrong += race.certified and off
            races += 1
    assert wrong <= bound(races)


# -- the gauge ----------------------------------------------------------------------------------


def gauge_of(truth, seed=0, challengers=60, draws=40):
    """Draws whose losses follow logit z + truth * s, of challengers that are dropped."""
    rng, gauge = np.random.default_rng(seed), Gauge(500)
    for j in range(challengers):
        for _ in range(draws):
            z, s = rng.normal(0, 0.7), rng.choice([-1.0, 1.0])
            lost = float(rng.random() < 1 / (1 + np.exp(-z - truth * s)))
            growth = np.stack([0.05 + 0.1 * TRUST, np.full(len(TRUST), 0.1)])
            gauge.learn(j, Trial(z, s, growth), lost)
        gauge.drop(j)
    return gauge


@pytest.mark.parametrize("truth", [0.0, 0.5, 1.0])
def test_the_gauge_finds_how_far_verdicts_can_be_trusted(truth):
    inside = 0
    for seed in range(20):
        low, mean, high = gauge_of(truth, seed).trust()
        assert abs(mean - truth) < 0.25
        inside += low <= truth <= high
    assert inside >= 16


def test_the_gauge_turns_trust_into_calls():
    """Growth 0.15 with verdicts and 0.1 without: half as many draws again."""
    gauge = gauge_of(1.0)
    low, mean, high = gauge.saved()
    assert low < mean < high
    assert mean == pytest.approx(0.5 * gauge.draws, rel=0.2)
    assert gauge_of(0.0).saved()[1] < 0


def test_only_challengers_that_are_beaten_count():
    gauge = Gauge(100)
    for j in range(6):
        gauge.learn(j, Trial(0.0, 0.5, np.ones((2, len(TRUST)))), 1.0)
    assert gauge.saved() == (0, 0, 0)


def test_the_gauge_says_little_at_first():
    gauge = Gauge(100)
    gauge.learn(0, Trial(0.0, 0.5, None), 1.0)
    assert not gauge.ready and np.isnan(gauge.saved()).all()
    assert words(gauge, calls=10, cost=0, off=False) == "cheap judge: too early to say"


def test_words_for_what_it_is_worth():
    said = words(gauge_of(1.0), calls=2400, cost=12.5, off=False)
    assert said.startswith("cheap judge: saves 3") and said.endswith("price of 12.5 calls")
    assert "costs" in words(gauge_of(0.0), calls=2400, cost=0, off=False)
    assert words(gauge_of(1.0), calls=9, cost=0, off=True).endswith("worthless here: switched off")


def test_it_is_switched_off_when_it_surely_costs_more_than_it_brings():
    cheap = CheapJudge(np.zeros((500, 60)), 0.01)
    cheap.gauge = gauge_of(0.0)
    cheap.switch_off_if_worthless()
    assert cheap.off and not cheap.due(0, 0)


# -- predictions --------------------------------------------------------------------------------


def test_verdicts_keep_the_mean_of_predictions():
    rng = np.random.default_rng(0)
    counts = np.bincount((rng.uniform(0.1, 0.9, 300) * LEVELS).astype(int), minlength=LEVELS)
    level = (np.arange(LEVELS) + 0.5) / LEVELS
    after = moved(counts, 1.0)
    assert after.sum() == pytest.approx(300)
    assert after @ level == pytest.approx(counts @ level)
    assert after @ level**2 > counts @ level**2
    assert moved(counts, 0.0) == pytest.approx(counts, abs=1e-6)


def test_the_finer_forecast_agrees_with_the_bet():
    p = np.random.default_rng(1).uniform(0.2, 0.8, 200)
    counts = np.bincount((p * LEVELS).astype(int), minlength=LEVELS)
    bet = best_bet(p, 70.0, 0.5)
    fine = expected_draws(counts, 70.0, short=3.0, draws=0.5)
    assert bet.growth > 0
    assert 3.0 / (bet.growth * 2 ** (1 / 6)) <= fine <= 3.0 / bet.growth
    assert expected_draws(counts, 1e6, short=3.0, draws=0.5) == 200


def test_better_verdicts_are_predicted_to_save_more():
    p = np.full(200, 0.5)
    savings = [
        predicted_saving(p, shift, slack=80.0, short=3.0, draws=0.0) for shift in (0, 0.5, 1, 2)
    ]
    assert savings[0] == pytest.approx(0, abs=1e-6)
    assert savings == sorted(savings)


# -- features -----------------------------------------------------------------------------------


def test_features_of_answers_are_standardised_and_leave_the_baseline_out():
    answers = np.array([["a b", "a b c d", "a"], ["x", "y z", "x"]], dtype=object)
    pool = Pool(("q", "p"), ("m", "n", "old"), "old", responses=answers)
    features = answer_features(pool)
    assert features.shape == (2, 3, 3)
    assert (features[:, 2] == 0).all()
    assert features[:, :2].mean(axis=(0, 1)) == pytest.approx(0, abs=1e-9)
    assert features[0, 1, 0] > features[0, 0, 0]  # the longer answer


def test_a_contest_gives_races_features_in_the_order_of_their_queries():
    """Perfect votes save calls; answers that are all alike change nothing."""
    table = board(3, queries=120)
    names = [f"m{j}" for j in range(table.shape[1])]
    alike = np.full(table.shape, "same", dtype=object)
    pool = Pool(
        [f"q{i}" for i in range(len(table))],
        names,
        names[-1],
        responses=alike,
        votes=table[..., None],
        outcomes=table,
    )
    methods = [
        studies.Auditing(EARLY, name="alone"),
        studies.Auditing(EARLY, features="votes", name="votes"),
        studies.Auditing(EARLY, features="answers", name="answers"),
    ]
    runs = studies.compete(pool, methods, realizations=4, pool_size=100, jobs=1).runs()
    calls = runs.groupby("method")["calls"].mean()
    assert calls["votes"] < 0.95 * calls["alone"]
    assert calls["answers"] == calls["alone"]
    with pytest.raises(InputError, match="features 'length'"):
        studies.Auditing(features="length")


def test_an_unknown_verdict_is_marked():
    features = verdict_features(np.array([[1, 0, -1, MISSING]]))
    assert features.tolist() == [[[1, 0], [0, 0], [-1, 0], [0, 1]]]


def test_free_features_and_verdicts_stand_side_by_side():
    table = board()
    free = np.random.default_rng(0).normal(size=(*table.shape, 2))
    race = race_on(table, 0.0, features=free)
    assert isinstance(race, TwoJudges)
    play(race, table, flipped(table, 0.1))
    assert len(race.predictor.gamma) == 3
    assert race.predictor.gamma[-1] < -0.3
