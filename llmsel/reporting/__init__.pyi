__all__ = [
    "INK",
    "MARK",
    "MARKS",
    "OTHER",
    "STYLES",
    "CategoryWinner",
    "agreement",
    "band",
    "baseline_strength",
    "cheapest_within",
    "clones",
    "curve",
    "decision",
    "domains",
    "early",
    "export",
    "failure_signatures",
    "forest",
    "greedy",
    "judged",
    "leader",
    "log_to_mlflow",
    "model_table",
    "new_axes",
    "null_strip",
    "overview",
    "panels",
    "promises",
    "race_options",
    "read_costs",
    "sanity",
    "save",
    "say_baseline_strength",
    "say_targets",
    "say_universal_parameters",
    "say_weak_judges",
    "sensitivity",
    "simplex",
    "stops",
    "strategies",
    "style",
    "tuning",
    "universal_parameters",
    "value_table",
    "verdict_table",
    "weak_judges",
    "winners_by_category",
    "write_report",
]

from .boards import panels
from .categories import CategoryWinner, winners_by_category
from .charts import (
    baseline_strength,
    clones,
    domains,
    failure_signatures,
    greedy,
    race_options,
    sanity,
    sensitivity,
    strategies,
    tuning,
    universal_parameters,
)
from .decisions import judged, leader
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
    overview,
    simplex,
    style,
)
from .judges import agreement, null_strip, weak_judges
from .outputs import save
from .page import write_report
from .races import early, promises, stops
from .sentences import (
    say_baseline_strength,
    say_targets,
    say_universal_parameters,
    say_weak_judges,
)
from .value import cheapest_within, read_costs, value_table
