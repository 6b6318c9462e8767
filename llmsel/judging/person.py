"""A person annotates in Jupyter: a view over an annotation log, with hidden names."""

from __future__ import annotations

import dataclasses
import hashlib
import html
from typing import Literal

import ipywidgets as widgets

from llmsel._base.errors import InputError
from llmsel.judging.collect import advance, resume
from llmsel.judging.judges import Group, groups, settled, text_of
from llmsel.judging.log import AnnotationLog
from llmsel.pool import MISSING
from llmsel.racing.race import DELTA, Race
from llmsel.strategies import Random

BUTTONS = {  # key -> text, outcome for the answer on the left; None takes the last back
    "1": ("Left is better (1)", 1),
    "2": ("Same (2)", 0),
    "3": ("Right is better (3)", -1),
    "4": ("Skip (4)", MISSING),
    "u": ("Undo (u)", None),
}
_BOX = (
    "<div style='white-space:pre-wrap;overflow-wrap:anywhere;line-height:1.4;padding:8px;"
    "border:1px solid #bbb;border-radius:4px;max-height:30em;overflow-y:auto'>{}</div>"
)


class AnnotationView:
    """Show one query with two answers side by side, and record which is better.

    One answer is the baseline's, the other a candidate's; which is on the left is drawn by a hash
    of the log, query and answer, so that opening the log again shows the same. Identical answers
    are judged once; one that equals the baseline's is a draw without asking. Every click is on
    disk before the next pair shows.

    Args:
        log: an open `AnnotationLog` of a pool with responses.
        annotator: the person's name in the log.
        race: a `Race` on that pool: show only models that can still win, in the race's order, until
            its certificate. None goes on with what the log holds; in a new log in random order
            (the default of a log) it begins a race within DELTA of the best. False shows whole
            queries in the session's order.

    Attributes:
        view: the ipywidgets box; the object displays itself at the end of a cell.
        query, group: what is shown now; None when there is nothing left to judge.
        flipped: True if the candidate is on the right.

    Raises:
        InputError: a pool without responses, or a log that holds a race with other settings.
    """

    def __init__(
        self,
        log: AnnotationLog,
        annotator: str = "person",
        *,
        race: Race | Literal[False] | None = None,
    ) -> None:
        """Build the view and show the first pair."""
        log.session.pool.need("responses")
        if race is None and _to_begin(log):
            race = Race(log.session.pool, delta=DELTA)
        if race:
            own = race if log.race is None else race.continuing(log.race)
            log.begin_race(own.settings)
        self._limits = race or None
        self._race = resume(log, self._limits)
        self._steady = True
        self.log = log
        self.annotator = annotator
        self.query: str | None = None
        self.group: Group | None = None
        self.flipped = False
        self._progress = widgets.IntProgress(
            max=log.session.pool.n_queries, layout=widgets.Layout(width="12em")
        )
        self._state, self._text, self._note = (widgets.HTML() for _ in range(3))
        half = widgets.Layout(width="50%")
        self._left, self._right = widgets.HTML(layout=half), widgets.HTML(layout=half)
        self.buttons: dict[str, widgets.Button] = {}
        for key, (text, _) in BUTTONS.items():
            button = widgets.Button(description=text, layout=widgets.Layout(width="auto"))
            button.add_class(f"llmsel-{key}")
            button.on_click(lambda _, key=key: self.press(key))
            self.buttons[key] = button
        # ipywidgets has no key events; a text field that empties itself does as well
        self.keys = widgets.Text(
            placeholder="or type here: 1 2 3 4 u", layout=widgets.Layout(width="13em")
        )
        self.keys.add_class("llmsel-keys")
        self.keys.observe(self._typed, "value")
        self.view = widgets.VBox(
            [
                widgets.HBox([self._progress, self._state]),
                self._text,
                widgets.HBox([self._left, self._right]),
                widgets.HBox([*self.buttons.values(), self.keys]),
                self._note,
            ]
        )
        self._show(log.repaired or "")

    def press(self, key: str) -> None:
        """Do what the button with this key does; a mistake shows as a note, not a traceback."""
        note = ""
        try:
            kept = not self._steady and self._came_through()
            self._steady = False
            if kept:
                note = "the answer before this was kept when it was stopped; judge this one now."
            elif key not in BUTTONS:
                note = f"no button '{key}'; the keys are {', '.join(BUTTONS)}."
            else:
                self._do(BUTTONS[key][1])
        except InputError as error:
            note = str(error)
        try:
            self._show(note)
            self._steady = True
        except InputError as error:  # the log cannot be read back: nothing new can be shown
            self._say(note or str(error))

    def _came_through(self) -> bool:
        """After a stop in the middle of a press: whether that press is in the log."""
        shown = self.query, self.group
        self._race = resume(self.log, self._limits)
        self._next()
        return shown != (self.query, self.group)

    def _do(self, outcome: int | None) -> None:
        if outcome is None:
            self._undo()
        elif self.query is not None and self.group is not None:
            flip = self.flipped and outcome != MISSING
            order = "baseline first" if self.flipped else "candidate first"
            given = dict.fromkeys(self.group.models, -outcome if flip else outcome)
            self.log.record(self.query, given, by=self.annotator, order=order)

    def _ipython_display_(self) -> None:
        from IPython.display import display

        display(self.view)  # type: ignore[no-untyped-call]

    def _typed(self, change: dict[str, str]) -> None:
        typed = change["new"]
        if typed:
            self.keys.value = ""
            for key in typed.lower():
                if key in BUTTONS:
                    self.press(key)

    def _undo(self) -> None:
        """Take back the last pair that was shown; what was filled in by itself goes with it."""
        while True:
            last = self.log.given[-1] if self.log.given else None
            shown = last is not None and last.order != "not shown" and "carried" not in last.detail
            self.log.undo()
            self._race = resume(self.log, self._limits)
            if shown:
                return

    def _wanted(self) -> tuple[str, tuple[str, ...]] | None:
        """Name the query to judge now and the candidates open on it; None when all is done."""
        session = self.log.session
        if self._race is not None:
            for task in advance(self._race, self.log):
                return task.query, task.models
            return None
        if not session.remaining:
            return None
        begun = [query for query in self.log.rows if self.log.open_models(query)]
        query = begun[-1] if begun else session.ask().query
        if self.log.take_carried([(query, self.log.open_models(query))]):
            return self._wanted()
        return query, tuple(self.log.open_models(query))

    def _next(self) -> None:
        """Find the next pair to show, filling in on the way what needs no person."""
        pool = self.log.session.pool
        while (wanted := self._wanted()) is not None:
            query, models = wanted
            row = self.log.rows.get(query, {})
            for group in groups(pool, query, pool.candidates):
                left = tuple(model for model in group.models if model in models)
                if not left:
                    continue
                known = [row[model] for model in group.models if model in row]
                if (sure := settled(group)) is not None:
                    outcome = sure
                elif known:  # a stop between two lines of one click
                    outcome = known[0].outcome
                else:
                    self.query, self.group = query, dataclasses.replace(group, models=left)
                    self.flipped = self._flip(query, group)
                    return
                self.log.record(query, dict.fromkeys(left, outcome), by=self.annotator)
                break
        self.query = self.group = None

    def _flip(self, query: str, group: Group) -> bool:
        seed = f"{self.log.session.pool.content_hash}|{query}|{group.response}"
        return bool(hashlib.sha256(seed.encode()).digest()[0] & 1)

    def _show(self, note: str) -> None:
        """Show the next pair, how far it is, and a note."""
        if self.log.closed:
            note = note or f"the log '{self.log.path.name}' is closed; run the cell again."
        else:
            self._next()
        self._progress.value, said = self._standing()
        self._state.value = html.escape(said)
        self._say(note)
        over = self.query is None or self.group is None
        for key, button in self.buttons.items():
            button.disabled = self.log.closed or (over and key != "u")
        self._show_pair()

    def _say(self, note: str) -> None:
        self._note.value = f"<b>{html.escape(note)}</b>" if note else ""

    def _standing(self) -> tuple[int, str]:
        """Count the queries that are done, and say who leads."""
        if self._race is not None:
            held = self._race.verdict()
            return held.queries, held.statement
        session = self.log.session
        done = len(session.history)
        said = session.best().statement if done else "no query is finished yet"
        return done, f"{done} of {session.pool.n_queries} queries; {said}"

    def _show_pair(self) -> None:
        if self.query is None or self.group is None:
            end = "Every query is annotated." if self._race is None else "The race is over."
            if self._race is not None and self._race.failing:
                end = "Too many pairs were skipped: undo, or race with a larger 'most_failed'."
            self._text.value = f"<b>{end}</b>"
            self._left.value = self._right.value = ""
            return
        pair = (self.group.response, self.group.baseline_response)
        left, right = pair[::-1] if self.flipped else pair
        text = text_of(self.log.session.pool, self.query)
        self._text.value = _BOX.format(html.escape(text))
        self._left.value = _BOX.format(html.escape(left) or "<i>(an empty answer)</i>")
        self._right.value = _BOX.format(html.escape(right) or "<i>(an empty answer)</i>")


def _to_begin(log: AnnotationLog) -> bool:
    """Whether a log is new and in random order, so that a race may begin."""
    held, session = log.contents, log.session
    return (
        not held.known
        and held.race is None
        and session.rule is None
        and type(session.strategy) is Random
    )
