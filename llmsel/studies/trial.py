"""A small fixed experiment through the whole engine: what it does is what the code does.

`llmsel.studies.provenance.behaviour` hashes what these functions return, so that a change of what
the engine does makes results out of date, and a change of how it is written does not. All of it
runs in this process and reads no cache. Whoever adds a strategy, a method or a table adds it
here. One function per family of results:

``votes``: pools, weak judges and similarities. ``queries``: what strategies pick. ``calls``: what
races and their peers pay and name. ``audit``: the same of audit races with more settings, for the
runs that play them. ``cheap``: audit races with a cheap judge beside the dear one. ``calibrated``,
``clones``, ``official``, ``readings``, ``tuning``: how right the belief is, copies of a model, the
paper's method in its authors' mode, other readings of it, eps tuned on the weak judges.
``pairs``: races without a baseline. ``published``: what the published peers pay and name that have
a guarantee or a predictor. ``tables``: what is computed from picks and answers (fixed ones here, so
that the families do not depend on each other).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from llmsel._base import intervals
from llmsel.belief import Belief
from llmsel.benchmarks.simulated import adversarial_pools, simulate
from llmsel.pool import MISSING, Pool, draw_orders
from llmsel.racing.audit import Audit
from llmsel.racing.elimination import Certified, Heuristic, LockstepRule, Standing
from llmsel.racing.pairs import Borda, Condorcet
from llmsel.racing.race import Budget
from llmsel.similarity import KINDS, similarity
from llmsel.strategies import LLMSelector, SelectLLM, Strategy, possible
from llmsel.studies import baselines, efficiency, greedy, groups, paired, parameters, scores
from llmsel.studies import tuning as tune
from llmsel.studies import votes as judges
from llmsel.studies.by_call import Contest, compete, stratified
from llmsel.studies.by_query import run
from llmsel.studies.calibrated import overconfidence, reliability, sayings
from llmsel.studies.clones import KINDS as CLONES
from llmsel.studies.clones import FamilyPrior, clone_effect, families, with_clones
from llmsel.studies.committee import every_form
from llmsel.studies.diagnose import diagnose
from llmsel.studies.methods.anytime import Anytime
from llmsel.studies.methods.auditing import Auditing
from llmsel.studies.methods.desk import Method
from llmsel.studies.methods.factorised import PULSE, UCBELowRank
from llmsel.studies.methods.guaranteed import CELEUS, ProxyLUCB
from llmsel.studies.methods.looks import GroupSequential
from llmsel.studies.methods.peers import LUCB, UCBE, SequentialHalving, SuccessiveRejects, Uniform
from llmsel.studies.methods.racing import Racing
from llmsel.studies.official import run_official
from llmsel.studies.over_queries import on_half_boards, over_halves
from llmsel.studies.protocol import Result
from llmsel.studies.receipt import alias_experiment, summary, toy
from llmsel.studies.tournament import pair_races, star_races
from llmsel.studies.two_judges import gauge_course, price_table, two_judges
from llmsel.weak_judges import VARIANTS, add_votes

PROTOCOL: dict[str, Any] = {"realizations": 9, "pool_size": 30, "seed": 1, "jobs": 1}
NAMED = {"benchmark": "trial", "simulated": True}


def worded() -> Pool:
    """A simulated pool with responses: invented words, some of them odd, some responses empty."""
    rng = np.random.default_rng(2)
    words = np.array(
        ["the", "The", "sum", "is", "42", "-", "don't", "naïve", "模型", "🙂", ".\n", "x=y"]
    )
    plain = simulate(40, 11, z=1, seed=6)
    lengths = rng.integers(0, 12, plain.need("outcomes").shape)
    responses = [[" ".join(rng.choice(words, length)) for length in row] for row in lengths]
    categories = tuple(("coding", "algebra", "logic puzzles", "letters")[i % 4] for i in range(40))
    pool = plain.replace(responses=responses, votes=None, categories=categories)
    return add_votes(pool, cache=False)


def made(gaps: bool = False) -> Pool:
    """A simulated pool, on request with one cell in ten missing."""
    pool = simulate(50, 7, z=3, seed=5, agreement=0.7)
    if not gaps:
        return pool
    outcomes = pool.need("outcomes").copy()
    outcomes[np.random.default_rng(0).random(outcomes.shape) < 0.1] = MISSING
    outcomes[:, pool.baseline_index] = 0
    return pool.replace(outcomes=outcomes)


def alike() -> Pool:
    """A simulated pool whose candidates win and lose on the same queries, nearly."""
    rng = np.random.default_rng(4)
    pool = made()
    outcomes = np.repeat(rng.choice([-1, 0, 1], (pool.n_queries, 1)), pool.n_models, axis=1)
    slips = rng.random(outcomes.shape) < np.linspace(0.02, 0.2, pool.n_models)
    outcomes = np.where(slips, -1, outcomes)
    outcomes[:, pool.baseline_index] = 0
    return pool.replace(outcomes=outcomes)


def votes() -> Iterator[Any]:
    """Pools, the votes of every kind of weak judge, similarities, and how votes are measured."""
    pool = worded()
    for one in (made(), *adversarial_pools().values()):
        yield one.outcomes, one.votes
    for variant in VARIANTS:
        yield add_votes(pool, (1, 2, 5), variant=variant, cache=False).votes
    for kind in KINDS:
        yield similarity(pool, kind, cache=False)
    yield judges.length_votes(pool), judges.consensus_votes(pool), judges.perfect_votes(pool)
    yield judges.noisy_votes(pool, 0.3, judges=2), judges.random_votes(pool, 2)
    yield judges.shuffled_votes(pool), judges.agreement(pool), judges.calibration(pool)
    yield pool.win_rates(), groups.kinds(pool)


def queries() -> Iterator[Any]:
    """What every strategy picks, query by query, and what the studies built on it find."""
    pool = made()
    for one in (worded(), pool, made(gaps=True)):
        yield run(one, possible(one), **PROTOCOL).chosen
    variants = [LLMSelector(0.05, 0.15), parameters.CandidatesOnly()]
    yield run(pool, variants, **PROTOCOL).chosen
    yield run(worded(), [SelectLLM(0.3, "rouge_l")], **PROTOCOL).chosen
    yield Belief().likelihood(pool.need("votes"))
    yield parameters.tune_eps(pool, 0.25, **PROTOCOL)[1]
    yield parameters.sensitivity(pool, 0.25, **PROTOCOL)
    yield judges.noise_sweep(pool, [0.3], repeats=1, **PROTOCOL)
    yield judges.shuffled_null(pool, 1, **PROTOCOL)
    yield greedy.against_all(pool.subset(queries=pool.queries[:8]), 3)
    yield baselines.rebased(pool, pool.models[0]).outcomes


def calls() -> Iterator[Any]:
    """What every way to spend calls pays and names, and the capitals behind the races."""
    for pool in (alike(), made(), made(gaps=True)):
        contest = compete(
            pool, every_method(), shares=(0.1, 0.2, 0.3, 0.5, 0.7, 0.9, 1.0), **PROTOCOL
        )
        yield contest.leaders, contest.ends
    for rule in (Certified(), Certified(0.2, 0.4), Heuristic()):
        yield from _evidence(rule)
    yield stratified(worded(), draw_orders(40, 30, realizations=9, seed=1))


def audit() -> Iterator[Any]:
    """What audit races pay and name, exact and within a margin, one cell at a time and several."""
    for pool in (alike(), made(), made(gaps=True)):
        contest = compete(pool, every_audit(), shares=(0.2, 0.5, 1.0), **PROTOCOL)
        yield contest.leaders, contest.ends


def calibrated() -> Iterator[Any]:
    """What is said of the favourite, and how often it is right."""
    said = sayings(_fixed_result(made(gaps=True)), "Random", [5, 20], draws=25)
    yield said, reliability(said), overconfidence(said)


def clones() -> Iterator[Any]:
    """Clones of a model, and the prior that bears them."""
    pool = worded()
    weighted = FamilyPrior(members="weighted")
    players: list[str | Strategy] = ["LLM Selector", "Select-LLM", FamilyPrior(), weighted]
    clean = run(pool, players, **PROTOCOL)
    yield clean.chosen, families(made(), 0.3)
    for kind in CLONES:
        other = run(with_clones(pool, pool.candidates[0], kind), players, **PROTOCOL)
        yield other.chosen, clone_effect(clean, other, budget=10)


def official() -> Iterator[Any]:
    """The official mode and the aliases of the receipt."""
    for pool in (made(), made(gaps=True)):
        result = run_official(pool, ["LLM Selector", "Uncertainty"], **PROTOCOL)
        yield result.chosen, result.near_ties, scores.score(result)
    small = alias_experiment(toy(40, 4), "toy", seeds=9)
    yield small.paths, small.regrets, summary(small, "toy")


def published() -> Iterator[Any]:
    """What peers with a guarantee or a predictor pay and name."""
    contest = compete(
        made(gaps=True),
        every_published(),
        shares=(0.2, 0.5, 1.0),
        **{**PROTOCOL, "realizations": 4},
    )
    yield contest.leaders, contest.ends


def pairs() -> Iterator[Any]:
    """Races without a baseline, on grades that draw often, with and without gaps."""
    rng = np.random.default_rng(3)
    grades = np.round(rng.normal(np.linspace(0, 1, 5)[:, None], 1, (5, 30)))
    outcomes = np.sign(grades[:, None] - grades[None]).astype(np.int8)
    gaps = np.triu(rng.random((5, 5, 30)).T < 0.1).T
    names = [f"m{j}" for j in range(5)]
    for table in (outcomes, np.where(gaps | gaps.transpose(1, 0, 2), MISSING, outcomes)):
        rules = {"Condorcet": Condorcet(seek=3), "Borda": Borda(seek=3)}
        yield pair_races(names, table, rules, deltas=(0.0, 0.05), realizations=2)
        yield star_races(names, table, "m2", deltas=(0.0,), realizations=1)


def readings() -> Iterator[Any]:
    """Other readings of the named methods, and intervals over queries."""
    for pool in (worded(), made(gaps=True)):
        yield run(pool, every_form(pool), **PROTOCOL).chosen
    halves = on_half_boards(made(), ["Random", "LLM Selector"], halves=2, **PROTOCOL)
    yield halves, over_halves(0.1, halves.to_numpy()[:, 0])


def tuning() -> Iterator[Any]:
    """The pair tuned on weak votes, and what it changes."""
    pool = made()
    pairs = tune.pairs_by_seed(pool, 2, step=0.25, realizations=4, cache=False, jobs=1)
    yield tune.against_default(pool, pairs, **PROTOCOL), tune.cost()


def cheap() -> Iterator[Any]:
    """Races with a cheap judge, one that errs and one that knows nothing, at two prices."""
    pool = simulate(90, 12, z=1, seed=8)
    outcomes = pool.need("outcomes")
    rng = np.random.default_rng(9)
    errs = np.where(rng.random(outcomes.shape) < 0.15, -outcomes, outcomes)
    for votes in (errs, rng.integers(-1, 2, outcomes.shape)):
        judged = pool.replace(votes=votes.astype(np.int8)[..., None])
        settings: dict[str, Any] = {"pool_size": 80, "seed": 1}
        runs = two_judges(judged, (0.0, 0.01), realizations=2, jobs=1, **settings)
        yield runs, price_table(runs)
        yield gauge_course(judged, 0.0, every=10, **settings)


def tables() -> Iterator[Any]:
    """Scores, curves, efficiencies, diagnoses and intervals of fixed picks and answers."""
    for pool in (made(), made(gaps=True)):
        result = _fixed_result(pool)
        scored = scores.score(result)
        curves = scores.curves(result, scored)
        needed = efficiency.annotation_efficiency(scored, bootstraps=25)
        yield scored, curves, needed, efficiency.efficiency_view(needed)
        yield efficiency.gap_table(curves), paired.compare(scored), diagnose(result)
        yield parameters.steering(result, 9)
        contest = _fixed_contest(result)
        yield contest.curve(0.05), contest.calls_to(0.4), contest.paired("one", "two")
        yield contest.runs(), contest.summary()
    yield intervals.wilson(np.array([0.1, 0.7]), 30)
    rates = np.array([[0.5, 0.7, 0.4], [0.3, 0.5, 0.9], [0.6, 0.1, 0.5]])
    yield baselines.star_winners(("a", "b", "c"), rates)


def every_method() -> list[Method]:
    """Every way to spend calls, some with other parameters than the usual ones."""
    return [
        Racing(Certified(), name="certified"),
        Racing(Certified(alpha=0.2, share=0.4), delta=0.05, batch=3, name="within delta"),
        Racing(Heuristic(), delta=0.02, name="heuristic"),
        Racing(Certified(), budget=Budget(calls=100), name="budget"),
        Anytime(name="anytime"),
        Anytime(alpha=None, batch=2, name="anytime, heuristic stop"),
        SuccessiveRejects(),
        SequentialHalving(),
        UCBE(0.3),
        UCBE(1.0, shared=False),
        LUCB(),
        Uniform(),
    ]


def every_audit() -> list[Method]:
    """Audit races, some with other parameters than the usual ones."""
    return [
        Auditing(),
        Auditing(Audit(alpha=0.2, switch="early"), 0.05, width=3, name="early"),
        Auditing(Audit(few=2, start=0.2, gain=1.0), 0.02, name="no pairs"),
        Auditing(Audit(pairing=0.0), 0.02, name="pairs on shared queries"),
        Auditing(Audit(pairing=0.3), 0.05, name="soon paired"),
    ]


def every_published() -> list[Method]:
    """Published peers with a guarantee or a predictor, in sizes that a small pool can bear."""
    return [
        CELEUS(),
        CELEUS(0.2, 0.05, floor=0.5, name="CELEUS, within delta"),
        ProxyLUCB(),
        ProxyLUCB(0.2, 0.05, name="Ao et al., within delta"),
        GroupSequential(first=6, batch=6),
        PULSE(4, rank=4),
        UCBELowRank(4, members=6),
    ]


def _evidence(rule: LockstepRule, delta: float = 0.05) -> Iterator[Any]:
    """Public state of a rule's evidence over the queries: nothing of it is rounded to a verdict."""
    pool = made(gaps=True)
    rows = pool.need("outcomes")[draw_orders(pool.n_queries, 30, realizations=9, seed=1)]
    now = Standing(9, pool.n_models, baseline=pool.baseline_index, pool_size=30)
    evidence = rule.begin(now, delta)
    for place in range(30):
        evidence.stake(now)
        evidence.settle(*now.add(rows[:, place]))
        yield evidence.verdict(now)
        yield [v.copy() for k, v in sorted(vars(evidence).items()) if k in ("capital", "pairs")]


def _fixed_result(pool: Pool) -> Result:
    """A result whose picks are random orders, whatever the strategies do."""
    orders = draw_orders(pool.n_queries, 30, realizations=9, seed=1)
    names = ("Random", "LLM Selector", "Uncertainty")
    chosen = {name: np.roll(orders, 7 * k, axis=1) for k, name in enumerate(names)}
    return Result(pool, orders, chosen, NAMED)


def _fixed_contest(result: Result) -> Contest:
    """A contest whose answers are random, whatever the methods do."""
    rng = np.random.default_rng(3)
    size, models = len(result.orders), result.pool.n_models
    named = rng.random((2, size, 10, models)) < 0.3
    named[..., 0] |= ~named.any(axis=-1)
    grid = np.arange(1, 11) * 3 * (models - 1)
    ends = {
        "calls": rng.integers(1, grid[-1], size),
        "queries": rng.integers(1, 30, size),
        "winners": named[0, :, -1],
        "certified": rng.random(size) < 0.7,
        "stop": np.full(size, "one left"),
    }
    leaders = {"one": named[0], "two": named[1]}
    return Contest(result.pool, result.orders, grid, leaders, {"one": ends}, {"one": 0.02}, NAMED)


FAMILIES = {
    function.__name__: function
    for function in (
        votes,
        queries,
        calls,
        audit,
        calibrated,
        cheap,
        clones,
        official,
        pairs,
        published,
        readings,
        tuning,
        tables,
    )
}
