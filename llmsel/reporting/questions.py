"""What the ablations and the data cards say, in words. See `llmsel.reporting.findings`."""

from __future__ import annotations

import pandas as pd

from llmsel._base import files as paths
from llmsel._base.intervals import mean_interval
from llmsel.reporting.findings import (
    BOARDS,
    OURS,
    RANDOM,
    Finding,
    advantage,
    cause,
    changes_without_baseline,
    code,
    header,
    join,
    listed,
    one_value,
    percent,
    points,
    present,
    register,
    spread,
    table,
    verdict,
)
from llmsel.studies.baselines import trend
from llmsel.studies.tables import read_table

ALL = "smol-mt-bench-humaneval-arena-hard-alpacaeval"
EXACT = ("code", "mathematics", "reasoning")
QUESTIONS: dict[str, Finding] = {}
question = register(QUESTIONS)


@question
def sanity() -> str:
    """Is a best model named when everything is annotated?"""
    rows = table("sanity.csv", ALL)
    wrong = int((rows["at full budget"] < 1 - 1e-6).sum())
    built = rows["pool"].nunique() - len(BOARDS)
    return (
        f"{'Yes' if not wrong else 'No'}: {len(rows) - wrong} of {len(rows)} pairs of pool and "
        f"strategy ({len(BOARDS)} benchmarks, {built} constructed pools, up to "
        f"{rows['strategy'].nunique()} strategies) name a best model in every run when everything "
        "is annotated."
    )


@question
def sensitivity() -> str:
    """How much eps matters: the default and the best pair against Random."""
    parts = []
    for board in present("sensitivity-fresh.csv"):
        rows = table("sensitivity-fresh.csv", board)
        rows = rows[rows["against"] == RANDOM].set_index("pair")
        default, best = rows.loc["default"], rows.loc["truly best"]
        parts.append(
            f"on `{board}` the default is {_advantage(default)}, the truly best pair "
            f"{_advantage(best)}"
        )
    share = float(one_value("sensitivity-fresh.csv", "share"))
    return listed(parts, f"At {percent(share)} of the pool, against random queries:")


def _advantage(row: pd.Series) -> str:
    return advantage(row["difference"], row["low"], row["high"])


@question
def candidates_only() -> str:
    """What leaving the baseline out of the belief changes, with intervals."""
    quoted = {board: f"`{board}`" for board in BOARDS}
    return f"Leaving it out {changes_without_baseline(quoted, intervals=True)}. So it is {cause()}."


@question
def strategies() -> str:
    """LLM Selector against the others, with the shuffled null."""
    links = {"ahead": "ahead of", "level": "level with", "behind": "behind"}
    parts = []
    for board in present("strategies-half.csv"):
        rows = table("strategies-half.csv", board).set_index("strategy")
        words = {name: verdict(row["low"], row["high"]) for name, row in rows.iterrows()}
        groups = {
            word: [_versus(str(name), rows) for name, said in words.items() if said == word]
            for word in links
        }
        said = [f"{links[word]} {join(names)}" for word, names in groups.items() if names]
        beaten, shuffles = _null(table("strategies-null.csv", board))
        parts.append(
            f"On `{board}` {', '.join(said)}; {beaten} of {shuffles} shuffles of the votes do as "
            "well."
        )
    return listed(parts)


def _versus(name: str, rows: pd.DataFrame) -> str:
    row = rows.loc[name]
    over = spread(row["query_low"], row["query_high"])
    return f"{name} ({points(row['difference'])}; over queries {over})"


def _null(rows: pd.DataFrame) -> tuple[int, int]:
    """Shuffles that match or beat the real votes, and all shuffles."""
    value = rows.set_index("votes")["value"]
    shuffles = value[value.index.str.startswith("shuffle")]
    return int((shuffles >= value["real"] - 1e-12).sum()), len(shuffles)


@question
def weak_judges() -> str:
    """Perfect judge, k-gram judges and shuffles, per board."""
    parts = []
    for board in present("weak-judges-noise.csv"):
        noise = table("weak-judges-noise.csv", board).set_index("flip")
        real = table("weak-judges-variants.csv", board).set_index("strategy").iloc[0]
        beaten, shuffles = _null(table("weak-judges-null.csv", board))
        pays = noise.index[noise["low"] > 0]
        until = f"still ahead at a flip rate of {percent(pays.max())}" if len(pays) > 1 else ""
        parts.append(
            f"on `{board}` a perfect judge is {_advantage(noise.loc[0])}"
            f"{', ' + until if until else ''}, the k-gram judges {_advantage(real)}, and {beaten} "
            f"of {shuffles} shuffles match or beat the real votes"
        )
    return listed(parts, "Against random queries:")


@question
def baseline_strength() -> str:
    """How the choice of the baseline matters."""
    parts = []
    for board in present("baseline-strength.csv"):
        rows = table("baseline-strength.csv", board)
        stars = table("star-winners.csv", board)
        ahead, behind = (rows["low"] > 0).sum(), (rows["high"] < 0).sum()
        ours = rows[OURS]
        outcomes = header("baseline-strength.csv", board)["outcomes"]
        parts.append(
            f"On `{board}` ({len(rows)} baselines, outcomes {outcomes}) LLM Selector's "
            f"identification ranges from {percent(ours.min())} to {percent(ours.max())}, "
            f"{_trend(rows)}; it is ahead of random queries with {ahead}, behind with {behind}; "
            f"the star winner is the Condorcet winner with {stars['is_condorcet'].sum()}, the "
            f"Borda winner with {stars['is_borda'].sum()}."
        )
    return listed(parts)


def _trend(rows: pd.DataFrame) -> str:
    """Rank correlation of strength and identification, as the notebook bootstraps it."""
    low, rho, high = trend(rows, OURS)
    words = {
        "ahead": "higher with a stronger one",
        "behind": "lower with a stronger one",
        "level": "with no clear trend in its strength",
    }
    word = words[verdict(low, high)]
    return f"{word} (rank correlation {rho:+.2f}, {low:+.2f} to {high:+.2f})"


@question
def domains() -> str:
    """Weak judges and advantage by kind of query, over the groups of both runs."""
    text = _kinds(table("domains.csv", ALL))
    runs = {
        "By kind, five benchmarks": text,
        "by category of `mt-bench`": _kinds(table("domains.csv", "mt-bench")),
    }
    return "; ".join(f"{name}: {said}" for name, said in runs.items()) + "."


def _kinds(rows: pd.DataFrame) -> str:
    single = rows[rows["group"] != "all"]
    exact = single["kind"].isin(EXACT)
    parts = []
    for name, some in (
        ("code, mathematics, reasoning", single[exact]),
        ("open text", single[~exact]),
    ):
        low, kappa, high = mean_interval(some["kappa"])
        gain_low, gain, gain_high = mean_interval(some["difference"])
        parts.append(
            f"over {len(some)} groups of {name} kappa {kappa:+.2f} ({low:+.2f} to {high:+.2f}), "
            f"against random queries {advantage(gain, gain_low, gain_high)}"
        )
    return ", ".join(parts)


@question
def universal_parameters() -> str:
    """What pairs chosen beforehand lose against a benchmark's own."""
    rows = table("universal-parameters.csv")
    names = {
        "others": "tuned on the other benchmarks",
        "default": "the default",
        RANDOM: "random queries",
        "weak votes": "tuned on the benchmark's own weak votes",
    }
    words, parts = {}, []
    for kind, name in names.items():
        low, lost, high = mean_interval(rows.loc[rows["tuned on"] == kind, "lost"])
        words[kind] = verdict(low, high)
        parts.append(f"{name} {points(lost)} ({spread(low, high)})")
    says = {"ahead": "No", "level": "Not shown", "behind": "Yes"}[words["others"]]
    return (
        f"{says}: points lost against a benchmark's own pair, mean over "
        f"{rows['benchmark'].nunique()} benchmarks: {', '.join(parts)}. {_tuned()}"
    )


def _tuned() -> str:
    parts = []
    for board in present("sensitivity-fresh.csv"):
        rows = table("sensitivity-fresh.csv", board)
        rows = rows[rows["against"] == RANDOM].set_index("pair")
        parts.append(f"{_advantage(rows.loc['tuned on weak votes'])} on `{board}`")
    return (
        "In the sensitivity runs the pair tuned on the weak votes is, against random queries, "
        f"{join(parts)}."
    )


@question
def failures() -> str:
    """Constructed faults that are flagged, and what real boards are warned of."""
    built = table("failure-signatures-constructed.csv", "smol")
    faults = [name for name in built["pool"].unique() if name != "healthy"]
    flagged = built[built["verdict"] == "warn"]
    seen = sum(((flagged["pool"] == name) & (flagged["check"] == name)).any() for name in faults)
    false = int((flagged["pool"] == "healthy").sum())
    warned: dict[str, list[str]] = {}
    for board in present("failure-signatures.csv"):
        rows = table("failure-signatures.csv", board)
        for check in rows.loc[rows["verdict"] == "warn", "check"]:
            warned.setdefault(check, []).append(board)
    real = "; ".join(f"{check} on {code(boards)}" for check, boards in warned.items())
    return (
        f"`llmsel.diagnose` flags {seen} of {len(faults)} constructed faults and {false} checks on "
        f"the healthy pool. On real data it warns of: {real}."
    )


@question
def greedy() -> str:
    """How close the greedy plan comes to the best subset."""
    parts = []
    for board in present("greedy.csv"):
        means = table("greedy.csv", board).groupby("pool").mean()
        low, plan, high = mean_interval(means["plan"])
        gain = mean_interval(means["best_informed"] - means["random"])
        kept = f"{percent(plan, 1)} ({percent(low, 1)} to {percent(high, 1)})"
        parts.append(
            f"On `{board}` the greedy plan keeps {kept} of the best subset's information, and "
            "without knowing the outcomes the adaptive rule reaches "
            f"{percent(means['information'].mean())} of it. In naming the best model the most "
            f"informative subset is {advantage(gain[1], gain[0], gain[2])} against a random one."
        )
    return listed(parts)


@question
def audit(*boards: str) -> str:
    """What a certificate costs by shared queries and by the audit, and what goes wrong."""
    every = sorted(path.parent.name for path in paths.RESULTS.glob("shaberi-*/audit.csv"))
    parts = []
    for board in boards or (*present("audit.csv"), *every):
        rows = table("audit.csv", board).set_index("method")
        change = table("audit-paired.csv", board).set_index("method").loc["audit, exact"]
        exact, runs = rows.loc["audit, exact"], header("audit.csv", board)["realizations"]
        margins = " and ".join(
            percent(rows.loc[f"audit, within {margin}", "share"], 1)
            for margin in ("1 point", "5 points")
        )
        parts.append(
            f"on `{board}` {percent(exact['share'], 1)} instead of "
            f"{percent(rows.loc[change['against'], 'share'], 1)} of judging everyone "
            f"({change['difference']:+.1f} points, {change['low']:+.1f} to {change['high']:+.1f}; "
            f"{margins} within 1 and 5 points), {exact['failures']:.0f} of {runs} wrong"
        )
    return f"By the audit {'; '.join(parts)}."


@question
def no_baseline() -> str:
    """What races over all pairs cost, beside an audit around one baseline of the same board."""
    parts = []
    for path in sorted(paths.RESULTS.glob("*/no-baseline.csv")):
        rows, made_by = read_table(path)
        about = (
            f"On `{path.parent.name}` ({made_by['models']} models, {made_by['pool_size']} queries)"
        )
        exact = rows[rows["delta"] == 0].set_index("rule")
        if exact["certified"].max() == 0:
            parts.append(f"{about} no race ends with an exact certificate: verdicts are missing.")
            continue
        star = next(rule for rule in exact.index if rule.startswith("star"))
        spent = {name: percent(exact.loc[name, "share"], 1) for name in exact.index}
        parts.append(
            f"{about} whom no model beats is certain after {spent['Condorcet']} of all "
            f"comparisons, the highest mean win rate after {spent['Borda']}, the best against "
            f"{star.removeprefix('star around ')} after {spent[star]}; with margins of 1 and 5 "
            f"points too, {rows['wrong'].sum()} of {rows['races'].sum()} certificates wrong."
        )
    return listed(parts)


@question
def two_judges() -> str:
    """What a cheap judge saves when it is free, and at the highest price that pays."""
    parts = []
    for path in sorted(paths.RESULTS.glob("*/two-judges-*.csv")):
        if path.stem.endswith("-course"):
            continue
        rows, made_by = read_table(path)
        free, paying = rows.iloc[0], rows[(rows["price"] > 0) & (rows["net_low"] > 0)]
        pays = "at no price does it pay"
        if len(paying):
            last = paying.iloc[-1]
            pays = f"at {last['price']:g} of a call {_saved(last, 'net')} of the bill"
        parts.append(
            f"`{made_by['cheap']}` beside `{made_by['benchmark']}` saves "
            f"{_saved(free, 'saved')} of the calls when it is free (its gauge said "
            f"{percent(free['said'] / 100, 1)}), {pays}"
        )
    return f"{'; '.join(parts)}."


def _saved(row: pd.Series, name: str) -> str:
    low, mean, high = (percent(row[f"{name}{end}"] / 100, 1) for end in ("_low", "", "_high"))
    return f"{mean} ({low} to {high})"


# -- data cards and links -----------------------------------------------------------------------


@question
def vote_agreement(board: str) -> str:
    """Agreement of the k-gram votes with the judge, over the orders k."""
    rows = table("weak-judges-agreement.csv", board)
    rows = rows[rows["judge"].str.startswith("k=")]
    at = [
        f"{row['judge']}: {percent(row['agreement'])}" for _, row in rows.iloc[[0, -1]].iterrows()
    ]
    low, high = rows["agreement"].min(), rows["agreement"].max()
    return f"{percent(low)} to {percent(high)} of cells ({', '.join(at)})"


@question
def draws(board: str) -> str:
    """Share of draws among a board's judged cells."""
    rows = table("domains.csv", ALL)
    row = rows[(rows["benchmark"] == board) & (rows["group"] == "all")].iloc[0]
    return percent(row["draws"], 1)


@question
def runs(notebook: str, *suffixes: str) -> str:
    """Link the committed runs of a notebook, those that exist."""
    found = [s for s in suffixes if (paths.RENDERED / f"{notebook}-{s}.ipynb").exists()]
    links = [f"[{s}](rendered/{notebook}-{s}.ipynb)" for s in found]
    return ", ".join(links) or "none yet"


@question
def pass_rates(*models: str) -> str:
    """Shares of HumanEval's tasks that models pass: those named, and the range of the others."""
    verdicts = pd.read_csv(paths.ROOT / "data" / "humaneval" / "verdicts.csv", index_col=0)
    rates = verdicts.mean()
    others = rates.drop(list(models))
    return (
        f"{', '.join(f'{model} {percent(rates[model])}' for model in models)}, the other "
        f"{len(others)} {percent(others.min())} to {percent(others.max())}"
    )
