"""Pictures inside notebooks, stored small: a chart has few colours, so a palette holds it.

A notebook's PNG outputs are made paletted as they are kept; what they show stays the same to the
eye, at about a third of the size. ``python -m llmsel.studies.pictures NOTEBOOK ...`` does it to
notebooks that were run in JupyterLab.
"""

from __future__ import annotations

import base64
import io
import sys
from pathlib import Path

import nbformat
from PIL import Image

COLOURS = 64


def paletted(png: bytes) -> bytes:
    """Return a PNG with at most `COLOURS` colours, or the same bytes where that is no smaller."""
    picture = Image.open(io.BytesIO(png))
    if picture.mode == "P":
        return png
    small = io.BytesIO()
    picture.convert("RGB").quantize(COLOURS, dither=Image.Dither.NONE).save(
        small, "PNG", optimize=True
    )
    return min(png, small.getvalue(), key=len)


def compact(notebook: nbformat.NotebookNode) -> None:
    """Make every PNG output of a notebook paletted, in place; a second time changes nothing.

    The state of its widgets goes: without a kernel they do nothing, and it names a server.
    """
    notebook.metadata.pop("widgets", None)
    for cell in notebook.cells:
        for output in cell.get("outputs", ()):
            data = output.get("data", {})
            if "image/png" in data:
                small = paletted(base64.b64decode(data["image/png"]))
                data["image/png"] = base64.b64encode(small).decode()


def main(names: list[str]) -> None:
    """Compact the pictures of some notebooks on disk."""
    for name in names:
        notebook = nbformat.read(Path(name), as_version=4)  # type: ignore[no-untyped-call]
        compact(notebook)
        nbformat.write(notebook, name)  # type: ignore[no-untyped-call]


if __name__ == "__main__":
    main(sys.argv[1:])
