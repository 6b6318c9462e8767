"""The protocol: errors by message, resuming, the metrics on cases checked by hand."""

import dataclasses

import numpy as np
import pandas as pd
import pytest
from helpers import pools

from llmsel import strategies
from llmsel._base import intervals
from llmsel._base.errors import InputError
from llmsel.pool import MISSING, Pool
from llmsel.studies import by_query, efficiency, tables
from llmsel.studies import parameters as tune
from llmsel.studies import scores as metrics
from llmsel.studies.scores import GAP, IDENTIFICATION, near_best


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"budget": 25}, "budget=25 is outside 1..24; a budget cannot exceed the pool."),
        ({"budget": 0}, "budget=0 is outside"),
        ({"pool_size": 25}, "pool_size=25 is outside 1..24, the queries of 'simulated'."),
        ({"realizations": 0}, "at least 1"),
        ({"strategies": ["Randon"]}, "unknown strategy 'Randon': did you mean 'Random'?"),
        ({"strategies": ["Random", strategies.Random()]}, "two strategies share the name"),
    ],
)
def test_bad_options_are_refused(options, message):
    with pytest.raises(InputError) as caught:
        by_query.run(pools.simulated(), jobs=1, **options)
    assert message in str(caught.value)


def test_a_pool_without_outcomes_is_refused():
    with pytest.raises(InputError, match="has no outcomes; give the oracle's outcomes"):
        by_query.run(pools.simulated().hide_outcomes(), jobs=1)


def test_strategies_see_no_outcomes_and_learn_one_row_at_a_time():
    seen = []

    class Nosy(strategies.Strategy):
        name = "Nosy"

        def prepare(self, pool):
            seen.append(pool.outcomes)

        def scores(self):
            return np.arange(24.0)

        def observe(self, chosen, outcomes):
            seen.append((chosen.copy(), outcomes.copy()))

    pool = pools.simulated()
    result = by_query.run(pool, [Nosy()], realizations=2, budget=3, jobs=1)
    assert seen[0] is None and len(seen) == 3
    assert result.chosen["Nosy"].tolist() == [[23, 22, 21]] * 2
    for chosen, rows in seen[1:]:
        np.testing.assert_array_equal(rows, pool.outcomes[chosen])


def test_an_interrupted_run_keeps_what_is_finished(tmp_path, monkeypatch):
    pool = pools.simulated()
    whole = by_query.run(pool, ["Random", "LLM Selector"], realizations=130, jobs=1)
    real, calls = by_query.select, []

    def stop_at_fifth(*args, **named):
        calls.append(1)
        if len(calls) == 5:
            raise KeyboardInterrupt
        return real(*args, **named)

    options = {"strategies": ["Random", "LLM Selector"], "realizations": 130, "jobs": 1}
    monkeypatch.setattr(by_query, "select", stop_at_fifth)
    with pytest.raises(KeyboardInterrupt):
        by_query.run(pool, checkpoint=tmp_path, **options)
    assert len(list(tmp_path.rglob("*.npz"))) == 4
    again = by_query.run(pool, checkpoint=tmp_path, **options)
    assert len(calls) == 5 + 2  # six blocks in all: only two were left to do
    for name in whole.chosen:
        np.testing.assert_array_equal(whole.chosen[name], again.chosen[name])
    assert not list(tmp_path.iterdir())


# -- metrics, by hand ---------------------------------------------------------------------


def by_hand(outcomes, chosen, names=("a", "b", "base")):
    queries = [f"q{i}" for i in range(len(outcomes))]
    pool = Pool(queries, names, "base", outcomes=np.array(outcomes))
    chosen = np.array(chosen, np.int32)
    parameters = {"benchmark": "hand", "simulated": False}
    return by_query.Result(pool, np.sort(chosen, axis=1), {"Random": chosen}, parameters)


def test_scores_by_hand():
    # win rates on all four: a 5/8, b 4/8 (as the baseline)
    table = [[1, 1, 0], [0, 1, 0], [1, -1, 0], [-1, -1, 0]]
    arrays = metrics.score(by_hand(table, [[0, 1, 2, 3]]))["Random"]
    # after q0: a and b tie; after q1: b leads; after q2: a leads; in the end a
    np.testing.assert_allclose(arrays[IDENTIFICATION][0], [0.5, 0, 1, 1])
    np.testing.assert_allclose(arrays[GAP][0], [0.0625, 0.125, 0, 0])
    np.testing.assert_allclose(arrays[near_best(5.0)][0], [0.5, 0, 1, 1])


def test_near_best_by_hand():
    # a wins 20 of 20 (1.0), b 19 of 20 with one draw (0.975): within 2.5 %, not within 1 %
    table = [[1, 0, 0]] + [[1, 1, 0]] * 19
    arrays = metrics.score(by_hand(table, [list(range(19, -1, -1))]))["Random"]
    assert arrays[IDENTIFICATION][0, 0] == 0.5
    assert arrays[near_best(2.5)][0, 0] == 1 and arrays[near_best(1.0)][0, 0] == 0.5
    assert arrays[IDENTIFICATION][0, -1] == 1


def test_models_tied_at_the_top_of_the_pool_are_all_right():
    arrays = metrics.score(by_hand([[1, 1, 0], [1, 1, 0]], [[0, 1]]))["Random"]
    assert (arrays[IDENTIFICATION] == 1).all() and (arrays[GAP] == 0).all()


def test_the_baseline_can_be_the_answer():
    arrays = metrics.score(by_hand([[-1, -1, 0], [1, -1, 0], [-1, 0, 0]], [[0, 1, 2]]))["Random"]
    np.testing.assert_allclose(arrays[IDENTIFICATION][0], [1, 0.5, 1])


def test_missing_cells_are_unknown_not_draws():
    table = [[MISSING, 1, 0], [1, -1, 0], [1, 1, 0]]  # a: 2 of 2 judged; b: 2 of 3
    arrays = metrics.score(by_hand(table, [[0, 1, 2]]))["Random"]
    np.testing.assert_allclose(arrays[IDENTIFICATION][0], [0, 1, 1])


def test_every_strategy_is_right_at_the_full_budget():
    for name, pool in pools.hostile():
        result = by_query.run(pool, realizations=4, jobs=1)
        for strategy, arrays in metrics.score(result).items():
            assert (arrays[IDENTIFICATION][:, -1] == 1).all(), (name, strategy)
            assert (arrays[GAP][:, -1] == 0).all(), (name, strategy)


def test_scoring_in_pieces_changes_nothing(monkeypatch):
    result = by_query.run(pools.simulated(), realizations=7, jobs=1)
    whole = metrics.score(result)
    monkeypatch.setattr(metrics, "CELLS", 1)
    for strategy, arrays in metrics.score(result).items():
        for name, array in arrays.items():
            np.testing.assert_array_equal(array, whole[strategy][name])


def test_first_stable_is_the_budget_after_the_last_fall_below():
    curve = np.array([[0.2, 0.9, 0.8, 0.9, 1.0], [0.9, 0.9, 0.9, 0.9, 0.5]])
    np.testing.assert_array_equal(efficiency.first_stable(curve, 0.9), [4, np.nan])
    assert efficiency.first_stable(np.ones(3), 1.0) == 1


def test_wilson_against_published_values():
    low, high = intervals.wilson(np.array([0.9, 0.0, 1.0]), 10)
    np.testing.assert_allclose(low, [0.5958, 0, 0.7225], atol=2e-4)
    np.testing.assert_allclose(high, [0.9821, 0.2775, 1], atol=2e-4)


def test_percentile_is_an_order_statistic_with_its_interval():
    value, low, high = intervals.percentile(np.arange(1, 1001.0)[:, None], 0.95)
    assert value == 950 and 934 <= low <= 937 and 964 <= high <= 966


def test_curves_and_efficiency_tables():
    result = by_query.run(pools.simulated(n=40, seed=8), realizations=60, jobs=1)
    scores = metrics.score(result)
    table = metrics.curves(result, scores)
    assert set(table["benchmark"]) == {"simulated (simulated)"}
    assert len(table) == 7 * 8 * 40
    assert (table["low"] <= table["value"] + 1e-9).all()
    assert (table["high"] >= table["value"] - 1e-9).all()
    needed = efficiency.annotation_efficiency(scores)
    best = needed[(needed.metric == IDENTIFICATION) & (needed.level == 1)]
    random = best.set_index("strategy").loc["Random"]
    assert random["vs_random"] == 0 and 1 <= random["budget"] <= 40
    strongest = random["strongest"]
    smallest = (
        best[~best.strategy.isin(["LLM Selector", "Select-LLM"])].sort_values("budget").iloc[0]
    )
    assert smallest.budget == best.set_index("strategy").loc[strongest, "budget"]
    selector = best.set_index("strategy").loc["LLM Selector"]
    assert selector["vs_strongest"] == pytest.approx(1 - selector["budget"] / smallest.budget)
    assert len(needed) == 7 * 6 * len(metrics.LEVELS)
    gaps = efficiency.gap_table(table).set_index("level")
    budget = gaps.loc[0.9, "budget"]
    curve = table[(table.strategy == "LLM Selector") & (table.metric == IDENTIFICATION)]
    assert (curve[curve.budget >= budget].value >= 0.9 - 1e-9).all()
    at = table[(table.strategy == "Random") & (table.metric == "gap, 95th percentile")]
    assert gaps.loc[0.9, "Random"] == 100 * at.set_index("budget").value[int(budget)]
    view = efficiency.efficiency_view(needed)
    own = efficiency.efficiency_view(
        efficiency.annotation_efficiency(scores, {near_best(5.0): (0.8,)})
    )
    assert set(own.columns.get_level_values(0)) == {"near-best 5 %, 80% of runs"}
    assert list(view.index) == list(strategies.STRATEGIES)
    shown = view["best model, 100% of runs"]
    assert shown.loc["Random", "vs Random"] == "+0%"
    assert shown.loc["Random", "queries"] == f"{random['budget']:.0f}"


def test_tables_carry_what_made_them(tmp_path):
    table = pd.DataFrame({"strategy": ["Random"], "value": [1 / 3]})
    for name in ("t.csv", "t.csv.gz"):
        path = tables.write_table(table, tmp_path / name, parameters={"seed": 1})
        first = path.read_bytes()
        again, parameters = tables.read_table(path)
        assert parameters == {"seed": 1} and again["value"][0] == 0.333333
        assert tables.write_table(table, path, parameters={"seed": 1}).read_bytes() == first
    with pytest.raises(InputError, match="no result table"):
        tables.read_table(tmp_path / "absent.csv")
    (tmp_path / "bare.csv").write_text("a,b\n1,2\n")
    with pytest.raises(InputError, match="does not start with the parameters"):
        tables.read_table(tmp_path / "bare.csv")


def test_tuning_looks_at_no_outcome_and_ranks_by_queries_then_area():
    pool = pools.simulated(n=30, seed=9)
    noisy = tune.noisy(pool)
    assert noisy.outcomes.tolist() == np.sign(pool.votes.sum(axis=2)).tolist()
    options = {"realizations": 20, "jobs": 1}
    best, table = tune.tune_eps(pool, step=0.25, **options)
    assert len(table) == 3 and (best.eps_loss, best.eps_draw) == tuple(table.iloc[0, :2])
    queries = table["queries"].to_numpy()
    assert (np.diff(queries[~np.isnan(queries)]) >= 0).all()
    again, _ = tune.tune_eps(pool.hide_outcomes(), step=0.25, **options)
    assert repr(again) == repr(best)
    chosen, table = tune.tune_tau(pool, **options)
    assert chosen.tau in tune.TAUS and len(table) == len(tune.TAUS)


def test_a_result_says_what_made_it():
    pool = pools.simulated()
    result = by_query.run(pool, ["LLM Selector"], realizations=2, seed=5, jobs=1)
    assert result.parameters["input_sha256"] == pool.content_hash
    assert "eps_loss=0.2" in result.parameters["strategies"]["LLM Selector"]
    assert {"llmsel", "numpy", "seed", "pool_size"} <= set(result.parameters)
    with pytest.raises(dataclasses.FrozenInstanceError):
        result.pool = None
