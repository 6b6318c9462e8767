r"""The audit race: judge one champion in full, then test each challenger alone against it.

After a plain race over shared queries one model, the *champion* c, is judged on every query, so
that its sum S_c is a known number. Each *challenger* j is then tested alone, on queries drawn
with chosen probabilities, until its claim to beat the champion is refuted: the idea of a
risk-limiting audit of an election. Outcomes count as ``r`` = +1/2, 0, -1/2 for win, draw, loss
(the baseline always 0 and free); all probability is over the race's own draws of queries.

Claim of j: "I am better than the champion by at least delta", ``S_j >= S_c + delta P`` (delta 0:
"I am at least as good", true of a best model whatever c is). With R the queries on which j is not
judged yet, rem = |R| and seen the sum of its judged r::

    tau = S_c + delta P - seen      what R must still bring if the claim is true
    D   = rem / 2 - tau             slack: what j may still lose; D < 0 drops j for certain
    i ~ q on R, any q > 0, any pads c_i >= 0, all fixed before the outcome
    K_j <- K_j (1/2 + c_i - r_ij) / (q_i (D + sum_R c))
    K_j >= 1 / alpha drops j

**One draw.** r <= 1/2, so the factor is never negative. Given the past its mean is
``(rem / 2 + sum_R c - sum_R r_j) / (D + sum_R c)``. The claim says ``sum_R r_j >= tau``, so the
numerator is at most ``rem / 2 - tau + sum_R c = D + sum_R c`` and the mean at most 1, whatever the
predictions that made c and q. (Without a bet, or if D + sum_R c = 0, the factor is 1.)

**The plain race.** Before a shared query, in uniformly random order, j bets on its best opponents
a with stakes w_a >= 0: ``K_j <- K_j (1 + sum_a w_a (r_a - r_j - m_a))``, where
``m_a = -(S_a - S_j) / rem``. If j is a best model, ``sum_R (r_a - r_j) <= -(S_a - S_j)`` for any a,
so the mean is at most 1; ``sum_a w_a (largest loss + m_a) <= 0.9`` keeps the factor above 0. Models
that race no more keep their capital. With delta and few models a part s = PAIR_SHARE of alpha
goes to pairs: K starts at 1 - s, and W_lj, which bets in this way against "j is better than l
by more than delta", at s / (M - 1). The race may then stop at a leader l if
``K_j + W_lj >= 1 / alpha`` for every other live j, or j surely ends at most delta above l.

**The whole race.** Let b be a best model and B the models of which b is more than delta ahead (at
delta 0: all, for b's claim is then true against every champion). B is a fixed set, and b's claim
is true against its members. A race errs only if it names a member of B after b was dropped, or
shown to be within delta of it. A champion is replaced only by a model judged in full whose sum is
larger, so if the last champion is in B, all before it are in B too. At the first one, c, K_b
becomes ``K_b + W_cb``, at most ``T = K_b + sum_B W_lb``. T is a non-negative supermartingale
that starts at most at 1, and the audit's factors for b continue it: b's claim is true against
every champion that follows. No certain drop can hit b, since D >= 0 under a true claim. So an
error needs T to have reached 1 / alpha, which by Ville's inequality has probability at most
alpha. There is no correction for the number of rivals or champions, none for delta without pairs,
and no fixed time of stopping.

**Missing judgements**, given up for good, count as the worst for what is to be shown: a win of j,
a loss of the champion or opponent. Factors and D only become fairer to the claim, and the sums that
rise from champion to champion are those with missing outcomes as losses. So the models left
contain a best one whatever the missing outcomes are. When no live model has an open query, one is
named only if its sum with missing outcomes as losses is at least that of every live rival with
them as wins (less delta P: it is then within delta), and at least the champion's. Then b is either
not live, or not ahead. Otherwise the race ends without an answer, INCOMPLETE.

**Several cells at once.** A round is planned in full before any of its outcomes is used: the
strongest challenger gets as many draws as it is expected to need, then the next. The draws of one
challenger are without replacement from one q: the second, given the first, is drawn from
``q / (1 - q_1)`` on R without it, and its R, D and sum of pads are those after the first. The first
outcome is a fixed number, so given the first draw the factor of the second has mean at most 1 as
well. Outcomes are used in planned order, however they arrive.

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
