"""The embedded grades: every model of four judges, any baseline, gaps unknown, two judges."""

import re

import numpy as np
import pandas as pd
import pytest

from llmsel import benchmarks
from llmsel._base.errors import InputError
from llmsel.benchmarks import shaberi
from llmsel.benchmarks.assemble import outcomes_of_grades
from llmsel.pool import MISSING

JUDGES = list(shaberi.SHAPES)


@pytest.mark.parametrize("judge", JUDGES)
def test_the_shape_is_what_the_list_says_and_grades_become_outcomes(judge):
    pool = benchmarks.load(f"shaberi:{judge}")
    assert (pool.n_queries, len(pool.candidates)) == shaberi.SHAPES[judge]
    assert not pool.simulated and pool.votes is None and pool.responses is None
    grades = pd.read_csv(shaberi.FOLDER / f"scores-{judge}.csv.gz", index_col="query")
    assert list(grades.columns) == list(pool.models)
    against = grades[pool.baseline].to_numpy()[:, None]
    known = grades.notna().to_numpy() & ~np.isnan(against)
    known[:, pool.baseline_index] = True
    np.testing.assert_array_equal(pool.outcomes != MISSING, known)
    np.testing.assert_array_equal(pool.outcomes == 1, grades.to_numpy() > against)
    np.testing.assert_array_equal(pool.outcomes == -1, grades.to_numpy() < against)


def test_missing_grades_are_unknown_and_never_draws():
    grades = np.array([[3, np.nan, 3], [np.nan, 2, 1]])
    assert outcomes_of_grades(grades, 0).tolist() == [[0, MISSING, 0], [0, MISSING, MISSING]]


def test_any_graded_model_is_a_baseline():
    pool = benchmarks.load("shaberi:athene-v2")
    other = benchmarks.load("shaberi:athene-v2", baseline=pool.candidates[7])
    assert other.baseline == pool.candidates[7] and other.models == pool.models
    with pytest.raises(InputError, match="unknown baseline 'gpt-4o-mimi': did you mean 'gpt-4o-m"):
        benchmarks.load("shaberi:gpt-4-turbo", baseline="gpt-4o-mimi")


def test_a_cheap_judge_votes_on_the_same_cells():
    pool = benchmarks.load("shaberi:gpt-4-turbo", cheap="athene-v2", baseline="gpt-4o-mini")
    alone = benchmarks.load("shaberi:athene-v2", baseline="gpt-4o-mini").subset(models=pool.models)
    assert pool.queries == alone.queries
    known = alone.outcomes != MISSING
    np.testing.assert_array_equal(pool.votes[known, 0], alone.outcomes[known])
    assert (pool.votes[~known] == 0).all()
    assert pool.notes["votes that stand for a missing grade"] == (~known).sum() > 0
    plain = benchmarks.load("shaberi:gpt-4-turbo", baseline="gpt-4o-mini")
    np.testing.assert_array_equal(pool.outcomes, plain.outcomes)


def test_wrong_judges_are_refused():
    with pytest.raises(InputError, match="unknown judge of shaberi 'athene': did you mean 'athene"):
        benchmarks.load("shaberi:gpt-4-turbo", cheap="athene")
    with pytest.raises(InputError, match="'athene-v2' cannot be the cheap judge of its own"):
        benchmarks.load("shaberi:athene-v2", cheap="athene-v2")


def test_damaged_tables_are_one_sentence(tmp_path):
    for path in shaberi.FILES:
        (tmp_path / path.name).write_bytes(path.read_bytes())
    table = tmp_path / "scores-gpt-4-turbo.csv.gz"
    whole = table.read_bytes()
    for damage in (b"", whole[: len(whole) // 2], b"not packed"):
        table.write_bytes(damage)
        with pytest.raises(
            InputError, match=r"scores-gpt-4-turbo\.csv\.gz' cannot be read .*resto"
        ):
            shaberi.load("gpt-4-turbo", folder=tmp_path)
    table.write_bytes(whole)
    lines = (tmp_path / "queries.csv").read_text().splitlines()
    (tmp_path / "queries.csv").write_text("\n".join(lines[:-1]))
    with pytest.raises(InputError, match="do not hold the same queries; restore data/shaberi"):
        shaberi.load("gpt-4-turbo", folder=tmp_path)
    table.unlink()
    with pytest.raises(InputError, match="cannot be read"):
        shaberi.load("gpt-4-turbo", folder=tmp_path)


def test_the_data_card_says_what_the_tables_hold():
    text = (shaberi.FOLDER / "README.md").read_text()
    rows = re.findall(r"\| (scores-\S+) \| .* \| (\d+) \| (\d+\.\d) % \|", text)
    assert {name for name, _, _ in rows} == {path.name for path in shaberi.FILES[1:]}
    for name, models, graded in rows:
        grades = pd.read_csv(shaberi.FOLDER / name, index_col="query")
        assert grades.shape[1] == int(models)
        assert f"{100 * grades.notna().mean().mean():.1f}" == graded
    assert shaberi.SOURCE.rsplit("/", 1)[1] in text
