"""What the tables in data/results say, in words and tables of Markdown.

Every function here is the source of a passage in the documents (`llmsel.reporting.claims` puts it
there). Words that depend on numbers (ahead, behind, level; gains, loses) are chosen by the
numbers, so a sentence cannot outlive them. "Ahead" and "behind" mean that the 95 % interval
leaves 0 out, "level" that it does not.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence

import numpy as np
import pandas as pd

from llmsel._base import files as paths
from llmsel._base.errors import InputError
from llmsel.studies.efficiency import distinct_targets
from llmsel.studies.tables import read_table

Finding = Callable[..., str]
FINDINGS: dict[str, Finding] = {}

BOARDS = ("alpacaeval", "arena-hard", "mt-bench", "humaneval", "smol")
TITLES = {
    "alpacaeval": "AlpacaEval",
    "arena-hard": "Arena-Hard",
    "mt-bench": "MT-Bench",
    "humaneval": "HumanEval",
    "smol": "smol",
}
OURS, RANDOM, FOLLOW_UP = "LLM Selector", "Random", "Select-LLM"
PROMISED = 0.05  # wrong certificates, at most
ANYTIME, EVERYONE = "anytime allocation", "everyone, random order"
PEERS = {"SySRs": "SySRs", "sequential halving": "sequential halving", "UCB-E, a = 1": "UCB-E"}


def register(findings: dict[str, Finding]) -> Callable[[Finding], Finding]:
    """Make a decorator that keeps a function under its name, with hyphens."""

    def keep(function: Finding) -> Finding:
        findings[function.__name__.replace("_", "-")] = function
        return function

    return keep


finding = register(FINDINGS)


# -- tables and words ---------------------------------------------------------------------------


def table(name: str, board: str = "") -> pd.DataFrame:
    """Read a table of data/results; ``board`` is its folder."""
    return read_table(paths.RESULTS / board / name)[0]


def header(name: str, board: str) -> dict[str, object]:
    """Read what made a table."""
    return read_table(paths.RESULTS / board / name)[1]


def present(name: str) -> list[str]:
    """Boards that have a table."""
    return [board for board in BOARDS if (paths.RESULTS / board / name).exists()]


def points(value: float, sign: bool = True) -> str:
    """Write a share in points, with one decimal and never a negative zero."""
    number = round(100 * value, 1) + 0.0
    return f"{number:+.1f}" if sign else f"{abs(number):.1f}"


def percent(value: float, digits: int = 0) -> str:
    """Write a share in percent."""
    return f"{100 * value:.{digits}f} %"


def spread(low: float, high: float) -> str:
    """Write the interval of a difference in points."""
    return f"{points(low)} to {points(high)}"


def verdict(low: float, high: float) -> str:
    """Word for the interval of a difference."""
    return "ahead" if low > 0 else "behind" if high < 0 else "level"


def advantage(difference: float, low: float, high: float) -> str:
    """Write a difference with its word: "12.8 points behind (-15.1 to -10.5)"."""
    word = verdict(low, high)
    amount = f"level at {points(difference)}" if word == "level" else ""
    return f"{amount or f'{points(difference, sign=False)} points {word}'} ({spread(low, high)})"


def code(boards: Iterable[str]) -> str:
    """Join names of boards in code type."""
    return join([f"`{board}`" for board in boards])


def join(parts: Sequence[str]) -> str:
    """Join parts as a sentence does: a, b and c; "none" where there are none."""
    if len(parts) < 2:
        return parts[0] if parts else "none"
    return f"{', '.join(parts[:-1])} and {parts[-1]}"


def markdown(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Write a table of Markdown."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |".replace("|  |", "| |") for line in lines)


def listed(parts: Sequence[str], head: str = "") -> str:
    """Write parts as a list of Markdown, under a line that leads to it."""
    items = "\n".join(f"- {part}" for part in parts)
    return f"{head}\n\n{items}" if head else items


def by_word(words: dict[str, str], shown: dict[str, str]) -> str:
    """Group names that share a word: "ahead on a and b, behind on c"."""
    groups: dict[str, list[str]] = {}
    for name, word in words.items():
        groups.setdefault(word, []).append(shown[name])
    return ", ".join(f"{word} on {join(names)}" for word, names in groups.items())


# -- README: queries ----------------------------------------------------------------------------


@finding
def realizations() -> str:
    """Realizations of the main runs, which must be one number."""
    return one_value("efficiency.csv", "realizations")


def one_value(name: str, parameter: str) -> str:
    """Read a parameter that all boards' tables of a name must share."""
    values = {str(header(name, board)[parameter]) for board in present(name)}
    if len(values) != 1:
        raise InputError(f"{name} was made with {parameter} {join(sorted(values))}, not with one.")
    return values.pop()


def _needed(board: str, metric: str, level: float) -> pd.DataFrame:
    rows = table("efficiency.csv", board)
    rows = rows[(rows["metric"] == metric) & np.isclose(rows["level"], level)]
    if rows.empty:
        raise InputError(f"efficiency.csv of {board} has no '{metric}' at {level:g}.")
    return rows.set_index("strategy")


@finding
def queries_needed() -> str:
    """Annotations to 90 % of runs, for the best model and one within 1 %."""
    saves = "LLM Selector against the strongest (over pools; over queries)"
    head = ["", RANDOM, "strongest of the paper's baselines", OURS, FOLLOW_UP, saves]
    rows = []
    for board in BOARDS:
        size = header("efficiency.csv", board)["pool_size"]
        for metric, target in (("identification", "best"), ("near-best 1 %", "within 1 %")):
            need = _needed(board, metric, 0.9)
            strongest = need["strongest"].iloc[0]
            cells = [_count(need["budget"].get(name)) for name in (RANDOM, OURS, FOLLOW_UP)]
            top = f"{_count(need.loc[strongest, 'budget'])} ({strongest})"
            title = f"{TITLES[board]} (pools of {size}), {target}"
            rows.append([title, cells[0], top, *cells[1:], _change(board, metric)])
    return markdown(head, rows)


def _change(board: str, metric: str) -> str:
    """Annotations of LLM Selector against the strongest baseline, in %, with both intervals."""
    rows = table("efficiency-queries.csv", board)
    row = rows[(rows["metric"] == metric) & np.isclose(rows["level"], 0.9)].iloc[0]
    value, *ends = (
        f"{round(-100 * row[f'vs_strongest{end}']) + 0:+d}"
        for end in ("", "_high", "_low", "_query_high", "_query_low")
    )
    return f"{value} % ({ends[0]} to {ends[1]}; {ends[2]} to {ends[3]})"


def _count(budget: float | None) -> str:
    return "-" if budget is None else "never" if math.isnan(budget) else f"{budget:.0f}"


def _targets() -> pd.DataFrame:
    return distinct_targets({board: table("efficiency-queries.csv", board) for board in BOARDS})


@finding
def targets() -> str:
    """In how many distinct targets LLM Selector needs fewer or more annotations."""
    rows = _targets()
    fewer, more = (rows["vs_strongest_low"] > 0).sum(), (rows["vs_strongest_high"] < 0).sum()
    sure = (rows["vs_strongest_query_low"] > 0).sum(), (rows["vs_strongest_query_high"] < 0).sum()
    top = rows.loc[rows["vs_strongest"].idxmax()]
    return (
        f"of {len(rows)} distinct targets (best and near-best on {len(BOARDS)} real benchmarks, "
        "for 90 and 95 % of runs, counted once where they coincide) LLM "
        f"Selector needs fewer annotations than the strongest baseline in {fewer}, more in {more}, "
        f"and the interval leaves it open in {len(rows) - fewer - more} (over queries: fewer in "
        f"{sure[0]}, more in {sure[1]}); the largest saving is "
        f"{percent(top['vs_strongest'])} (interval {percent(top['vs_strongest_low'])} to "
        f"{percent(top['vs_strongest_high'])}; {top['metric']} on {TITLES[top['board']]}, "
        f"{percent(top['level'])} of runs)"
    )


@finding
def against_random() -> str:
    """Near-best annotations of LLM Selector against Random, in words."""
    pools, queries = {}, {}
    for board in BOARDS:
        rows = table("efficiency-queries.csv", board).set_index(["metric", "level"])
        row = rows.loc[("near-best 1 %", 0.9)]
        pools[board] = verdict(row["vs_random_low"], row["vs_random_high"])
        queries[board] = verdict(row["vs_random_query_low"], row["vs_random_query_high"])
    return (
        f"To an answer within 1 % of the best in 90 % of runs it is {by_word(pools, TITLES)} "
        f"against Random (over queries: {by_word(queries, TITLES)})"
    )


def without_baseline_rows() -> pd.DataFrame:
    """Candidates-only against the default, per board."""
    rows = []
    for board in present("sensitivity-fresh.csv"):
        fresh = table("sensitivity-fresh.csv", board)
        fresh = fresh[(fresh["pair"] == "candidates only") & (fresh["against"] == "default")]
        rows.append(fresh.assign(board=board, change=fresh["difference"]))
    return pd.concat(rows, ignore_index=True).sort_values("change", ascending=False)


def changes_without_baseline(titles: dict[str, str], *, intervals: bool) -> str:
    """Say on which boards leaving the baseline out gains and loses, by these titles."""
    verbs = {"ahead": "gains", "behind": "loses", "level": "cannot be told from the default with"}
    groups: dict[str, list[str]] = {}
    for row in without_baseline_rows().itertuples():
        word = verdict(row.low, row.high)
        amount = points(row.change, sign=word == "level")
        text = f"{amount} points on {titles[row.board]}"
        said = f"{text} ({spread(row.low, row.high)})" if intervals else text
        groups.setdefault(verbs[word], []).append(said)
    return "; it ".join(f"{verb} {join(parts)}" for verb, parts in groups.items())


def cause() -> str:
    """Whether the baseline in the belief does the harm, and whether leaving it out cures it."""
    words = {verdict(row.low, row.high) for row in without_baseline_rows().itertuples()}
    if "ahead" not in words:
        return "no cause"
    return "a cause, and no cure" if "behind" in words else "a cause, and the cure"


@finding
def without_baseline() -> str:
    """What leaving the baseline out of the belief changes, in short."""
    share = float(one_value("sensitivity-fresh.csv", "share"))
    return (
        f"At {percent(share)} of the pool, identification with the baseline left out of the "
        f"belief {changes_without_baseline(TITLES, intervals=False)}. So it is {cause()}"
    )


# -- README: calls ------------------------------------------------------------------------------


def _summary(board: str) -> pd.DataFrame:
    return table("race-summary.csv", board).set_index("method")


def _at(board: str, share: float) -> pd.DataFrame:
    """Every method's identification at the stored share of the calls that is nearest."""
    curve = table("race-curves.csv.gz", board)
    far = (curve["share"] - share).abs()
    return curve.loc[far.groupby(curve["method"]).idxmin()].set_index("method")


def _stop(board: str, method: str) -> str:
    row = _summary(board).loc[method]
    text = f"{percent(row['share'], 1)} of the calls, right in {percent(row['correct'], 1)}"
    if row["certified"]:
        text += f"; {row['wrong']:.0f} of {row['certified']:.0f} certificates wrong"
    return text


@finding
def race_table() -> str:
    """Where races stop, and what is named at equal calls, on the two large boards."""
    boards = ("alpacaeval", "arena-hard")
    sizes = [header("race-summary.csv", board)["pool_size"] for board in boards]
    titles = [f"{TITLES[b]}, pools of {size}" for b, size in zip(boards, sizes, strict=True)]
    stops = {
        "audit race, as `llmsel judge` runs it, stops after": "audit, exact",
        "audit within 1 point stops after": "audit, within 1 point",
        "audit within 5 points stops after": "audit, within 5 points",
        "certified race stops after": "race, certified",
        "certified within 5 points stops after": "race, certified within 5 points",
        "heuristic race (no guarantee) stops after": "race, heuristic",
        "anytime allocation, certified, stops after": ANYTIME,
        "LUCB stops after": "LUCB, paired",
    }
    rows = [[title, *(_stop(b, method) for b in boards)] for title, method in stops.items()]
    methods = [ANYTIME, *PEERS, EVERYONE]
    names = " / ".join(["anytime", *PEERS.values(), "everyone"])
    for share in (0.05, 0.1, 0.2):
        at = [_at(board, share)["value"] for board in boards]
        cells = [" / ".join(f"{100 * values[m]:.0f}" for m in methods) for values in at]
        rows.append(
            [f"best model named (% of runs) after {percent(share)} of the calls: {names}", *cells]
        )
    return markdown(["", *titles], rows)


def _against_best_peer(board: str, share: float) -> tuple[str, float, float, float]:
    """Name of the best peer; anytime minus it: difference, low, high.

    The interval is Newcombe's, from the two Wilson intervals. The runs share their pools, which
    it does not use: it is wider than a paired one.
    """
    at = _at(board, share)
    peer = str(at.loc[list(PEERS), "value"].idxmax())
    a, b = at.loc[ANYTIME], at.loc[peer]
    gap = a["value"] - b["value"]
    low = gap - math.hypot(a["value"] - a["low"], b["high"] - b["value"])
    high = gap + math.hypot(a["high"] - a["value"], b["value"] - b["low"])
    return PEERS[peer], gap, low, high


@finding
def anytime_against_peers() -> str:
    """Anytime allocation against the best peer at equal calls, board by board."""
    shares = (0.05, 0.1, 0.2, 0.3)
    head = ["", *(f"{percent(share)} of the calls" for share in shares)]
    boards = present("race-curves.csv.gz")
    return markdown(head, [[TITLES[b], *(_versus_peer(b, s) for s in shares)] for b in boards])


def _versus_peer(board: str, share: float) -> str:
    peer, gap, low, high = _against_best_peer(board, share)
    link = {"ahead": "ahead of", "behind": "behind", "level": "level with"}[verdict(low, high)]
    return f"{link} {peer}, {points(gap)} ({spread(low, high)})"


@finding
def race_realizations() -> str:
    """Realizations of the races, which must be one number."""
    return one_value("race-summary.csv", "realizations")


@finding
def anytime_stop() -> str:
    """When the anytime allocation stops against the certified race."""
    parts: dict[str, list[str]] = {}
    for board in present("race-summary.csv"):
        share = _summary(board)["share"]
        later = share[ANYTIME] > share["race, certified"]
        parts.setdefault("later" if later else "no later", []).append(TITLES[board])
    return ", ".join(
        f"{word} than the certified race on {join(names)}" for word, names in parts.items()
    )


@finding
def race_protocol(board: str) -> str:
    """Size of a board's races."""
    made, cells = header("race-summary.csv", board), _summary(board).loc[EVERYONE, "calls"]
    return (
        f"{TITLES[board]}, {round(cells / float(str(made['pool_size'])))} candidates, "
        f"{made['realizations']} random pools of {made['pool_size']} queries"
    )


@finding
def anytime_short() -> str:
    """On which boards the anytime allocation is ahead of the best peer, at few calls."""
    said = []
    for share in (0.05, 0.1):
        words: dict[str, list[str]] = {}
        for board in present("race-curves.csv.gz"):
            _, _, low, high = _against_best_peer(board, share)
            words.setdefault(verdict(low, high), []).append(TITLES[board])
        parts = [f"{word} on {join(names)}" for word, names in sorted(words.items())]
        said.append(f"at {percent(share)} of the calls {', '.join(parts)}")
    return "; ".join(said)


@finding
def race_validity() -> str:
    """How often rules are wrong on pools made to tempt them."""
    rows, attacks = table("race-validity.csv", "hostile"), table("race-attacks.csv", "hostile")
    sure = pd.concat([rows[rows["certifies"]], attacks])
    top = sure.loc[sure["wrong"].idxmax()]
    loose = rows.loc[rows["rule"] == "heuristic, z = 3", "wrong"].max()
    count = len(set(rows["pool"]) | set(attacks["pool"]))
    beyond = int((sure["low"] > PROMISED).sum())
    return (
        f"on {count} pools a rule with a certificate was wrong in at most "
        f"{percent(top['wrong'], 1)} of the races ({percent(top['low'], 1)} to "
        f"{percent(top['high'], 1)}; {top['pool']}), clearly beyond the promised "
        f"{percent(PROMISED)} on {beyond or 'none'}; the heuristic rule in up to {percent(loose)}"
    )
