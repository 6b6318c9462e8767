"""What a race over all pairs says."""

from __future__ import annotations

from llmsel._base.verdicts import CERTAIN, INCOMPLETE, NO_WINNER, TIED, WITHIN, RaceVerdict
from llmsel._base.words import majority, margin


def condorcet_claim(verdict: RaceVerdict, n_models: int, delta: float) -> str:
    """Say who is unbeaten, or how far that is known.

    Args:
        verdict: of a `CondorcetRace`, without a statement.
        n_models: that race.
        delta: win-rate margin.
    """
    if verdict.stop == NO_WINNER and delta:
        rate = majority(delta, reached=True)
        return f"there is no Condorcet winner: against each model another's win rate is over {rate}"
    if verdict.stop == NO_WINNER:
        return "there is no Condorcet winner: no model beats every other"
    (who,) = verdict.winners
    if verdict.stop == WITHIN:
        rate = majority(delta, reached=False)
        return f"no model's win rate against '{who}' in direct comparison is over {rate}"
    if verdict.stop in CERTAIN:
        return f"no model beats '{who}' in direct comparison"
    wanted = "the one that beats all others"
    if delta:
        wanted = f"one against which no win rate is over {majority(delta, reached=True)}"
    return _going_on(verdict, n_models, f"can still be {wanted}")


def borda_claim(verdict: RaceVerdict, n_models: int, delta: float) -> str:
    """Say who wins most; arguments as of `condorcet_claim`, for a `BordaRace`."""
    who = " and ".join(f"'{name}'" for name in verdict.winners)
    many = len(verdict.winners) > 1
    most = "the highest mean win rate against all others"
    if verdict.stop == TIED:
        return f"{who} cannot be told apart on this pool: they share {most}"
    if verdict.stop == WITHIN:
        return f"{who} {'are' if many else 'is'} within {margin(delta)} of {most}"
    if verdict.stop in CERTAIN:
        return f"{who} has {most}"
    near = f", or one within {margin(delta)} of it," if delta else ""
    return _going_on(verdict, n_models, f"are left: the one with {most}{near} is among them")


def _going_on(verdict: RaceVerdict, n_models: int, left: str) -> str:
    """Say who leads; and who is left, once somebody is dropped."""
    if not verdict.calls:
        return "nobody leads: no outcome is judged"
    (who, *_) = verdict.winners
    lead = f"'{who}' leads"
    if len(verdict.live) == n_models:
        return f"{lead}; no model is ruled out yet"
    missing = ", whatever the missing outcomes are" if verdict.stop == INCOMPLETE else ""
    return f"{lead}; {len(verdict.live)} of {n_models} models {left}{missing}"
