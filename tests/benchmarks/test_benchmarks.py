"""The loaders: invented files of the published formats, the registry of names, the cache."""

import json
import warnings

import numpy as np
import pytest
from fixtures.published import publish

import llmsel
from llmsel import benchmarks
from llmsel._base import files
from llmsel._base.errors import InputError
from llmsel.benchmarks import (
    alpacaeval,
    arena_hard,
    assemble,
    cards,
    humaneval,
    mt_bench,
    published,
    smol,
)
from llmsel.pool import MISSING, Pool


@pytest.fixture(autouse=True)
def fresh_cache(monkeypatch, tmp_path):
    monkeypatch.setenv("LLMSEL_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def put(monkeypatch, tmp_path):
    """Publish invented files in place of a benchmark's own."""
    return lambda content, instead_of="": publish(tmp_path, monkeypatch, content, instead_of)


# -- names and cache ----------------------------------------------------------------------


def test_every_benchmark_is_registered_and_described():
    kinds = ("smol", "alpacaeval", "arena-hard", "mt-bench", "humaneval")
    assert benchmarks.names()[:5] == kinds and len(benchmarks.names()) == 5 + 4 + 2 * 6
    for name in benchmarks.names():
        row = benchmarks.describe(name)
        assert row["name"] == name and row["size"] and row["about"]
        assert len(benchmarks.fingerprint(name)) == 64


def test_unknown_names_and_options_are_one_sentence():
    with pytest.raises(
        InputError, match=r"unknown benchmark 'arenahard': did you mean 'arena-hard'"
    ):
        benchmarks.load("arenahard")
    with pytest.raises(InputError, match=r"benchmark 'smol': .*unexpected.* argument 'basline'"):
        benchmarks.load("smol", basline="terse")


def test_votes_are_added_unless_refused():
    assert benchmarks.load("smol").votes.shape == (120, 13, 10)
    assert benchmarks.load("smol", votes=False).votes is None


def alpaca(model, rows, **fields):
    file = f"{alpacaeval.COMMIT}/results/{model}/alpaca_eval_gpt4/annotations.json"
    row = {"generator_1": alpacaeval.BASELINE, "generator_2": model, "dataset": "invented"}
    return {
        file: [
            row
            | {"instruction": q, "output_1": f"base {q}", "output_2": text, "preference": p}
            | fields
            for q, text, p in rows
        ]
    }


def test_a_pool_of_published_files_is_read_once(put, monkeypatch):
    rows = [("name a colour", "red as a rose", 2), ("count to two", "one two", 1.5)]
    put(alpaca("m1", rows) | alpaca("m2", rows), alpacaeval.COMMIT)
    with pytest.warns(UserWarning, match=r"'m1' and 'm2' hold the same") as seen:
        first = llmsel.load("alpacaeval")
    assert [w.filename for w in seen] == [__file__]
    monkeypatch.setenv("LLMSEL_MIRROR", "/there/is/nothing/here")
    with pytest.warns(UserWarning, match=r"'m1' and 'm2' hold the same"):
        second = llmsel.load("alpacaeval")
    assert second.content_hash == first.content_hash and second.notes == dict(first.notes)
    with pytest.raises(InputError, match="has no file"):  # other options, another pool
        llmsel.load("alpacaeval", drop_duplicates=True)


def test_a_damaged_pool_in_the_cache_is_made_again(tmp_path):
    path = assemble.cached("f", {}, build=lambda: benchmarks.load("twin:mt-bench")) and next(
        (tmp_path / "cache/pools").glob("*.npz")
    )
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    assert assemble.cached("f", {}, build=lambda: benchmarks.load("twin:mt-bench")).n_queries == 80
    assert len(list((tmp_path / "cache/pools").iterdir())) == 1
    assert Pool.load(path).n_queries == 80


def cached_twin():
    return assemble.cached("f", {}, build=lambda: benchmarks.load("twin:mt-bench"))


def test_a_cache_damaged_anyhow_is_made_again(tmp_path):
    expected = cached_twin().content_hash
    (path,) = (tmp_path / "cache/pools").glob("*.npz")
    whole, rng = path.read_bytes(), np.random.default_rng(0)
    for number in range(150):
        torn = bytearray(whole)
        if number < 3:
            torn = torn[: (0, 1, 100)[number]]  # a zero-byte file among them
        else:
            at = rng.integers(0, len(torn), 1 + number % 7)
            torn = bytearray(
                b if i not in set(at) else rng.integers(256) for i, b in enumerate(torn)
            )
        path.write_bytes(bytes(torn))
        assert cached_twin().content_hash == expected


def test_a_cache_that_cannot_be_written_costs_a_warning(tmp_path, monkeypatch):
    (tmp_path / "file").write_bytes(b"")
    monkeypatch.setenv("LLMSEL_CACHE", str(tmp_path / "file"))
    with pytest.warns(UserWarning, match="nothing is kept in the cache .* LLMSEL_CACHE"):
        assert cached_twin().n_queries == 80


# -- what the importers share -------------------------------------------------------------


def test_json_lines_keep_odd_line_breaks_inside_strings(tmp_path):
    path = tmp_path / "a.jsonl"
    path.write_text('{"a": "one\u2028two"}\n\n{"a": "three"}', encoding="utf-8")
    assert [row["a"] for row in files.json_lines(path)] == ["one\u2028two", "three"]


@pytest.mark.parametrize(("line", "message"), [("{oops", "is not JSON"), ("[1]", "not a JSON obj")])
def test_json_lines_name_file_and_line(tmp_path, line, message):
    path = tmp_path / "a.jsonl"
    path.write_text(f'{{"a": 1}}\n{line}\n')
    with pytest.raises(InputError, match=f"a.jsonl', line 2, .*{message}"):
        files.json_lines(path)


@pytest.mark.parametrize(
    ("pairs", "message"),
    [
        ([("q1", "x")], "1 differ, the first is 'q2'"),
        ([("q1", "x"), ("q2", "y"), ("q3", "z")], "1 differ, the first is 'q3'"),
        ([("q1", "x"), ("q2", "y"), ("q1", "z")], "one is twice"),
    ],
)
def test_a_join_mismatch_is_loud(pairs, message):
    with pytest.raises(
        InputError, match=f"of 'm' does not hold the 2 queries of 'here'.*{message}"
    ):
        assemble.join("b", "here", queries=["q1", "q2"], answers={"m": pairs})


# -- smol ---------------------------------------------------------------------------------


@pytest.fixture
def small(tmp_path):
    """A folder in smol's format: 3 queries, 3 models."""
    folder = tmp_path / "smol"
    folder.mkdir()
    (folder / "models.toml").write_text(
        'baseline = "b"\n' + "".join(f'[[model]]\nname = "{m}"\n' for m in ("a", "b", "c"))
    )
    queries = [{"query_id": f"q{i}", "category": "c", "query": f"?{i}"} for i in range(3)]
    (folder / "queries.jsonl").write_text("\n".join(map(json.dumps, queries)))
    rows = [
        {"model": m, "query_id": f"q{i}", "response": f"{m}{i}"} for i in range(3) for m in "cab"
    ]
    (folder / "responses.jsonl").write_text("\n".join(map(json.dumps, rows)))
    (folder / "scores.csv").write_text(
        "query_id,a,b,c\nq0,1,0.5,0.50000000001\nq1,0,0,1\nq2,0,1,1\n"
    )
    return folder


def test_smol_compares_scores_with_any_baseline(small):
    pool = smol.load(folder=small)
    assert pool.baseline == "b" and pool.outcomes.tolist() == [[1, 0, 0], [0, 0, 1], [-1, 0, 0]]
    assert pool.responses[1].tolist() == ["a1", "b1", "c1"] and pool.texts[2] == "?2"
    assert smol.load("a", small).outcomes.tolist() == [[0, -1, -1], [0, 0, 1], [0, 1, 1]]
    with pytest.raises(InputError, match="unknown baseline 'd'"):
        smol.load("d", small)


def test_smol_tables_must_fit_together(small):
    with (small / "responses.jsonl").open("a") as file:
        file.write('\n{"model": "x", "query_id": "q0", "response": ""}')
    with pytest.raises(InputError, match="unknown model 'x'"):
        smol.load(folder=small)
    (small / "scores.csv").write_text("query_id,a,b\nq0,1,0\n")
    with pytest.raises(InputError, match=r"run grade\.py again"):
        smol.load(folder=small)


# -- arena-hard ---------------------------------------------------------------------------


def arena(games):
    """Files of the three runs; games: (run, model, query, winners of the rows)."""
    queries = [
        {"question_id": q, "cluster": f"about {q}", "turns": [{"content": f"do {q}"}]}
        for q in ("q1", "q2")
    ]
    base = f"{arena_hard.REPOSITORY}/{arena_hard.COMMITS[0]}/data/arena-hard-v0.1/"
    content = {base + "question.jsonl": queries}
    runs_of_baseline = ([arena_hard.BASELINE], [], [])
    for run, commit in enumerate(arena_hard.COMMITS):
        folder = f"{arena_hard.REPOSITORY}/{commit}/data/arena-hard-v0.1"
        content[folder + "_battles.jsonl"] = [
            {"question_id": q, "model_a": arena_hard.BASELINE, "model_b": model, "winner": winner}
            for r, model, q, winners in games
            for winner in winners
            if r == run
        ]
        for model in {m for r, m, *_ in games if r == run} | set(runs_of_baseline[run]):
            content[f"{folder}/model_answer/{model}.jsonl"] = [
                {"question_id": q, "choices": [{"turns": [{"content": f"{model} {q} run {run}"}]}]}
                for q in ("q2", "q1")
            ]
    return content


A, B, T = "model_a", "model_b", "tie"


def test_arena_hard_sums_the_games(put):
    games = [
        (0, "m1", "q1", [B, B, B, A]),  # a decisive win and a loss
        (0, "m1", "q2", [T, A]),
        (0, "m2", "q1", [B, A]),
        (0, "m2", "q2", [B]),  # one game without a verdict
        (1, "m3", "q2", [A, T]),  # the other query was not judged
        (2, "m1", "q1", [A, A]),  # a second run of m1 does not count
    ]
    put(arena(games), arena_hard.REPOSITORY)
    pool = arena_hard.load()
    assert pool.texts == ("do q1", "do q2") and pool.categories == ("about q1", "about q2")
    column = dict(zip(pool.models, pool.outcomes.T.tolist(), strict=True))
    expected = {"m1": [1, -1], "m2": [0, 1], "m3": [MISSING, -1], arena_hard.BASELINE: [0, 0]}
    assert column == expected
    assert pool.responses[0, pool.models.index("m1")] == "m1 q1 run 0"
    assert pool.notes["cells without a verdict"] == 1
    assert pool.notes["cells decided by one game of two"] == 1


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"winner": "bothbad"}, "the winner of a battle of 'm1' is 'bothbad'"),
        ({"model_a": "x"}, "a battle of 'm1' is not against gpt-4-0314 on a known query"),
        ({"question_id": "q9"}, "a battle of 'm1' is not against gpt-4-0314 on a known query"),
    ],
)
def test_arena_hard_refuses_what_it_does_not_know(put, change, message):
    content = arena([(0, "m1", "q1", [A])])
    for file in content:
        if file.endswith("_battles.jsonl"):
            content[file] = [row | change for row in content[file]]
    put(content, arena_hard.REPOSITORY)
    with pytest.raises(InputError, match=message):
        arena_hard.load()


# -- mt-bench -----------------------------------------------------------------------------


@pytest.fixture
def bench(put):
    """Three models, four queries; the votes of every rule."""
    models, queries = ("a", "b", "gpt-3.5-turbo"), range(81, 85)
    table = ["question_id,turn,model_a,model_b,n_human_a,n_human_b,n_human_ties,gpt4_winner"]
    table += ["81,1,a,gpt-3.5-turbo,2,1,1,B", "81,2,a,gpt-3.5-turbo,0,9,0,A"]  # turn 2 is not read
    table += ["82,1,a,gpt-3.5-turbo,2,0,2,tie"]  # as many ties as wins
    table += ["83,1,a,gpt-3.5-turbo,0,0,0,A", "81,1,gpt-3.5-turbo,b,1,0,0,B"]
    table += ["84,1,gpt-3.5-turbo,b,1,2,0,", "81,1,a,b,0,1,0,A"]
    content = {
        f"{mt_bench.TEXTS}/question.jsonl": [
            {"question_id": q, "category": "invented", "turns": [f"ask {q}", "and then?"]}
            for q in queries
        ],
        f"{mt_bench.VOTES}/reports/mtbench/labels.csv": "\n".join(table) + "\n",
    }
    for model in models:
        content[f"{mt_bench.TEXTS}/model_answer/{model}.jsonl"] = [
            {
                "question_id": q,
                "choices": [{"turns": ["" if model == "b" else f"{model} {q}", "2"]}],
            }
            for q in reversed(queries)
        ]
    put({}, mt_bench.VOTES)
    put(content, mt_bench.TEXTS)


def test_mt_bench_takes_the_plurality_and_leaves_the_unjudged_missing(bench):
    pool = mt_bench.load()
    assert pool.models == ("a", "b", "gpt-3.5-turbo") and pool.texts[0] == "ask 81"
    expected = [[1, -1, 0], [0, MISSING, 0], [MISSING, MISSING, 0], [MISSING, 1, 0]]
    assert pool.outcomes.tolist() == expected
    assert pool.responses[0].tolist() == ["a 81", "", "gpt-3.5-turbo 81"]
    assert pool.notes["cells without a human vote"] == 4 and pool.notes["empty responses"] == 4


def test_mt_bench_with_gpt4_as_the_cheap_judge(bench):
    pool = mt_bench.load(cheap="gpt-4")
    assert pool.outcomes.tolist() == mt_bench.load().outcomes.tolist()
    assert pool.votes[..., 0].tolist() == [[-1, 1, 0], [0, 0, 0], [1, 0, 0], [0, 0, 0]]
    assert pool.notes["votes that stand for a missing verdict"] == 4
    with pytest.raises(InputError, match="unknown judge of mt-bench 'gpt-5': did you mean 'gpt-4'"):
        mt_bench.load(cheap="gpt-5")


def test_mt_bench_with_another_baseline(bench):
    pool = mt_bench.load("a")
    assert pool.outcomes[0].tolist() == [0, 1, -1]
    assert pool.outcomes[1:, 1].tolist() == [MISSING] * 3
    with pytest.raises(
        InputError, match=r"unknown baseline 'gpt-3': did you mean 'gpt-3\.5-turbo'"
    ):
        mt_bench.load("gpt-3")


# -- humaneval ----------------------------------------------------------------------------


@pytest.fixture
def programs(put, monkeypatch, tmp_path):
    own = tmp_path / "verdicts.csv", tmp_path / "models.csv"
    own[0].write_text(
        "query_id,a,WizardLM-30B\nHumanEval/0,1,0\nHumanEval/1,0,1\nHumanEval/2,1,1\n"
    )
    own[1].write_text("model,file\na,x/a.jsonl\nWizardLM-30B,x/w.jsonl\n")
    monkeypatch.setattr(humaneval, "FILES", own)
    tasks = [{"task_id": f"HumanEval/{i}", "prompt": f"def f{i}():"} for i in (2, 0, 1)]
    trap = f"open({str(tmp_path / 'executed')!r}, 'w')"
    answers = [{"task_id": f"HumanEval/{i}", "completion": trap} for i in range(3)]
    content = {humaneval.TASKS: tasks}
    content |= {f"{humaneval.PROGRAMS}/x/{m}.jsonl": answers for m in "aw"}
    put(content, humaneval.PROGRAMS)
    return tmp_path


def test_humaneval_reads_verdicts_and_executes_nothing(programs):
    pool = humaneval.load()
    assert pool.outcomes.tolist() == [[1, 0], [-1, 0], [0, 0]]
    assert pool.texts == ("def f0():", "def f1():", "def f2():")
    assert humaneval.load("a").outcomes.tolist() == [[0, -1], [0, 1], [0, 0]]
    assert not (programs / "executed").exists()
    with pytest.raises(InputError, match="unknown baseline 'nobody'"):
        humaneval.load("nobody")


# -- the paper's matrices -----------------------------------------------------------------


def matrices(weak_of_baseline=None):
    """Invented contents of judge.json and weak_judge.json: 3 queries, 2 candidates."""
    judge = {"m1": [1, 0, -1], "base": None, "m2": [-1, -1, 1]}
    weak = {"m1": [[1] * 10, [0] * 10, [-1] * 9 + [1]], "base": weak_of_baseline}
    return judge, weak | {"m2": [[-1] * 10] * 3}


@pytest.mark.parametrize("weak_of_baseline", [None, [[0] * 10] * 3])
@pytest.mark.parametrize("name", published.FOLDERS)
def test_official_files_become_a_pool(put, name, weak_of_baseline):
    judge, weak = published.needed(name)
    contents = matrices(weak_of_baseline)
    put({judge: contents[0], weak: contents[1]})
    pool = benchmarks.load(f"official:{name}")
    assert pool.name == f"official:{name}" and pool.baseline == "base" and not pool.simulated
    assert pool.responses is None and pool.votes.shape == (3, 3, 10)
    assert pool.outcomes.tolist() == [[1, 0, -1], [0, 0, -1], [-1, 0, 1]]
    assert pool.votes[2, 0].tolist() == [-1] * 9 + [1] and not pool.votes[:, 1].any()
    assert pool.notes["weak values that are not -1, 0 or 1"] == 0


def test_official_scores_count_by_their_sign_and_are_noted():
    judge, weak = matrices()
    weak["m1"] = [[0.25, -0.5, *[0] * 8]] * 3
    pool = published.assemble("official:bingo", judge, weak=weak)
    assert pool.votes[0, 0].tolist() == [1, -1] + [0] * 8
    assert pool.notes["weak values that are not -1, 0 or 1"] == 6


@pytest.mark.parametrize(
    ("judge", "weak", "message"),
    [
        ({"m2": None}, {}, "2 models have no outcomes"),
        ({"m3": [0, 0, 0]}, {}, "'m3' is in only one of judge.json and weak_judge.json"),
        ({"m2": [1, 1]}, {}, r"lists of different lengths \[2, 3\]"),
        ({"m2": [1, 1, 2]}, {}, "outcome of model 'm2' on query 'official:bingo-2' is 2"),
        ({"m2": [1, 1, "x"]}, {}, "the values of 'm2' are not 3 numbers and 3 lists of 10"),
        ({}, {"m1": [[1] * 9] * 3}, "does not hold 3 lists of 10 numbers for 'm1'"),
        ({}, {"m1": [[1] * 10] * 2}, "does not hold 3 lists of 10 numbers for 'm1'"),
        ({}, {"m1": [[1] * 10, [1], [1]]}, "the values of 'm1' are not 3 numbers"),
        ({}, {"m1": None}, "does not hold 3 lists of 10 numbers for 'm1'"),
    ],
)
def test_official_files_of_another_format_are_refused(judge, weak, message):
    contents = matrices()
    with pytest.raises(InputError, match=message):
        published.assemble("official:bingo", contents[0] | judge, weak=contents[1] | weak)


@pytest.mark.parametrize(("text", "message"), [("{", "is not JSON"), ("[]", "one entry per model")])
def test_official_files_must_be_json_objects(put, text, message):
    judge, weak = published.needed("bingo")
    put({judge: text, weak: "{}"})
    with pytest.raises(InputError, match=message):
        benchmarks.load("official:bingo")


# -- data cards ---------------------------------------------------------------------------


def test_a_card_counts_what_is_missing_odd_and_twice(put):
    rows = [("a", "red", 2), ("b", "blue", None), ("c", "green", 0)]
    put(alpaca("m1", rows) | alpaca("m2", rows), alpacaeval.COMMIT)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        text, has = cards.card("alpacaeval"), cards.facts("alpacaeval")
    for line in (
        "queries 3, candidates 2, baseline text_davinci_003",
        "judged cells 4 of 6, missing 2",
        "wins 50.0%, draws 50.0%, losses 0.0%",
        "preferences that are not 1, 1.5 or 2: None: 2, 0: 2",
        "exact duplicates: m1 = m2",
        "licence: CC-BY-NC-4.0",
    ):
        assert line in text.splitlines()
    assert has["missing"] == 2 and has["win_rates"]["m1"] == 0.75 and "SIMULATED" not in text
    assert json.loads(json.dumps(has)) == has


def test_the_card_of_a_twin_says_simulated():
    assert "SIMULATED: no real data in it" in cards.card("twin:mediqa").splitlines()
    assert cards.facts("twin:mediqa")["simulated"]


# -- the real files -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "shape", "missing", "best"),
    [
        ("arena-hard", (500, 37), 5, "gpt-4o"),
        ("mt-bench", (80, 6), 61, "gpt-4"),
        ("humaneval", (164, 31), 0, "gpt-4"),
    ],
)
def test_the_real_files(mirror, name, shape, missing, best):
    pool = benchmarks.load(name, votes=False)
    assert pool.outcomes.shape == pool.responses.shape == shape
    assert (pool.outcomes == MISSING).sum() == missing
    assert pool.models[int(np.argmax(pool.win_rates()))] == best
    assert benchmarks.load(name, votes=False).content_hash == pool.content_hash  # from the cache


def test_what_the_data_notes_say_of_the_real_files(mirror):
    arena_pool = benchmarks.load("arena-hard", votes=False)
    wins = dict(zip(arena_pool.models, (arena_pool.outcomes == 1).mean(axis=0), strict=True))
    draws = dict(zip(arena_pool.models, (arena_pool.outcomes == 0).mean(axis=0), strict=True))
    for model, won, drawn in (
        ("gpt-4o", 0.79, 0.12),
        ("claude-3-5-sonnet-20240620", 0.78, 0.12),
        ("mistral-large-2407", 0.73, 0.15),
        ("gpt-3.5-turbo-0125", 0.15, 0.16),
    ):
        assert wins[model] == pytest.approx(won, abs=0.01)
        assert draws[model] == pytest.approx(drawn, abs=0.01)
    human = benchmarks.load("mt-bench", votes=False)
    row, column = np.argwhere(human.responses == "")[0]
    assert (human.queries[row], human.models[column]) == ("127", "llama-13b")
    for baseline in human.models:
        assert mt_bench.load(baseline).baseline == baseline
    passes = benchmarks.load("humaneval", votes=False)
    assert (np.delete(passes.outcomes, passes.baseline_index, 1) == 0).mean() == pytest.approx(
        0.746, abs=1e-3
    )
