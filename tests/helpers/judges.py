"""Judges that know the truth."""

from llmsel.judging.judges import ProgramJudge


def graded(pool):
    """Judge by the pool's own outcomes; responses name their cell."""
    place = {m: j for j, m in enumerate(pool.models)}
    table = [[f"{i}|{m}" for m in pool.models] for i in range(pool.n_queries)]

    def oracle(query, response, baseline_response):
        i, model = response.split("|")
        return int(pool.outcomes[int(i), place[model]])

    return pool.replace(responses=table), ProgramJudge(oracle, compares=True)
