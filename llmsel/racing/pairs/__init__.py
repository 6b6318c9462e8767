r"""Races without a baseline: every model against every other, and who wins that.

Outcomes count as ``r`` = +1/2, 0, -1/2 for win, draw, loss, so r_ab = -r_ba; S_ab is the sum of
r_ab over the P queries of the pool. A *Condorcet winner* beats every other model, S_wj > 0 for all
j; there may be none. A *Borda winner* has the highest mean win rate against all others, the largest
S_b = sum_j S_bj. Both races end with a certificate, wrong with probability at most alpha over their
own draws. With M models there are M (M - 1) / 2 comparisons a query; a star around one baseline has
M - 1, but its winner need be neither.

**Search.** A first champion meets others on a few random queries. Nothing is bet on them, so
whatever is made of them costs no certificate anything; later they count as known.

**One draw.** "b ends at least theta ahead of a" claims ``S_ba >= theta``. With R the queries on
which the two are not compared yet, ``y_i = 1/2 - r_ba`` on R and D = the largest S_ba that is still
possible, less theta, the claim says ``sum_R y <= D``. As in an audit (`llmsel.racing.audit`, whose
bets and draws these are) i is drawn with chances q, and a capital is multiplied by ``(y_i + a_i) /
(q_i (D + sum_R a))``: never negative, with mean at most 1 if the claim is true, whatever the
predictions. D < 0 refutes the claim for certain.

**The Condorcet race.** K_ab is the product of all factors of draws made while a was champion,
against the claim "b ends at least delta P ahead of a" (delta 0: "b does at least as well"). The
champion is a guess, and gives way to a challenger that is predicted to beat it. With ``k_a = min_b
K_ab``, under champion w::

    w is named     when every j surely ends at most delta P ahead of w, or
                   K_wj prod_{a != w} min(1, k_a) >= 1 / alpha:  "no model beats w (by more)"
    j is dropped   when some model surely ends more than delta P ahead of it, or, with delta 0,
                   K_wj prod_{a != w} min(1, K_aj) >= 1 / alpha
    none is left   when all are dropped:  "no model beats every other"

Proof. Let c beat every other model, and delta be 0. "c does at least as well as a" is true for all
a, and no draw is made for two champions, so ``L = prod_{a != c} K_ac`` is a non-negative
supermartingale that starts at 1. Nothing surely beats c, so to drop c takes ``L >= K_wc prod min(1,
K_ac) >= 1 / alpha``. To name w other than c takes the same, for c is not surely at most 0 ahead of
w, and k_a <= K_ac. By Ville's inequality both together have probability at most alpha. Otherwise
"no model beats every other" is true (with delta it is only said where it is sure), and the one
error is to name a member of B, the models that somebody beats, by more than delta P. For each a in
B let j(a) be one that does. ``L' = prod_{a in B} K_{a j(a)}`` is a supermartingale too, for all its
claims are true. To name w in B takes ``K_{w j(w)} prod_{a != w} min(1, k_a) >= 1 / alpha``, since
j(w) is surely none of the others; that is at most L', for ``min(1, k_a)`` is at most K_{a j(a)} for
a in B, and at most 1 for the rest. There is no union bound over models or champions: a change of
the champion costs what its capital has lost.

**The Borda race.** A model's *rows* are all queries with all opponents; one comparison fills a row
of two models. The champion c is judged on all its rows, then each challenger j is drawn rows of,
against the claim ``S_j >= S_c + delta P (M - 1)``: the audit with rows for queries, and capitals
that start at 1. A champion is replaced by a model judged on all rows whose sum is larger. The proof
is the audit's: with b a Borda winner and B the models of which b is more than delta ahead (delta 0:
all that are behind), b's claim is true under every champion in B, sums of champions rise, and
naming a member of B takes K_b >= 1 / alpha. What a draw of one challenger tells of another is used
after the round.

**Missing judgements** count as a win for whichever model a claim is about: the worst for a
refutation, so no certificate depends on what they are. A model whose claim hangs on them is not
named; if no other is left, the race is INCOMPLETE.

**Several at once.** As in an audit: a round is planned before any of its outcomes is used; draws of
one challenger are without replacement from one q, each with its own D; what is told in any order is
used in planned order, so a race is a function of seed, settings, width and outcomes.
"""

from llmsel.racing.pairs.borda import BordaRace
from llmsel.racing.pairs.condorcet import CondorcetRace
from llmsel.racing.pairs.layout import (
    OPPONENT,
    PairsCourse,
    all_pairs,
    check_compared,
    check_pairs,
    compared,
    comparisons,
    contestants,
    described,
    has_pairs,
    met,
    used_cells,
)
from llmsel.racing.pairs.recorded import standing_of
from llmsel.racing.pairs.rule import Borda, Condorcet, PairsRule

__all__ = [
    "OPPONENT",
    "Borda",
    "BordaRace",
    "Condorcet",
    "CondorcetRace",
    "PairsCourse",
    "PairsRule",
    "all_pairs",
    "check_compared",
    "check_pairs",
    "compared",
    "comparisons",
    "contestants",
    "described",
    "has_pairs",
    "met",
    "standing_of",
    "used_cells",
]
