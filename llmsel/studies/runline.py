"""One line under the title of a rendered run: board, realizations, pool size, results epoch."""

from __future__ import annotations

import ast
import contextlib
import re
from collections.abc import Mapping
from typing import Any

from llmsel.studies import provenance


def say_run(notebook: Any, name: str, parameters: Mapping[str, Any]) -> None:
    """Write under a notebook's title on which board, and how often, the run was made.

    Args:
        notebook: changed in place, a second time not; not without a text as its first cell.
        name: of the run, where no parameter names a board.
        parameters: of the run.
    """
    if notebook.cells[0].cell_type != "markdown":
        return
    made = {**_defaults(notebook), **parameters}
    board = made.get("benchmark") or ", ".join(made.get("benchmarks") or ()) or name
    facts = [f"board {board}"]
    facts += [f"{made['realizations']} realizations"] if made.get("realizations") else []
    facts += [f"pools of {made['pool_size']} queries"] if made.get("pool_size") else []
    facts.append(f"results epoch {provenance.RESULTS_EPOCH} ({provenance.EPOCH_BEGAN})")
    title, _, rest = notebook.cells[0].source.partition("\n")
    rest = re.sub(r"^\n*\*Run: [^\n]*\*\n", "", rest)
    notebook.cells[0].source = f"{title}\n\n*Run: {', '.join(facts)}.*\n{rest}"


def _defaults(notebook: Any) -> dict[str, Any]:
    """Read the constants of a notebook's parameters cell."""
    found: dict[str, Any] = {}
    for cell in notebook.cells:
        if "parameters" in cell.metadata.get("tags", ()):
            for node in ast.parse(cell.source).body:
                if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
                    with contextlib.suppress(ValueError):
                        found[node.targets[0].id] = ast.literal_eval(node.value)
    return found
