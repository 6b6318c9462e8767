"""Claims that are fair to the paper: words follow the tables."""

import pandas as pd
import pytest

from llmsel._base import files as paths
from llmsel.reporting import claims
from llmsel.reporting.fairness import FAIRNESS
from llmsel.studies.tables import has_result, read_result, write_table

MADE = {"realizations": 9, "pool_size": 20, "mode": "ours"}


@pytest.fixture
def results(tmp_path, monkeypatch):
    monkeypatch.setattr(paths, "RESULTS", tmp_path)
    monkeypatch.setattr("llmsel.studies.tables.RESULTS", tmp_path)

    def put(board, file, rows):
        write_table(pd.DataFrame(rows), tmp_path / board / file, parameters=MADE)

    return put


def row(strategy, low, high, query_low, query_high, **more):
    middle = (low + high) / 2
    ends = {"difference": middle, "low": low, "high": high}
    queries = {"query_low": query_low, "query_high": query_high, "same_sign": 3, "halves": 5}
    return {"strategy": strategy, **ends, **queries, **more}


def test_an_advantage_over_pools_need_not_be_one_over_queries(results):
    results("smol", "strategies-half.csv", [row("Random", 0.1, 0.2, -0.1, 0.4)])
    results("mt-bench", "strategies-half.csv", [row("Random", -0.3, -0.2, -0.4, -0.1)])
    said = FAIRNESS["over-queries"]()
    assert "on smol +15.0 points (+10.0 to +20.0 over pools, -10.0 to +40.0 over queries" in said
    assert "the same sign on 3 of 5 halves" in said
    assert said.endswith("told from 0 on 1 of 2 boards")


def test_a_verdict_that_hangs_on_the_reading_is_named(results):
    forms = [
        row("Bradley-Terry", 0.1, 0.2, -0.1, 0.4, method="Bradley-Terry"),
        row("Bradley-Terry, spread", -0.2, -0.1, -0.4, 0.1, method="Bradley-Terry"),
        row("Select-LLM", 0.1, 0.2, -0.1, 0.4, method="Select-LLM"),
        row("Select-LLM, one similarity", 0.2, 0.3, -0.1, 0.4, method="Select-LLM"),
    ]
    results("smol", "strategies-forms.csv", forms)
    assert "hangs on the reading on `smol` for Bradley-Terry (over queries: none)" in (
        FAIRNESS["readings"]()
    )
    said = FAIRNESS["one-similarity"]()
    assert "ahead of Select-LLM (+15.0) and ahead of Select-LLM, one similarity (+25.0)" in said


@pytest.mark.parametrize(
    ("low", "pairs", "words"),
    [
        (0.1, [0.2, 0.2], ("better on smol", "1 of 1 boards (smol)")),
        (-0.3, [0.2, 0.3], ("worse on smol", "0 of 1 boards (none)")),
        (-0.05, [0.2, 0.2], ("no different on smol", "1 of 1")),
    ],
)
def test_tuning_is_told_with_its_stability(results, low, pairs, words):
    seeds = [
        {"seed": k, "eps_loss": loss, "eps_draw": 0.1, "difference": low + 0.05}
        | {"low": low, "high": low + 0.1}
        for k, loss in enumerate(pairs)
    ]
    results("smol", "tuning-seeds.csv", seeds)
    said = FAIRNESS["tuned"]()
    assert all(word in said for word in words)
    targets = ("identification", "near-best 1 %")
    needed = [
        {"strategy": s, "metric": metric, "level": 0.9, "budget": budget}
        for metric in targets
        for s, budget in (("Random", 30), ("LLM Selector", 20), ("LLM Selector, tuned", None))
    ]
    results("smol", "tuning-efficiency.csv", needed)
    table = FAIRNESS["tuned-needed"]()
    assert "| smol, 9 pools of 20, best | 30 | 20 | never | (0.2, 0.1)" in table
    assert "| smol, 9 pools of 20, within 1 % | 30 | 20 | never | - | - |" in table


def test_clones_cheap_judges_belief_and_modes(results):
    effect = {"set": 1.0, "low": 0.1, "high": 0.2}
    family = {"set": 0.0, "low": 0.0, "high": 0.0}
    rows = [{"strategy": "LLM Selector", **effect}]
    rows += [{"strategy": "LLM Selector, family prior", **family}]
    results("smol", "clones.csv", rows)
    results("smol", "clones-races.csv", [{"wrong": 1, "certified": 40}])
    said = FAIRNESS["clones"]()
    assert "in 100 % of the pools (with a prior by family in 0 %), the gap grows in 1" in said
    assert "1 of 40 certificates are wrong" in said
    votes = [row("default: gpt-4", 0.1, 0.2, -0.1, 0.4), row("Confidence: gpt-4", 0, 0, 0, 0)]
    results("mt-bench", "cheap-judges.csv", votes)
    results("mt-bench", "cheap-judges-free.csv", [{"free": 0.4, "random_at_half": 0.5}])
    said = FAIRNESS["cheap-judges"]("mt-bench")
    assert "default eps, gpt-4 15.0 points ahead" in said and "Confidence" not in said
    assert "in 40 % of the pools" in said
    sure = {"benchmark": "smol", "queries": "LLM Selector", "said": 0.9, "right": 0.2}
    belief = [{"source": "belief", "sure_wrong": 0.7, **sure}]
    belief += [{"source": "bootstrap", "sure_wrong": None, **sure}]
    results("", "calibration.csv", belief)
    assert "right in 20 %, where it is certain wrong in 70 %" in FAIRNESS["belief-calibration"]()
    target = {"benchmark": "smol", "strategy": "LLM Selector", "mode": "official"}
    ends = {"vs_strongest_low": -0.3, "vs_strongest_high": -0.1}
    results("paper", "targets.csv", [{**target, **ends}])
    assert "mode official, LLM Selector: fewer in 0, more in 1 of 1" in FAIRNESS["modes"]()


def test_claims_know_them_and_tables_are_asked_for(results):
    assert set(FAIRNESS) <= set(claims.EVERY)
    results("smol", "x.csv", [{"a": 1}])
    assert has_result("smol", "x.csv") and not has_result("smol", "y.csv")
    assert read_result("smol", "x.csv")[0]["a"].tolist() == [1]
