"""Logs tortured: 10,000 damaged ones, and a thousand stops at every place there is."""

import random
from collections import Counter

import numpy as np
import pytest
from helpers import pools
from helpers.damaged_logs import logs, use
from helpers.faults import Stop, mutate
from helpers.share import sized

import llmsel
from llmsel.judging.collect import judge_race
from llmsel.judging.judges import ProgramJudge
from llmsel.judging.log import AnnotationLog
from llmsel.judging.repair import check_log
from llmsel.judging.replay import read_log

pytestmark = pytest.mark.torture


def test_10_000_damaged_logs(tmp_path):
    rng, path = random.Random(2026), tmp_path / "log.jsonl"
    begun, said = logs(tmp_path), Counter()
    count = sized(10_000)
    for _ in range(count):
        raw, same = rng.choice(begun)
        kind, damaged = mutate(raw, rng)
        path.write_bytes(damaged)
        said[kind, use(path, same) == "read"] += 1
    read = sum(times for (_, whole), times in said.items() if whole)
    print(
        f"\n{count} damaged logs: {read} read, {count - read} refused in one sentence, 0 tracebacks"
    )


def test_1000_stops_of_races_give_the_same_certificates(tmp_path):
    pool = pools.simulated(n=60, m=5, spread=1.0, seed=4)
    table = [[f"{i}|{j}" for j in range(pool.n_models)] for i in range(pool.n_queries)]
    pool = pool.replace(responses=table)

    def oracle(_query, response, _baseline_response):
        return int(pool.outcomes[tuple(np.array(response.split("|"), dtype=int))])

    judge, options = ProgramJudge(oracle, compares=True), {"seed": 5, "delta": 0.1, "batch": 3}
    with AnnotationLog(tmp_path / "whole.jsonl", pool) as log, Stop() as count:
        whole = judge_race(log, judge, race=llmsel.Race(pool, **options))
    rng, stops, races = random.Random(0), 0, 0
    while stops < sized(1000):
        path, races = tmp_path / f"{races}.jsonl", races + 1
        with AnnotationLog(path, pool) as log:
            while True:
                with Stop(rng.randrange(1, count.lines // 8)) as stop:
                    found = judge_race(log, judge, race=llmsel.Race(pool, **options))
                stops += stop.hit
                if not stop.hit:
                    break
        held = read_log(path, pool)
        assert found.statement == whole.statement and held.known == len(held.given)
        assert not check_log(path).damaged
    print(f"\n{stops} stops of {races} races: every certificate as without a stop, no line twice")
