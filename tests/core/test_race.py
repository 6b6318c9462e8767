"""The race: golden cases, the literal rule, the contract of both rules, ask and tell."""

import json
from pathlib import Path

import numpy as np
import pytest
from helpers.pools import hostile, simulated

from llmsel._base.errors import InputError
from llmsel.benchmarks.simulated import adversarial_pools
from llmsel.pool import MISSING, draw_orders
from llmsel.racing import elimination
from llmsel.racing.elimination import Certified, Heuristic
from llmsel.racing.lockstep import Races
from llmsel.racing.race import Budget, Race
from llmsel.studies import by_call
from llmsel.studies.by_call import compete, complete, stratified
from llmsel.studies.methods.racing import Racing
from llmsel.studies.reference.racing import certified

GOLDEN = json.loads((Path(__file__).parents[1] / "golden" / "race.json").read_text())["cases"]
RULES = [Certified(), Heuristic()]


def race_rows(rows, baseline, rule, **options):
    """One race over rows in the given order."""
    rows = np.array(rows, dtype=np.int8)
    race = Races(1, rows.shape[1], baseline=baseline, pool_size=len(rows), rule=rule, **options)
    calls = 0
    while len(race.who):
        count = race.begin_batch()
        if not len(race.who):
            break
        calls = int(race.calls[0])
        seen = race.now.seen
        asked = np.where(race.now.live[0], rows[seen : seen + count], MISSING)
        race.learn(asked[None])
    return race, calls


@pytest.mark.parametrize("case", GOLDEN, ids=lambda c: c["name"])
def test_golden(case):
    rule = getattr(elimination, case["rule"])(**case.get("parameters", {}))
    options = {"delta": case["delta"]} if "delta" in case else {}
    race, calls = race_rows(case["outcomes"], case["baseline"], rule, **options)
    assert np.flatnonzero(race.winners[0]).tolist() == case["winners"]
    assert (race.stop[0], race.now.seen, calls) == (case["stop"], case["seen"], case["calls"])
    assert race.dropped[0].tolist() == case["dropped"]


@pytest.mark.parametrize("delta", [0.0, 0.05])
def test_the_fast_race_is_the_literal_one(delta):
    pools = [p for _, p in hostile()] + [simulated(n=60, m=9, seed=s) for s in range(4)]
    stops = set()
    for pool in pools:
        orders = draw_orders(pool.n_queries, pool.n_queries, realizations=4, seed=3)
        method = Racing(Certified(alpha=0.2, share=0.3), delta=delta)
        ends = compete(
            pool, [method], realizations=4, pool_size=pool.n_queries, seed=3, jobs=1
        ).ends[method.name]
        for r, order in enumerate(orders):
            slow = certified(
                pool.outcomes[order].tolist(), pool.baseline_index, 0.2, 0.3, delta=delta
            )
            assert set(np.flatnonzero(ends["winners"][r])) == slow[0]
            assert (ends["stop"][r], ends["queries"][r], ends["calls"][r]) == slow[1:4]
            stops.add(slow[1])
    assert {"one left", "tied"} <= stops and ("within delta" in stops) == (delta > 0)


def test_the_best_is_lost_at_most_as_often_as_promised():
    for name, pool in adversarial_pools(120, 8).items():
        method = Racing(Certified(alpha=0.1))
        table = (
            compete(pool, [method], realizations=300, pool_size=120, seed=1, jobs=1)
            .summary()
            .iloc[0]
        )
        assert table["certified"] == 300
        assert table["wrong"] <= 30 + 2 * np.sqrt(27), name
        assert table["share"] <= 1


def test_certified_within_delta_keeps_its_promise():
    for name, pool in adversarial_pools(120, 8).items():
        method = Racing(Certified(alpha=0.1), delta=0.03)
        table = (
            compete(pool, [method], realizations=100, pool_size=120, seed=2, jobs=1)
            .summary()
            .iloc[0]
        )
        assert table["wrong"] <= 10 + 2 * np.sqrt(9), name


@pytest.mark.parametrize("rule", RULES, ids=str)
def test_never_more_calls_than_judging_everyone_and_exact_when_exhausted(rule):
    for _, pool in hostile():
        result = compete(
            pool, [Racing(rule)], realizations=20, pool_size=pool.n_queries, seed=5, jobs=1
        )
        runs = result.runs()
        assert (runs["calls"] <= result.everyone).all()
        ended = runs["stop"].isin(["tied", "pool exhausted"])
        if rule.certifies:  # few queries: no capital can have dropped the best for certain
            assert (runs["correct"][ended] == 1).all()
        credit = result.credit(result.runs()["method"][0])
        assert np.allclose(credit[:, -1], runs["correct"])


@pytest.mark.parametrize("delta", [0.0, 0.02])
@pytest.mark.parametrize("rule", RULES, ids=str)
def test_the_names_of_the_candidates_change_nothing(rule, delta):
    pools = [simulated(n=60, m=9, seed=8), *adversarial_pools(60, 9).values()]
    pools += [p for name, p in hostile() if name in ("identical candidates", "missing outcomes")]
    for pool in pools:
        turn = np.random.default_rng(9).permutation(pool.n_models)
        other = pool.subset(models=[pool.models[j] for j in turn])
        one, two = (
            compete(
                p, [Racing(rule, delta)], realizations=10, pool_size=p.n_queries, seed=4, jobs=1
            )
            for p in (pool, other)
        )
        name = next(iter(one.ends))
        for key in ("calls", "queries", "stop", "certified"):
            assert (one.ends[name][key] == two.ends[name][key]).all()
        assert (one.ends[name]["winners"][:, turn] == two.ends[name]["winners"]).all()
        assert (one.leaders[name][..., turn] == two.leaders[name]).all()


@pytest.mark.parametrize("rule", RULES, ids=str)
def test_same_seed_same_race_alone_or_together_in_any_number_of_processes(rule, monkeypatch):
    pool = simulated(n=80, m=7, seed=11)
    methods = [Racing(rule, 0.01)]
    many = compete(pool, methods, realizations=30, pool_size=60, seed=6, jobs=1)
    two = compete(pool, methods, realizations=30, pool_size=60, seed=6, jobs=2)
    few = compete(pool, methods, realizations=3, pool_size=60, seed=6, jobs=1)
    monkeypatch.setattr(Racing, "block", 7)
    blocks = compete(pool, methods, realizations=30, pool_size=60, seed=6, jobs=1)
    for other in (two, blocks, few):
        count = len(other.orders)
        assert many.runs()[:count].equals(other.runs())
        for name in many.leaders:
            assert (many.leaders[name][:count] == other.leaders[name]).all()


def test_a_batch_drops_only_at_its_end_and_costs_more():
    pool = simulated(n=90, m=8, spread=1.5, seed=12)
    one, ten = Racing(name="1"), Racing(batch=10, name="10")
    runs = compete(pool, [one, ten], realizations=40, pool_size=90, jobs=1).runs().groupby("method")
    calls, queries = runs["calls"].mean(), runs["queries"]
    assert calls["1"] < calls["10"]
    assert (queries.get_group("10") % 10 == 0).all()


def test_no_outcome_is_seen_before_it_is_paid_for():
    """Changing what a race did not ask for changes nothing that it did."""
    pool = simulated(n=60, m=8, spread=1.5, seed=13)
    order = draw_orders(60, 60, realizations=1, seed=0)[0]
    for rule in RULES:
        race, _ = race_rows(pool.outcomes[order], pool.baseline_index, rule)
        changed = pool.outcomes[order].copy()
        for j, t in enumerate(race.dropped[0]):
            if t and j != pool.baseline_index:
                changed[t:, j] = 1
        changed[race.now.seen :, np.arange(9) != pool.baseline_index] = -1
        again, _ = race_rows(changed, pool.baseline_index, rule)
        assert (again.dropped == race.dropped).all() and again.now.seen == race.now.seen < 60


def test_budgets():
    pool = simulated(n=40, m=5, seed=14)
    for budget, calls in (
        (Budget(calls=23), 20),
        (Budget(queries=3), 15),
        (Budget(money=1.0, price=0.1), 10),
        (Budget(calls=4), 0),
    ):
        runs = compete(
            pool, [Racing(Certified(0.001), budget=budget)], realizations=5, pool_size=40, jobs=1
        ).runs()
        assert (runs["calls"] <= calls).all() and (runs["stop"] == "budget").all()
        assert not runs["certified"].any()
    assert (runs["winners"].str.count(r"\|") == 5).all()  # nothing judged: everyone leads


def test_missing_cells_are_left_out_of_their_pairs_only():
    pool = dict(hostile())["missing outcomes"]
    now = elimination.Standing(1, 6, baseline=pool.baseline_index, pool_size=pool.n_queries)
    for row in pool.outcomes:
        now.add(row[None])
    r = np.where(pool.outcomes == MISSING, np.nan, pool.outcomes / 2)
    count, mean, variance = now.against(np.array([2]))
    gap = r[:, [2]] - r
    assert (count[0] == (~np.isnan(gap)).sum(axis=0)).all()
    assert np.allclose(mean[0], np.nanmean(gap, axis=0))
    assert np.allclose(variance[0], np.nanvar(gap, axis=0))
    assert np.allclose(now.rate[0], np.nanmean(r, axis=0))
    whole = complete(pool)
    assert (whole.outcomes != MISSING).all()
    assert whole.notes["queries_left_out"] == pool.n_queries - whole.n_queries > 0


# -- one real decision -----------------------------------------------------------------------


def play(race, pool):
    """Answer every question from the pool's outcomes."""
    place = {q: i for i, q in enumerate(pool.queries)}
    while tasks := race.ask():
        for task in tasks:
            row = pool.outcomes[place[task.query]]
            race.tell(task.query, {m: int(row[pool.models.index(m)]) for m in task.models})
    return race.verdict()


@pytest.mark.parametrize("batch", [1, 7])
@pytest.mark.parametrize("rule", RULES, ids=str)
def test_ask_and_tell_is_the_race_of_the_experiments(rule, batch):
    pool = simulated(n=70, m=6, spread=1.2, seed=15)
    end = (
        compete(pool, [Racing(rule, batch=batch)], realizations=1, pool_size=70, seed=2, jobs=1)
        .runs()
        .iloc[0]
    )
    found = play(Race(pool, rule, seed=2, batch=batch), pool)
    assert " | ".join(found.winners) == end["winners"]
    assert (found.calls, found.queries) == (end["calls"], end["queries"])
    assert (found.stop, found.certified) == (end["stop"], end["certified"])
    assert set(found.dropped) == set(pool.models) - set(found.live)


def test_a_failed_judgement_is_asked_again_and_the_race_waits():
    pool = simulated(n=50, m=4, spread=1.5, seed=16)
    smooth, bumpy = Race(pool, seed=1, batch=3), Race(pool, seed=1, batch=3)
    first = bumpy.ask()[0]
    bumpy.tell(first.query, dict.fromkeys(first.models))
    assert bumpy.ask()[0] == first
    bumpy.tell(first.query, {first.models[0]: 0})
    assert bumpy.ask()[0].models == first.models[1:]
    now = bumpy.verdict()
    assert (now.calls, now.queries) == (1, 1)  # what was judged, not what was asked for
    bumpy = Race(pool, seed=1, batch=3)
    for task in bumpy.ask():
        bumpy.tell(task.query, dict.fromkeys(task.models))
    assert play(bumpy, pool) == play(smooth, pool)


def test_many_level_leaders_are_counted_not_listed():
    race = Race(simulated(n=20, m=6, spread=1.0, seed=1), seed=0)
    assert race.verdict().statement.startswith("nobody leads: no outcome is judged (0 calls")
    (task,) = race.ask()
    race.tell(task.query, dict.fromkeys(task.models, 0))
    assert race.verdict().statement.startswith("7 models lead; no model is beaten yet (6 calls")


@pytest.mark.parametrize("rule", [Certified(alpha=0.1), Heuristic(z=2.0)], ids=str)
def test_a_race_is_made_anew_from_its_settings(rule):
    pool = simulated(n=60, m=5, spread=1.2, seed=4)
    order = None if rule.certifies else list(pool.queries)
    race = Race(pool, rule, seed=3, delta=0.1, batch=2, order=order)
    settings = json.loads(json.dumps(race.settings))
    again = Race.of_settings(pool, settings)
    assert again.settings == race.settings
    assert play(again, pool) == play(race, pool)
    settings["rule"] = {"name": "Certifed"}
    with pytest.raises(InputError, match="did you mean 'Certified'"):
        Race.of_settings(pool, settings)


def test_giving_up_keeps_the_certificate_on_the_safe_side():
    pool = simulated(n=50, m=4, spread=2.0, seed=17)
    plain = play(Race(pool, seed=3), pool)
    race = Race(pool, seed=3)
    race.give_up(race.ask()[0].query)
    found = play(race, pool)
    assert found.winners == plain.winners and found.certified
    assert found.queries >= plain.queries


def test_the_certificate_speaks():
    pool = simulated(n=50, m=4, spread=2.0, seed=17)
    race = Race(pool, seed=0)
    assert "nobody leads: no outcome is judged" in race.verdict().statement
    assert "is the best of this pool (with probability at least 95%" in play(race, pool).statement
    assert (
        "heuristic rule, without a certificate"
        in play(Race(pool, Heuristic(), seed=0), pool).statement
    )
    wins = np.where(np.arange(6) == simulated().baseline_index, 0, 1)
    twins = simulated().replace(outcomes=np.tile(wins, (24, 1)))
    found = play(Race(twins, seed=0), twins)
    assert found.stop == "tied" and len(found.winners) > 1
    assert "cannot be told apart on this pool" in found.statement
    near = play(Race(pool, delta=0.3, seed=0), pool)
    assert near.stop == "within delta" and "within 30.0% of the best" in near.statement
    short = play(Race(pool, budget=Budget(calls=4), seed=0), pool)
    assert short.stop == "budget" and "The budget is spent." in short.statement


def test_refusals_and_errors():
    pool = simulated(n=20, m=3)
    with pytest.raises(InputError, match="no certificate for an order of your own"):
        Race(pool, order=pool.queries)
    with pytest.raises(InputError, match="no certificate for an order of your own"):
        Racing(orders=draw_orders(20, 20, realizations=5, seed=0))
    with pytest.raises(InputError, match="must name each of the 20 queries"):
        Race(pool, Heuristic(), order=pool.queries[1:])
    with pytest.raises(InputError, match="delta=5 must be a win-rate margin"):
        Race(pool, delta=5)
    with pytest.raises(InputError, match="batch=0"):
        Racing(batch=0)
    with pytest.raises(InputError, match="needs the price"):
        Budget(money=3)
    with pytest.raises(InputError, match="calls=-1 must be at least 0"):
        Budget(calls=-1)
    with pytest.raises(InputError, match="alpha must be in"):
        Certified(alpha=0)
    with pytest.raises(InputError, match="z must be above 0"):
        Heuristic(z=0)
    race = Race(pool, seed=0)
    task = race.ask()[0]
    closed = next(q for q in pool.queries if q != task.query)
    for query, outcomes, message in (
        ("q99", {}, "unknown query id 'q99'"),
        (closed, {}, f"was not asked for; open now: '{task.query}'"),
        (task.query, {"modl-1": 1}, "unknown model 'modl-1'"),
        (task.query, {pool.baseline: 0}, "it is the baseline"),
        (task.query, {task.models[0]: 2}, "must be -1 .loss., 0 .draw. or 1 .win., or None"),
    ):
        with pytest.raises(InputError, match=message):
            race.tell(query, outcomes)
    race.tell(task.query, {task.models[0]: 1})
    with pytest.raises(InputError, match="it was told before"):
        race.tell(task.query, {task.models[0]: 1})


def test_other_orders():
    pool = simulated(n=40, m=5, seed=19, categories=tuple("abcd" * 10))
    orders = draw_orders(40, 20, realizations=8, seed=0)
    even = stratified(pool, orders)
    assert (np.sort(even, axis=1) == np.sort(orders, axis=1)).all()
    runs = compete(
        pool, [Racing(Heuristic(), orders=even)], realizations=8, pool_size=20, jobs=1
    ).runs()
    assert len(runs) == 8
    for wrong, message in (
        (even[:4], "orders have shape"),
        (even[::-1], "names a query twice, or one that is not in its pool"),
        (even[:, :10], "orders name 10 of the 20 queries"),
    ):
        with pytest.raises(InputError, match=message):
            compete(pool, [Racing(Heuristic(), orders=wrong)], realizations=8, pool_size=20, jobs=1)
    with pytest.raises(InputError, match="has no categories"):
        stratified(simulated(), orders)


def test_contest_errors_and_tables():
    pool = simulated(n=30, m=4, seed=20)
    methods = [Racing(name="a"), Racing(Heuristic(), name="b")]
    for wrong, message in (
        ({"methods": [methods[0], methods[0]]}, "each its own 'name'"),
        ({"methods": []}, "there is no method; give at least one"),
        ({"realizations": 0}, "realizations=0"),
        ({"pool_size": 31}, "pool_size=31 is outside 1..30"),
        ({"shares": (0.5, 0.2)}, "must increase within"),
    ):
        with pytest.raises(InputError, match=message):
            compete(pool, jobs=1, **{"methods": methods, **wrong})
    result = compete(pool, methods, realizations=25, pool_size=30, jobs=1)
    curve = result.curve()
    assert set(curve.columns) >= {"benchmark", "method", "calls", "share", "value", "low", "high"}
    assert (curve["benchmark"] == "simulated (simulated)").all()
    assert len(curve) == 2 * len(by_call.SHARES)
    paired = result.paired("a", "b")
    difference = curve[curve.method == "a"].value.values - curve[curve.method == "b"].value.values
    assert np.allclose(paired["difference"], difference)
    reach = result.calls_to(0.5).set_index("method")["calls"]
    assert (reach <= result.everyone).all()


def test_a_seed_is_drawn_unless_it_is_given_and_the_statement_says_which():
    pool = simulated(n=40, m=3, spread=2.0, seed=4)
    drawn, other = Race(pool), Race(pool)
    assert drawn.settings["seed"] != other.settings["seed"] and drawn.settings["seed_drawn"]
    chosen = Race(pool, seed=drawn.settings["seed"])
    assert "seed_drawn" not in chosen.settings
    settings = json.loads(json.dumps(drawn.settings))
    again = Race.of_settings(pool, settings)
    assert again.settings == settings
    ends = [play(race, pool) for race in (drawn, chosen, again)]
    assert ends[0] == ends[2] and ends[0].winners == ends[1].winners
    assert "seed" not in ends[0].statement and "seed chosen by the user" in ends[1].statement
    own = Race(pool, Heuristic(), order=pool.queries)
    assert "seed" not in own.verdict().statement
    old = {key: value for key, value in chosen.settings.items() if key != "seed_drawn"}
    assert Race.of_settings(pool, old).verdict().statement == chosen_start(pool, old)


def chosen_start(pool, settings):
    return Race(pool, seed=settings["seed"]).verdict().statement


def test_a_race_goes_on_with_the_seed_of_its_log_unless_another_was_chosen():
    pool = simulated(n=40, m=3, seed=4)
    held = Race(pool, delta=0.1).settings
    new = Race(pool, delta=0.1, most_failed=0.5, budget=Budget(calls=9)).continuing(held)
    assert new.settings == held and new.most_failed == 0.5
    assert play(new, pool).stop == "budget"
    assert Race(pool, delta=0.1, seed=held["seed"]).continuing(held).settings == held
    for options, message in (
        ({"seed": held["seed"] + 1, "delta": 0.1}, "holds a race with seed"),
        ({"delta": 0.2}, "holds a race with delta 0.1, not 0.2"),
        ({"delta": 0.1, "rule": Heuristic()}, "holds a race with rule"),
    ):
        with pytest.raises(InputError, match=message):
            Race(pool, **options).continuing(held)


def test_the_promise_is_never_rounded_up():
    pool = simulated(n=40, m=3, spread=2.0, seed=4)
    found = play(Race(pool, Certified(alpha=0.0001), seed=1), pool)
    assert found.certified and "at least 99.99%" in found.statement
    assert "100%" not in found.statement


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"delta": "0.05"}, "delta='0.05' must be a number"),
        ({"seed": -1, "batch": 1.5}, "seed=-1 must be .* at least 0; batch=1.5 must be"),
        ({"tries": 0, "most_failed": "a"}, "tries=0 .*; most_failed='a' must be a number"),
        ({"most_failed": 2.0}, "a share in"),
        ({"seed": True}, "seed=True must be a whole number"),
        ({"budget": 5}, r"budget=5 must be a Budget"),
        ({"rule": "Certified"}, "no rule that a race can be played by"),
    ],
)
def test_settings_of_another_kind_are_refused_in_one_sentence(wrong, said):
    with pytest.raises(InputError, match=said) as caught:
        Race(simulated(n=5, m=2), **wrong)
    assert "\n" not in str(caught.value)
