"""The algorithms straight from their formulas: one query, one judge, one realization at a time.

Slow on purpose, without NumPy; the fast engine is held against it.
"""

import math
from collections import Counter

TIE = 1e-10
MISSING = -128


def likelihood(outcome, eps_loss, eps_draw):
    if outcome == MISSING:
        return 1 / 3
    return {-1: eps_loss, 0: eps_draw, 1: 1 - eps_loss - eps_draw}[outcome]


def entropy(p):
    """-sum q log q; the log of a q near 1 from the sum of the others, which is exact."""
    z = sum(p)
    q = [x / z for x in p]
    top = max(range(len(q)), key=q.__getitem__)
    others = [x for j, x in enumerate(q) if j != top]
    rest = sum(others)
    total = -(1 - rest) * math.log1p(-rest) if rest < 0.5 else -q[top] * math.log(q[top])
    return total - sum(x * math.log(x) for x in others if x > 0)


def take(score, order, open_queries):
    """Highest score; ties within TIE by the order."""
    best = max(score[i] for i in open_queries)
    for i in order:
        if i in open_queries and score[i] >= best - TIE * abs(best):
            return i
    raise AssertionError


def run(score, observe, order, budget):
    open_queries = set(order)
    chosen = []
    for _ in range(budget):
        i = take({i: score(i) for i in open_queries}, order, open_queries)
        open_queries.discard(i)
        chosen.append(i)
        observe(i)
    return chosen


def llm_selector(votes, outcomes, order, budget, eps_loss=0.2, eps_draw=0.4):
    models, judges = len(votes[0]), len(votes[0][0])
    pi = [1 / models] * models

    def score(i):
        total = 0.0
        for k in range(judges):
            total += entropy(
                [pi[j] * likelihood(votes[i][j][k], eps_loss, eps_draw) for j in range(models)]
            )
        return -total / judges

    def observe(i):
        p = [pi[j] * likelihood(outcomes[i][j], eps_loss, eps_draw) for j in range(models)]
        z = sum(p)
        pi[:] = [x / z for x in p]

    return run(score, observe, order, budget)


def shares(votes, i, j):
    count = Counter(votes[i][j])
    return [count[c] / len(votes[i][j]) for c in (-1, 0, 1)]


def bradley_terry(votes, outcomes, order, budget, baseline, prior=1.0):
    models = len(votes[0])
    candidates = [j for j in range(models) if j != baseline]
    wins = dict.fromkeys(candidates, prior / 2)
    losses = dict.fromkeys(candidates, prior / 2)

    def divergence(v, p):
        parts = [(v, p), (1 - v, 1 - p)]
        return sum(a * math.log(a / b) for a, b in parts if a > 0)

    def score(i):
        theta = {j: math.log(wins[j] / losses[j]) for j in candidates}
        whole = 1 + sum(math.exp(t) for t in theta.values())
        total = 0.0
        for j in candidates:
            p = 1 / (1 + math.exp(-theta[j]))
            gain = sum(divergence((v + 1) / 2, p) for v in votes[i][j]) / len(votes[i][j])
            total += math.exp(theta[j]) / whole * gain
        return total

    def observe(i):
        for j in candidates:
            if outcomes[i][j] != MISSING:
                wins[j] += (outcomes[i][j] + 1) / 2
                losses[j] += (1 - outcomes[i][j]) / 2

    return run(score, observe, order, budget)


def static(kind, votes, order, budget, baseline):
    candidates = [j for j in range(len(votes[0])) if j != baseline]

    def score(i):
        each = [shares(votes, i, j) for j in candidates]
        mean = [sum(s[c] for s in each) / len(each) for c in range(3)]
        return {
            "Random": 0.0,
            "Most Draws": mean[1],
            "Uncertainty": -sum(s * math.log(s) for s in mean if s > 0),
            "Confidence": -sum(max(s) for s in each) / len(each),
        }[kind]

    return run(score, lambda i: None, order, budget)


def token_f1(a, b):
    a, b = Counter(a), Counter(b)
    total = sum(a.values()) + sum(b.values())
    return 2 * sum((a & b).values()) / total if total else 1.0


def rouge_l(a, b):
    """F measure of the longest common subsequence, by dynamic programming."""
    length = [[0] * (len(b) + 1) for _ in range(len(a) + 1)]
    for i, x in enumerate(a):
        for j, y in enumerate(b):
            longer = max(length[i][j + 1], length[i + 1][j])
            length[i + 1][j + 1] = length[i][j] + 1 if x == y else longer
    total = len(a) + len(b)
    return 2 * length[-1][-1] / total if total else 1.0


def select_llm(tokens, outcomes, order, budget, tau=1.0, alike=token_f1):
    """tokens[i][j]: the tokens of model j's response to query i."""
    models = len(tokens[0])
    p = [1 / models] * models
    known = {}

    def score(i):
        if i not in known:
            known[i] = [[1 - alike(a, b) for b in tokens[i]] for a in tokens[i]]
        pairs = ((j, k) for j in range(models) for k in range(models) if j != k)
        return sum(p[j] * p[k] * known[i][j][k] for j, k in pairs)

    def observe(i):
        for j in range(models):
            outcome = 0 if outcomes[i][j] == MISSING else outcomes[i][j]
            p[j] *= math.exp((outcome + 1) / 2 / tau)
        whole = sum(p)
        p[:] = [x / whole for x in p]

    return run(score, observe, order, budget)


def choose(strategy, votes, outcomes, order, budget, baseline, tokens=None):
    if strategy == "Select-LLM":
        return select_llm(tokens, outcomes, order, budget)
    if strategy == "LLM Selector":
        return llm_selector(votes, outcomes, order, budget)
    if strategy == "Bradley-Terry":
        return bradley_terry(votes, outcomes, order, budget, baseline)
    return static(strategy, votes, order, budget, baseline)


def kgram_score(texts_tokens, order):
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
