"""Races over all pairs: exact enumeration, the literal versions, pools made to tempt them."""

import numpy as np
import pytest
from helpers.audit_courses import Following, leaves
from helpers.audits import bound
from helpers.pair_tables import HOSTILE, circle, finish, table_of, top, with_missing, wrong

from llmsel._base.errors import InputError
from llmsel._base.verdicts import EXHAUSTED, INCOMPLETE, NO_WINNER, TIED
from llmsel.pool import MISSING
from llmsel.racing.audit.duel import Duel
from llmsel.racing.pairs import Borda, BordaRace, Condorcet, CondorcetRace
from llmsel.studies.reference import pairs as literal

LARGE = 1 / 2  # alpha of the enumerations: so large that models are dropped by capital
RULES = [Condorcet, Borda]


def courses(kind, table, **options):
    """Play every course that the draws of a race can take; ``chance`` is its probability."""
    n, _, size = table.shape
    follows = type("Follows", (Following, kind), {})
    return leaves(
        lambda script: follows(LARGE, 1, size, n, script=script, **options), table, play=finish
    )


def small(seed, size):
    rng = np.random.default_rng(seed)
    table = rng.choice([-1, 0, 1], size=(3, 3, size)).astype(np.int8)
    table = np.triu(np.ones((3, 3), dtype=np.int8), 1)[:, :, None] * table
    return table - table.transpose(1, 0, 2)


def chance_of_error(kind, table, delta, *, seed, width=1):
    total = bad = 0.0
    for race in courses(kind, table, delta=delta, width=width, seed=seed):
        total += race.chance
        bad += race.chance * wrong(race, table, delta)
    assert total == pytest.approx(1)
    return bad


@pytest.mark.parametrize("kind", [CondorcetRace, BordaRace])
@pytest.mark.parametrize("width", [1, 3])
@pytest.mark.parametrize("delta", [0.0, 0.2])
def test_every_course_counted_few_certificates_are_wrong(kind, width, delta):
    for seed in (0, 6, 19):
        bad = chance_of_error(kind, small(seed, 4), delta, seed=seed, width=width)
        assert bad <= LARGE + 1e-9


@pytest.mark.parametrize(("kind", "seed", "size"), [(CondorcetRace, 19, 4), (BordaRace, 101, 5)])
def test_wrong_certificates_exist_where_they_are_allowed(kind, seed, size):
    """Pools found by search; so the sums above are not 0 merely because nobody is ever dropped."""
    assert 0.005 < chance_of_error(kind, small(seed, size), 0.0, seed=seed) <= LARGE


def usurped(self):
    """Give the throne to anybody, beaten or not, as no prediction would."""
    rng = np.random.default_rng([self.calls, self.champion])
    if self._changes < 5 and rng.random() < 0.3:
        self._changes += 1
        heir = int(rng.choice(np.flatnonzero(np.arange(len(self.live)) != self.champion)))
        self._enthrone(heir, prey=-1 if self.live[heir] else self.champion)
    self._duels = {j: duel for j, duel in self._duels.items() if duel.count}


@pytest.mark.parametrize(
    ("kind", "pools"),
    [(CondorcetRace, ((37, 3), (132, 3), (3, 4))), (BordaRace, ((3, 4), (19, 4), (183, 4)))],
)
def test_whatever_is_predicted_and_whoever_is_champion_few_certificates_are_wrong(
    kind, pools, monkeypatch
):
    """Everyone is said to lose nearly always: bets that win most where they are wrong."""
    monkeypatch.setattr(Duel, "predict", lambda self, _: np.full(self.count, 0.9))
    monkeypatch.setattr(CondorcetRace, "_look", usurped)
    worst = 0.0
    for seed, size in pools:  # found by search
        for delta, width in ((0.0, 1), (0.1, 3)):
            bad = chance_of_error(kind, small(seed, size), delta, seed=seed, width=width)
            assert bad <= LARGE + 1e-9
            worst = max(worst, bad)
    assert worst > 0.3, "so large that a capital worth twice too much would show"


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("name", HOSTILE)
def test_the_literal_version_plays_the_same_races(rule, name):
    play = literal.condorcet if rule is Condorcet else literal.borda
    for seed in range(2):
        rng = np.random.default_rng(seed)
        table = table_of(HOSTILE[name], 12, 0.2, rng)
        table = with_missing(table, rng) if seed else table
        options = {"delta": 0.05 * (seed % 2), "width": 1 + 4 * seed, "seed": seed}
        rounds: list[list[tuple[int, int, int]]] = []
        race = finish(rule(0.2, 3).begin(12, len(table), **options), table, rounds)
        expected = play(table, alpha=0.2, seek=3, **options)
        assert (rounds, race.champion, race.stop) == expected


@pytest.mark.slow
@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("missing", [False, True])
def test_certificates_over_all_pairs_are_rarely_wrong_on_hostile_pools(rule, missing):
    """The long version is tests/torture/test_pairs_races.py."""
    bad, races = {}, 0
    for name, gaps in HOSTILE.items():
        for seed in range(8):
            rng = np.random.default_rng([seed, races])
            truth = table_of(gaps, 20, 0.1, rng)
            table = with_missing(truth, rng, outcome=1 - 2 * (seed % 2)) if missing else truth
            delta = 0.05 * (seed % 2)
            options = {"delta": delta, "width": 1 + 3 * (seed % 3), "seed": seed}
            race = finish(rule(0.1, 3).begin(20, len(gaps), **options), table)
            bad[name] = bad.get(name, 0) + wrong(race, truth, delta)
            races += 1
    assert sum(bad.values()) <= bound(races, 0.1), bad


def played(rule, gaps, size=40, *, missing=0.0, **options):
    rng = np.random.default_rng(3)
    table = table_of(gaps, size, 0.1, rng)
    table = with_missing(table, rng, missing) if missing else table
    return finish(rule.begin(size, len(table), **options), table)


def test_a_clear_winner_costs_less_than_a_star_around_a_baseline():
    gaps = top(8, 60, 4)
    race = played(Condorcet(), gaps, 100)
    assert race.winners.tolist() == [True] + [False] * 7
    assert race.calls < 100 * 7


def test_where_everyone_is_beaten_the_race_says_so():
    race = played(Condorcet(), circle(3, 30))
    assert race.stop == NO_WINNER
    assert not race.live.any()
    assert not race.winners.any()


def test_a_model_that_draws_with_another_is_named_as_unbeaten():
    race = played(Condorcet(alpha=0.001), HOSTILE["two share the top"], 20)
    assert race.stop == EXHAUSTED
    assert np.flatnonzero(race.winners)[0] in (0, 1)


def test_equal_means_are_told_as_a_tie():
    assert played(Borda(alpha=0.001), HOSTILE["two share the top"], 20).stop == TIED


@pytest.mark.parametrize("rule", RULES)
def test_what_is_missing_is_never_guessed(rule):
    race = played(rule(alpha=0.001), circle(3, 2), 20, missing=0.9)
    assert race.stop == INCOMPLETE
    assert not race.certified


def test_who_leads_when_too_much_is_missing_is_the_best_rated():
    rng = np.random.default_rng(5)
    table = with_missing(table_of(top(4, 10, 4), 20, 0.1, rng), rng, share=0.6)
    race = finish(Condorcet(alpha=0.001).begin(20, 4, seed=1), table)
    assert race.stop == INCOMPLETE
    rating = np.where(race.live, race.table.rating(), -np.inf)
    assert np.flatnonzero(race.winners).tolist() == [int(rating.argmax())]


@pytest.mark.parametrize("rule", RULES)
def test_the_order_of_telling_changes_nothing(rule):
    table = table_of(top(5, 6, 4), 30, 0.1, np.random.default_rng(0))
    rounds: list[list[tuple[int, int, int]]] = []
    finish(rule().begin(30, 5, width=6, seed=5), table, rounds)
    race = rule().begin(30, 5, width=6, seed=5)
    for asked in rounds:
        assert race.ask() == asked
        for i, a, b in asked:
            race.tell((i, a, b), int(table[a, b, i]))
    assert race.stop


@pytest.mark.parametrize("rule", RULES)
def test_mistakes_of_a_caller_are_told(rule):
    with pytest.raises(InputError, match="alpha=2 must be in"):
        rule(alpha=2)
    with pytest.raises(InputError, match="at least one query"):
        rule(seek=0)
    with pytest.raises(InputError, match="width=0"):
        rule().begin(5, 3, width=0)
    race = rule().begin(5, 3)
    first = race.ask()[0]
    with pytest.raises(InputError, match="must be -1"):
        race.tell(first, 2)
    race.tell(first, MISSING)
    with pytest.raises(InputError, match="told before"):
        race.tell(first, 0)
    with pytest.raises(InputError, match="not asked for"):
        race.tell((99, 0, 1), 0)
