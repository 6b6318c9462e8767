"""The algorithms straight from their formulas: one query, one judge, one realization at a time.

Slow on purpose, without NumPy; the fast engine is held against it.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Collection, Sequence

TIE = 1e-10
MISSING = -128

Outcomes = Sequence[Sequence[int]]  # [query][model]: -1, 0, 1 or MISSING
Votes = Sequence[Sequence[Sequence[int]]]  # [query][model][judge]: -1, 0 or 1
Tokens = Sequence[Sequence[Sequence[str]]]  # [query][model]: words of a response
Score = Callable[[int], float]  # of a query; the highest is chosen
Observe = Callable[[int], None]  # learn a query's outcomes


def likelihood(outcome: int, eps_loss: float, eps_draw: float) -> float:
    """Chance that the best model has this outcome on a query."""
    if outcome == MISSING:
        return 1 / 3
    return {-1: eps_loss, 0: eps_draw, 1: 1 - eps_loss - eps_draw}[outcome]


def entropy(p: Sequence[float]) -> float:
    """-sum q log q; the log of a q near 1 from the sum of the others, which is exact."""
    z = sum(p)
    q = [x / z for x in p]
    top = max(range(len(q)), key=q.__getitem__)
    others = [x for j, x in enumerate(q) if j != top]
    rest = sum(others)
    total = -(1 - rest) * math.log1p(-rest) if rest < 0.5 else -q[top] * math.log(q[top])
    return total - sum(x * math.log(x) for x in others if x > 0)


def take(score: dict[int, float], order: Sequence[int], open_queries: Collection[int]) -> int:
    """Highest score; ties within TIE by the order."""
    best = max(score[i] for i in open_queries)
    for i in order:
        if i in open_queries and score[i] >= best - TIE * abs(best):
            return i
    raise AssertionError


def run(score: Score, observe: Observe, order: Sequence[int], budget: int) -> list[int]:
    """Choose the query of the highest score, learn its outcomes, and so on."""
    open_queries = set(order)
    chosen = []
    for _ in range(budget):
        i = take({i: score(i) for i in open_queries}, order, open_queries)
        open_queries.discard(i)
        chosen.append(i)
        observe(i)
    return chosen


def llm_selector(
    votes: Votes,
    outcomes: Outcomes,
    order: Sequence[int],
    budget: int,
    eps_loss: float = 0.2,
    eps_draw: float = 0.4,
) -> list[int]:
    """LLM Selector: the query after which the best model is least uncertain, by the weak judges."""
    models, judges = len(votes[0]), len(votes[0][0])
    pi = [1 / models] * models

    def score(i: int) -> float:
        total = 0.0
        for k in range(judges):
            total += entropy(
                [pi[j] * likelihood(votes[i][j][k], eps_loss, eps_draw) for j in range(models)]
            )
        return -total / judges

    def observe(i: int) -> None:
        pi[:] = posterior(pi, outcomes[i], eps_loss, eps_draw)

    return run(score, observe, order, budget)


def posterior(
    pi: Sequence[float], row: Sequence[int], eps_loss: float, eps_draw: float
) -> list[float]:
    """Bayes' rule for one query: a prior and the outcomes of a row."""
    p = [x * likelihood(outcome, eps_loss, eps_draw) for x, outcome in zip(pi, row, strict=True)]
    z = sum(p)
    return [x / z for x in p]


def official(
    votes: Votes,
    outcomes: Outcomes,
    drawn: Sequence[int],
    budget: int,
    eps_loss: float = 0.2,
    eps_draw: float = 0.4,
) -> list[int]:
    """LLM Selector in the official mode: plain argmin in the order drawn, plain entropy."""
    models, judges = len(votes[0]), len(votes[0][0])
    pi = [1 / models] * models

    def score(i: int) -> float:
        rows = ([votes[i][j][k] for j in range(models)] for k in range(judges))
        guesses = [posterior(pi, row, eps_loss, eps_draw) for row in rows]
        return sum(-sum(x * math.log(x) for x in p if x > 0) for p in guesses) / judges

    remaining, chosen = list(drawn), []
    for _ in range(budget):
        i = min(remaining, key=score)  # the first of equals
        remaining.remove(i)
        chosen.append(i)
        pi[:] = posterior(pi, outcomes[i], eps_loss, eps_draw)
    return chosen


def official_answer(outcomes: Outcomes, chosen: Sequence[int]) -> int:
    """First of the models with the highest mean outcome."""
    models = range(len(outcomes[0]))
    return max(models, key=lambda j: sum(outcomes[i][j] for i in chosen))


def shares(votes: Votes, i: int, j: int) -> list[float]:
    """Shares of the judges that vote loss, draw and win."""
    count = Counter(votes[i][j])
    return [count[c] / len(votes[i][j]) for c in (-1, 0, 1)]


def bradley_terry(
    votes: Votes,
    outcomes: Outcomes,
    order: Sequence[int],
    budget: int,
    baseline: int,
    prior: float = 1.0,
) -> list[int]:
    """Bradley-Terry: the query whose votes would change the likely winners' strengths most."""
    models = len(votes[0])
    candidates = [j for j in range(models) if j != baseline]
    wins = dict.fromkeys(candidates, prior / 2)
    losses = dict.fromkeys(candidates, prior / 2)

    def divergence(v: float, p: float) -> float:
        parts = [(v, p), (1 - v, 1 - p)]
        return sum(a * math.log(a / b) for a, b in parts if a > 0)

    def score(i: int) -> float:
        theta = {j: math.log(wins[j] / losses[j]) for j in candidates}
        whole = 1 + sum(math.exp(t) for t in theta.values())
        total = 0.0
        for j in candidates:
            p = 1 / (1 + math.exp(-theta[j]))
            gain = sum(divergence((v + 1) / 2, p) for v in votes[i][j]) / len(votes[i][j])
            total += math.exp(theta[j]) / whole * gain
        return total

    def observe(i: int) -> None:
        for j in candidates:
            if outcomes[i][j] != MISSING:
                wins[j] += (outcomes[i][j] + 1) / 2
                losses[j] += (1 - outcomes[i][j]) / 2

    return run(score, observe, order, budget)


def static(kind: str, votes: Votes, order: Sequence[int], budget: int, baseline: int) -> list[int]:
    """Strategies that learn nothing from outcomes."""
    candidates = [j for j in range(len(votes[0])) if j != baseline]

    def score(i: int) -> float:
        each = [shares(votes, i, j) for j in candidates]
        mean = [sum(s[c] for s in each) / len(each) for c in range(3)]
        return {
            "Random": 0.0,
            "Most Draws": mean[1],
            "Uncertainty": -sum(s * math.log(s) for s in mean if s > 0),
            "Confidence": -sum(max(s) for s in each) / len(each),
        }[kind]

    return run(score, lambda _: None, order, budget)


def token_f1(a: Sequence[str], b: Sequence[str]) -> float:
    """Shared tokens, with multiplicity, over the mean length."""
    total = len(a) + len(b)
    return 2 * sum((Counter(a) & Counter(b)).values()) / total if total else 1.0


def rouge_l(a: Sequence[str], b: Sequence[str]) -> float:
    """F measure of the longest common subsequence, by dynamic programming."""
    length = [[0] * (len(b) + 1) for _ in range(len(a) + 1)]
    for i, x in enumerate(a):
        for j, y in enumerate(b):
            longer = max(length[i][j + 1], length[i + 1][j])
            length[i + 1][j + 1] = length[i][j] + 1 if x == y else longer
    total = len(a) + len(b)
    return 2 * length[-1][-1] / total if total else 1.0


def select_llm(
    tokens: Tokens,
    outcomes: Outcomes,
    order: Sequence[int],
    budget: int,
    tau: float = 1.0,
    alike: Callable[[Sequence[str], Sequence[str]], float] = token_f1,
) -> list[int]:
    """Select-LLM: the query on which the likely best models answer most differently."""
    models = len(tokens[0])
    p = [1 / models] * models
    known: dict[int, list[list[float]]] = {}

    def score(i: int) -> float:
        if i not in known:
            known[i] = [[1 - alike(a, b) for b in tokens[i]] for a in tokens[i]]
        pairs = ((j, k) for j in range(models) for k in range(models) if j != k)
        return sum(p[j] * p[k] * known[i][j][k] for j, k in pairs)

    def observe(i: int) -> None:
        for j in range(models):
            outcome = 0 if outcomes[i][j] == MISSING else outcomes[i][j]
            p[j] *= math.exp((outcome + 1) / 2 / tau)
        whole = sum(p)
        p[:] = [x / whole for x in p]

    return run(score, observe, order, budget)


def choose(
    strategy: str,
    votes: Votes,
    outcomes: Outcomes,
    order: Sequence[int],
    budget: int,
    baseline: int,
    tokens: Tokens = (),
) -> list[int]:
    """Run a strategy by its name."""
    if strategy == "Select-LLM":
        return select_llm(tokens, outcomes, order, budget)
    if strategy == "LLM Selector":
        return llm_selector(votes, outcomes, order, budget)
    if strategy == "Bradley-Terry":
        return bradley_terry(votes, outcomes, order, budget, baseline)
    return static(strategy, votes, order, budget, baseline)


def kgram_score(texts_tokens: Sequence[list[str]], order: int) -> list[float]:
    """Mean maximum-likelihood probability of each text's tokens given the order-1 before."""
    grams: Counter[tuple[str, ...]] = Counter()
    contexts: Counter[tuple[str, ...]] = Counter()
    padded = [["<s>"] * (order - 1) + tokens for tokens in texts_tokens]
    for tokens in padded:
        for p in range(order - 1, len(tokens)):
            gram = tuple(tokens[p - order + 1 : p + 1])
            grams[gram] += 1
            contexts[gram[:-1]] += 1
    result = []
    for tokens in padded:
        probabilities = []
        for p in range(order - 1, len(tokens)):
            gram = tuple(tokens[p - order + 1 : p + 1])
            probabilities.append(grams[gram] / contexts[gram[:-1]])
        result.append(sum(probabilities) / len(probabilities) if probabilities else -math.inf)
    return result
