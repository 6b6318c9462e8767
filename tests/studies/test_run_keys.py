"""What makes runs go out of date: a change of what the engine does, not of how it is written."""

import hashlib
import importlib
import inspect
import pkgutil

import nbformat
import numpy as np
import pandas as pd
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

from llmsel import strategies, weak_judges
from llmsel._base import intervals
from llmsel._base.files import ROOT
from llmsel.racing import elimination
from llmsel.racing.audit import race as audit_race
from llmsel.racing.audit import shared_bets
from llmsel.studies import (
    by_query,
    efficiency,
    methods,
    paired,
    provenance,
    reproduce,
    scores,
    trial,
)
from llmsel.studies.methods import anytime, factorised, guaranteed, ladder, peers
from llmsel.studies.methods.desk import Method
from llmsel.studies.provenance import computing_code, digest, families

# The golden picks belong to an epoch: when old ones change, raise RESULTS_EPOCH and note both here.
GOLDEN = {1: "8e6ab37f9530158fbc307ca17bc90dc976e62723806bdacd914e7d44361806f4"}


@pytest.fixture(scope="module")
def usual():
    return {family: provenance.measure(family) for family in provenance.FAMILIES}


def reversed_pick(scores, rank):
    return strategies.pick(-scores, rank)


def less_at_stake(*given, **named):
    return 0.99 * elimination_kelly(*given, **named)


def a_little_wider(values, **options):
    low, mean, high = intervals.mean_interval(values, **options)
    return low - 1e-6, mean, high


elimination_kelly = elimination.kelly


@pytest.mark.parametrize(
    ("where", "name", "value", "family"),
    [
        (by_query, "pick", reversed_pick, "queries"),
        (strategies, "TIE", 1e-2, "queries"),
        (scores, "SLACK", 0.5, "tables"),
        (efficiency, "LEVELS", (0.7, 0.8, 0.9, 0.95, 0.99), "tables"),
        (paired, "mean_interval", a_little_wider, "tables"),
        (elimination, "kelly", less_at_stake, "calls"),
        (elimination, "SHARE_EXACT", 0.69, "calls"),
        (elimination.Certified, "certifies", False, "calls"),
        (anytime, "SPREAD", 0.2, "calls"),
        (anytime, "LIKE", 0.5, "calls"),
        (peers, "phases", lambda k, p, budget: np.minimum(p, np.arange(1, k)), "calls"),
        (ladder.Ladder, "mean", property(lambda self: self.total), "calls"),
        (audit_race, "PAIR_SHARE", 0.1, "audit"),
        (audit_race, "REFIT", 2.0, "audit"),
        (shared_bets, "STAKE", 0.8, "audit"),
        (guaranteed, "REFIT", 3.0, "published"),
        (factorised, "RIDGE", 1.0, "published"),
        (weak_judges, "DIGITS", 2, "votes"),
    ],
)
def test_a_changed_engine_is_noticed_in_its_family(usual, monkeypatch, where, name, value, family):
    monkeypatch.setattr(where, name, value)
    assert provenance.measure(family) != usual[family]


def test_the_same_engine_has_the_same_behaviour_and_its_cache_may_be_damaged(usual, monkeypatch):
    assert provenance.behaviour() == usual
    with monkeypatch.context() as only:
        only.setattr(provenance, "measure", None)  # cached: nothing is measured
        assert provenance.behaviour() == usual
    (kept,) = (provenance.cache_dir() / "behaviour").iterdir()
    kept.write_text("{")
    assert provenance.behaviour() == usual


def test_an_unwritable_cache_does_not_matter(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("LLMSEL_CACHE", str(tmp_path / "file" / "cache"))
    monkeypatch.setattr(provenance, "measure", lambda family: family)
    assert provenance.behaviour() == {family: family for family in provenance.FAMILIES}


def test_code_is_hashed_without_comments_and_docstrings(tmp_path):
    texts = ('"""One."""\nx = 1', "# two\nx   =   1", "x = 2")
    paths = [tmp_path / f"{i}.py" for i in range(3)]
    for path, text in zip(paths, texts, strict=True):
        path.write_text(text)
    one, two, other = (provenance.code_hash([path]) for path in paths)
    assert one == two != other


def test_digests_tell_values_apart_and_forget_the_last_digits():
    table = pd.DataFrame({"a": [1.0, np.nan], "b": ["x", "y"]})
    values = (1, "1", None, [1, 2], [[1], 2], [12], np.zeros(3), np.zeros((3, 1)), {"a": 1}, table)
    assert len({digest(value) for value in values}) == len(values)
    assert digest(0.1 + 0.2) == digest(0.3) != digest(0.3001)
    assert digest(-np.zeros(2)) == digest(np.zeros(2, np.float32))
    assert digest(np.int8([1])) == digest(np.int64([1]))


def test_the_golden_picks_belong_to_the_epoch():
    files = sorted((ROOT / "tests" / "golden").glob("*.json"))
    found = hashlib.sha256(b"".join(path.read_bytes() for path in files)).hexdigest()
    assert found == GOLDEN[provenance.RESULTS_EPOCH]


# -- notebooks ----------------------------------------------------------------------------------

NOTEBOOK = (
    "seed = 0\nsave = False",
    "import matplotlib.pyplot as plt\nimport llmsel\nfrom llmsel import reporting\n"
    "pool = llmsel.load('smol')",
    "result = llmsel.run(pool, ['Random'], realizations=5, pool_size=20, seed=seed)",
    "figure, (left, right) = plt.subplots(1, 2)\nfor ax in (left, right):\n    ax.grid()\n"
    "left.set_title('a')\noverview = reporting.overview(result)\nplt.show()\nresult",
    "print(result.budget)",
    "if save:\n    reporting.save('x', figure)",
)


@pytest.mark.parametrize(
    ("cell", "old", "new", "counts"),
    [
        (0, "seed = 0", "seed = 1", True),
        (1, "import llmsel\n", "import llmsel\nimport numpy\n", False),
        (2, "realizations=5", "realizations=6", True),
        (2, "result = ", "# the experiment\nresult  =  ", False),
        (3, "ax.grid()", "ax.grid(alpha=0.3)", False),
        (3, "subplots(1, 2)", "subplots(1, 2, figsize=(3, 4))", False),
        (3, "ax.grid()", "seed += 1", True),
        (3, "figure, (left", "pool.x, (left", True),
        (3, "plt.show()\nresult", "result.sort()", True),
        (4, "budget", "pool", True),
        (5, "'x'", "'y'", False),
        (5, "if save", "if seed", True),
    ],
)
def test_what_counts_in_a_notebook(cell, old, new, counts):
    assert old in NOTEBOOK[cell]
    edited = [*NOTEBOOK[:cell], NOTEBOOK[cell].replace(old, new), *NOTEBOOK[cell + 1 :]]
    assert (computing_code(edited) != computing_code(NOTEBOOK)) == counts


def test_a_name_that_no_longer_holds_a_drawing_counts_again():
    cells = ["import seaborn as sns\nax = sns.barplot()", "ax = [3]", "ax.append(4)"]
    assert computing_code(cells) == ["ax = [3]", "ax.append(4)"]


def test_a_magic_command_counts_as_it_stands():
    assert computing_code(["%pip list", "x = 1"]) == ["%pip list", "x = 1"]


@pytest.mark.parametrize(
    ("code", "used"),
    [
        ("import pandas\nimport llmsel\nllmsel.load('smol').queries", ()),
        ("import llmsel as l\nl.run", ("queries",)),
        ("from llmsel.studies import score, compete as c\nscore\nc", ("calls",)),
        ("from llmsel import studies\nstudies.Racing\nstudies.run(x)", ("queries", "calls")),
        ("import llmsel.belief\nllmsel.belief.Belief.update", ("queries",)),
        ("import llmsel\nllmsel.Session", ("queries", "calls")),
        ("import llmsel\nfrom llmsel import studies\nstudies.Auditing(llmsel.Audit())", ("audit",)),
        ("from llmsel import gone\ngone.gone", ("queries", "calls")),
        ("%magic", ()),
    ],
)
def test_families_are_read_from_what_a_notebook_takes(code, used):
    assert families([code]) == (*provenance.ALWAYS, *used)


@pytest.fixture
def run(tmp_path, monkeypatch):
    """A run of `NOTEBOOK`, which is never executed."""
    monkeypatch.setattr(reproduce, "NOTEBOOKS", tmp_path)
    cells = [new_markdown_cell("# title"), *map(new_code_cell, NOTEBOOK)]
    nbformat.write(new_notebook(cells=cells), tmp_path / "small.ipynb")
    return reproduce.Run("small", "small", data=("smol",))


@pytest.mark.parametrize(
    ("where", "name", "value", "outdated"),
    [
        (by_query, "pick", reversed_pick, True),
        (scores, "SLACK", 0.5, True),
        (provenance, "RESULTS_EPOCH", 99, True),
        (elimination, "SHARE_EXACT", 0.69, False),  # the notebook holds no race
    ],
)
def test_a_run_depends_on_what_its_notebook_uses(run, monkeypatch, where, name, value, outdated):
    now = {family: provenance.measure(family) for family in ("queries", "tables")}
    monkeypatch.setattr(provenance, "behaviour", lambda: {"votes": "", "calls": "", **now})
    before = reproduce.key(run)
    monkeypatch.setattr(where, name, value)
    now |= {family: provenance.measure(family) for family in now}
    assert (reproduce.key(run) != before) == outdated


def kinds_of(base):
    """Every class below a base that can be used, of llmsel itself."""
    for kind in base.__subclasses__():
        if kind.__module__.startswith("llmsel.") and not inspect.isabstract(kind):
            yield kind
        yield from kinds_of(kind)


def test_the_trial_holds_every_strategy_and_every_method():
    """A new one is added to llmsel/studies/trial.py, or its changes would go unnoticed."""
    for module in pkgutil.iter_modules(methods.__path__):
        importlib.import_module(f"{methods.__name__}.{module.name}")
    tried = trial.every_method() + trial.every_audit() + trial.every_published()
    assert set(kinds_of(Method)) == {type(m) for m in tried}
    assert set(strategies.possible(trial.worded())) == set(strategies.STRATEGIES)
