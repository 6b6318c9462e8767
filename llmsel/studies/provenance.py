"""What a result depends on: the engine's behaviour, the notebook's computing cells, its data.

A run is out of date when what it depends on has changed, and not when it is only written
otherwise. So its key holds, besides parameters and data,

- `RESULTS_EPOCH`: raised by hand when results must be made again for a reason that the rest does
  not see;
- the `behaviour` of the families of results that the notebook uses: hashes of what the engine does
  in the small fixed experiment of `llmsel.studies.trial`;
- the notebook's `computing_code`.
"""

from __future__ import annotations

import ast
import contextlib
import functools
import hashlib
import importlib
import json
import platform
import types
from collections.abc import Iterable, Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from llmsel._base.files import cache_dir

RESULTS_EPOCH = 1
EPOCH_BEGAN = "2026-11-25"
DIGITS = 9  # floats are compared so, as the last digits differ between machines
PACKAGE = Path(__file__).parents[1]
NUMERICS = ("numpy", "pandas", "rapidfuzz")  # a new version of these may act otherwise
DRAWING = ("matplotlib", "seaborn", "llmsel.reporting")  # what comes from these only draws
# Modules whose names tell that a notebook needs only these families; any other module: `ENGINE`.
NEEDS: Mapping[str, tuple[str, ...]] = {
    "llmsel._base": (),
    "llmsel.pool": (),
    "llmsel.benchmarks": (),
    "llmsel.weak_judges": (),
    "llmsel.similarity": (),
    "llmsel.reporting": (),
    "llmsel.studies.tables": (),
    "llmsel.studies.scores": (),
    "llmsel.studies.efficiency": (),
    "llmsel.studies.paired": (),
    "llmsel.studies.protocol": (),
    "llmsel.studies.diagnose": ("queries",),
    "llmsel.studies.baselines": ("queries",),
    "llmsel.studies.by_query": ("queries",),
    "llmsel.studies.greedy": ("queries",),
    "llmsel.studies.groups": ("queries",),
    "llmsel.studies.performance": ("queries", "audit"),
    "llmsel.studies.parameters": ("queries",),
    "llmsel.studies.votes": ("queries",),
    "llmsel.belief": ("queries",),
    "llmsel.strategies": ("queries",),
    "llmsel.racing": ("calls",),
    "llmsel.racing.race": ("calls", "audit"),
    "llmsel.racing.forecast": ("audit",),
    "llmsel.studies.by_call": ("calls",),
    "llmsel.studies.methods": ("calls",),
    "llmsel.racing.audit": ("audit",),
    "llmsel.studies.methods.auditing": ("audit",),
    "llmsel.studies.promises": ("audit",),
    "llmsel.studies.methods.factorised": ("published",),
    "llmsel.studies.methods.guaranteed": ("published",),
    "llmsel.studies.methods.looks": ("published",),
    "llmsel.studies.calibrated": ("queries", "calibrated"),
    "llmsel.studies.clones": ("queries", "clones"),
    "llmsel.studies.committee": ("queries", "readings"),
    "llmsel.studies.over_queries": ("queries", "readings"),
    "llmsel.studies.tuning": ("queries", "tuning"),
    "llmsel.studies.official": ("queries", "official"),
    "llmsel.studies.two_judges": ("cheap",),
    "llmsel.racing.pairs": ("pairs",),
    "llmsel.studies.tournament": ("pairs", "audit"),
    "llmsel.studies.receipt": ("queries", "official"),
}
ALWAYS = ("votes", "tables")
ENGINE = (*ALWAYS, "queries", "calls")
# the last are needed by a few studies only
FAMILIES = (
    *ENGINE,
    "audit",
    "calibrated",
    "cheap",
    "clones",
    "official",
    "pairs",
    "published",
    "readings",
    "tuning",
)


# -- the engine ---------------------------------------------------------------------------------


def behaviour(cache: bool = True) -> dict[str, str]:
    """Fingerprint of what the engine does, per family of results.

    Args:
        cache: keep it in the cache folder, under a hash of the package's code; False measures what
            is loaded in this process now.

    Returns:
        Family (see `llmsel.studies.trial`) -> SHA-256. The same on every machine.
    """
    if not cache:
        return {family: measure(family) for family in FAMILIES}
    path = cache_dir() / "behaviour" / f"{_engine()}.json"
    with contextlib.suppress(OSError, ValueError):
        kept = json.loads(path.read_text(encoding="utf-8"))
        if isinstance(kept, dict) and set(kept) == set(FAMILIES):
            return kept
    found = behaviour(cache=False)
    with contextlib.suppress(OSError):  # without a cache it is measured each time
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(found), encoding="utf-8")
    return found


def measure(family: str) -> str:
    """Fingerprint of what the code loaded in this process does, for one of `FAMILIES`."""
    from llmsel.studies import trial  # it imports all of the engine

    return digest(trial.FAMILIES[family]())


@functools.cache  # once per process: what is loaded does not change when a file does
def _engine() -> str:
    """Hash of the package's code and of what it computes with."""
    versions = [platform.python_version(), *map(version, NUMERICS)]
    return digest([code_hash(sorted(PACKAGE.rglob("*.py"))), versions])


def code_hash(paths: Iterable[Path]) -> str:
    """Hash of the code in some files: comments, docstrings and layout do not count."""
    return digest([_plain(ast.parse(path.read_text(encoding="utf-8"))) for path in paths])


def _plain(tree: ast.Module) -> str:
    for node in ast.walk(tree):
        body = getattr(node, "body", None)
        if isinstance(body, list) and body and _is_text(body[0]):
            del body[0]
    return ast.dump(tree)


def _is_text(node: ast.stmt) -> bool:
    return (
        isinstance(node, ast.Expr)
        and isinstance(node.value, ast.Constant)
        and isinstance(node.value.value, str)
    )


def digest(value: Any) -> str:
    """Hash any nest of arrays, tables, mappings, sequences and plain values, floats rounded."""
    state = hashlib.sha256()
    _add(state, value)
    return state.hexdigest()


def _add(state: Any, value: Any) -> None:
    if isinstance(value, pd.DataFrame):
        value = {str(name): value[name].to_numpy() for name in value.columns}
    if isinstance(value, (np.ndarray, np.generic, float)):
        state.update(_bytes(np.asarray(value)))
    elif isinstance(value, Mapping):
        _add(state, [part for item in value.items() for part in item])
    elif isinstance(value, Iterable) and not isinstance(value, (str, bytes)):
        state.update(b"[")
        for part in value:
            _add(state, part)
        state.update(b"]")
    else:
        state.update(f"{type(value).__name__}:{value!r};".encode())


def _bytes(array: np.ndarray) -> bytes:
    """Content of an array whatever the machine: int64, rounded float64, or text."""
    if array.dtype.kind == "f":
        array = np.round(array.astype(np.float64), DIGITS) + 0.0  # no -0.0
        array = np.where(np.isnan(array), np.nan, array)  # one NaN of many
    elif array.dtype.kind in "biu":
        array = array.astype(np.int64)
    else:
        return f"{array.shape}{array.tolist()!r}".encode()
    return f"{array.shape}{array.dtype.kind}".encode() + array.tobytes()


# -- a notebook ---------------------------------------------------------------------------------


def computing_code(cells: Sequence[str]) -> list[str]:
    """Reduce a notebook's code cells to the statements that its numbers depend on.

    Left out are comments and layout; imports; the block ``if save:``; a name alone; and what only
    draws: statements on what is imported from `DRAWING`, or on a name that holds what that gave
    (``figure, ax = plt.subplots()``, then ``ax.plot(...)``), and loops over such names that do
    nothing else. All else counts, prints too: what they print is read as a result.

    Args:
        cells: sources of the code cells, in order.

    Returns:
        The statements that count, as code; a cell that is not plain Python counts as it stands.
    """
    drawn: set[str] = set()
    kept: list[str] = []
    for cell in cells:
        try:
            tree = ast.parse(cell)
        except SyntaxError:  # a magic command
            kept.append(cell)
            continue
        kept += [ast.unparse(node) for node in tree.body if not _idle(node, drawn)]
    return kept


def _idle(node: ast.stmt, drawn: set[str]) -> bool:
    """Tell whether no number depends on a statement; note the names it binds to drawings."""
    if isinstance(node, (ast.Import, ast.ImportFrom)):
        drawn |= {name for name, source in _aliases(node).items() if _is_drawing(source)}
        return True
    if isinstance(node, ast.If):
        return isinstance(node.test, ast.Name) and node.test.id == "save" and not node.orelse
    if isinstance(node, ast.Expr):
        return isinstance(node.value, (ast.Name, ast.Constant)) or _draws(node.value, drawn)
    if isinstance(node, ast.Assign):
        return _bind(node.targets, _draws(node.value, drawn), drawn)
    if isinstance(node, ast.For) and not node.orelse and _draws(node.iter, drawn):
        _bind([node.target], True, drawn)
        return all(_idle(one, drawn) for one in node.body)
    return False


def _aliases(node: ast.Import | ast.ImportFrom) -> dict[str, str]:
    """Names that an import binds -> what they stand for, dotted."""
    if isinstance(node, ast.ImportFrom):
        return {one.asname or one.name: f"{node.module}.{one.name}" for one in node.names}
    roots = {one.name.partition(".")[0]: one.name.partition(".")[0] for one in node.names}
    return roots | {one.asname: one.name for one in node.names if one.asname}


def _is_drawing(source: str) -> bool:
    return any(source == one or source.startswith(f"{one}.") for one in DRAWING)


def _draws(node: ast.expr, drawn: set[str]) -> bool:
    """Tell whether an expression hangs on a drawing: its root, or each part of a tuple."""
    if isinstance(node, (ast.Tuple, ast.List)):
        return bool(node.elts) and all(_draws(part, drawn) for part in node.elts)
    while isinstance(node, (ast.Attribute, ast.Subscript, ast.Call)):
        node = node.func if isinstance(node, ast.Call) else node.value
    return isinstance(node, ast.Name) and node.id in drawn


def _bind(targets: Sequence[ast.expr], drawing: bool, drawn: set[str]) -> bool:
    """Note that names now hold drawings, or no longer do; a target that is no name computes."""
    parts = [node for target in targets for node in ast.walk(target) if isinstance(node, ast.expr)]
    drawing &= all(isinstance(node, (ast.Name, ast.Tuple, ast.List)) for node in parts)
    for node in parts:
        if isinstance(node, ast.Name):
            (drawn.add if drawing else drawn.discard)(node.id)
    return drawing


def families(cells: Sequence[str]) -> tuple[str, ...]:
    """Name the families of results that a notebook uses, by what it takes from llmsel.

    What cannot be found, or is at home in a module that `NEEDS` does not list, counts as using
    all of `ENGINE`.

    Args:
        cells: sources of the code cells, in order.
    """
    used = set(ALWAYS)
    for name in _taken(cells):
        used.update(_needs(name))
    return tuple(family for family in FAMILIES if family in used)


def _taken(cells: Sequence[str]) -> set[str]:
    """Dotted names that a notebook takes from llmsel, such as ``llmsel.belief.Belief``."""
    nodes: list[ast.AST] = []
    for cell in cells:
        with contextlib.suppress(SyntaxError):
            nodes += ast.walk(ast.parse(cell))
    aliases: dict[str, str] = {}
    for node in nodes:
        if isinstance(node, (ast.Import, ast.ImportFrom)):
            aliases |= _aliases(node)
    texts = {ast.unparse(n) for n in nodes if isinstance(n, (ast.Name, ast.Attribute))}
    split = [text.partition(".") for text in texts if text.replace(".", "").isidentifier()]
    full = {f"{aliases[root]}{dot}{rest}" for root, dot, rest in split if root in aliases}
    return {name for name in full if name.split(".")[0] == "llmsel"}


def _needs(name: str) -> tuple[str, ...]:
    """Families that stand behind a dotted name of llmsel; modules and constants need none."""
    try:
        found: Any = importlib.import_module("llmsel")
        path = "llmsel"
        for part in name.split(".")[1:]:
            if not isinstance(found, types.ModuleType):
                break  # a member of a class, or of a value
            path = f"{path}.{part}"
            found = getattr(found, part, None) or importlib.import_module(path)
    except ImportError:
        return ENGINE
    home = getattr(found, "__module__", None)
    if isinstance(found, types.ModuleType) or not isinstance(home, str):
        return ()
    while home not in NEEDS and "." in home:
        home = home.rpartition(".")[0]
    return NEEDS.get(home, ENGINE)
