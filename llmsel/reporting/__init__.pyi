__all__ = [
    "INK",
    "MARK",
    "MARKS",
    "OTHER",
    "STYLES",
    "band",
    "curve",
    "forest",
    "new_axes",
    "null_strip",
    "overview",
    "panels",
    "save",
    "simplex",
    "style",
    "write_report",
]

from .figures import (
    INK,
    MARK,
    MARKS,
    OTHER,
    STYLES,
    band,
    curve,
    forest,
    new_axes,
    null_strip,
    overview,
    panels,
    simplex,
    style,
)
from .outputs import save
from .page import write_report
