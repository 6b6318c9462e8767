__all__ = [
    "Audit",
    "AuditRace",
    "Borda",
    "Certified",
    "Condorcet",
    "Heuristic",
    "LockstepRule",
    "Race",
    "Races",
    "Rule",
    "Task",
    "all_pairs",
]

from .audit import Audit, AuditRace
from .elimination import Certified, Heuristic, LockstepRule, Rule
from .lockstep import Races
from .pairs import Borda, Condorcet, all_pairs
from .race import Race, Task
