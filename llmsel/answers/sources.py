"""The files that a source of answers, scores or verdicts names."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from llmsel._base.errors import InputError

Source = str | Path | Sequence[str | Path] | Mapping[str, str | Path]
SUFFIXES = (".jsonl", ".csv", ".parquet", ".json", ".eval")


def walk(
    source: Source, *, what: str, skip: Collection[str] = ()
) -> Iterator[tuple[str | None, Path]]:
    """Name every file of a source, in order, and the model it is to be if that was said.

    Args:
        source: a file, a folder, several of them, or a mapping model -> file or folder.
        what: the files hold, e.g. ``"answers"``; for messages.
        skip: names of files and folders inside a folder that are none of them.

    Raises:
        InputError: a file that is absent, or a folder without any.
    """
    for model, given in _named(source):
        yield from ((model, path) for path in _files(Path(given), what, skip))


def _named(source: Source) -> Iterable[tuple[str | None, str | Path]]:
    if isinstance(source, Mapping):
        return source.items()
    return [(None, path) for path in ([source] if isinstance(source, str | Path) else source)]


def _files(path: Path, what: str, skip: Collection[str]) -> list[Path]:
    if path.is_dir():
        found = sorted(
            p
            for p in path.rglob("*")
            if p.suffix in SUFFIXES
            and p.is_file()
            and not p.name.startswith((".", "results_"))
            and not set(skip) & set(p.relative_to(path).parts)
        )
        if not found:
            raise InputError(f"no file of {what} in the folder '{path}'.")
        return found
    if not path.exists():
        raise InputError(f"no file '{path}'.")
    return [path]
