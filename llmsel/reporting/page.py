"""Report: one decision as a self-contained HTML page. All text is escaped."""

from __future__ import annotations

import dataclasses
import html
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np

from llmsel._base.errors import InputError
from llmsel._base.files import VERSION
from llmsel._base.intervals import wilson
from llmsel.judging.collect import bias, certificate
from llmsel.judging.replay import Annotation, Contents, read_log
from llmsel.pool import MISSING, Pool
from llmsel.race import Certificate
from llmsel.session import Session
from llmsel.studies.diagnose import diagnose, judge_is_candidate, near_duplicates

STYLE = """body{font:16px/1.5 system-ui,sans-serif;max-width:60em;margin:2em auto;padding:0 1em}
table{border-collapse:collapse;width:100%;margin:1em 0}th{white-space:nowrap}
td,th{border-bottom:1px solid #ccc;padding:.3em .6em;text-align:left;vertical-align:top;
overflow-wrap:anywhere}.lead{font-size:1.3em}details{margin:1em 0}
svg text{font:12px system-ui,sans-serif}"""
NAMES = {-1: "loss", 0: "draw", 1: "win", MISSING: "not judged"}


def write_report(log: str | Path, pool: Pool, path: str | Path) -> Path:
    """Write the report of an annotation log.

    Args:
        log: path of the log.
        pool: the pool that was annotated.
        path: of the HTML file.

    Raises:
        InputError: no log, a log of another pool, or nothing annotated yet.
    """
    page = report(read_log(log, pool))
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(page, encoding="utf-8")
    return path


def report(contents: Contents) -> str:
    """Build the page: decision, evidence, curve, diagnostics, annotations.

    A log that holds a race reports its certificate, and counts every annotation; otherwise it
    reports what the session says, and counts finished queries.

    Raises:
        InputError: nothing annotated yet, or no query finished where there is no race.
    """
    session, given = contents.session, contents.given
    pool, held = session.pool, certificate(contents)
    if held is None:
        answer = session.best()
        statement, leaders = answer.statement, answer.leaders
        rows = np.array([row for _, row in session.history])
        how = f"queries chosen by {session.strategy!r}"
    else:
        if not given:
            raise InputError("the race has no annotation yet; there is nothing to report.")
        statement, leaders, rows = held.statement, held.winners, _all_rows(contents)
        how = _settings(contents)
    head = f"Which model for {pool.name}?" if pool.name else "Which model?"
    parts = [
        f"<h1>{html.escape(head)}</h1>",
        f"<p class='lead'>{html.escape(statement)}</p>",
        f"<p>{html.escape(repr(pool))}; {html.escape(how)}; llmsel {html.escape(VERSION)}.</p>",
        "<h2>Evidence</h2>",
        _evidence(session, rows, held),
        "<h2>How the win rate settled</h2>",
        _curve(pool, rows, pool.models.index(leaders[0])),
        "<h2>Diagnostics</h2>",
        _diagnostics(contents),
        _checks(contents, rows),
        "<h2>Annotations</h2>",
        f"<details><summary>{len(given)} outcomes</summary>{_annotations(pool, given)}</details>",
    ]
    return (
        "<!DOCTYPE html>\n<html lang='en'><head><meta charset='utf-8'>"
        f"<title>{html.escape(head)}</title><style>{STYLE}</style></head>\n<body>\n"
        + "\n".join(parts)
        + "\n</body></html>\n"
    )


def _settings(contents: Contents) -> str:
    """Say how the race was run."""
    settings = dict(contents.race or {})
    rule = dict(settings.pop("rule"))
    name = rule.pop("name")
    order = "in random order" if settings.pop("order") is None else "in an order of its own"
    shown = ", ".join(f"{key} {value}" for key, value in {**rule, **settings}.items())
    return f"a race {order}, {name} rule with {shown}"


def _all_rows(contents: Contents) -> np.ndarray:
    """Outcomes of every query that has one, finished or not, in the order of the log."""
    pool = contents.session.pool
    touched = [row for row in contents.rows.values() if row]
    rows = np.full((len(touched), pool.n_models), MISSING, dtype=np.int8)
    rows[:, pool.baseline_index] = 0
    for i, row in enumerate(touched):
        for model, entry in row.items():
            rows[i, pool.models.index(model)] = entry.outcome
    return rows


def _table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    def line(cells: Sequence[object], tag: str) -> str:
        return "<tr>" + "".join(f"<{tag}>{html.escape(str(c))}</{tag}>" for c in cells) + "</tr>"

    body = "\n".join(line(row, "td") for row in rows)
    return f"<table>{line(head, 'th')}\n{body}</table>"


def _evidence(session: Session, rows: np.ndarray, held: Certificate | None) -> str:
    """One line per model, best first: outcomes, win rate; and belief, or its end in the race."""
    if held is None:
        belief = session.best().belief
        title, last = "P(best), by the model", {m: f"{p:.1%}" for m, p in belief.items()}
    else:
        title, last = "in the race", dict.fromkeys(held.live, "still in")
        last |= {m: f"dropped after {t} queries" for m, t in held.dropped.items()}
        last |= dict.fromkeys(held.winners, "named")
    lines = []
    for j, model in enumerate(session.pool.models):
        column = rows[:, j]
        count = [int((column == code).sum()) for code in (1, 0, -1)]
        judged = sum(count)
        rate = (count[0] + count[1] / 2) / judged if judged else float("nan")
        name = model + (" (baseline)" if model == session.pool.baseline else "")
        shown = f"{rate:.1%}" if judged else "not judged"
        lines.append((rate if judged else -1, [name, *count, judged, shown, last[model]]))
    lines.sort(key=lambda line: -line[0])
    return _table(
        ("model", "wins", "draws", "losses", "judged", "win rate", title),
        (cells for _, cells in lines),
    )


def _curve(pool: Pool, rows: np.ndarray, leader: int) -> str:
    """Win rate of the present leader after each query, with its 95 % interval, as SVG."""
    column = rows[:, leader]
    judged = np.cumsum(column != MISSING)
    points = np.cumsum(np.where(column == MISSING, 0, (column + 1.0) / 2))
    n = pool.n_queries
    seen = judged > 0
    if not seen.any():
        return "<p>The leader has no judged query.</p>"
    x, t = (np.flatnonzero(seen) + 1).astype(float), judged[seen]
    rate = points[seen] / t
    effective = np.where(t < n, t * (n - 1) / np.maximum(n - t, 1e-9), 1e12)
    low, high = wilson(rate, effective)  # type: ignore[arg-type]
    width, height, pad = 640, 240, 40

    def at(i: float, value: float) -> str:
        across = pad + (width - 2 * pad) * (i / max(len(rows), 1))
        return f"{across:.1f},{height - pad - (height - 2 * pad) * value:.1f}"

    band = [at(i, v) for i, v in zip(x, high, strict=True)]
    band += [at(i, v) for i, v in zip(x[::-1], low[::-1], strict=True)]
    line = " ".join(at(i, v) for i, v in zip(x, rate, strict=True))
    marks = "".join(
        f"<text x='4' y='{height - pad - (height - 2 * pad) * v + 4:.0f}'>{v:.0%}</text>"
        f"<line x1='{pad}' x2='{width - pad}' y1='{height - pad - (height - 2 * pad) * v:.0f}' "
        f"y2='{height - pad - (height - 2 * pad) * v:.0f}' stroke='#ddd'/>"
        for v in (0, 0.5, 1)
    )
    name = html.escape(pool.models[leader])
    return (
        f"<svg viewBox='0 0 {width} {height}' role='img' aria-label='win rate of {name}'>{marks}"
        f"<polygon points='{' '.join(band)}' fill='#4c72b0' opacity='0.2'/>"
        f"<polyline points='{line}' fill='none' stroke='#4c72b0' stroke-width='2'/>"
        f"<text x='{width / 2:.0f}' y='{height - 8}' text-anchor='middle'>annotated queries "
        f"(1 to {len(rows)} of {n})</text></svg><p>Win rate of {name}, today's leader, with its "
        "95 % interval: valid for queries drawn at random, a guide otherwise.</p>"
    )


def _diagnostics(contents: Contents) -> str:
    given = contents.given
    lines: list[tuple[str, object]] = []
    for name in sorted({entry.by for entry in given}):
        mine = [entry for entry in given if entry.by == name]
        count = {NAMES[code]: sum(e.outcome == code for e in mine) for code in NAMES}
        lines.append((f"outcomes by {name}", ", ".join(f"{k} {v}" for k, v in count.items())))
        found = bias(mine)
        if found["pairs"]:
            lines.append((f"{name}: judged in both orders", f"{found['pairs']} comparisons"))
            lines.append((f"{name}: both orders agree", f"{found['agreement']:.1%}"))
            lines.append(
                (
                    f"{name}: position bias",
                    f"{found['position_bias']:.1%} (first {found['first']:.1%}, second "
                    f"{found['second']:.1%})",
                )
            )
    first = [e.outcome for e in given if e.order == "candidate first" and e.outcome != MISSING]
    last = [e.outcome for e in given if e.order == "baseline first" and e.outcome != MISSING]
    if first and last:
        lines.append(
            (
                "mean outcome, candidate shown first / second",
                f"{np.mean(first):+.2f} / {np.mean(last):+.2f} (a large gap is a position bias)",
            )
        )
    partial = {e.query for e in given} - {query for query, _ in contents.session.history}
    lines.append(("queries not judged for every candidate", len(partial)))
    return _table(("what", "value"), lines)


def _checks(contents: Contents, rows: np.ndarray) -> str:
    """Signatures of failure; of a race, those that do not need whole rows."""
    session = contents.session
    judge = ", ".join(sorted({entry.by for entry in contents.given}))
    if contents.race is None:
        found = diagnose(session, judge=judge).to_dict("records")
    else:
        touched = [query for query, row in contents.rows.items() if row]
        pool = session.pool.subset(queries=touched).replace(outcomes=rows)
        checks = (near_duplicates(pool), judge_is_candidate(pool, judge))
        found = [dataclasses.asdict(check) for check in checks]
    return _table(
        ("check", "number", "threshold", "verdict", "what to do"),
        (
            (c["check"], f"{c['number']:.3g}", f"{c['threshold']:.3g}", c["verdict"], c["advice"])
            for c in found
        ),
    )


def _annotations(pool: Pool, given: Sequence[Annotation]) -> str:
    texts = dict(zip(pool.queries, pool.texts or pool.queries, strict=True))
    return _table(
        ("query", "text", "model", "outcome", "order shown", "by", "time"),
        (
            (e.query, texts[e.query][:200], e.model, NAMES[e.outcome], e.order, e.by, e.time)
            for e in given
        ),
    )
