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
import time
import tomllib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path
from typing import Any

import filelock
import joblib
import nbformat
import papermill
from nbclient.exceptions import DeadKernelError
from tqdm import tqdm

from llmsel import benchmarks
from llmsel._base.errors import InputError, unknown
from llmsel._base.files import (
    NOTEBOOKS,
    RENDERED,
    ROOT,
    cache_dir,
    read_text,
    slug,
    write_atomically,
)
from llmsel.studies import provenance
from llmsel.studies.pictures import compact
from llmsel.studies.runline import say_run

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
        extra: not part of ``--all``: it needs a network, or hours.
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
        InputError: no list, as without a checkout; a field that does not exist, a name used twice,
            or an output of two runs.
    """
    if path == BATCH and not path.exists():
        raise InputError(
            f"'{path}' is not here: runs are made from a checkout of llmsel; clone the repository "
            "and name its folder in LLMSEL_ROOT."
        )
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
        for other in runs.values():
            if shared := set(run.outputs) & set(other.outputs):
                raise InputError(
                    f"{path.name}: the runs '{other.name}' and '{run.name}' both make "
                    f"'{min(shared)}'; give each its own file."
                )
        runs[run.name] = run
    return runs


def variant(run: Run, parameters: Mapping[str, Any]) -> Run:
    """Return the run with some parameters changed: a trial, which writes no shared outputs."""
    changed = {**run.parameters, **parameters}
    if "save" in changed:  # `performance` has nothing to save
        changed["save"] = False
    return dataclasses.replace(
        run,
        name=f"{run.name}-trial",
        parameters=changed,
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
    read(run.source)
    known = papermill.inspect_notebook(str(run.source))
    for name in run.parameters:
        if name not in known:
            raise unknown(f"parameter of {run.notebook}.ipynb", name, known)


def key(run: Run, cells: Sequence[str] | None = None) -> str:
    """Hash of all that the run's numbers depend on (see `llmsel.studies.provenance`).

    Args:
        run: one of the batch.
        cells: sources of its code cells; None reads those of its notebook.
    """
    if cells is None:
        cells = [cell.source for cell in read(run.source).cells if cell.cell_type == "code"]
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
        InputError: unknown notebook or parameter; another process makes this run; an output that
            it lists was not made.
        papermill.PapermillExecutionError: a cell failed; ``<name>.part.ipynb`` beside the rendered
            notebook shows where.
    """
    check(run)
    began = time.monotonic()
    with _sole(run):
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
        missing = [path for path in run.outputs if not (ROOT / path).exists()]
        if missing:
            raise InputError(
                f"run '{run.name}' made no '{missing[0]}'; correct its outputs in {BATCH.name}."
            )
        keep(run, _presentable(read(part)), made_of)
        part.unlink()
    _note_seconds(run, time.monotonic() - began)
    return run.rendered


def keep(run: Run, notebook: Any, made_of: str) -> None:
    """Write a run's rendered notebook, with the note that says what it was made of.

    Args:
        run: whose outputs are on disk.
        notebook: as it is to be read.
        made_of: its `key` when it was begun.
    """
    say_run(notebook, run.name, run.parameters)
    note = {"key": made_of, "parameters": dict(run.parameters)}
    note["outputs"] = _hashes(ROOT / path for path in run.outputs)
    note["content"] = _content(json.loads(_text(notebook))["cells"])
    notebook.metadata["llmsel"] = note
    with write_atomically(run.rendered) as file:
        file.write(f"{_text(notebook)}\n".encode())


def read(path: Path) -> Any:
    """Read a notebook.

    Raises:
        InputError: it is none.
    """
    try:
        return nbformat.read(path, as_version=4)  # type: ignore[no-untyped-call]
    except ValueError as error:
        raise InputError(f"'{path}' is no notebook; it may be torn.") from error


def _text(notebook: Any) -> str:
    return str(nbformat.writes(notebook))  # type: ignore[no-untyped-call]


def _presentable(notebook: Any) -> Any:
    """Leave out what differs in every run, or on every machine; mend links; shrink pictures."""
    for cell in notebook.cells:
        cell.metadata.pop("execution", None)  # times
        cell.metadata.pop("papermill", None)
        if "injected-parameters" in cell.metadata.get("tags", ()):
            cell.id = "injected-parameters"  # instead of one drawn at random
        if cell.cell_type == "markdown":
            cell.source = one_folder_down(cell.source)
        for output in cell.get("outputs", ()):
            if output.output_type == "stream":  # warnings name files of this machine
                text = output.text.replace(f"{ROOT}{os.sep}", "")
                output.text = re.sub(r"/\S*ipykernel_\d+\S*\.py:\d+", "notebook", text)
    compact(notebook)
    notebook.metadata.pop("papermill", None)
    return notebook


def one_folder_down(text: str) -> str:
    """Let the relative links of Markdown lead to the same files from a folder below."""
    return re.sub(r"\]\((?![a-z][a-z+.-]*:|[#/])", "](../", text)


@contextlib.contextmanager
def _sole(run: Run) -> Iterator[None]:
    """Keep any other process from making the same run.

    Raises:
        InputError: another process makes it, or the cache cannot be written.
    """
    lock = filelock.FileLock(_kept(run, ".lock"), timeout=0)
    try:
        lock.acquire()
    except filelock.Timeout as error:
        raise InputError(
            f"another process is making the run '{run.name}'; wait until it has ended."
        ) from error
    except OSError as error:
        raise InputError(
            f"the cache '{cache_dir()}' cannot be written ({error.strerror}); name another folder "
            "in LLMSEL_CACHE."
        ) from error
    try:
        yield
    finally:
        lock.release()


def _kept(run: Run, suffix: str) -> Path:
    """Place of a note on a run of this checkout in the user's cache."""
    checkout = hashlib.sha256(str(RENDERED).encode()).hexdigest()[:16]
    folder = cache_dir() / "reproduce" / checkout
    with contextlib.suppress(OSError):  # whoever opens the file says so
        folder.mkdir(parents=True, exist_ok=True)
    return folder / f"{slug(run.name)}{suffix}"


def _note_seconds(run: Run, seconds: float) -> None:
    with contextlib.suppress(OSError):
        _kept(run, ".seconds").write_text(f"{seconds:.1f}", encoding="utf-8")


def seconds(run: Run) -> float:
    """Time that a run took here the last time; infinite if that is not known."""
    try:
        return float(_kept(run, ".seconds").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return float("inf")


def execute_all(
    runs: Sequence[Run],
    workers: int = 1,
    *,
    force: bool = False,
    backend: str | None = None,
    address: str | None = None,
) -> dict[str, str]:
    """Run a batch, skipping what is up to date.

    Args:
        runs: what to run.
        workers: notebooks at a time, each in a process of its own. With one, a notebook spreads its
            realizations over all cores; with more, each notebook keeps to one core, and those that
            take longest begin first.
        force: run what is up to date too.
        backend: a joblib backend: ``loky`` (this machine), ``dask`` or ``ray``; None takes the
            active one.
        address: of the cluster's scheduler.

    Returns:
        What was done, run by run: the error's last line, or an empty string where all went well. A
        run that fails (because its data cannot be had, or its kernel was killed, say) does not keep
        the others from running.

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
            else:
                done |= _spread(todo, workers)
    return done


def _spread(todo: Sequence[Run], workers: int) -> dict[str, str]:
    """Run notebooks in processes of their own, the longest first, each handed out alone."""
    done: dict[str, str] = {}
    work = joblib.Parallel(n_jobs=workers, batch_size=1, return_as="generator_unordered")(
        joblib.delayed(_alone)(run) for run in sorted(todo, key=seconds, reverse=True)
    )
    try:
        done.update(tqdm(work, desc="notebooks", total=len(todo), disable=not todo))
    except BrokenProcessPool:
        lost = "its worker process was killed; run it again, what is finished is kept"
        done |= {run.name: lost for run in todo if run.name not in done and not up_to_date(run)}
    return {run.name: done.get(run.name, "") for run in todo}


def _attempt(run: Run, progress: bool = True) -> str:
    """Run one notebook; say in one line what went wrong."""
    try:
        execute(run, progress)
    except papermill.PapermillExecutionError as error:
        return f"{error.ename}: {error.evalue}".strip().splitlines()[0]
    except DeadKernelError:
        return "its kernel died (killed, or out of memory); run it again, on fewer processes"
    except Exception as error:  # whatever it is, it must not keep the other runs from running
        return f"{type(error).__name__}: {error}".splitlines()[0]
    return ""


def _alone(run: Run) -> tuple[str, str]:
    os.environ.update(LLMSEL_JOBS="1", OPENBLAS_NUM_THREADS="1")
    return run.name, _attempt(run, progress=False)


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

            client = Client(address)  # type: ignore[no-untyped-call]
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
