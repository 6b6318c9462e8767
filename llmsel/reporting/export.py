"""What a log holds, for other tools: tables, the layout of Hugging Face `datasets`, MLflow."""

from __future__ import annotations

import dataclasses
import io
import json
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from llmsel._base.errors import InputError, unknown
from llmsel._base.files import VERSION, write_atomically
from llmsel._base.terminal import short
from llmsel.judging.collect import verdict_of
from llmsel.judging.opening import pool_hash
from llmsel.judging.provenance import remarks_of, warnings_of
from llmsel.judging.replay import Annotation, Contents, read_log
from llmsel.pool import MISSING, Pool
from llmsel.racing.pairs import contestants, has_pairs, met
from llmsel.racing.race import RaceVerdict
from llmsel.reporting.sides import sides

CSV, PARQUET = "csv", "parquet"
FORMATS = (CSV, PARQUET)
CARD = """---
configs:
- config_name: verdicts
  data_files: verdicts.{suffix}
  default: true
- config_name: models
  data_files: models.{suffix}
tags:
- llmsel
---

# {name}

{statement}

`verdicts`: one judged comparison a row, the outcome from the model's side. `models`: one model a
row. `decision.json` has the decision. Written by llmsel {version}.
"""


def verdict_table(log: str | Path | Contents, pool: Pool) -> pd.DataFrame:
    """Lay the verdicts of a log out as a table.

    Args:
        log: path of the log, or what it says.
        pool: the pool that was annotated.

    Returns:
        A row per outcome that stands, in the order of the log: ``query_id``, ``query``,
        ``category``, ``model``, ``baseline`` (over all pairs the other model), ``response``,
        ``baseline_response`` (text, None where the pool has none), ``outcome`` (Int8: -1, 0, 1 from
        the model's side; NA for a judgement that failed or was skipped), ``order``, ``by``,
        ``time``, ``failed`` (why, or None) and ``detail`` (JSON).

    Raises:
        InputError: no log, or a log of another pool.
    """
    contents = _contents(log, pool)
    rows = [_row(pool, each) for each in contents.given]
    frame = pd.DataFrame(rows, columns=list(_row_types()))
    return frame.astype(_row_types())


def _row_types() -> dict[str, str]:
    names = ("query_id", "query", "category", "model", "baseline", "response", "baseline_response")
    more = ("order", "by", "time", "failed", "detail")
    return {n: "object" for n in names} | {"outcome": "Int8"} | {n: "object" for n in more}


def _row(pool: Pool, entry: Annotation) -> dict[str, Any]:
    place = pool.place(entry.query)
    said = None if pool.responses is None else pool.responses_to(entry.query)
    query, against = met(pool, entry.query)
    return {
        "query_id": query,
        "query": None if pool.texts is None else pool.texts[place],
        "category": None if pool.categories is None else pool.categories[place],
        "model": entry.model,
        "baseline": against,
        "response": None if said is None else said[entry.model],
        "baseline_response": None if said is None else said[pool.baseline],
        "outcome": pd.NA if entry.outcome == MISSING else entry.outcome,
        "order": entry.order,
        "by": entry.by,
        "time": entry.time,
        "failed": entry.failed,
        "detail": json.dumps(entry.detail, ensure_ascii=False),
    }


def model_table(log: str | Path | Contents, pool: Pool) -> pd.DataFrame:
    """Count the verdicts of a log by model.

    Returns:
        A row per model: ``model``, ``wins``, ``draws``, ``losses``, ``failed`` (int), ``win_rate``
        (float64 over what was judged, NaN without; the baseline has 1/2; over all pairs that of all
        its comparisons, which were not drawn alike for all), ``winner`` (bool: it is
        among the answer of the decision).
    """
    contents = _contents(log, pool)
    answer = _decision(contents)["winners"]
    rows = []
    played = sides(contents)
    for model in contestants(pool):
        mine = [side.outcome for side in played if side.model == model]
        wins, draws, losses = (mine.count(code) for code in (1, 0, -1))
        judged = wins + draws + losses
        rate = (wins + draws / 2) / judged if judged else float("nan")
        rows.append(
            {
                "model": model,
                "wins": wins,
                "draws": draws,
                "losses": losses,
                "failed": mine.count(MISSING),
                "win_rate": 0.5 if model == pool.baseline else rate,
                "winner": model in answer,
            }
        )
    return pd.DataFrame(rows)


def decision(log: str | Path | Contents, pool: Pool) -> dict[str, Any]:
    """Say what a log decides, as JSON can hold it: winners, certificate, statement, pool, cost.

    Args:
        log: path of the log, or what it says.
        pool: the pool that was annotated.

    Raises:
        InputError: no log, a log of another pool, or nothing to decide by yet.
    """
    return _decision(_contents(log, pool))


def _decision(contents: Contents) -> dict[str, Any]:
    pool = contents.pool
    said: Any = verdict_of(contents)
    if said is None:
        said = contents.session.best()
    facts = {field.name: getattr(said, field.name) for field in dataclasses.fields(said)}
    race = isinstance(said, RaceVerdict)
    found = {
        "winners": list(said.winners if race else said.leaders),
        "certified": bool(said.certified) if race else False,
        "statement": said.statement,
        "remarks": list(said.remarks if race else remarks_of(contents)),
        "warnings": list(warnings_of(contents)),
        "outcomes": len(contents.given),
        "pool": pool.name,
        "pool_hash": pool_hash(pool),
        "queries": len({met(pool, query)[0] for query in pool.queries}),
        "models": list(contestants(pool)),
        "baseline": None if has_pairs(pool) else pool.baseline,
        "race": contents.race,
        "judges": [settings for _, settings in contents.judges],
        "llmsel": VERSION,
    }
    for name in ("calls", "stop", "dropped", "win_rate", "low", "high"):
        if name in facts:
            found[name] = facts[name]
    return dict(json.loads(json.dumps(found, default=_plain)))


def _plain(value: Any) -> Any:
    return dict(value) if isinstance(value, Mapping) else str(value)


def export(log: str | Path, pool: Pool, folder: str | Path, *, format: str = CSV) -> list[Path]:
    """Write verdicts, models and decision into a folder that `datasets.load_dataset` reads.

    Args:
        log: path of the log.
        pool: the pool that was annotated.
        folder: made if absent; files of an earlier export are replaced, others refused.
        format: of the two tables: ``"csv"``, or ``"parquet"`` where pyarrow is installed.

    Returns:
        The files: ``verdicts`` and ``models`` (a config each of the dataset), ``decision.json``,
        and ``README.md``, the dataset's card.

    Raises:
        InputError: an unknown format, no pyarrow, no log, or a folder with other things in it.
    """
    if format not in FORMATS:
        raise unknown("format", format, FORMATS)
    contents, folder = read_log(log, pool), Path(folder)
    found = _decision(contents)
    card = CARD.format(suffix=format, name=pool.name, statement=found["statement"], version=VERSION)
    files = {
        f"verdicts.{format}": _packed(verdict_table(contents, pool), format),
        f"models.{format}": _packed(model_table(contents, pool), format),
        "decision.json": json.dumps(found, indent=2, ensure_ascii=False).encode(),
        "README.md": card.encode(),
    }
    _check_folder(folder)
    for name, content in files.items():
        with write_atomically(folder / name) as file:
            file.write(content)
    return [folder / name for name in files]


def _check_folder(folder: Path) -> None:
    """Refuse a folder whose files this would replace, and that no export has written."""
    card = folder / "README.md"
    if not folder.exists() or not any(folder.iterdir()):
        return
    if not card.is_file() or b"- llmsel" not in card.read_bytes():
        raise InputError(f"'{folder}' holds other files and no export; name a new folder.")


def _packed(frame: pd.DataFrame, format: str) -> bytes:
    if format == CSV:
        return str(frame.to_csv(index=False)).encode()
    try:
        import pyarrow  # noqa: F401 - an extra
    except ImportError as error:
        raise InputError("to write Parquet, pip install 'llmsel[formats]'.") from error
    buffer = io.BytesIO()
    frame.to_parquet(buffer, index=False)
    return bytes(buffer.getvalue())


def log_to_mlflow(
    log: str | Path, pool: Pool, *, uri: str | None = None, experiment: str = "llmsel"
) -> str:
    """Log a decision to MLflow: settings, win rates, and the exported files as artifacts.

    Args:
        log: path of the log.
        pool: the pool that was annotated.
        uri: of the tracking store; None takes MLflow's own (MLFLOW_TRACKING_URI).
        experiment: its name; made if absent.

    Returns:
        The id of the run.

    Raises:
        InputError: MLflow is not installed or refuses, no log, or a log of another pool.
    """
    try:
        from mlflow import MlflowClient
        from mlflow.exceptions import MlflowException
    except ImportError as error:
        raise InputError("to log to MLflow, pip install mlflow-skinny.") from error
    contents = read_log(log, pool)
    try:
        client = MlflowClient(tracking_uri=uri)
        return _run_of(client, contents, log, experiment)
    except MlflowException as error:
        raise InputError(f"MLflow took nothing: {short(error, 300)}") from error


def _run_of(client: Any, contents: Contents, log: str | Path, experiment: str) -> str:
    """Make a run of MLflow of what a log decides; return its id."""
    pool, found = contents.pool, _decision(contents)
    known = client.get_experiment_by_name(experiment)
    place = known.experiment_id if known else client.create_experiment(experiment)
    run = str(client.create_run(place, run_name=pool.name).info.run_id)
    for name in ("baseline", "pool", "pool_hash", "queries", "certified", "stop"):
        client.log_param(run, name, found.get(name))
    client.log_param(run, "winners", ", ".join(found["winners"])[:500])
    client.set_tag(run, "mlflow.note.content", found["statement"])
    for i, row in enumerate(model_table(contents, pool).to_dict("records")):
        if row["win_rate"] == row["win_rate"]:
            client.log_metric(run, f"win_rate/{_key(row['model'], i)}", float(row["win_rate"]))
    client.log_metric(run, "outcomes", found["outcomes"])
    with tempfile.TemporaryDirectory() as folder:
        for path in export(log, pool, folder):
            client.log_artifact(run, str(path))
    client.set_terminated(run)
    return run


def _key(model: str, number: int) -> str:
    """A model's name as MLflow takes it in the name of a metric."""
    kept = "".join(c if c.isalnum() or c in "-_. /" else "_" for c in model)[:150]
    return kept if kept == model else f"{kept}-{number}"


def _contents(log: str | Path | Contents, pool: Pool) -> Contents:
    return log if isinstance(log, Contents) else read_log(log, pool)
