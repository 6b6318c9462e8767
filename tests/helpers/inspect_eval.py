"""Two evaluations by the real Inspect, in a process of their own: it leaves streams unclosed.

Arguments: folder, share of right answers of the challenger, samples, epochs. Prints JSON.
"""

import json
import sys

import numpy as np

from llmsel.judging.inspect_race import Challenge


def evaluate(folder, right, *, n, epochs, challenge=None):
    """Evaluate the mock model, which is right where the array says so, eight samples at a time."""
    import inspect_ai  # an extra of few: the module is collected without it
    from inspect_ai.dataset import MemoryDataset, Sample
    from inspect_ai.model import ModelOutput, ModelUsage, get_model
    from inspect_ai.scorer import match

    dataset = MemoryDataset([Sample(id=i, input=f"{i}?", target="yes") for i in range(n)], name="d")
    outputs = [ModelOutput.from_content("mockllm/model", "yes" if r else "no") for r in right]
    for output in outputs:  # else it counts tokens with a vocabulary from the network
        output.usage = ModelUsage(input_tokens=1, output_tokens=1, total_tokens=2)
    task = inspect_ai.Task(
        dataset=dataset if challenge is None else challenge.arrange(dataset),
        scorer=match(),
        name="t",
        early_stopping=challenge,
        epochs=epochs,
    )
    model = get_model("mockllm/model", custom_outputs=outputs, memoize=False)
    (log,) = inspect_ai.eval(task, model=model, log_dir=folder, display="none", max_samples=8)
    assert log.status == "success", log.error
    return log


if __name__ == "__main__":
    folder, share, n, epochs = sys.argv[1], *map(float, sys.argv[2:])
    size = int(n) * int(epochs)
    rng = np.random.default_rng(1)
    settings = {"n": int(n), "epochs": int(epochs)}
    shipped = evaluate(folder, rng.random(size) < (1.0 if share == 1 else 0.5), **settings)
    challenge = Challenge(shipped.location, scorer="match", seed=5)
    log = evaluate(folder, rng.random(size) < share, challenge=challenge, **settings)
    said, stopped = challenge.verdict(), log.results.early_stopping
    found = {"certified": said.certified, "winners": said.winners, "calls": said.calls}
    found |= {"manager": stopped.manager, "metadata": stopped.metadata}
    print(json.dumps(found | {"stopped": len(stopped.early_stops), "statement": said.statement}))
