"""Keep the numbers of the documents what the tables say.

A passage between markers is generated: ``<!-- claim:NAME ARGUMENT ... -->passage<!-- /claim -->``.
NAME is a function of `llmsel.reporting.findings`, `questions` or `fairness`. ``python -m
llmsel.reporting.claims`` rewrites all passages, with ``--check`` it only tells which are not what
the tables say.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from llmsel._base import files as paths
from llmsel._base.errors import InputError, unknown
from llmsel.reporting import fairness, questions
from llmsel.reporting.findings import FINDINGS

PASSAGE = re.compile(r"<!-- claim:([\w-]+)((?: [\w.-]+)*) -->(.*?)<!-- /claim -->", re.DOTALL)
MARK = re.compile(r"<!-- (?:claim:|/claim)")
EVERY: Mapping[str, Callable[..., str]] = {
    **FINDINGS,
    **questions.QUESTIONS,
    **fairness.FAIRNESS,
}
COMMAND = "python -m llmsel.reporting.claims"


def documents() -> list[Path]:
    """Documents that may hold claims: README, the notebooks' index, docs, data cards."""
    cards = sorted((paths.ROOT / "data").rglob("README.md"))
    pages = sorted((paths.ROOT / "docs").glob("*.md"))
    return [paths.ROOT / "README.md", paths.NOTEBOOKS / "README.md", *pages, *cards]


def rewrite(text: str, *, findings: Mapping[str, Callable[..., str]] = EVERY) -> str:
    """Put into every passage what its finding says now.

    Args:
        text: a document in Markdown.
        findings: functions by name; each takes the arguments of the marker, as text.

    Returns:
        The document. A finding of several lines stands between empty lines, as Markdown wants it.

    Raises:
        InputError: an unknown finding, wrong arguments, a marker without its partner, or one that
            begins a line of text, which Markdown would show as it is.
    """

    def passage(match: re.Match[str]) -> str:
        name, arguments = match[1], match[2].split()
        if name not in findings:
            raise unknown("claim", name, findings)
        try:
            said = findings[name](*arguments)
        except TypeError as error:
            raise InputError(f"claim '{name}' does not take {arguments}: {error}.") from error
        block = "\n" in said
        if not block and (match.start() == 0 or text[match.start() - 1] == "\n"):
            raise InputError(f"claim '{name}' begins a line; put a word of text before it.")
        opening = f"<!-- claim:{name}{match[2]} -->"
        return (
            f"{opening}\n\n{said}\n\n<!-- /claim -->"
            if block
            else f"{opening}{said}<!-- /claim -->"
        )

    if len(MARK.findall(text)) != 2 * len(PASSAGE.findall(text)):
        raise InputError("a claim's opening or closing marker is missing, or claims are nested.")
    return PASSAGE.sub(passage, text)


def refresh(documents: Sequence[Path]) -> list[Path]:
    """Rewrite documents in place; return those that changed."""
    changed = []
    for path in documents:
        before = path.read_text(encoding="utf-8")
        after = rewrite(before)
        if after != before:
            path.write_text(after, encoding="utf-8")
            changed.append(path)
    return changed


def check(documents: Sequence[Path]) -> list[str]:
    """Name the claims that are not what the tables say: one line each, without changing a file."""
    stale = []
    for path in documents:
        before = path.read_text(encoding="utf-8")
        pairs = zip(PASSAGE.finditer(before), PASSAGE.finditer(rewrite(before)), strict=True)
        stale += [
            f"{path}: claim '{old[1]}' is not what data/results says; run {COMMAND}."
            for old, new in pairs
            if old[0] != new[0]
        ]
    return stale


def main(arguments: Sequence[str]) -> int:
    """Refresh or check all documents; return the exit code."""
    if "--check" in arguments:
        stale = check(documents())
        print("\n".join(stale) or "every claim is what data/results says")
        return int(bool(stale))
    for path in refresh(documents()):
        print(f"rewrote {path}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
