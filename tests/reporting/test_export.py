"""Verdicts and decision as other tools read them."""

import json
import sys
import warnings

import numpy as np
import pandas as pd
import pytest
import yaml
from helpers.commands import mistake, ok

from llmsel._base.errors import InputError
from llmsel.judging.log import AnnotationLog
from llmsel.pool import MISSING, Pool
from llmsel.reporting.export import decision, export, log_to_mlflow, model_table, verdict_table


@pytest.fixture
def pool():
    return Pool(
        queries=("q0", "q1", "q2"),
        models=("org/a", "b, the second", "base"),
        baseline="base",
        texts=("Zero?", 'A "quoted"\nline, é', "Two?"),
        responses=[[f"{m}{i}" for m in "ABC"] for i in range(3)],
        categories=("x", "x", "y"),
        name="mine",
    )


@pytest.fixture
def log(pool, tmp_path):
    path = tmp_path / "log.jsonl"
    with AnnotationLog(path, pool) as opened:
        opened.record("q1", {"org/a": 1, "b, the second": MISSING}, by="me", order="both")
        opened.record("q0", {"org/a": 0}, by="gpt", detail={"failed": None, "said": "tie"})
        opened.record("q0", {"b, the second": -1}, by="gpt")
        opened.record("q2", {"org/a": 1, "b, the second": 1}, by="me")
    return path


def test_the_table_of_verdicts(log, pool):
    table = verdict_table(log, pool)
    assert table["query_id"].tolist() == ["q1", "q1", "q0", "q0", "q2", "q2"]
    assert table["outcome"].tolist() == [1, pd.NA, 0, -1, 1, 1]
    first = table.iloc[0]
    assert (first["query"], first["category"], first["by"]) == ('A "quoted"\nline, é', "x", "me")
    assert (first["response"], first["baseline_response"], first["order"]) == ("A1", "C1", "both")
    assert json.loads(table["detail"][2])["said"] == "tie"
    counts = model_table(log, pool).set_index("model")
    assert counts.loc["org/a", ["wins", "draws", "losses", "failed"]].tolist() == [2, 1, 0, 0]
    assert counts.loc["b, the second", "win_rate"] == 0.5
    assert counts["winner"].to_dict() == {"org/a": True, "b, the second": False, "base": False}
    bare = pool.replace(texts=None, categories=None)
    with pytest.raises(InputError, match="another pool"):
        verdict_table(log, bare)


def test_a_decision_is_json_and_names_its_pool(log, pool):
    found = decision(log, pool)
    assert json.loads(json.dumps(found)) == found
    assert found["winners"] == ["org/a"] and found["certified"] is False
    assert len(found["pool_hash"]) == 64 and found["statement"].startswith("org/a leads")


@pytest.mark.parametrize("format", ["csv", "parquet"])
def test_an_export_is_read_back_and_has_the_layout_of_a_dataset(log, pool, tmp_path, format):
    files = export(log, pool, tmp_path / "out", format=format)
    assert [path.name for path in files] == [
        f"verdicts.{format}",
        f"models.{format}",
        "decision.json",
        "README.md",
    ]
    read = pd.read_csv if format == "csv" else pd.read_parquet
    table = read(files[0])
    assert table["query"][0] == 'A "quoted"\nline, é'
    assert table["outcome"].fillna(9).tolist() == [1, 9, 0, -1, 1, 1]
    card = yaml.safe_load(files[3].read_text().split("---")[1])
    for config in card["configs"]:
        assert (tmp_path / "out" / config["data_files"]).exists()
    assert card["configs"][0]["config_name"] == "verdicts"
    export(log, pool, tmp_path / "out", format=format)  # again: replaced


def test_datasets_reads_it(log, pool, tmp_path):
    datasets = pytest.importorskip("datasets", reason="Hugging Face datasets is not installed")
    export(log, pool, tmp_path / "out")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        loaded = datasets.load_dataset(
            str(tmp_path / "out"), "verdicts", cache_dir=str(tmp_path / "cache")
        )
    assert loaded["train"]["query_id"][0] == "q1"


def test_what_is_no_export_stays_as_it_is(log, pool, tmp_path):
    (tmp_path / "README.md").write_text("mine")
    with pytest.raises(InputError, match="holds other files and no export"):
        export(log, pool, tmp_path)
    assert (tmp_path / "README.md").read_text() == "mine"
    with pytest.raises(InputError, match="unknown format 'cvs': did you mean 'csv'"):
        export(log, pool, tmp_path / "out", format="cvs")


def test_without_their_libraries_one_is_told_what_to_install(log, pool, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    monkeypatch.setitem(sys.modules, "mlflow", None)
    with pytest.raises(InputError, match=r"pip install 'llmsel\[formats\]'"):
        export(log, pool, tmp_path / "out", format="parquet")
    assert not (tmp_path / "out").exists()
    with pytest.raises(InputError, match="pip install mlflow"):
        log_to_mlflow(log, pool, uri=str(tmp_path / "runs"))


def test_mlflow_keeps_the_decision_in_a_local_store(log, pool, tmp_path, monkeypatch):
    mlflow = pytest.importorskip("mlflow", reason="MLflow is not installed")
    uri = (tmp_path / "runs").as_uri()
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of MLflow's own
        with pytest.raises(InputError, match="MLflow took nothing"):
            log_to_mlflow(log, pool, uri="nonsense://here")
        one, two = (log_to_mlflow(log, pool, uri=uri) for _ in range(2))
        assert one != two
        client = mlflow.MlflowClient(tracking_uri=uri)
        run = client.get_run(one)
        names = {each.path for each in client.list_artifacts(one)}
    assert run.data.metrics["win_rate/org/a"] == pytest.approx(5 / 6)
    assert run.data.metrics["outcomes"] == 6 and run.info.status == "FINISHED"
    assert run.data.params["winners"] == "org/a" and run.data.params["baseline"] == "base"
    assert run.data.tags["mlflow.note.content"] == decision(log, pool)["statement"]
    assert names == {"verdicts.csv", "models.csv", "decision.json", "README.md"}


def test_the_command(log, pool, tmp_path):
    where = pool.save(tmp_path / "pool.npz")
    said = ok("export", log, "--pool", where, "-o", tmp_path / "out", "--parquet")
    assert said.splitlines()[0].endswith("verdicts.parquet")
    assert (tmp_path / "out" / "models.parquet").exists()
    ok("export", log, "--pool", where)
    table = pd.read_csv(tmp_path / "log.jsonl.export" / "models.csv")
    assert np.isclose(table["win_rate"][0], 5 / 6)
    assert "no export" in mistake("export", log, "--pool", where, "-o", tmp_path)
