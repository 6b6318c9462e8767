__all__ = [
    "CategoryWinner",
    "INK",
    "MARK",
    "MARKS",
    "OTHER",
    "STYLES",
    "band",
    "cheapest_within",
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
    "read_costs",
    "save",
    "simplex",
    "style",
    "value_table",
    "verdict_table",
    "winners_by_category",
    "write_report",
]

from .categories import CategoryWinner, winners_by_category
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
from .value import cheapest_within, read_costs, value_table
