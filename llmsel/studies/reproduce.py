"""Run the notebooks through papermill: one with other parameters, or the whole batch.

`notebooks/reproduce.toml` lists the runs. A run is up to date, and skipped, while its rendered
notebook carries the key of what would be run now (`llmsel.studies.provenance`) and the outputs are
those that it made. The key is written last, so a run that was killed is run again and finished
ones are not.
"""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import json
import os
import re
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import joblib
import nbformat
import papermill
from tqdm import tqdm

from llmsel import benchmarks
from llmsel._base.errors import InputError, unknown
from llmsel._base.files import NOTEBOOKS, RENDERED, ROOT, read_text
from llmsel.studies import provenance
from llmsel.studies.pictures import compact

BATCH = NOTEBOOKS / "reproduce.toml"


@dataclasses.dataclass(frozen=True)
class Run:
    """One notebook with its parameters.

    Args:
        name: of the run and of its rendered notebook.
        notebook: file name in ``notebooks/`` without ``.ipynb``.
        parameters: passed to papermill; unknown ones are refused.
        outputs: files it makes, relative to the checkout; a missing one makes the run outdated.
        data: names of the benchmarks it reads.
        reads: files that other runs make (patterns relative to the checkout): the run comes after
            them.
        extra: not part of ``--all``, as it needs what only a network brings.
        show: an efficiency table among the outputs, printed to the terminal after the run.
    """

    name: str
    notebook: str
    parameters: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    outputs: tuple[str, ...] = ()
    data: tuple[str, ...] = ()
    reads: tuple[str, ...] = ()
    extra: bool = False
    show: str | None = None

    @property
    def source(self) -> Path:
        """The notebook that is run."""
        return NOTEBOOKS / f"{self.notebook}.ipynb"

    @property
    def rendered(self) -> Path:
        """The notebook that the run writes."""
        return RENDERED / f"{self.name}.ipynb"


def batch(path: Path = BATCH) -> dict[str, Run]:
    """Read the list of runs.

    Raises:
        InputError: a field that does not exist, or a name used twice.
    """
    runs: dict[str, Run] = {}
    fields = [f.name for f in dataclasses.fields(Run)]
    for entry in tomllib.loads(read_text(path)).get("run", []):
        for field in entry:
            if field not in fields:
                raise unknown(f"field in {path.name}", field, fields)
        values: dict[str, Any] = {
            k: tuple(v) if isinstance(v, list) else v for k, v in entry.items()
        }
        run = Run(**values)
        if run.name in runs:
            raise InputError(f"{path.name} lists the run '{run.name}' twice; rename one.")
        runs[run.name] = run
    return runs


def variant(run: Run, parameters: Mapping[str, Any]) -> Run:
    """Return the run with some parameters changed: a trial, which writes no shared outputs."""
    return dataclasses.replace(
        run,
        name=f"{run.name}-trial",
        parameters={**run.parameters, **parameters, "save": False},
        outputs=(),
        show=None,
    )


def check(run: Run) -> None:
    """Refuse a notebook that does not exist and parameters that it does not have.

    papermill itself only warns about an unknown parameter, and the run would silently use the
    default.

    Raises:
        InputError: naming the nearest notebook or parameter.
    """
    if not run.source.exists():
        raise unknown("notebook", run.notebook, sorted(p.stem for p in NOTEBOOKS.glob("*.ipynb")))
    known = papermill.inspect_notebook(str(run.source))
    for name in run.parameters:
        if name not in known:
            raise unknown(f"parameter of {run.notebook}.ipynb", name, known)


def key(run: Run) -> str:
    """Hash of all that the run's numbers depend on (see `llmsel.studies.provenance`)."""
    notebook = nbformat.read(run.source, as_version=4)
    cells = [cell.source for cell in notebook.cells if cell.cell_type == "code"]
    behaviour = provenance.behaviour()
    return provenance.digest(
        {
            "epoch": provenance.RESULTS_EPOCH,
            "behaviour": {family: behaviour[family] for family in provenance.families(cells)},
            "cells": provenance.computing_code(cells),
            "parameters": json.dumps(dict(run.parameters), sort_keys=True),
            "data": {name: _data(name) for name in run.data},
            "reads": _hashes(path for pattern in run.reads for path in ROOT.glob(pattern)),
        }
    )


def _data(name: str) -> list[str]:
    """Hashes of a benchmark's files and of the code that reads them."""
    return [benchmarks.fingerprint(name), provenance.code_hash(benchmarks.sources(name))]


def _hashes(paths: Iterable[Path]) -> dict[str, str]:
    """File, relative to the checkout -> SHA-256 of its content."""
    return {
        str(path.relative_to(ROOT)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(paths)
    }


def up_to_date(run: Run) -> bool:
    """Tell whether the rendered notebook and all outputs are what this run would make now.

    The rendered notebook notes its own content's hash and those of the outputs, so a file that was
    damaged or edited since is noticed.
    """
    paths = [ROOT / path for path in run.outputs]
    try:
        rendered = json.loads(run.rendered.read_text(encoding="utf-8"))
        note = rendered["metadata"]["llmsel"]
        made = [note["key"], note["outputs"], note["content"]]
        return bool(made == [key(run), _hashes(paths), _content(rendered["cells"])])
    except (OSError, ValueError, KeyError, TypeError):  # absent, torn, or of an older kind
        return False


def _content(cells: Sequence[Mapping[str, Any]]) -> str:
    return hashlib.sha256(json.dumps(cells, sort_keys=True).encode()).hexdigest()


def execute(run: Run, progress: bool = True) -> Path:
    """Run one notebook through papermill; return the rendered notebook.

    Raises:
        InputError: unknown notebook or parameter.
        papermill.PapermillExecutionError: a cell failed; the rendered notebook shows where.
    """
    check(run)
    RENDERED.mkdir(exist_ok=True)
    made_of = key(run)  # now: the notebook may be edited while it runs
    part = run.rendered.with_suffix(".part.ipynb")
    papermill.execute_notebook(
        str(run.source),
        str(part),
        parameters=dict(run.parameters),
        kernel_name="python3",
        cwd=str(NOTEBOOKS),
        progress_bar={"desc": run.name} if progress else False,
    )
    notebook = nbformat.read(part, as_version=4)
    for cell in notebook.cells:  # times differ in every run and say nothing
        cell.metadata.pop("execution", None)
        cell.metadata.pop("papermill", None)
        if cell.cell_type == "markdown":
            cell.source = one_folder_down(cell.source)
        for output in cell.get("outputs", ()):
            if output.output_type == "stream":  # warnings name files of this machine
                text = output.text.replace(f"{ROOT}{os.sep}", "")
                output.text = re.sub(r"/\S*ipykernel_\d+\S*\.py:\d+", "notebook", text)
    compact(notebook)
    notebook.metadata.pop("papermill", None)
    missing = [path for path in run.outputs if not (ROOT / path).exists()]
    if missing:
        raise InputError(f"run '{run.name}' made no '{missing[0]}'; correct its outputs.")
    nbformat.write(notebook, part)
    notebook.metadata["llmsel"] = {
        "key": made_of,
        "parameters": dict(run.parameters),
        "outputs": _hashes(ROOT / path for path in run.outputs),
        "content": _content(json.loads(part.read_text(encoding="utf-8"))["cells"]),
    }
    nbformat.write(notebook, part)
    part.replace(run.rendered)
    return run.rendered


def one_folder_down(text: str) -> str:
    """Let the relative links of Markdown lead to the same files from a folder below."""
    return re.sub(r"\]\((?![a-z][a-z+.-]*:|[#/])", "](../", text)


def execute_all(
    runs: Sequence[Run],
    workers: int = 1,
    force: bool = False,
    backend: str | None = None,
    address: str | None = None,
) -> dict[str, str]:
    """Run a batch, skipping what is up to date.

    Args:
        runs: what to run.
        workers: notebooks at a time, each in a process of its own. With one, a notebook spreads its
            realizations over all cores; with more, each notebook keeps to one core.
        force: run what is up to date too.
        backend: a joblib backend: ``loky`` (this machine), ``dask`` or ``ray``; None takes the
            active one.
        address: of the cluster's scheduler.

    Returns:
        What was done, run by run: the error's last line, or an empty string where all went well. A
        run that fails (because its data cannot be had, say) does not keep the others from running.

    Raises:
        InputError: an unknown notebook, parameter or backend, before anything is run.
    """
    for run in runs:
        check(run)
    done: dict[str, str] = {}
    with cluster(backend, address):
        for late in (False, True):  # what reads other runs' files comes after them
            todo = [run for run in runs if bool(run.reads) == late]
            todo = [run for run in todo if force or not up_to_date(run)]
            if workers == 1:
                done |= {run.name: _attempt(run) for run in todo}
                continue
            work = joblib.Parallel(n_jobs=workers, return_as="generator")(
                joblib.delayed(_alone)(run) for run in todo
            )
            bar = tqdm(todo, desc="notebooks", disable=not todo)
            done |= {run.name: error for run, error in zip(bar, work, strict=True)}
    return done


def _attempt(run: Run, progress: bool = True) -> str:
    try:
        execute(run, progress)
    except papermill.PapermillExecutionError as error:
        return f"{error.ename}: {error.evalue}".strip().splitlines()[0]
    return ""


def _alone(run: Run) -> str:
    os.environ.update(LLMSEL_JOBS="1", OPENBLAS_NUM_THREADS="1")
    return _attempt(run, progress=False)


def cluster(backend: str | None, address: str | None) -> Any:
    """Context in which joblib runs on a cluster; realizations and notebooks go through it.

    Raises:
        InputError: an unknown backend, or its package is not installed.
    """
    if backend is None:
        return contextlib.nullcontext()
    if backend == "loky":
        return joblib.parallel_config(backend="loky")
    try:
        if backend == "dask":
            from dask.distributed import Client

            client = Client(address) if address else Client()
            return joblib.parallel_config(backend="dask", client=client)
        if backend == "ray":
            import ray
            from ray.util.joblib import register_ray

            ray.init(address=address)
            register_ray()
            return joblib.parallel_config(backend="ray")
    except ImportError as error:
        raise InputError(
            f"backend '{backend}' needs a package that is not installed ({error.name}); "
            f"pip install '{ {'dask': 'dask[distributed]', 'ray': 'ray'}[backend] }'."
        ) from error
    raise unknown("backend", str(backend), ("loky", "dask", "ray"))
