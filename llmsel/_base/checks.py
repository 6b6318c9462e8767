"""Checks of arrays and tables: they take names and codes, and say what is wrong where."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from numbers import Integral, Real
from typing import Any, TypeVar

import numpy as np
import pandas as pd

from llmsel._base.errors import InputError, unknown

T = TypeVar("T")


def unique_names(values: Iterable[Any], field: str, kind: str) -> tuple[str, ...]:
    """Return names as a tuple of str.

    Args:
        values: the names.
        field: what holds them, e.g. ``"queries"``.
        kind: what one of them is, e.g. ``"query id"``.

    Raises:
        InputError: no name, or one that appears twice.
    """
    names = tuple(str(value) for value in values)
    if not names:
        raise InputError(f"a pool needs at least one entry in '{field}'; it is empty.")
    again = pd.Index(names).duplicated()
    if again.any():
        twice = names[int(again.argmax())]
        raise InputError(f"{kind} '{twice}' appears twice; give every {kind} once.")
    return names


def one_per_query(values: Iterable[Any] | None, field: str, count: int) -> tuple[Any, ...] | None:
    """Return values as a tuple of ``count`` entries; None stays None.

    Raises:
        InputError: fewer or more entries.
    """
    if values is None:
        return None
    values = tuple(values)
    if len(values) != count:
        raise InputError(
            f"'{field}' has {len(values)} entries for {count} queries; give one per query."
        )
    return values


def positions(wanted: Iterable[str] | None, have: Sequence[str], kind: str) -> list[int]:
    """Return the positions of the wanted names, all if None.

    Raises:
        InputError: a name that is not there.
    """
    if wanted is None:
        return list(range(len(have)))
    place = {name: i for i, name in enumerate(have)}
    wanted = list(wanted)
    for name in wanted:
        if name not in place:
            raise unknown(kind, name, have)
    return [place[name] for name in wanted]


def check_responses(responses: Any, queries: Sequence[str], models: Sequence[str]) -> np.ndarray:
    """Return responses as a read-only object array of str, shape ``(n, M)``.

    Raises:
        InputError: another shape, or a cell that holds no text.
    """
    array = object_array(responses)
    check_shape("responses", array, queries, models)
    for i, row in enumerate(array):
        for j, text in enumerate(row):
            if not isinstance(text, str) or not text.isascii():  # most texts are ASCII: fast
                _check_text(text, queries[i], models[j])
    array.setflags(write=False)
    return array


def _check_text(text: Any, query: str, model: str) -> None:
    if text is None or (isinstance(text, float) and np.isnan(text)):
        raise InputError(
            f"model '{model}' has no response to query '{query}'; give one (an empty string is "
            "legal)."
        )
    of = f"the response of model '{model}' to query '{query}'"
    if not isinstance(text, str):
        raise InputError(f"{of} is {type(text).__name__}, not text; decode it to str first.")
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise InputError(
            f"{of} holds bytes that are not UTF-8; read the file with encoding='utf-8' and repair "
            "it."
        ) from error


def check_votes(votes: Any, queries: Sequence[str], models: Sequence[str]) -> np.ndarray:
    """Return votes as a read-only int8 array of shape ``(n, M, z)``.

    Raises:
        InputError: another shape, no judge, or a vote that is not -1, 0 or 1.
    """
    array = np.asarray(votes)
    check_shape("votes", array, queries, models, judges=True)
    if array.shape[2] == 0:
        raise InputError("'votes' has no weak judge on its last axis; give at least one.")

    def wrong(at: tuple[int, ...], value: str) -> InputError:
        return InputError(
            f"the vote of model '{models[at[1]]}' on query '{queries[at[0]]}' is {value}; it must "
            "be -1 (loss), 0 (draw) or 1 (win)."
        )

    return _codes(array, (-1, 0, 1), "vote", wrong)


def check_outcomes(
    outcomes: Any, queries: Sequence[str], models: Sequence[str], *, baseline: int, missing: int
) -> np.ndarray:
    """Return outcomes as a read-only int8 array of shape ``(n, M)``.

    Args:
        outcomes: -1, 0, 1, or ``missing``.
        queries: ids, length ``n``.
        models: names, length ``M``.
        baseline: column of the baseline; must hold draws.
        missing: code of a cell that was not judged.

    Raises:
        InputError: another shape or code, or nothing judged.
    """
    array = np.array(outcomes)
    check_shape("outcomes", array, queries, models)

    def wrong(at: tuple[int, ...], value: str) -> InputError:
        return InputError(
            f"the outcome of model '{models[at[1]]}' on query '{queries[at[0]]}' is {value}; it "
            "must be -1 (loss), 0 (draw) or 1 (win); an unjudged cell is Outcome.MISSING."
        )

    array = _codes(array, (-1, 0, 1, missing), "outcome", wrong)
    at = np.flatnonzero(array[:, baseline])
    if len(at):
        i = int(at[0])
        raise InputError(
            f"the baseline '{models[baseline]}' has outcome {array[i, baseline]} against itself on "
            f"query '{queries[i]}'; its column must hold draws (0)."
        )
    if (np.delete(array, baseline, axis=1) == missing).all():
        raise InputError("no candidate has any judged outcome; leave 'outcomes' out.")
    return array


def check_outcome(outcome: Any, model: str, *, query: str, known: Sequence[Any]) -> None:
    """Refuse what is not an outcome.

    Args:
        outcome: what was given.
        model: it is given for.
        query: it is given for.
        known: all that may be given.

    Raises:
        InputError: it is none of them; True and False are not 1 and 0.
    """
    if isinstance(outcome, bool) or outcome not in known:
        failed = ", or None if the judgement failed" if None in known else ""
        raise InputError(
            f"the outcome of model '{model}' on query '{query}' is {outcome!r}; it must be -1 "
            f"(loss), 0 (draw) or 1 (win){failed}."
        )


def check_shape(
    what: str,
    array: np.ndarray,
    queries: Sequence[str],
    models: Sequence[str],
    *,
    judges: bool = False,
) -> None:
    """Refuse an array that does not run over queries, models (and weak judges).

    Raises:
        InputError: another shape.
    """
    n, m = len(queries), len(models)
    if array.ndim != 2 + judges or array.shape[:2] != (n, m):
        raise InputError(
            f"'{what}' has shape {array.shape}; expected (queries, models"
            f"{', judges' if judges else ''}) = ({n}, {m}{', z' if judges else ''}), the "
            "baseline's column included."
        )


def _codes(
    array: np.ndarray,
    codes: tuple[int, ...],
    what: str,
    wrong: Callable[[tuple[int, ...], str], InputError],
) -> np.ndarray:
    """Return codes as a read-only int8 array; ``wrong`` makes the error for a place and value."""
    if array.dtype != np.int8:
        try:
            array = array.astype(float)
        except (TypeError, ValueError) as error:
            raise InputError(f"one {what} is not a number ({error}); use -1, 0 or 1.") from error
    # large votes may be memory-mapped: one cheap pass tells that all is well
    if array.dtype != np.int8 or array.min() < -1 or array.max() > 1:
        at = np.argwhere(~np.isin(array, codes))
        if len(at):
            value = array[tuple(at[0])]
            raise wrong(tuple(at[0].tolist()), "NaN" if np.isnan(value) else f"{value:g}")
    array = array.astype(np.int8, copy=False)
    if array.flags.writeable:
        array = array.copy()
        array.setflags(write=False)
    return array


def check_numbers(whole: Mapping[str, tuple[Any, int]], real: Mapping[str, Any]) -> None:
    """Refuse settings that are no numbers; all faults are told together.

    Args:
        whole: name -> (value, least value) of whole numbers; None is let pass.
        real: name -> value of other numbers; None is let pass.

    Raises:
        InputError: a value of another type, or a whole number that is too small.
    """
    faults = [
        f"{name}={value!r} must be a whole number of at least {least}"
        for name, (value, least) in whole.items()
        if value is not None
        and (isinstance(value, bool) or not isinstance(value, Integral) or value < least)
    ]
    faults += [
        f"{name}={value!r} must be a number"
        for name, value in real.items()
        if value is not None and (isinstance(value, bool) or not isinstance(value, Real))
    ]
    if faults:
        raise InputError(f"{'; '.join(faults)}.")


def need_columns(frame: pd.DataFrame, columns: tuple[str, ...], what: str) -> None:
    """Refuse a table that lacks a column.

    Raises:
        InputError: naming the column and those that are there.
    """
    for column in columns:
        if column not in frame:
            raise InputError(
                f"the table of {what} has no column '{column}'; it has "
                f"{', '.join(map(str, frame.columns))}."
            )


def lay_out(
    frame: pd.DataFrame, value: str, queries: Sequence[str], models: Sequence[str], *, what: str
) -> np.ndarray:
    """Lay a long table out as an object array (queries, models), None where no row is.

    Args:
        frame: columns ``model``, ``query_id`` and the value's.
        value: the column whose cells are laid out.
        queries: ids of the rows.
        models: names of the columns.
        what: the table's name in messages.

    Raises:
        InputError: an unknown query id or model, or a pair that is given twice.
    """
    at = []
    for column, kind, names in (("query_id", "query id", queries), ("model", "model", models)):
        named = frame[column].astype(str)
        place = pd.Index(names).get_indexer(named)
        if (place < 0).any():
            raise unknown(kind, named.iloc[int((place < 0).argmax())], names)
        at.append(place)
    again = pd.DataFrame({"query": at[0], "model": at[1]}).duplicated().to_numpy()
    if again.any():
        row = frame.iloc[int(again.argmax())]
        raise InputError(
            f"query id '{row['query_id']}' appears twice for model '{row['model']}' in the {what}; "
            "keep one."
        )
    table = np.full((len(queries), len(models)), None, dtype=object)
    table[at[0], at[1]] = frame[value].to_numpy(dtype=object)
    return table


def object_array(rows: Any) -> np.ndarray:
    """Copy nested sequences of strings into an object array of shape (n, M).

    Raises:
        InputError: rows of different lengths.
    """
    if isinstance(rows, np.ndarray):
        return rows.astype(object)
    rows = [list(row) for row in rows]
    widths = {len(row) for row in rows}
    if len(widths) > 1:
        raise InputError(f"'responses' has rows of different lengths {sorted(widths)}.")
    array = np.empty((len(rows), widths.pop() if widths else 0), dtype=object)
    for i, row in enumerate(rows):
        array[i] = row
    return array


def made_of(settings: Mapping[str, Any], classes: Mapping[str, type[T]], *, kind: str) -> T:
    """Make the object that settings describe: ``name`` of its class, and its parameters.

    Args:
        settings: what was written down.
        classes: by name.
        kind: what they are, for messages.

    Raises:
        InputError: no settings, an unknown class, or parameters that it does not take.
    """
    if not isinstance(settings, Mapping):
        raise InputError(f"the {kind} {settings!r} is no name with parameters; it is damaged.")
    parameters = dict(settings)
    name = str(parameters.pop("name", ""))
    if name not in classes:
        raise unknown(kind, name, classes)
    try:
        return classes[name](**parameters)
    except InputError:
        raise
    except (TypeError, ValueError) as error:
        shown = ", ".join(f"{key}={value!r}" for key, value in parameters.items())
        raise InputError(
            f"the {kind} '{name}' cannot be made with {shown}: {error}; write its settings as this "
            "version of llmsel does."
        ) from error
