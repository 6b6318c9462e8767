"""Build the site: stage the documents of the checkout, then run Sphinx over the copy.

``python docs/build.py FOLDER`` leaves the pages in ``FOLDER/html``; with ``linkcheck`` behind it,
it asks for every link to elsewhere. The documents stay where they
are and as they are; in the copy links lead to pages of the site, code is folded, and three pages
are made of the committed runs: the boards, the gallery and the reference of the modules.
"""

from __future__ import annotations

import base64
import io
import json
import posixpath
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

from PIL import Image

DOCS = Path(__file__).resolve().parent
ROOT = DOCS.parent
PAGES = (
    *("README.md", "ARCHITECTURE.md", "CONTRIBUTING.md", "CHANGELOG.md"),
    *("docs/findings.md", "docs/files.md"),
)
# notebooks whose code is what they teach; elsewhere it is folded
CODE_SHOWN = {"quickstart", "your-models", "llm-judge", "add-a-strategy"}
LINK = re.compile(r"(!?\[[^\[\]]*\])\((?![a-z][a-z+.-]*:|#)([^)#\s]+)(#[^)\s]*)?\)")
FOLDERS = {"notebooks/rendered": "gallery.md", "notebooks": "notebooks/README.md"}
BOARDS = ("alpacaeval", "arena-hard", "mt-bench", "humaneval", "smol")


# -- reading the checkout ---------------------------------------------------------------------


def rooms() -> dict[str, list[str]]:
    """Documented modules by the page they stand on: the root's on ``core``, a room's on its own."""
    found: dict[str, list[str]] = {}
    for path in sorted((ROOT / "llmsel").rglob("*.py")):
        parts = path.relative_to(ROOT).with_suffix("").parts
        parts = parts[:-1] if parts[-1] == "__init__" else parts
        if not any(part.startswith("_") for part in parts):
            found.setdefault(room(path), []).append(".".join(parts))
    return found


def room(path: Path) -> str:
    """Name the page of a module."""
    parts = path.relative_to(ROOT / "llmsel").parts
    return parts[0] if len(parts) > 1 else "core"


def verdict(notebook: dict[str, Any]) -> str:
    """Return the first line that a run prints under "What it means"; empty if it prints none."""
    said, meant = "", False
    for cell in notebook["cells"]:
        text = "".join(cell["source"])
        meant |= cell["cell_type"] == "markdown" and "# What it means" in text
        for output in cell.get("outputs", ()):
            if meant and not said and output.get("name") == "stdout":
                said = "".join(output["text"]).strip().split("\n")[0]
    return said


def picture(notebook: dict[str, Any]) -> bytes | None:
    """Return the first picture under a heading that names one, else the last picture."""
    found, heading = [], ""
    for cell in notebook["cells"]:
        text = "".join(cell["source"])
        if cell["cell_type"] == "markdown" and text.lstrip().startswith("#"):
            heading = text.strip().splitlines()[0].lower()
        for output in cell.get("outputs", ()):
            if "image/png" in output.get("data", {}):
                found.append(("picture" not in heading, -len(found), output["data"]["image/png"]))
    return base64.b64decode(min(found)[2]) if found else None


def title(notebook: dict[str, Any]) -> str:
    """Return a notebook's title."""
    return "".join(notebook["cells"][0]["source"]).strip().splitlines()[0].lstrip("# ")


# -- staging ----------------------------------------------------------------------------------


def relinked(text: str, folder: str) -> str:
    """Let links lead to pages of the site; what has no page stays as text without a link.

    Args:
        text: Markdown.
        folder: of the document, relative to the checkout.
    """

    def link(match: re.Match[str]) -> str:
        goal = posixpath.normpath(posixpath.join(folder, match[2]))
        goal = FOLDERS.get(goal, goal)
        if goal.startswith("llmsel/") and goal.endswith(".py"):
            goal = f"api/{room(ROOT / goal)}.md"
        if Path(goal).suffix not in (".md", ".ipynb", ".svg"):
            return match[1].strip("![]")
        return f"{match[1]}({posixpath.relpath(goal, folder or '.')}{match[3] or ''})"

    return LINK.sub(link, re.sub(r"<!-- (?:claim:[^>]*|/claim) -->", "", text))


def stage_notebook(path: Path, to: Path) -> dict[str, Any]:
    """Copy a notebook with its links mended and its code folded; return it."""
    notebook: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    folder = path.parent.relative_to(ROOT).as_posix()
    for cell in notebook["cells"]:
        if cell["cell_type"] == "markdown":
            cell["source"] = relinked("".join(cell["source"]), folder)
        elif path.stem not in CODE_SHOWN or path.parent.name == "rendered":
            cell["metadata"].setdefault("tags", []).append("hide-input")
        outputs = cell.get("outputs", ())
        cell["outputs"] = [each for each in outputs if each.get("name") != "stderr"]
        if cell["cell_type"] == "markdown":
            del cell["outputs"]
    _write(to, json.dumps(notebook))
    return notebook


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


def stage(to: Path) -> None:
    """Lay out all documents in a folder for Sphinx."""
    shutil.rmtree(to, ignore_errors=True)
    shutil.copytree(DOCS / "_static", to / "_static")
    shutil.copy(DOCS / "conf.py", to)
    shutil.copytree(ROOT / "figures", to / "figures")
    cards = sorted((ROOT / "data").rglob("README.md"))
    for path in [*(ROOT / name for name in PAGES), *cards, ROOT / "notebooks" / "README.md"]:
        folder = path.parent.relative_to(ROOT).as_posix()
        _write(to / path.relative_to(ROOT), relinked(path.read_text(encoding="utf-8"), folder))
    for path in (ROOT / "notebooks").glob("*.ipynb"):
        stage_notebook(path, to / path.relative_to(ROOT))
    runs = {
        path.stem: stage_notebook(path, to / path.relative_to(ROOT))
        for path in sorted((ROOT / "notebooks" / "rendered").glob("*.ipynb"))
    }
    for name, run in runs.items():
        _thumbnail(picture(run), to / "thumbs" / f"{name}.png")
    _write(to / "gallery.md", gallery(runs))
    _write(to / "boards.md", boards(runs))
    _reference(to / "api")
    text = (DOCS / "index.md").read_text(encoding="utf-8")
    for name, value in {
        "findings": findings(),
        "contents": contents(),
        "cards": "\n".join(path.relative_to(ROOT).with_suffix("").as_posix() for path in cards),
    }.items():
        text = text.replace("{{" + name + "}}", value)
    _write(to / "index.md", text.replace("](../", "]("))


def _thumbnail(png: bytes | None, to: Path) -> None:
    to.parent.mkdir(exist_ok=True)
    small = Image.new("RGB", (480, 200), "white")
    if png is not None:
        shown = Image.open(io.BytesIO(png)).convert("RGB")
        shown.thumbnail(small.size)
        small.paste(shown, ((480 - shown.width) // 2, (200 - shown.height) // 2))
    small.quantize(32).save(to, optimize=True)


# -- pages made of the runs -------------------------------------------------------------------


def gallery(runs: dict[str, dict[str, Any]]) -> str:
    """Lay out one card per run: its picture, and the first line of what it found."""
    groups: dict[str, list[str]] = {}
    for name, run in runs.items():
        card = (
            f":::{{grid-item-card}} {name}\n:img-top: thumbs/{name}.png\n"
            f":link: notebooks/rendered/{name}\n:link-type: doc\n{verdict(run)}\n:::"
        )
        groups.setdefault(title(run), []).append(card)
    parts = [
        f"## {heading}\n\n::::{{grid}} 1 2 2 3\n:gutter: 2\n\n" + "\n".join(cards) + "\n::::\n"
        for heading, cards in groups.items()
    ]
    listed = "\n".join(f"{name} <notebooks/rendered/{name}>" for name in runs)
    contents = f"```{{toctree}}\n:hidden:\n:titlesonly:\n\n{listed}\n```\n"
    return "# Gallery: every run, with the first line of what it found\n\n" + "\n".join(
        [*parts, contents]
    )


def boards(runs: dict[str, dict[str, Any]]) -> str:
    """Lay out the benchmarks as tabs: curves, what was found, and where to read on."""
    parts = []
    for board in BOARDS:
        some = [name for name in runs if name == board or name.endswith(f"-{board}")]
        some = [name for name in some if not name.startswith("twin")]
        links = "\n".join(
            f"- [{title(runs[name])}](notebooks/rendered/{name}.ipynb): {verdict(runs[name])}"
            for name in some
        )
        parts.append(
            f":::{{tab-item}} {board}\n![Curves on {board}](figures/{board}-overview.svg)\n\n"
            f"{links}\n:::"
        )
    return "# The benchmarks\n\n::::{tab-set}\n" + "\n".join(parts) + "\n::::\n"


def contents() -> str:
    """Lay out the contents of the site in the reading order of the notebooks' index."""
    index = (ROOT / "notebooks" / "README.md").read_text(encoding="utf-8")
    parts = []
    for name, listed in re.findall(r"^\*\*(.+?)\*\*\n\n((?:- .+\n)+)", index, re.MULTILINE):
        pages = re.findall(r"^- \[[^\]]+\]\(([\w-]+)\.ipynb\)", listed, re.MULTILINE)
        lines = "\n".join(f"notebooks/{page}" for page in pages)
        parts.append(f"```{{toctree}}\n:hidden:\n:caption: {name}\n\n{lines}\n```\n")
    return "\n".join(parts)


def findings() -> str:
    """Take the answers table of README: one question per line, which opens on its answer."""
    text = re.sub("<!--.*?-->", "", (ROOT / "README.md").read_text(encoding="utf-8"))
    rows = re.findall(r"^\| ([^|]*\?) \| ([^|]*) \|$", relinked(text, "."), re.MULTILINE)
    cards = [f":::{{dropdown}} {question}\n{answer}\n:::" for question, answer in rows]
    return "\n".join(cards)


def _reference(to: Path) -> None:
    """Write one page per room."""
    pages = rooms()
    for name, modules in pages.items():
        parts = [
            f"## {module}\n\n```{{eval-rst}}\n.. automodule:: {module}\n   :members:\n```\n"
            for module in modules
        ]
        _write(to / f"{name}.md", "\n".join([f"# {name}\n", *parts]))
    listed = "\n".join(pages)
    _write(to / "index.md", f"# Modules\n\n```{{toctree}}\n:maxdepth: 2\n\n{listed}\n```\n")


def main(folder: str, builder: str = "html") -> int:
    """Stage and build; return Sphinx's exit code.

    Args:
        folder: where to.
        builder: ``html``, or ``linkcheck``, which asks for every link to elsewhere.
    """
    to = Path(folder).resolve()
    stage(to / "source")
    command = [sys.executable, "-m", "sphinx", "--quiet", "--keep-going", "-b", builder]
    command += ["-d", str(to / "doctrees"), str(to / "source"), str(to / builder)]
    return subprocess.run(command, check=False).returncode


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
