"""Logs to damage, and all that is done with a log that was damaged."""

import contextlib
import shutil
import warnings
from pathlib import Path

from helpers import pools
from llmsel._base.errors import InputError
from llmsel.judging.collect import verdict_of
from llmsel.judging.log import AnnotationLog
from llmsel.judging.provenance import bias, remarks_of, warnings_of
from llmsel.judging.repair import check_log
from llmsel.judging.replay import read_log

OLD = Path(__file__).parents[1] / "fixtures" / "logs"


def pool():
    """The pool of all these logs."""
    return pools.simulated(n=8, m=3, seed=1)


def race_pool():
    """The same with responses that name their cell."""
    plain = pool()
    table = [[f"{i}|{m}" for m in plain.models] for i in range(plain.n_queries)]
    return plain.replace(responses=table)


def logs(folder):
    """Logs of every kind, with their pools: of llmsel 0.2, and begun by this one."""
    found = [(OLD / "session.jsonl", pool()), (OLD / "race.jsonl", race_pool())]
    for old, same in list(found):
        new = folder / f"new-{old.name}"
        with AnnotationLog(new, same, strategy="Random", seed=1) as log:
            if old.name == "race.jsonl":
                log.begin_race(read_log(old, same).race)
            log.begin_judge({"name": "j", "parameters": {"temperature": 0}})
            for query in same.queries[:5]:
                detail = {"verdicts": ["A", "B"]}
                outcomes = dict.fromkeys(same.candidates, 1)
                log.record(query, outcomes, by="j", order="both", detail=detail)
            log.undo()
            log.note(opinions(same))
        found.append((new, same))
    return [(path.read_bytes(), same) for path, same in found]


def opinions(same):
    """What second annotators leave: two opinions, two decisions, and one of each taken back."""
    stamp, lines = {"time": "2026-11-30T00:00:00+00:00"}, []
    for kind, by in (("second", "bob"), ("adjudicated", "cleo")):
        for query in same.queries[:2]:
            said = {kind: query, "models": [same.candidates[0]], "outcome": 0, "by": by}
            lines.append({**said, "order": "candidate first", **stamp})
        lines.append(
            {"withdrawn": kind, "query": query, "models": said["models"], "by": by, **stamp}
        )
    return lines


def use(path, same):
    """Do all that is done with a log; returns "read" or the one sentence that refuses it.

    Any other exception is a fault.
    """
    said = "read"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            held = read_log(path, same)
            bias(held.given), warnings_of(held), remarks_of(held)
            verdict_of(held)
            if held.session.history:
                held.session.best()
        except InputError as error:
            said = sentence(error)
        with contextlib.suppress(InputError), AnnotationLog(path, same) as log:
            _ = log.session
        with contextlib.suppress(InputError):
            found = check_log(path, repair=True)
            if found.backup is not None:
                shutil.move(found.backup, path)
    return said


def sentence(error):
    """The message of an error, if it is one line that can be printed."""
    text = str(error)
    text.encode()  # no half surrogates
    assert "\n" not in text and len(text) < 1500 and "Traceback" not in text, text
    return text
