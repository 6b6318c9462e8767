"""One picture of a decision at one moment: titled panels of bars, as markup that can be animated.

A frame is drawn as SVG by hand and not by matplotlib: frames of one film differ only in some texts
and lengths, so a page holds one drawing and a short list of numbers per frame, and the drawing
follows the page's own text colour, light or dark.
"""

from __future__ import annotations

import dataclasses
import html
from collections.abc import Sequence

WIDTH, ROW, TOP = 372, 22, 30  # of a panel, of a row, of a panel's head; in pixels
LABEL, CELL, VALUE = 112, 17, 66
GLYPHS = {1: "+", 0: "=", -1: "−", None: ""}
KINDS = {1: "win", 0: "draw", -1: "loss", None: "open"}

STYLE = """
.llmsel-film{max-width:780px;line-height:1.4}
.llmsel-film .panels{display:flex;flex-wrap:wrap;gap:4px 16px;align-items:flex-start}
.llmsel-film svg{flex:0 1 372px;max-width:100%;height:auto}
.llmsel-film p{margin:.3em 0;min-height:1.4em}
.llmsel-film .controls{display:flex;flex-wrap:wrap;gap:6px 12px;align-items:center;margin:.4em 0}
.llmsel-film .controls input[type=range]{flex:1 1 160px;min-width:120px}
.llmsel-film text{fill:currentColor;font-family:sans-serif;font-size:13px}
.llmsel-film text.head{font-weight:bold}
.llmsel-film text.next{font-weight:bold}
.llmsel-film text.gone{opacity:.55;text-decoration:line-through}
.llmsel-film text.cell{font-size:12px;text-anchor:middle;fill:#000}
.llmsel-film rect.strong{fill:#0072B2}
.llmsel-film rect.next{fill:#D55E00}
.llmsel-film rect.plain{fill:#56B4E9}
.llmsel-film text.known{opacity:.65}
.llmsel-film rect.gone{fill:currentColor;opacity:.25}
.llmsel-film rect.win{fill:#56B4E9}
.llmsel-film rect.draw{fill:#d9d9d9}
.llmsel-film rect.loss{fill:#E69F00}
.llmsel-film rect.open{fill:currentColor;opacity:.1}
.llmsel-film .mark{stroke:#D55E00;stroke-dasharray:4 3;stroke-width:1.5}
"""


@dataclasses.dataclass(frozen=True)
class Row:
    """One bar.

    Args:
        label: what it belongs to.
        value: its length, in units of the panel.
        text: its value in words.
        tone: ``strong``, ``plain``, ``next``, ``known`` or ``gone``.
        cells: outcomes drawn beside the label: 1, 0, -1, or None where nothing is known.
    """

    label: str
    value: float
    text: str
    tone: str = "plain"
    cells: tuple[int | None, ...] = ()


@dataclasses.dataclass(frozen=True)
class Panel:
    """Bars with one scale.

    Args:
        title: what the bars are.
        rows: the bars, from the top.
        longest: value of a bar that fills its space.
        mark: a value that is marked by a dashed line; None for none.
    """

    title: str
    rows: tuple[Row, ...]
    longest: float
    mark: float | None = None

    @property
    def height(self) -> int:
        """Height in pixels."""
        return TOP + ROW * len(self.rows) + 14


@dataclasses.dataclass(frozen=True)
class Frame:
    """All that is seen at one moment.

    Args:
        title: where we are.
        note: what happens next, and why.
        columns: of panels, side by side, or one below the other on a narrow page.
    """

    title: str
    note: str
    columns: tuple[tuple[Panel, ...], ...]

    @property
    def height(self) -> int:
        """Height of the highest column in pixels."""
        return max(sum(panel.height for panel in column) for column in self.columns)


class Slots:
    """Values of a frame that may change, in the order in which they are drawn."""

    def __init__(self) -> None:
        """Nothing is drawn yet."""
        self.values: list[str] = []

    def element(self, tag: str, fixed: str = "", **varying: object) -> str:
        """Write one element; ``text`` among the varying values is its content, ``kind`` its class.

        Args:
            tag: name of the element.
            fixed: attributes that are the same in every frame.
            varying: attributes that may differ.
        """
        places, attributes = [], []
        for name, value in varying.items():
            name = "class" if name == "kind" else name
            places.append(f"{name}:{len(self.values)}")
            self.values.append(str(value))
            if name != "text":
                attributes.append(f' {name}="{html.escape(str(value))}"')
        content = html.escape(str(varying.get("text", "")))
        keys = f' data-k="{" ".join(places)}"' if places else ""
        return f"<{tag}{fixed and ' ' + fixed}{''.join(attributes)}{keys}>{content}</{tag}>"


def markup(frame: Frame) -> tuple[str, list[str]]:
    """Draw a frame as HTML.

    Returns:
        The markup, and the values of its slots: `data-k` of an element names attribute and slot.
    """
    slots = Slots()
    title = slots.element("b", text=frame.title)
    drawn = "".join(column_svg(column, slots) for column in frame.columns)
    note = slots.element("span", text=frame.note)
    page = f'<p>{title}</p><div class="panels">{drawn}</div><p>{note}</p>'
    return page, slots.values


def column_svg(column: Sequence[Panel], slots: Slots, place: str = "") -> str:
    """Draw panels below one another as an ``svg`` element.

    Args:
        column: the panels.
        slots: where changing values are noted.
        place: attributes that put the element somewhere.
    """
    height = sum(panel.height for panel in column)
    size = f'width="{WIDTH}" height="{height}" viewBox="0 0 {WIDTH} {height}"'
    parts, y = [], 0
    for panel in column:
        parts += _panel(panel, y, slots)
        y += panel.height
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" role="img" {size}{place}>{"".join(parts)}</svg>'
    )


def _panel(panel: Panel, y: int, slots: Slots) -> list[str]:
    cells = max((len(row.cells) for row in panel.rows), default=0)
    left = LABEL + cells * CELL + (6 if cells else 0)
    room = WIDTH - left - VALUE
    parts = [slots.element("text", f'class="head" x="0" y="{y + 16}"', text=panel.title)]
    for i, row in enumerate(panel.rows):
        parts += _row(row, y + TOP + ROW * i, (left, room), panel.longest, slots)
    if panel.mark is not None:
        x, end = left + room * panel.mark / panel.longest, y + panel.height - 6
        line = f'x1="{x:.0f}" x2="{x:.0f}" y1="{y + TOP - 4}" y2="{end}"'
        parts.append(f'<line class="mark" {line}/>')
    return parts


def _row(row: Row, y: int, space: tuple[int, int], longest: float, slots: Slots) -> Sequence[str]:
    left, room = space
    length = room * min(max(row.value / longest, 0.0), 1.0)
    parts = [slots.element("text", f'x="0" y="{y + 14}"', text=row.label, kind=row.tone)]
    for k, outcome in enumerate(row.cells):
        x = LABEL + CELL * k
        box = f'x="{x}" y="{y + 2}" width="{CELL - 2}" height="{ROW - 5}"'
        parts.append(slots.element("rect", box, kind=KINDS[outcome]))
        at = f'class="cell" x="{x + (CELL - 2) / 2:g}" y="{y + 15}"'
        parts.append(slots.element("text", at, text=GLYPHS[outcome]))
    bar = f'x="{left}" y="{y + 2}" height="{ROW - 6}"'
    parts.append(slots.element("rect", bar, width=f"{length:.1f}", kind=row.tone))
    parts.append(slots.element("text", f'x="{WIDTH - VALUE + 6}" y="{y + 14}"', text=row.text))
    return parts
