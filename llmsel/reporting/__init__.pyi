__all__ = [
    "INK",
    "MARK",
    "MARKS",
    "OTHER",
    "STYLES",
    "band",
    "curve",
    "decision",
    "export",
    "forest",
    "log_to_mlflow",
    "model_table",
    "new_axes",
    "null_strip",
    "overview",
    "panels",
    "save",
    "simplex",
    "style",
    "verdict_table",
    "write_report",
]

from .export import decision, export, log_to_mlflow, model_table, verdict_table
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
