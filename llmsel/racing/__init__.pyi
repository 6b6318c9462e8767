__all__ = [
    "Audit",
    "AuditRace",
    "Certified",
    "Heuristic",
    "LockstepRule",
    "Race",
    "Races",
    "Rule",
    "Task",
]

from .audit import Audit, AuditRace
from .elimination import Certified, Heuristic, LockstepRule, Rule
from .lockstep import Races
from .race import Race, Task
