r"""The audit race: judge one champion in full, then test each challenger alone against it.

After a plain race over shared queries one model, the *champion* c, is judged on every query, so
that its sum S_c is a known number. Each *challenger* j is then tested alone, on queries drawn
with chosen probabilities, until its claim to beat the champion is refuted: the idea of a
risk-limiting audit of an election. (With few models and a margin the champion is not judged in full
either: the paired audit, below.) Outcomes count as ``r`` = +1/2, 0, -1/2 for win, draw, loss
(the baseline always 0 and free); all probability is over the race's own draws of queries.

Claim of j: "I am better than the champion by at least delta", ``S_j >= S_c + delta P`` (delta 0:
"I am at least as good", true of a best model whatever c is). With R the queries on which j or c is
not judged yet and X what is known of ``S_c - S_j``, on all others::

    y_i = (r_ic - r_ij) - (the least it may be)     what goes against the claim, at least 0:
                  1/2 - r_ij where c is judged, r_ic + 1/2 where j is, their sum where none is
    D   = what may still go against it: the largest S_j that is possible, less the smallest S_c,
          less delta P. The claim says sum_R y <= D; D < 0 drops j for certain
    i ~ q on R, any q > 0, any pads a_i >= 0, all fixed before the outcomes
    K_j <- K_j (y_i + a_i) / (q_i (D + sum_R a))
    K_j >= 1 / alpha drops j

**One draw.** y >= 0, so the factor is never negative. Given the past its mean is
``(sum_R y + sum_R a) / (D + sum_R a)``, at most 1 if the claim is true, whatever the predictions
that made a and q. (Without a bet, or if D + sum_R a = 0, the factor is 1.) That c is judged in full
is not needed: then ``y = 1/2 - r_ij`` on all of R.

**The plain race.** Before a shared query, in uniformly random order, j bets on its best opponents
a with stakes w_a >= 0: ``K_j <- K_j (1 + sum_a w_a (r_a - r_j - m_a))``, where
``m_a = -(S_a - S_j) / rem``. If j is a best model, ``sum_R (r_a - r_j) <= -(S_a - S_j)`` for any a,
so the mean is at most 1; ``sum_a w_a (largest loss + m_a) <= 0.9`` keeps the factor above 0. Models
that race no more keep their capital. With delta, few models and no pairing a part s = PAIR_SHARE of
alpha goes to pairs: K starts at 1 - s, and W_lj, which bets in this way against "j is better than l
by more than delta", at s / (M - 1). The race may stop at a leader l if every other live j surely
ends at most delta above l, or ``K_j + W_lj >= 1 / alpha``.

**The whole race.** Let b be a best model and B the models of which b is more than delta ahead (at
delta 0: all, for b's claim is then true against every champion). B is a fixed set, and b's claim
is true against its members. A race errs only if it names a member of B after b was dropped, or
shown to be within delta of it. A known champion is replaced only by a model judged in full whose
sum is larger, so if the last champion is in B, all before it are in B too. Under a champion c,
K_b stands for ``K_b + W_cb``, at most ``T = K_b + sum_B W_lb``, times the factors of the audit. T
is a non-negative supermartingale that starts at most at 1, and the audit's factors for b continue
it: b's claim is true against every champion. No certain drop can hit b, since D >= 0 under a true
claim. So an error needs T to have reached 1 / alpha, which by Ville's inequality has probability at
most alpha. There is no correction for the number of rivals or champions, none for delta without
pairs, and no fixed time of stopping.

**The paired audit** (delta above 0, few models) judges the champion too only where a draw needs it.
It is the leader after a few shared queries: a guess, which may have to give way to a better one
before its sum is known. Then b may have been dropped, rightly, by a champion within delta of it,
that gives way to one in B. The min rule repairs that, without a union bound. Let G_j be the product
of j's factors in the audit, Gs_j what it was when the tenure began (a tenure ends with a change by
guess)::

    by guess:         G <- min(G, Gs) for all; whoever was dropped in the tenure returns; Gs <- G
    sums are known:   Gs <- min(Gs, G); nobody returns

Let L be the product of b's factors under champions in B only. T L is a supermartingale, since these
claims of b are true. Claim: G_b <= L whenever the champion is in B. It holds at the start. Within
a tenure sums rise from champion to champion, so those in B come first: while they last, G and L
move alike. If the tenure then leaves B, Gs is at most G at that time, so at most L, which stands
still; if it is in B to its end, G is at most L itself; if it never is, Gs is at most L from before.
In each case the next tenure begins with G at most L. An error means that b was dropped, and did not
return, and that the last champion is in B. Within the last tenure all champions are then in B, so b
was dropped by one of them: not for certain, so with ``T L >= T G >= 1 / alpha``: probability at
most alpha.

**The best k.** With k > 1 the champions are k models judged in full, and c is the least of them.
Challengers are tested against c alone, with capitals that start at 1 when the audit does (in the
plain race nothing is bet, and only who ends surely below k others is dropped), and dropped at
``k / alpha``. A model judged in full takes the place of c if its sum is larger, so sums of c rise.
Let the final c be worse than a model outside, by more than delta. Then a true member b of the best
k is outside, and is that much better too: either the model itself is one, or some member must be
outside, and none is worse than it. So b's claim was true against every c, D >= 0, and b was dropped
by a capital that reached k / alpha: for each b with probability at most alpha / k. There are k.

**Missing judgements**, given up for good, count as the worst for what is to be shown: a win of j,
a loss of the champion or opponent. Factors and D only become fairer to the claim. Sums of
champions, and so B, are those with missing outcomes as losses: it is these that rise. So the models
left contain a best one (with delta: one of them, or the champion is within delta of it) whatever
the missing outcomes are. When no live model has an open query, one is
named only if its sum with missing outcomes as losses is at least that of every live rival with
them as wins (less delta P: it is then within delta), and at least the champion's. Then b is either
not live, or not ahead. Otherwise the race ends without an answer, INCOMPLETE.

**Several cells at once.** A round is planned in full before any of its outcomes is used: the
strongest challenger gets as many draws as it is expected to need, then the next. The draws of one
challenger are without replacement from one q: the second, given the first, is drawn from
``q / (1 - q_1)`` on R without it, and its R, D and sum of pads are those after the first. The first
outcome is a fixed number, so given the first draw the factor of the second has mean at most 1 as
well. What the draws of other challengers tell about the champion in the same round is used only
after it. Outcomes are used in planned order, however they arrive.

**Features and cheap verdicts** (`TwoJudges`) go into predictions alone. They are known before a
round is planned, and for any predictions whatever the factors above are fair: outcomes are fixed
numbers, so even verdicts made by one who knows them all change nothing but the number of calls.

**What a seed promises.** The cells of a race are a function of the seed, the settings, the
width, the order of the queries and the outcomes. They do not depend on how many cells are
asked for at a time, on the order in which outcomes are told, on timing or on processes: the k-th
draw of model j takes the k-th number of a stream of its own. Another width is another race, as
valid as the first, for a draw that may use an outcome differs from one that may not.
"""

from llmsel.racing.audit.ledger import UNSEEN
from llmsel.racing.audit.race import (
    CHALLENGE,
    CHAMPION,
    OVER,
    PLAIN,
    PRUNE,
    AuditRace,
)
from llmsel.racing.audit.rule import Audit
from llmsel.racing.audit.two_judges import TwoJudges

__all__ = [
    "CHALLENGE",
    "CHAMPION",
    "OVER",
    "PLAIN",
    "PRUNE",
    "UNSEEN",
    "Audit",
    "AuditRace",
    "TwoJudges",
]
