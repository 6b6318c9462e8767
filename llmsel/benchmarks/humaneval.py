"""`humaneval`: 164 programming tasks, 30 candidates, judged by unit tests.

The verdicts are this project's own execution (data/humaneval); nothing is executed here. The
programs come from my-other-github-account/llm-humaneval-benchmarks, the tasks from
openai/human-eval (both MIT). Win: the candidate passes and the baseline fails; loss: the reverse;
draw: both pass or both fail.
"""

from __future__ import annotations

import pandas as pd

from llmsel._base.errors import unknown
from llmsel._base.files import ROOT, json_lines
from llmsel.benchmarks.assemble import join, outcomes_of_grades
from llmsel.benchmarks.fetch import fetch, fetch_all
from llmsel.pool import Pool

FOLDER = ROOT / "data" / "humaneval"
FILES = (FOLDER / "verdicts.csv", FOLDER / "models.csv")
PROGRAMS = (
    "my-other-github-account/llm-humaneval-benchmarks/da43bc4c8f529c043123925adf6e51bd2483e6dd"
)
TASKS = "openai/human-eval/6d43fb980f9fee3c892a914eda09951f772ad10d/data/HumanEval.jsonl.gz"
BASELINE = "WizardLM-30B"


def needed() -> list[str]:
    """Files that the benchmark downloads."""
    return [TASKS, *(f"{PROGRAMS}/{file}" for file in pd.read_csv(FILES[1])["file"])]


def load(baseline: str = BASELINE) -> Pool:
    """Read verdicts, tasks and programs.

    Args:
        baseline: any of the models: all are tested.

    Raises:
        InputError: files that cannot be had or do not fit together, or an unknown baseline.
    """
    fetch_all(needed(), "humaneval")
    verdicts = pd.read_csv(FILES[0], index_col=0)
    models, queries = list(verdicts.columns), [str(q) for q in verdicts.index]
    if baseline not in models:
        raise unknown("baseline", baseline, models)
    file_of = pd.read_csv(FILES[1], index_col="model")["file"]
    programs = {
        model: [
            (row["task_id"], row["completion"])
            for row in json_lines(fetch(f"{PROGRAMS}/{file_of[model]}"))
        ]
        for model in models
    }
    tasks = {TASKS: [(row["task_id"], row["prompt"]) for row in json_lines(fetch(TASKS))]}
    return Pool(
        queries=tuple(queries),
        models=tuple(models),
        baseline=baseline,
        texts=tuple(join("humaneval", FILES[0].name, queries=queries, answers=tasks)[:, 0]),
        responses=join("humaneval", FILES[0].name, queries=queries, answers=programs),
        outcomes=outcomes_of_grades(verdicts.to_numpy(float), models.index(baseline)),
        name="humaneval",
        notes={
            "source": f"{PROGRAMS}; {TASKS}",
            "licence": "MIT",
            "oracle": "unit tests, executed by this project (data/humaneval)",
        },
    )
