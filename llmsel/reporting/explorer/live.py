"""Explorers: sliders over a sitting, and any board played step by step.

In JupyterLab they are widgets that compute as they are moved. Without a kernel the same object
shows as a player over frames that were computed when the notebook was run.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

import ipywidgets as widgets

from llmsel import benchmarks
from llmsel._base.errors import InputError
from llmsel.pool import Pool
from llmsel.reporting.explorer import courses, film, sitting
from llmsel.reporting.explorer.frames import Frame
from llmsel.reporting.explorer.sitting import KGRAM, Setting

WIDE = widgets.Layout(width="24em")
# what the player of a page without a kernel offers
PAIRS, INSIDE, ACCURACIES = ((0.2, 0.4), (0.2, 0.2), (0.3, 0.3)), (True, False), (None, 0.5, 0.9)


class View:
    """A widget in a notebook that runs, a player on a page that does not.

    Attributes:
        box: the ipywidgets box.
    """

    box: widgets.VBox

    def __init__(self, player: str, shown: str) -> None:
        """Keep the player, and what the object is called in plain text."""
        self._player, self._shown = player, shown

    def _repr_mimebundle_(self, **_options: Any) -> dict[str, Any]:
        live = self.box._repr_mimebundle_()
        return {**live, "text/html": self._player, "text/plain": self._shown}


class Film:
    """Frames to step, play and scrub through, the same with and without a kernel.

    Args:
        frames: in order.
        milliseconds: time that a frame stays while it plays.
    """

    def __init__(self, frames: Sequence[Frame], *, milliseconds: int = 400) -> None:
        """Make the player."""
        self._player = film.player({(): frames}, milliseconds=milliseconds)
        self._shown = f"Film of {len(frames)} frames"

    def __repr__(self) -> str:
        """Say how long it is."""
        return self._shown

    def _repr_html_(self) -> str:
        return self._player


class Sliders(View):
    """A sitting under sliders: budget, eps_loss, eps_draw, baseline, the weak judge's accuracy.

    Args:
        pool: a small one, with votes and outcomes.
        seed: of the noisy weak judge.
    """

    def __init__(self, pool: Pool, *, seed: int = 0) -> None:
        """Compute the player's frames, and lay out the sliders."""
        super().__init__(_player_of_sitting(pool, seed), f"Sliders over {pool!r}")
        self._pool, self._seed = pool, seed
        self.budget = widgets.IntSlider(max=pool.n_queries, description="budget", layout=WIDE)
        self.eps_loss = _share("eps_loss", 0.2, 0.05, 0.9)
        self.eps_draw = _share("eps_draw", 0.4, 0.05, 0.9)
        self.baseline = widgets.Checkbox(value=True, description="baseline in the belief")
        accuracy = [KGRAM, *(f"{k} %" for k in range(35, 105, 5))]
        self.accuracy = widgets.SelectionSlider(
            options=accuracy, description="weak judge", layout=WIDE
        )
        self.shown = widgets.HTML()
        self._play = widgets.Play(max=pool.n_queries, interval=900)
        widgets.link((self._play, "value"), (self.budget, "value"))
        sliders = [self.eps_loss, self.eps_draw, self.baseline, self.accuracy]
        for slider in sliders:
            slider.observe(self._changed, "value")
        self.budget.observe(self._show, "value")
        steps = widgets.HBox([self._play, self.budget])
        rows = [widgets.HBox(sliders[k : k + 2]) for k in (0, 2)]
        self.box = widgets.VBox([steps, *rows, self.shown])
        self._changed()

    @property
    def setting(self) -> Setting:
        """What the sliders say.

        Raises:
            InputError: shares of loss and draw that leave nothing for a win.
        """
        said = self.accuracy.value
        accuracy = None if said == KGRAM else int(said.removesuffix(" %")) / 100
        return Setting(self.eps_loss.value, self.eps_draw.value, self.baseline.value, accuracy)

    def _changed(self, _change: object = None) -> None:
        try:
            self._frames = sitting.frames(self._pool, self.setting, seed=self._seed)
        except InputError as error:  # the sliders may leave the simplex
            self.shown.value = f"<b>{error}</b>"
            return
        self._show()

    def _show(self, _change: object = None) -> None:
        self.shown.value = film.still(self._frames[self.budget.value])


class Explorer(View):
    """Any board: choose board, strategy or race, and seed; then step, play and scrub.

    Args:
        board: name of a benchmark.
        course: a strategy's name, ``race`` or ``audit race``.
        seed: of the order.
        boards: to choose among; None for all that are here without a network.
        most: frames of the player on a page without a kernel.
    """

    def __init__(
        self,
        board: str = "smol",
        course: str = "LLM Selector",
        *,
        seed: int = 0,
        boards: Sequence[str] | None = None,
        most: int = 40,
    ) -> None:
        """Load the board and show the first frame."""
        some = list(_here() if boards is None else boards)
        self.board = widgets.Dropdown(options=some, value=board, description="board")
        self._pool = benchmarks.load(board)
        self.course = widgets.Dropdown(
            options=courses.names(self._pool), value=course, description="decide by"
        )
        self.seed = widgets.BoundedIntText(value=seed, max=2**31, description="seed")
        self.step = widgets.IntSlider(description="step", layout=WIDE)
        self._play = widgets.Play(interval=400)
        for one in ("value", "max"):
            widgets.link((self._play, one), (self.step, one))
        self.shown = widgets.HTML()
        self._start()
        frames = courses.thinned(list(courses.course(self._pool, course, seed=seed)), most)
        said = f"Explorer of {board} by {course}, seed {seed}"
        super().__init__(film.player({(): frames}, milliseconds=400), said)
        self.board.observe(self._load, "value")
        for each in (self.course, self.seed):
            each.observe(self._start, "value")
        self.step.observe(self._show, "value")
        chosen = widgets.HBox([self.board, self.course, self.seed])
        self.box = widgets.VBox([chosen, widgets.HBox([self._play, self.step]), self.shown])

    def _load(self, _change: object = None) -> None:
        self._pool = benchmarks.load(self.board.value)
        kept, options = self.course.value, courses.names(self._pool)
        self.course.options = options
        self.course.value = kept if kept in options else options[0]
        self._start()

    def _start(self, _change: object = None) -> None:
        """Begin the course; frames are made when they are looked at."""
        self._course = courses.course(self._pool, self.course.value, seed=self.seed.value)
        self._frames: list[Frame] = []
        self.step.max = _longest(self._pool, self.course.value)
        self.step.value = 0
        self._show()

    def _show(self, _change: object = None) -> None:
        missing = self.step.value + 1 - len(self._frames)
        self._frames += itertools.islice(self._course, max(missing, 0))
        self.step.max = min(self.step.max, max(self._end(), 1))
        self.shown.value = film.still(self._frames[min(self.step.value, len(self._frames) - 1)])

    def _end(self) -> int:
        """Return the last step, as far as it is known."""
        over = self.step.value + 1 > len(self._frames)
        return len(self._frames) - 1 if over else int(self.step.max)


def _longest(pool: Pool, name: str) -> int:
    """Steps that a course has at most."""
    calls = pool.n_queries * (pool.n_models - 1)
    return calls if name == courses.AUDIT else pool.n_queries


def _here() -> list[str]:
    return [name for name in benchmarks.names() if benchmarks.describe(name)["here"]]


def _share(name: str, value: float, low: float, high: float) -> widgets.FloatSlider:
    return widgets.FloatSlider(
        value=value, min=low, max=high, step=0.05, description=name, layout=WIDE
    )


def _player_of_sitting(pool: Pool, seed: int) -> str:
    """Precompute a sitting under every setting that the player offers."""
    films = {}
    for i, (loss, draw) in enumerate(PAIRS):
        for j, inside in enumerate(INSIDE):
            for k, accuracy in enumerate(ACCURACIES):
                setting = Setting(loss, draw, inside, accuracy)
                films[i, j, k] = sitting.frames(pool, setting, seed=seed)
    choices = {
        "eps_loss, eps_draw": [f"{loss:g}, {draw:g}" for loss, draw in PAIRS],
        "baseline": ["in" if inside else "out" for inside in INSIDE],
        "weak judge": [KGRAM if each is None else f"{each:.0%} right" for each in ACCURACIES],
    }
    return film.player(films, choices)
