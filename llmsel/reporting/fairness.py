"""What the studies that are fair to the paper say, in words. See `llmsel.reporting.findings`."""

from __future__ import annotations

import pandas as pd

from llmsel.reporting.findings import (
    OURS,
    RANDOM,
    TITLES,
    Finding,
    advantage,
    header,
    join,
    listed,
    markdown,
    percent,
    points,
    present,
    register,
    spread,
    table,
    verdict,
)
from llmsel.studies import tuning

FAIRNESS: dict[str, Finding] = {}
fair = register(FAIRNESS)
TUNED = "LLM Selector, tuned"
LINKS = {"ahead": "ahead of", "level": "level with", "behind": "behind"}


def _boards(name: str) -> dict[str, pd.DataFrame]:
    return {board: table(name, board) for board in present(name)}


@fair
def over_queries() -> str:
    """LLM Selector against Random with both intervals, per board."""
    parts, words = [], []
    for board, rows in _boards("strategies-half.csv").items():
        row = rows.set_index("strategy").loc[RANDOM]
        words.append(verdict(row["query_low"], row["query_high"]))
        pools, queries = (
            spread(row["low"], row["high"]),
            spread(row["query_low"], row["query_high"]),
        )
        parts.append(
            f"on {TITLES[board]} {points(row['difference'])} points ({pools} over pools, {queries} "
            f"over queries; the same sign on {row['same_sign']:.0f} of {row['halves']:.0f} halves)"
        )
    told = sum(word != "level" for word in words)
    return (
        "Against random queries, mean over the budgets up to half of the pool: "
        f"{', '.join(parts)}. "
        f"Over queries the advantage is told from 0 on {told} of {len(words)} boards"
    )


@fair
def over_queries_short() -> str:
    """On how many boards LLM Selector's advantage over Random is told from 0 over queries."""
    words = {
        board: verdict(*rows.set_index("strategy").loc[RANDOM, ["query_low", "query_high"]])
        for board, rows in _boards("strategies-half.csv").items()
    }
    parts = [
        f"{word} on {join([TITLES[b] for b, said in words.items() if said == word])}"
        for word in ("ahead", "behind", "level")
        if word in words.values()
    ]
    return f"{', '.join(parts)} (95 % intervals over queries)"


@fair
def readings() -> str:
    """Does the verdict against a named method hang on how its name is read?"""
    parts = []
    for board, forms in _boards("strategies-forms.csv").items():
        hangs = [
            method
            for method, some in forms.groupby("method", sort=False)
            if len({verdict(r.low, r.high) for r in some.itertuples()}) > 1
        ]
        over = [
            method
            for method, some in forms.groupby("method", sort=False)
            if len({verdict(r.query_low, r.query_high) for r in some.itertuples()}) > 1
        ]
        parts.append(f"on `{board}` for {join(hangs)} (over queries: {join(over)})")
    count = "three readings each of Uncertainty, Confidence, Bradley-Terry and Select-LLM"
    return f"Of {count} the verdict against LLM Selector hangs on the reading {', '.join(parts)}."


@fair
def one_similarity() -> str:
    """Select-LLM with one similarity, beside our form of it."""
    parts = []
    for board, forms in _boards("strategies-forms.csv").items():
        some = forms[forms["method"] == "Select-LLM"].set_index("strategy")
        said = [
            f"{LINKS[verdict(row['low'], row['high'])]} {name} ({points(row['difference'])})"
            for name, row in some.iterrows()
        ]
        parts.append(f"on `{board}` LLM Selector is {join(said)}")
    return f"{'; '.join(parts)}."


def _budget(rows: pd.DataFrame, strategy: str, metric: str) -> str:
    some = rows[(rows["strategy"] == strategy) & (rows["metric"] == metric)]
    value = some.loc[(some["level"] - 0.9).abs() < 1e-9, "budget"].iloc[0]
    return "never" if pd.isna(value) else f"{value:.0f}"


@fair
def tuned_needed() -> str:
    """Annotations with the default and with the tuned eps, on the same pools."""
    head = ["", RANDOM, f"{OURS}, default", TUNED, "tuned pairs by seed", "tuned against default"]
    rows = []
    for board, seeds in _boards("tuning-seeds.csv").items():
        needed = table("tuning-efficiency.csv", board)
        made = header("tuning-efficiency.csv", board)
        pairs = [f"({a:g}, {b:g})" for a, b in zip(seeds.eps_loss, seeds.eps_draw, strict=True)]
        gain = advantage(*seeds.loc[0, ["difference", "low", "high"]])
        for metric, target in (("identification", "best"), ("near-best 1 %", "within 1 %")):
            title = (
                f"{TITLES[board]}, {made['realizations']} pools of {made['pool_size']}, {target}"
            )
            cells = [_budget(needed, name, metric) for name in (RANDOM, OURS, TUNED)]
            last = ["-", "-"] if target != "best" else [join(list(dict.fromkeys(pairs))), gain]
            rows.append([title, *cells, *last])
    return markdown(head, rows)


@fair
def tuned() -> str:
    """Is eps tuned on the weak judges better than the default, and stable?"""
    words: dict[str, list[str]] = {}
    stable = []
    boards = _boards("tuning-seeds.csv")
    for board, seeds in boards.items():
        first = seeds.iloc[0]
        words.setdefault(verdict(first["low"], first["high"]), []).append(TITLES[board])
        if len(seeds[["eps_loss", "eps_draw"]].drop_duplicates()) == 1:
            stable.append(TITLES[board])
    said = [
        f"{text} on {join(words[word])}"
        for word, text in (("ahead", "better"), ("behind", "worse"), ("level", "no different"))
        if word in words
    ]
    return (
        f"eps tuned on the weak judges is, against the default, {', '.join(said)}; another seed "
        f"gives the same pair on {len(stable)} of {len(boards)} boards ({join(stable)})"
    )


@fair
def tuning_cost() -> str:
    """What one tuning takes."""
    return f"no judgement and {tuning.cost():,} runs of LLM Selector on the weak judges"


@fair
def clones() -> str:
    """What four clones of a model change, per board."""
    parts = []
    for board, effects in _boards("clones.csv").items():
        own = effects[effects["strategy"] == OURS]
        family = effects[effects["strategy"] == "LLM Selector, family prior"]
        races = table("clones-races.csv", board)
        changed, kept = percent(own["set"].mean()), percent(family["set"].mean())
        grows, shrinks = (own["low"] > 0).sum(), (own["high"] < 0).sum()
        wrong, certified = races["wrong"].sum(), races["certified"].sum()
        parts.append(
            f"on `{board}` they change the annotated queries in {changed} of the pools (with a "
            f"prior by family in {kept}), the gap grows in {grows} and shrinks in {shrinks} of "
            f"{len(own)} cases, and {wrong:.0f} of {certified:.0f} certificates are wrong"
        )
    return listed(parts, "Four clones of a candidate:")


@fair
def cheap_judges(board: str) -> str:
    """Real cheap judges as the weak judge: advantage over random queries."""
    rows = table("cheap-judges.csv", board)
    ours = rows[rows["strategy"].str.contains(": ")]
    ours = ours[~ours["strategy"].str.startswith(("Uncertainty", "Confidence"))]
    votes = ours["strategy"].str.split(": ").str[1]
    together = votes.isin(["all cheap judges", "shuffled", "truth"])
    ours = ours[together | ~votes.eq("all cheap judges").any()]  # three alike are one line
    said = [
        f"{row.strategy.replace(': ', ' eps, ')} {advantage(row.difference, row.low, row.high)}, "
        f"{spread(row.query_low, row.query_high)} over queries"
        for row in ours.itertuples()
    ]
    free = table("cheap-judges-free.csv", board).iloc[0]
    return (
        f"LLM Selector against random queries: {'; '.join(said)}. The cheap judges' favourite is a "
        f"best model in {percent(free['free'])} of the pools without any annotation, that of "
        f"random queries after half of the pool in {percent(free['random_at_half'])}."
    )


@fair
def belief_calibration() -> str:
    """How far the belief and the bootstrap are from what happens."""
    rows = table("calibration.csv")
    parts = []
    for board, some in rows[rows["queries"] == OURS].groupby("benchmark", sort=False):
        by = some.set_index("source")
        belief = by.loc["belief"]
        sure = (
            ""
            if pd.isna(belief["sure_wrong"])
            else (f", where it is certain wrong in {percent(belief['sure_wrong'])}")
        )
        parts.append(
            f"on `{board}` the belief says {percent(belief['said'])} and is right in "
            f"{percent(belief['right'])}{sure} (bootstrap: {percent(by.loc['bootstrap', 'said'])}, "
            f"right in {percent(by.loc['bootstrap', 'right'])})"
        )
    return f"With LLM Selector's queries, {'; '.join(parts)}."


@fair
def modes() -> str:
    """The paper's targets in both modes, default and tuned."""
    rows = table("targets.csv", "paper")
    parts = []
    for (mode, method), some in rows[rows["strategy"].isin([OURS, TUNED])].groupby(
        ["mode", "strategy"], sort=False
    ):
        fewer = int((some["vs_strongest_low"] > 0).sum())
        more = int((some["vs_strongest_high"] < 0).sum())
        parts.append(f"mode {mode}, {method}: fewer in {fewer}, more in {more} of {len(some)}")
    return (
        f"Annotations against the strongest baseline on {rows['benchmark'].nunique()} boards, best "
        f"and near-best: {'; '.join(parts)}"
    )
