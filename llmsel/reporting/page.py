"""Report: one decision as a self-contained HTML page.

All text is escaped by the template, and the page forbids itself scripts, links to other places and
every style but its own.
"""

from __future__ import annotations

import base64
import dataclasses
import hashlib
from collections import Counter
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

import jinja2
import markupsafe
import numpy as np
import pandas as pd
from matplotlib import style
from matplotlib.figure import Figure

from llmsel._base.errors import InputError
from llmsel._base.files import VERSION, write_atomically
from llmsel._base.intervals import wilson
from llmsel._base.verdicts import CERTAIN
from llmsel._base.words import counted, percent
from llmsel.judging.collect import verdict_of
from llmsel.judging.provenance import bias, remarks_of, warnings_of
from llmsel.judging.replay import Annotation, Contents, read_log
from llmsel.pool import MISSING, Pool
from llmsel.racing.pairs import comparisons, contestants, described, has_pairs
from llmsel.racing.race import RaceVerdict
from llmsel.reporting import figures
from llmsel.reporting.categories import told, winners_by_category
from llmsel.reporting.course import course
from llmsel.reporting.examples import examples
from llmsel.reporting.outputs import inline_svg
from llmsel.reporting.sides import sides
from llmsel.reporting.value import read_costs, shown, value_picture, value_table
from llmsel.session import Answer
from llmsel.studies.diagnose import diagnose, judge_is_candidate, near_duplicates

NAMES = {-1: "loss", 0: "draw", 1: "win", MISSING: "not judged"}
GENERATOR = f"llmsel {VERSION}"
TEXT = 200  # characters of a query's text that the list of annotations shows


def write_report(
    log: str | Path, pool: Pool, path: str | Path, *, answers: str | Path | None = None
) -> Path:
    """Write the report of an annotation log.

    Args:
        log: path of the log.
        pool: the pool that was annotated.
        path: of the HTML file; a report that is there is replaced.
        answers: what `llmsel generate` wrote, for prices and seconds; None leaves them out.

    Returns:
        The path.

    Raises:
        InputError: no log, a log of another pool, nothing annotated yet, or a file at ``path``
            that is no report of llmsel.
    """
    page = report(read_log(log, pool), answers=answers)
    path = Path(path)
    if path.is_file() and not _is_report(path.read_bytes()):
        raise InputError(f"'{path}' is there and is no report of llmsel; name another file.")
    if path.exists() and not path.is_file():  # a pipe or a device: nothing to keep whole
        path.write_text(page, encoding="utf-8")
        return path
    with write_atomically(path) as file:
        file.write(page.encode())
    return path


def _is_report(content: bytes) -> bool:
    """Tell whether a file is a page of llmsel, today's or an older one, or empty."""
    return not content or (content.startswith(b"<!DOCTYPE html>") and b"llmsel" in content)


def report(contents: Contents, *, answers: str | Path | None = None) -> str:
    """Build the page: warnings, decision, evidence, curve, provenance, diagnostics, annotations.

    Winners by category and prices stand on it where they are known. A log that holds a race reports
    its verdict, and counts every annotation; otherwise it reports what the session says, and counts
    finished queries.

    Raises:
        InputError: nothing annotated yet, or no query finished where there is no race.
    """
    session, pool = contents.session, contents.session.pool
    said = verdict_of(contents) or session.best()
    if not contents.given:
        raise InputError("the race has no annotation yet; there is nothing to report.")
    if isinstance(said, RaceVerdict):
        leaders, last, rows = said.winners, "in the race", _all_rows(contents)
        leaders = leaders or (_shown_candidate(pool, (), rows),)  # of a race that has no winner
    else:
        leaders, last = said.leaders, "P(best)"
        rows = np.array([row for _, row in session.history])
    return _template().render(
        policy=_policy(_css()),
        generator=GENERATOR,
        css=markupsafe.Markup(_css()),
        title=f"Which model for {pool.name}?" if pool.name else "Which model?",
        warnings=warnings_of(contents),
        statement=said.statement,
        remarks=said.remarks if isinstance(said, RaceVerdict) else remarks_of(contents),
        about=f"Pool '{pool.name}': {described(pool)}{_simulated(pool)}; {GENERATOR}.",
        last_column=last,
        evidence=_evidence(contents, rows, said),
        curve=_curve(pool, rows, pool.models.index(leaders[0])),
        leader=leaders[0],
        leads=not isinstance(said, RaceVerdict) or bool(said.winners),
        baseline=None if has_pairs(pool) else pool.baseline,
        seen=len(rows),
        queries=comparisons(pool) if has_pairs(pool) else pool.n_queries,
        opponents=_opponents(contents, leaders[0]),
        examples=examples(contents, _shown_candidate(pool, leaders, rows)),
        categories=_categories(contents, leaders[0]),
        value=_value(contents, answers),
        course=course(contents),
        diagnostics=_diagnostics(contents),
        checks=_checks(contents, rows),
        annotations=_annotations(pool, contents.given),
    )


@cache
def _template() -> jinja2.Template:
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("llmsel", "reporting"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template("page.html.j2")


@cache
def _css() -> str:
    return (Path(__file__).parent / "page.css").read_text(encoding="utf-8")


def _policy(css: str) -> str:
    """Content-Security-Policy: nothing is loaded, nothing runs, no style but this one."""
    digest = base64.b64encode(hashlib.sha256(css.encode()).digest()).decode()
    return (
        f"default-src 'none'; style-src 'sha256-{digest}'; img-src data:; base-uri 'none'; "
        "form-action 'none'"
    )


def _all_rows(contents: Contents) -> np.ndarray:
    """Outcomes of every query that has one, finished or not, in the order of the log.

    Over all pairs each comparison is a row of its own, with an outcome of two models.
    """
    pool = contents.session.pool
    if has_pairs(pool):
        played = sides(contents)
        rows = np.full((len(played) // 2, pool.n_models), MISSING, dtype=np.int8)
        for k, side in enumerate(played):
            rows[k // 2, pool.column(side.model)] = side.outcome
        return rows
    touched = [row for row in contents.rows.values() if row]
    rows = np.full((len(touched), pool.n_models), MISSING, dtype=np.int8)
    rows[:, pool.baseline_index] = 0
    for i, row in enumerate(touched):
        for model, entry in row.items():
            rows[i, pool.models.index(model)] = entry.outcome
    return rows


def _evidence(
    contents: Contents, rows: np.ndarray, said: RaceVerdict | Answer
) -> list[dict[str, Any]]:
    """One line per model, best first: outcomes, win rate, failures; its end in the race."""
    pool = contents.session.pool
    last = _ends(said, pairs=has_pairs(pool))
    failed = Counter(side.model for side in sides(contents) if side.outcome == MISSING)
    named = said.winners if isinstance(said, RaceVerdict) else said.leaders
    lines = []
    for model in contestants(pool):
        j = pool.column(model)
        wins, draws, losses = (int((rows[:, j] == code).sum()) for code in (1, 0, -1))
        judged = wins + draws + losses
        rate = (wins + draws / 2) / judged if judged else -1.0
        line = {
            "model": model,
            "baseline": model == pool.baseline,
            "named": model in named,
            "wins": wins,
            "draws": draws,
            "losses": losses,
            "judged": 0 if model == pool.baseline else judged,
            "failed": failed[model],
            "rate": f"{rate:.1%}" if judged else "not judged",
            "interval": "" if model == pool.baseline else _band(rate, judged, pool.n_queries),
            "last": last[model],
        }
        lines.append((rate, line))
    return [line for _, line in sorted(lines, key=lambda pair: -pair[0])]


def _band(rate: float, judged: int, n: int) -> str:
    """Write the 95 % interval of a rate; empty without any judgement."""
    if not judged:
        return ""
    low, high = _interval(rate, judged, n)
    return "exact" if low == high else f"{low:.1%} to {high:.1%}"


def _shown_candidate(pool: Pool, leaders: Sequence[str], rows: np.ndarray) -> str:
    """Name the candidate whose wins and losses are shown: the leader, or the best candidate."""
    named = [model for model in leaders if model != pool.baseline]
    if named:
        return named[0]
    points = np.where(rows == MISSING, 0, rows).sum(axis=0, dtype=np.int64)
    return max(pool.candidates, key=lambda model: points[pool.column(model)])


def _opponents(contents: Contents, leader: str) -> list[tuple[str, int, int, int]]:
    """Count a model's wins, draws and losses against each other one; only over all pairs."""
    if not has_pairs(contents.pool):
        return []
    counts: dict[str, Counter[int]] = {}
    for side in sides(contents):
        if side.model == leader and side.outcome != MISSING:
            counts.setdefault(side.against, Counter())[side.outcome] += 1
    return [(other, found[1], found[0], found[-1]) for other, found in sorted(counts.items())]


def _simulated(pool: Pool) -> str:
    return ", simulated" if pool.simulated else ""


def _categories(contents: Contents, leader: str) -> list[str]:
    """Winners by category, in sentences; of a race, what the leader has in each."""
    if contents.pool.categories is None:
        return []
    if contents.race is not None:
        return _leader_by_category(contents, leader)
    try:
        found = winners_by_category(contents)
    except InputError:  # every query lacks a judgement: there is nothing to compare
        return []
    return [*(each.statement for each in found), told(found)]


def _leader_by_category(contents: Contents, leader: str) -> list[str]:
    """Count a leader's outcomes in each category; a race compares no models within one."""
    pool = contents.pool
    counts: dict[str, Counter[int]] = {each: Counter() for each in pool.categories or ()}
    of = dict(zip(pool.queries, pool.categories or (), strict=True))
    for side in sides(contents):
        if side.model == leader and side.outcome != MISSING:
            counts[of[side.entry.query]][side.outcome] += 1
    lines = [
        f"{category}: '{leader}' has {counted(found[1], 'win')}, {counted(found[0], 'draw')} and "
        f"{found[-1]} {'loss' if found[-1] == 1 else 'losses'}."
        for category, found in counts.items()
        if found
    ]
    if lines:
        lines.append(
            "A race names no winner of a category, as it judges models on different queries."
        )
    return lines


def _value(contents: Contents, answers: str | Path | None) -> dict[str, Any] | None:
    """Win rate against price and seconds, drawn and as a table; None where none is known."""
    if answers is None or has_pairs(contents.pool):
        return None
    table = value_table(contents, read_costs(answers))
    if table.empty:
        return None
    return {"picture": markupsafe.Markup(value_picture(table)), "rows": shown(table)}


def _ends(said: RaceVerdict | Answer, *, pairs: bool) -> dict[str, str]:
    """Say by model how its race ended, or its chance to be the best of the pool."""
    if isinstance(said, Answer):
        return {model: percent(chance) for model, chance in said.chance.items()}
    ends = dict.fromkeys(said.live, "still in")
    what = "calls" if pairs else "queries"
    ends |= {model: f"dropped after {t} {what}" for model, t in said.dropped.items()}
    named = said.winners if said.calls else ()  # before that nobody leads
    return ends | dict.fromkeys(named, "named" if said.stop in CERTAIN else "leads")


def _curve(pool: Pool, rows: np.ndarray, leader: int) -> markupsafe.Markup | None:
    """Win rate of the present leader after each query, with its 95 % interval, as SVG."""
    column, n = rows[:, leader], pool.n_queries
    judged = np.cumsum(column != MISSING)
    points = np.cumsum(np.where(column == MISSING, 0, (column + 1.0) / 2))
    seen = judged > 0
    if not seen.any():
        return None
    rate = points[seen] / judged[seen]
    low, high = np.transpose([_interval(r, t, n) for r, t in zip(rate, judged[seen], strict=True)])
    table = pd.DataFrame(
        {"queries": np.flatnonzero(seen) + 1, "rate": rate, "low": low, "high": high}
    )
    with style.context("default"):  # a notebook's own theme would give the page another look
        figure = Figure(figsize=(7.2, 2.8), layout="constrained")
        axes = figure.subplots()
        figures.settling(table, axes)
        if has_pairs(pool):
            axes.set_xlabel("comparisons judged")
        drawn = inline_svg(figure, f"win rate of {pool.models[leader]}")
    return markupsafe.Markup(drawn)


def _interval(rate: float, judged: int, n: int) -> tuple[float, float]:
    """Wilson's interval of a rate over some of the n queries of a finite pool."""
    if judged >= n:
        return rate, rate
    low, high = wilson(np.array(rate), judged * (n - 1) / (n - judged))
    return float(low), float(high)


def _diagnostics(contents: Contents) -> list[tuple[str, object]]:
    given = contents.given
    lines: list[tuple[str, object]] = []
    for name in sorted({entry.by for entry in given}):
        lines += _judge_lines(name, [entry for entry in given if entry.by == name])
    first = [e.outcome for e in given if e.order == "candidate first" and e.outcome != MISSING]
    last = [e.outcome for e in given if e.order == "baseline first" and e.outcome != MISSING]
    if first and last:
        means = f"{np.mean(first):+.2f} / {np.mean(last):+.2f}"
        shown = "mean outcome, candidate shown first / second"
        lines.append((shown, f"{means} (a large gap is a position bias)"))
    if has_pairs(contents.pool):
        return lines
    partial = {e.query for e in given} - {query for query, _ in contents.session.history}
    return [*lines, ("queries not judged for every candidate", len(partial))]


def _judge_lines(name: str, given: Sequence[Annotation]) -> list[tuple[str, object]]:
    """Say what one judge gave, and how far it agrees with itself."""
    count = {word: sum(e.outcome == code for e in given) for code, word in NAMES.items()}
    lines: list[tuple[str, object]] = [
        (f"outcomes by {name}", ", ".join(f"{word} {k}" for word, k in count.items()))
    ]
    found = bias(given)
    if found["pairs"]:
        shares = f"(first {found['first']:.1%}, second {found['second']:.1%})"
        lines += [
            (f"{name}: judged in both orders", f"{found['pairs']} comparisons"),
            (f"{name}: both orders agree", f"{found['agreement']:.1%}"),
            (f"{name}: position bias", f"{found['position_bias']:.1%} {shares}"),
        ]
    return lines


def _checks(contents: Contents, rows: np.ndarray) -> list[tuple[object, ...]]:
    """Signatures of failure; of a race, those that do not need whole rows."""
    session = contents.session
    judge = ", ".join(sorted({entry.by for entry in contents.given}))
    if contents.race is None:
        found = diagnose(session, judge=judge).to_dict("records")
    else:
        pool, checks = contents.pool, [judge_is_candidate(contents.pool, judge)]
        if not has_pairs(pool):  # whose unused cells repeat an answer
            pool = pool.subset(queries=[query for query, row in contents.rows.items() if row])
            if (np.delete(rows, pool.baseline_index, axis=1) != MISSING).any():
                pool = pool.replace(outcomes=rows)
            checks.insert(0, near_duplicates(pool))
        found = [dataclasses.asdict(check) for check in checks]
    return [
        (c["check"], f"{c['number']:.3g}", f"{c['threshold']:.3g}", c["verdict"], c["advice"])
        for c in found
    ]


def _annotations(pool: Pool, given: Sequence[Annotation]) -> list[dict[str, str]]:
    texts = dict(zip(pool.queries, pool.texts or pool.queries, strict=True))
    return [
        {
            "query": e.query,
            "text": texts[e.query][:TEXT],
            "model": e.model,
            "outcome": NAMES[e.outcome],
            "order": e.order,
            "by": e.by,
            "time": e.time,
        }
        for e in given
    ]
