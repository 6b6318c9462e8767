"""Two evaluations by the real Inspect, the second scored pairwise against the first.

Argument: folder. The answer to question i has i dots, the challenger's some more or less; the
grader prefers the longer, and says nothing clear about question 5. Prints JSON.
"""

import json
import sys

import pandas as pd

from llmsel.answers.compare import compare_models
from llmsel.answers.scores import read_scores
from llmsel.judging.inspect_pairwise import pairwise

MORE = [1, 1, 0, -1, 2, 1]  # dots; question 3 is lost, question 2 answered in the same words


def output(text):
    from inspect_ai.model import ModelOutput, ModelUsage

    found = ModelOutput.from_content("mockllm/model", text)
    found.usage = ModelUsage(input_tokens=1, output_tokens=1, total_tokens=2)
    return found


def grade(messages, *_):
    asked = messages[-1].text
    (first, second) = (part.split("\n")[1] for part in asked.split("<ANSWER ")[1:])
    if " 5" in first:
        return output("Hard to say.")
    return output('{"verdict": "A"}' if len(first) > len(second) else '{"verdict": "B"}')


def evaluate(folder, more, scorer, inputs=None, **options):
    import inspect_ai  # an extra of few: the module is collected without it
    from inspect_ai.dataset import MemoryDataset, Sample
    from inspect_ai.model import get_model

    dataset = MemoryDataset([Sample(id=i, input=f"What of {i}?") for i in range(len(MORE))])
    said = [output(f"answer {i}" + "." * (i + dots)) for i, dots in enumerate(more)]
    model = get_model("mockllm/model", custom_outputs=said, memoize=False)
    task = inspect_ai.Task(dataset=inputs or dataset, scorer=scorer, name="t")
    (log,) = inspect_ai.eval(
        task, model=model, log_dir=folder, display="none", max_samples=1, **options
    )
    return log


if __name__ == "__main__":
    from inspect_ai.dataset import MemoryDataset, Sample
    from inspect_ai.model import get_model
    from inspect_ai.scorer import match

    folder = sys.argv[1]
    grader = get_model("mockllm/grader", custom_outputs=grade, memoize=False)
    shipped = evaluate(folder, [0] * len(MORE), match())
    log = evaluate(folder, MORE, pairwise(shipped.location), model_roles={"grader": grader})
    assert log.status == "success", log.error
    values = read_scores(log.location)["score"].tolist()
    alone = evaluate(folder, MORE, pairwise(shipped.location))
    others = MemoryDataset([Sample(id=i, input="Another question?") for i in range(len(MORE))])
    wrong = evaluate(folder, MORE, pairwise(shipped.location), inputs=others)
    less = evaluate(folder, [-1, 0, 0, -1, 1, 1], pairwise(shipped.location, grader=grader))
    frames = [read_scores(each.location).assign(model=m) for each, m in ((log, "a"), (less, "b"))]
    found = compare_models(pd.concat(frames), "a", "b", missing="drop")
    scores = log.results.scores[0]
    print(
        json.dumps(
            {
                "name": scores.name,
                "mean": scores.metrics["mean"].value,
                "values": [None if v != v else v for v in values],
                "asked": [s.scores["pairwise"].explanation for s in log.samples],
                "alone": [alone.status, str(alone.error and alone.error.message)],
                "wrong": [wrong.status, str(wrong.error and wrong.error.message)],
                "compared": [found.wins, found.draws, found.losses, found.queries],
            }
        )
    )
