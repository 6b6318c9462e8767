"""Frames in motion: a player for a page without a kernel, and one animated picture.

A player holds one drawing and, for every frame, the values that change. Nothing is loaded, and
nothing is computed in the page: it shows what was computed here.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

from llmsel._base.errors import InputError
from llmsel.reporting.explorer.frames import STYLE, WIDTH, Frame, Slots, column_svg, markup

SCRIPT = """(function () {
  const root = document.getElementById("%s");
  const data = JSON.parse(root.querySelector("script[type]").textContent);
  const parts = [...root.querySelectorAll("[data-k]")].map(
    e => [e, e.dataset.k.split(" ").map(k => k.split(":"))]);
  const choices = [...root.querySelectorAll("select")];
  const scrub = root.querySelector("input"), play = root.querySelector(".play");
  let timer = null;
  const film = () => data.films[choices.map(c => c.selectedIndex).join()];
  function show() {
    scrub.max = film().length - 1;
    const values = film()[+scrub.value];
    for (const [element, keys] of parts) for (const [name, slot] of keys) {
      const value = data.values[values[+slot]];
      if (name === "text") element.textContent = value; else element.setAttribute(name, value);
    }
  }
  function step(by) { scrub.value = +scrub.value + by; show(); }
  function stop() { clearInterval(timer); timer = null; play.textContent = "play"; }
  function tick() { if (+scrub.value >= +scrub.max) stop(); else step(1); }
  play.onclick = function () {
    if (timer) return stop();
    if (+scrub.value >= +scrub.max) scrub.value = 0;
    show(); play.textContent = "stop"; timer = setInterval(tick, %d);
  };
  root.querySelector(".back").onclick = () => { stop(); step(-1); };
  root.querySelector(".on").onclick = () => { stop(); step(1); };
  scrub.oninput = show;
  choices.forEach(c => { c.onchange = show; });
  show();
})();"""


def player(
    films: Mapping[Any, Sequence[Frame]],
    choices: Mapping[str, Sequence[str]] = {},
    *,
    milliseconds: int = 900,
    begin: int = 0,
) -> str:
    """Make a player: step, play and scrub through frames, with a list per choice.

    Args:
        films: the frames for every combination of choices, a tuple of positions; the empty
            tuple where there is nothing to choose. All frames are of one shape.
        choices: what can be chosen, and the names of the possibilities.
        milliseconds: time that a frame stays while it plays.
        begin: the frame that is shown first.

    Returns:
        HTML that needs nothing else.

    Raises:
        InputError: frames of different shapes, which could not be drawn into one another.
    """
    known: dict[str, int] = {}
    coded: dict[str, list[list[int]]] = {}
    drawn = ""
    for chosen, frames in films.items():
        pages = [markup(frame) for frame in frames]
        drawn = drawn or pages[min(begin, len(pages) - 1)][0]
        coded[",".join(map(str, chosen))] = [
            [known.setdefault(value, len(known)) for value in values] for _, values in pages
        ]
    if len({len(values) for frames in coded.values() for values in frames}) != 1:
        raise InputError("the frames of a player must all have the same panels, rows and cells.")
    data = json.dumps({"values": list(known), "films": coded}, separators=(",", ":"))
    data = data.replace("</", "<\\/")
    name = f"film-{hashlib.sha256((drawn + data).encode()).hexdigest()[:12]}"
    last = max(len(frames) for frames in coded.values()) - 1
    return (
        f'<div class="llmsel-film" id="{name}"><style>{STYLE}</style>'
        f'{_controls(choices, begin, last)}{drawn}<script type="application/json">{data}</script>'
        f"<script>{SCRIPT % (name, milliseconds)}</script></div>"
    )


def _controls(choices: Mapping[str, Sequence[str]], begin: int, last: int) -> str:
    lists = "".join(
        f"<label>{name} <select>{''.join(f'<option>{each}</option>' for each in options)}"
        "</select></label>"
        for name, options in choices.items()
    )
    return (
        f'<div class="controls">{lists}</div><div class="controls">'
        '<button class="play">play</button><button class="back">back</button>'
        f'<button class="on">step</button><input type="range" min="0" max="{last}" value="{begin}" '
        'aria-label="frame"></div>'
    )


def still(frame: Frame) -> str:
    """Return one frame as HTML."""
    return f'<div class="llmsel-film"><style>{STYLE}</style>{markup(frame)[0]}</div>'


def animation(frames: Sequence[Frame], *, seconds: float = 1.5) -> str:
    """Return frames as one animated SVG, for places that show pictures and run no scripts.

    Who asks for reduced motion sees the last frame, as does a program that cannot animate.

    Args:
        frames: in order; each stays as long.
        seconds: how long.
    """
    width = 24 + max(len(frame.columns) for frame in frames) * (WIDTH + 16)
    highest, count = max(frame.height for frame in frames), len(frames)
    height = highest + 74
    show = (
        f"@keyframes show{{0%{{visibility:visible}}{100 / count:.3f}%{{visibility:hidden}}}}"
        f".f{{visibility:hidden;animation:show {count * seconds:g}s step-end infinite}}"
        ".f:last-of-type{visibility:visible}"
        "@media(prefers-reduced-motion:reduce){.f{animation:none}}"
    )
    groups = "".join(
        f'<g class="f" style="animation-delay:{(k - count) * seconds:g}s">'
        f"{_scene(frame, highest)}</g>"
        for k, frame in enumerate(frames)
    )
    size = f'width="{width}" height="{height}" viewBox="0 0 {width} {height}"'
    return (
        '<svg xmlns="http://www.w3.org/2000/svg" class="llmsel-film" color="#1a1a1a" '
        f"{size}><style>{STYLE}{show}</style>"
        f'<rect width="100%" height="100%" fill="#fff"/>{groups}</svg>\n'
    )


def _scene(frame: Frame, height: int) -> str:
    """Draw a frame's texts and panels at their places in one picture."""
    slots = Slots()
    panels = "".join(
        column_svg(column, slots, f' x="{12 + k * (WIDTH + 16)}" y="40"')
        for k, column in enumerate(frame.columns)
    )
    title = slots.element("text", 'class="head" x="12" y="24"', text=frame.title)
    note = slots.element("text", f'x="12" y="{height + 60}"', text=frame.note)
    return re.sub(r' data-k="[^"]*"', "", f"{title}{panels}{note}")  # only a player needs them
