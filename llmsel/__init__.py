"""llmsel: find the best LLM for your queries with as few judgements as possible.

The public face, by route. What is named here is imported when it is first used, so that the
command line and a session of one's own do not wait for what only an experiment needs.
"""

from importlib.metadata import version
from typing import TYPE_CHECKING

import lazy_loader

if TYPE_CHECKING:  # for type checkers and editors; a test holds the two lists equal
    from llmsel._base.errors import InputError
    from llmsel.answers.compare import Comparison, compare_models
    from llmsel.answers.outcomes import pool_of_scores, pool_of_verdicts
    from llmsel.answers.read import read_answers
    from llmsel.answers.recorded import read_verdicts
    from llmsel.answers.scores import read_scores
    from llmsel.belief import Belief
    from llmsel.benchmarks import load
    from llmsel.judging.calibration import calibrate
    from llmsel.judging.carry import carry
    from llmsel.judging.collect import annotate, judge_race
    from llmsel.judging.judges import Judge, ProgramJudge, Verdict
    from llmsel.judging.llm import LLMJudge
    from llmsel.judging.log import AnnotationLog
    from llmsel.judging.panel import Panel
    from llmsel.judging.person import AnnotationView
    from llmsel.judging.replay import replay
    from llmsel.pool import MISSING, Outcome, Pool
    from llmsel.racing.audit import Audit
    from llmsel.racing.elimination import Certified, Heuristic
    from llmsel.racing.pairs import Borda, Condorcet, all_pairs
    from llmsel.racing.race import Budget, Race, RaceVerdict, Task
    from llmsel.reporting.export import export
    from llmsel.reporting.page import write_report
    from llmsel.session import Answer, Question, Session
    from llmsel.strategies import (
        BradleyTerry,
        Confidence,
        LLMSelector,
        MostDraws,
        Random,
        SelectLLM,
        Strategy,
        Uncertainty,
    )
    from llmsel.studies.by_call import compete
    from llmsel.studies.by_query import run
    from llmsel.studies.diagnose import diagnose
    from llmsel.studies.methods.racing import Racing
    from llmsel.studies.protocol import Result
    from llmsel.weak_judges import add_votes

_DECIDE = {  # which model is best, and what to judge next
    "pool": ["MISSING", "Outcome", "Pool"],
    "weak_judges": ["add_votes"],
    "belief": ["Belief"],
    "strategies": [
        "BradleyTerry",
        "Confidence",
        "LLMSelector",
        "MostDraws",
        "Random",
        "SelectLLM",
        "Strategy",
        "Uncertainty",
    ],
    "racing.audit": ["Audit"],
    "racing.elimination": ["Certified", "Heuristic"],
    "racing.pairs": ["Borda", "Condorcet", "all_pairs"],
    "racing.race": ["Budget", "Race", "RaceVerdict", "Task"],
    "session": ["Answer", "Question", "Session"],
    "_base.errors": ["InputError"],
}
_JUDGE = {  # answers in, outcomes kept, a report out
    "answers.read": ["read_answers"],
    "answers.scores": ["read_scores"],
    "answers.recorded": ["read_verdicts"],
    "answers.outcomes": ["pool_of_scores", "pool_of_verdicts"],
    "answers.compare": ["Comparison", "compare_models"],
    "judging.judges": ["Judge", "ProgramJudge", "Verdict"],
    "judging.llm": ["LLMJudge"],
    "judging.person": ["AnnotationView"],
    "judging.log": ["AnnotationLog"],
    "judging.panel": ["Panel"],
    "judging.calibration": ["calibrate"],
    "judging.carry": ["carry"],
    "judging.collect": ["annotate", "judge_race"],
    "judging.replay": ["replay"],
    "reporting.page": ["write_report"],
    "reporting.export": ["export"],
}
_STUDY = {  # experiments over many realizations
    "studies.by_query": ["run"],
    "studies.by_call": ["compete"],
    "studies.protocol": ["Result"],
    "studies.methods.racing": ["Racing"],
    "studies.diagnose": ["diagnose"],
}
_ROOMS = ("answers", "benchmarks", "judging", "racing", "reporting", "studies")
_REPRODUCE = {"benchmarks": ["load"]}  # the paper's benchmarks; the runs: llmsel reproduce

__version__ = version("llmsel")
__getattr__, __dir__, _ = lazy_loader.attach(
    __name__, submodules=_ROOMS, submod_attrs=_DECIDE | _JUDGE | _STUDY | _REPRODUCE
)

__all__ = [
    "MISSING",
    "AnnotationLog",
    "AnnotationView",
    "Answer",
    "Audit",
    "Belief",
    "Borda",
    "BradleyTerry",
    "Budget",
    "Certified",
    "Comparison",
    "Condorcet",
    "Confidence",
    "Heuristic",
    "InputError",
    "Judge",
    "LLMJudge",
    "LLMSelector",
    "MostDraws",
    "Outcome",
    "Panel",
    "Pool",
    "ProgramJudge",
    "Question",
    "Race",
    "RaceVerdict",
    "Racing",
    "Random",
    "Result",
    "SelectLLM",
    "Session",
    "Strategy",
    "Task",
    "Uncertainty",
    "Verdict",
    "__version__",
    "add_votes",
    "all_pairs",
    "annotate",
    "calibrate",
    "carry",
    "compare_models",
    "compete",
    "diagnose",
    "export",
    "judge_race",
    "load",
    "pool_of_scores",
    "pool_of_verdicts",
    "read_answers",
    "read_scores",
    "read_verdicts",
    "replay",
    "run",
    "write_report",
]
