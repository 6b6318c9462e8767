"""A person annotates in Jupyter: a view over an annotation log, with hidden names."""

from __future__ import annotations

import html
from typing import Literal

import ipywidgets as widgets

from llmsel._base.errors import InputError
from llmsel.judging.judges import Group, text_of
from llmsel.judging.log import AnnotationLog
from llmsel.judging.people.rendering import EMPTY, STYLE, differences, raw, rendered
from llmsel.judging.people.turns import KEYS, Pair, Turns, to_begin
from llmsel.racing.race import DELTA, Race

BUTTONS = {  # key -> text
    "1": "Left is better (1)",
    "2": "Same (2)",
    "3": "Right is better (3)",
    "4": "Skip (4)",
    "u": "Undo (u)",
    "r": "Raw text (r)",
    "d": "Differences (d)",
}
UNDO, RAW, DIFFERENCES = "u", "r", "d"
_STYLE = f"""<style>{STYLE}
.llmsel-answer {{ padding: 8px; border: 1px solid #8888; border-radius: 4px; max-height: 30em;
  overflow-y: auto; }}
[data-jp-theme-light="true"] .llmsel-answer {{ color-scheme: light; }}
[data-jp-theme-light="false"] .llmsel-answer {{ color-scheme: dark; }}
</style>"""
# ipywidgets has no key events: where the focus is in the view's cell, keys are clicks
_KEYS = """if (!window.llmselKeys) {
  window.llmselKeys = true;
  document.addEventListener("keydown", (event) => {
    const { target, key } = event;
    const view = target.closest?.(".llmsel-view, .jp-Cell")?.parentElement;
    const text = target.closest?.("input, textarea, [contenteditable=true]");
    if (!view || text || event.ctrlKey || event.metaKey || event.altKey) return;
    const button = /^[1234urd]$/.test(key) && view.querySelector(`.llmsel-view .llmsel-${key}`);
    if (!button) return;
    event.preventDefault();
    event.stopImmediatePropagation();
    if (!event.repeat) button.click();
  }, true);
}"""


class AnnotationView:
    """Show one query with two answers side by side, and record which is better.

    One answer is the baseline's, the other a candidate's; which is on the left is drawn by a hash
    of the log, query and answer, so that opening the log again shows the same. Identical answers
    are judged once; one that equals the baseline's is a draw without asking. Every click is on
    disk before the next pair shows. Who leads is not said before the end.

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
        mode: how the answers are shown: ``rendered``, ``raw`` or ``differences``.

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
        if race is None and to_begin(log.contents):
            race = Race(log.session.pool, delta=DELTA)
        if race:
            own = race if log.race is None else race.continuing(log.race)
            log.begin_race(own.settings)
        self._turns = Turns(log, limits=race or None)
        self._steady = True
        self.log = log
        self.annotator = annotator
        self.mode = "rendered"
        self.query: str | None = None
        self.group: Group | None = None
        self.flipped = False
        self._pair: Pair | None = None
        self._progress = widgets.IntProgress(max=100, layout=widgets.Layout(width="12em"))
        self._state, self._text, self._note = (widgets.HTML() for _ in range(3))
        half = widgets.Layout(width="50%")
        self._left, self._right = widgets.HTML(layout=half), widgets.HTML(layout=half)
        self.buttons: dict[str, widgets.Button] = {}
        for key, text in BUTTONS.items():
            button = widgets.Button(description=text, layout=widgets.Layout(width="auto"))
            button.add_class(f"llmsel-{key}")
            button.on_click(lambda _, key=key: self.press(key))
            self.buttons[key] = button
        # and where a notebook runs no scripts, a text field that empties itself does
        self.keys = widgets.Text(
            placeholder=f"or type here: {' '.join(BUTTONS)}", layout=widgets.Layout(width="15em")
        )
        self.keys.add_class("llmsel-keys")
        self.keys.observe(self._typed, "value")
        script = {"output_type": "display_data", "metadata": {}}
        script |= {"data": {"application/javascript": _KEYS, "text/plain": ""}}
        self.view = widgets.VBox(
            [
                widgets.HTML(_STYLE, layout=widgets.Layout(display="none")),
                widgets.Output(outputs=(script,)),
                widgets.HBox([self._progress, self._state]),
                self._text,
                widgets.HBox([self._left, self._right]),
                widgets.HBox(
                    [*self.buttons.values(), self.keys], layout=widgets.Layout(flex_flow="row wrap")
                ),
                self._note,
            ]
        )
        self.view.add_class("llmsel-view")
        self._show(log.repaired or "")

    @property
    def _race(self) -> Race | None:
        return self._turns.race

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
                self._do(key)
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
        self._turns.resume()
        self._next()
        return shown != (self.query, self.group)

    def _do(self, key: str) -> None:
        if key == UNDO:
            self._turns.undo(self.annotator)
        elif key in KEYS:
            if self._pair is not None:
                self._turns.give(self._pair, self._pair.outcome(key), self.annotator)
        else:
            mode = {RAW: "raw", DIFFERENCES: "differences"}[key]
            self.mode = "rendered" if self.mode == mode else mode

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

    def _next(self) -> None:
        """Find the next pair to show, filling in on the way what needs no person."""
        pair = self._pair = self._turns.next(self.annotator)
        self.query, self.group = (None, None) if pair is None else (pair.query, pair.group)
        self.flipped = pair is not None and pair.flipped

    def _show(self, note: str) -> None:
        """Show the next pair, how far it is, and a note."""
        if self.log.closed:
            note = note or f"the log '{self.log.path.name}' is closed; run the cell again."
        else:
            self._next()
        over = self._pair is None
        progress = self._turns.progress
        self._progress.value = int(100 * progress.share)
        self._state.value = html.escape(self._verdict() if over else progress.text)
        self._say(note)
        for key, button in self.buttons.items():
            button.disabled = self.log.closed or (over and key != UNDO)
        self._show_pair()

    def _say(self, note: str) -> None:
        self._note.value = f"<b>{html.escape(note)}</b>" if note else ""

    def _verdict(self) -> str:
        """Say who won, when nothing is left to judge."""
        if self._race is not None:
            return self._race.verdict().statement
        session = self.log.session
        if not session.history:
            return "no query is finished yet"
        return f"{self._turns.progress.text}; {session.best().statement}"

    def _show_pair(self) -> None:
        if self._pair is None:
            self._text.value = f"<b>{html.escape(self._turns.end)}</b>"
            self._left.value = self._right.value = ""
            return
        show = rendered if self.mode == "rendered" else raw
        left, right = (show(side) if side else EMPTY for side in self._pair.sides)
        if self.mode == "differences":
            left, right = differences(*self._pair.sides)
        self._text.value = _box(show(text_of(self.log.session.pool, self._pair.query)))
        self._left.value, self._right.value = _box(left), _box(right)


def _box(shown: str) -> str:
    return f"<div class='llmsel-answer' dir='auto'>{shown}</div>"
