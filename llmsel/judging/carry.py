"""Verdicts outlive their pool: what still holds after an edit goes into a new log.

Carried verdicts lie in the new log until a race or session asks for their cells. A race chooses
nothing by them beforehand: its seed is drawn anew, and it learns each when it asks for it, as if
the judge had given it then. So the certificate holds for the new pool, whose outcomes are fixed
before the race begins. Each further race is another chance to be wrong, which is said.
"""

from __future__ import annotations

import dataclasses
import shutil
from pathlib import Path

from llmsel._base.errors import InputError
from llmsel.judging.keys import Event, holding, keys_of, standing
from llmsel.judging.lines import damage, read_lines
from llmsel.judging.log import AnnotationLog
from llmsel.judging.opening import pool_hash
from llmsel.judging.replay import checked
from llmsel.pool import Pool
from llmsel.racing.pairs import OPPONENT


@dataclasses.dataclass(frozen=True)
class Carried:
    """What a new log took over.

    Args:
        kept: verdicts that still hold.
        verdicts: that the old log holds, cells with the same texts and answers counted once.
        cells: comparisons of the new pool that they settle.
        open: comparisons of the new pool without a verdict.
        turned: of the kept ones, those with their sign turned: what was the baseline is a candidate
            now, and the candidate the baseline.
        baselines: names of the old baseline and the new one.
    """

    kept: int
    verdicts: int
    cells: int
    open: int
    turned: int = 0
    baselines: tuple[str, str] = ("", "")

    @property
    def statement(self) -> str:
        """All that in one sentence."""
        old, new = self.baselines
        turned = f", {self.turned} of them with their sign turned," if self.turned else ""
        said = (
            f"{self.kept} of {self.verdicts} verdicts carry over{turned} and settle {self.cells} "
            f"comparisons of the new pool; {self.open} are open"
        )
        if self.kept < self.verdicts and old != new and OPPONENT not in self.baselines:
            said += f", as what was judged against '{old}' says nothing of others against '{new}'"
        return f"{said}."


def carry(old: str | Path, new: str | Path, pool: Pool, *, judged: Pool | None = None) -> Carried:
    """Begin a log on a changed pool with the verdicts of an older one that still hold.

    A verdict holds if the new pool has its query's text and both its answers, word for word, under
    whatever names. With another baseline only the verdicts on old against new baseline hold, with
    their sign turned; those of a judge that saw one order only do not. The cache of an LLM judge
    beside the old log is copied as well.

    Args:
        old: path of the log; not changed.
        new: path of the log that is begun.
        pool: the changed pool, with responses.
        judged: the pool of the old log, needed for logs of llmsel before 0.3 only.

    Raises:
        InputError: no old log or a damaged one, a new one that is there already, a pool without
            responses, or the pool of the old log itself.
    """
    old, new = Path(old), Path(new)
    if new.exists():
        raise InputError(f"'{new}' is there already; name a new log.")
    if not old.exists():
        raise InputError(f"no log '{old}'.")
    pool.need("responses")
    read = read_lines(old)
    if read.header is None:
        raise InputError(f"'{old}' has no header line; there is nothing to carry.")
    if read.header["pool"] == pool_hash(pool):
        raise InputError(
            f"'{old.name}' is a log of this very pool: go on with it. A new race on verdicts that "
            "are known, begun because of what they say, would be worth nothing."
        )
    events = [_checked(old, number, event) for number, event in read.events]
    held = standing(events, judged)
    wanted = keys_of(pool)
    kept, used = holding(held, pool)
    cells = sum(wanted[key] for key in kept)
    if not held and events:
        raise InputError(
            f"'{old.name}' does not say what its verdicts are about, as logs before llmsel 0.3: "
            "give the pool that was judged as well (judged=, --judged)."
        )
    races = sum("race" in event for event in events)
    races += sum(event["origin"]["races"] for event in events if "origin" in event)
    with AnnotationLog(new, pool) as log:
        log.begin_with(kept.values(), old.name, races=races)
    cache, beside = Path(f"{old}.cache"), Path(f"{new}.cache")
    if cache.exists() and not beside.exists():
        shutil.copyfile(cache, beside)
    return Carried(
        kept=len(used),
        verdicts=len(held),
        cells=cells,
        open=wanted.total() - cells,
        turned=len(used - kept.keys()),
        baselines=(read.header["baseline"], pool.baseline),
    )


def _checked(path: Path, number: int, event: Event) -> Event:
    """Refuse a damaged line, as where the log is opened."""
    try:
        return checked(event)
    except ValueError as error:
        raise damage(path, number, error) from error
