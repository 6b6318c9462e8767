"""A race inside an Inspect evaluation: a challenger is stopped once it is beaten, or has won.

Inspect asks before each sample whether to run it (its ``EarlyStopping`` protocol, inspect_ai
0.3.154 and later), but not in an order that a race could choose, and it runs several at a time. So
the race draws an order of its own, learns the scores in that order alone, whatever order they come
in, and only says when to stop; `Challenge.arrange` puts a dataset into that order, so that nothing
waits. What is scored beyond the race's last sample is never looked at.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from llmsel._base.errors import InputError, unknown
from llmsel.answers.scores import number, read_scores
from llmsel.pool import MISSING, Pool, draw_orders
from llmsel.racing.elimination import Certified
from llmsel.racing.race import Race, RaceVerdict

NAME = "llmsel"


class Challenge:
    """Tests one model against another's scores in an Inspect log: ``Task(early_stopping=...)``.

    On each sample the higher score wins (several epochs count as their mean), and the race decides
    which of the two wins more often in this dataset. One object is for one evaluation.

    Args:
        baseline: Inspect log of the model that is shipped today, evaluated in full on the task.
        challenger: name of the model that is evaluated now; for the verdict.
        scorer: name of the scorer, or scorer/key; needed where there are several.
        delta: stop once the win rates differ by no more than this (0..1).
        alpha: chance of a wrong certificate. Of several challengers give each its share.
        seed: of the order; None draws one.

    Raises:
        InputError: no such log, or one with several scorers and none chosen.

    Example:
        >>> import inspect_ai  # doctest: +SKIP
        >>> challenge = Challenge("logs/shipped.eval", "new")  # doctest: +SKIP
        >>> task.dataset = challenge.arrange(task.dataset)  # doctest: +SKIP
        >>> task.early_stopping = challenge  # doctest: +SKIP
        >>> inspect_ai.eval(task, model="openai/new")  # doctest: +SKIP
        >>> print(challenge.verdict().statement)  # doctest: +SKIP
    """

    def __init__(
        self,
        baseline: str | Path,
        challenger: str = "challenger",
        *,
        scorer: str | None = None,
        delta: float = 0.0,
        alpha: float = 0.05,
        seed: int | None = None,
    ) -> None:
        """Read the log; the race begins with the evaluation."""
        table = read_scores(baseline, metric=scorer)
        owners = list(dict.fromkeys(table["model"]))
        if len(owners) != 1 or table["query_id"].str.partition(":")[0].nunique() != 1:
            raise InputError(f"'{baseline}' is not the log of one model on one task; name one log.")
        self._baseline = owners[0] if owners[0] != challenger else f"{owners[0]} (shipped)"
        table = table.assign(sample=table["query_id"].str.partition(":")[2])
        whole = table.groupby("sample")["score"].agg(lambda each: each.mean(skipna=False))
        self._known: dict[str, float] = whole.to_dict()
        metrics = table["metric"].dropna().unique().tolist()
        self._scorer = scorer or (metrics[0] if metrics else None)
        self.challenger = challenger
        self._rule, self._delta, self._drawn = Certified(alpha), delta, seed is None
        self._seed = secrets.randbelow(2**32) if seed is None else seed
        self._epochs = 1
        self._scores: dict[str, list[float | None]] = {}
        self._race: Race | None = None

    def arrange(self, dataset: Any) -> Any:
        """Put a dataset into the order in which the race learns; it saves the most then.

        Args:
            dataset: of the task; Inspect's ``Dataset``, every sample with an id.

        Returns:
            A ``MemoryDataset`` with the same samples.

        Raises:
            InputError: inspect_ai is not installed.
        """
        try:
            from inspect_ai.dataset import MemoryDataset
        except ImportError as error:
            raise InputError("to race in Inspect, pip install inspect_ai.") from error
        samples = {str(sample.id): sample for sample in dataset}
        return MemoryDataset([samples[name] for name in self._order(samples)], name=dataset.name)

    def verdict(self) -> RaceVerdict:
        """Say which of the two is better on this dataset, and what that is worth.

        Raises:
            InputError: the evaluation has not begun.
        """
        if self._race is None:
            raise InputError("the evaluation has not begun: give Task(early_stopping=...) to eval.")
        return self._race.verdict()

    async def start_task(self, task: Any, samples: Sequence[Any], epochs: int) -> str:
        """Begin the race on the samples of an evaluation (called by Inspect)."""
        if self._race is not None:
            raise InputError("a Challenge is for one evaluation; make one for each model.")
        names = self._order([str(sample.id) for sample in samples])
        missing = [name for name in names if name not in self._known]
        if missing:
            raise unknown("sample in the log of the baseline", missing[0], self._known)
        self._epochs = epochs
        # in sorted order, whose permutation the race draws with this seed is `_order`
        models = (self.challenger, self._baseline)
        pool = Pool(tuple(sorted(names)), models, self._baseline, name="Inspect")
        self._race = Race(
            pool, self._rule, delta=self._delta, seed=self._seed, seed_drawn=self._drawn
        )
        return NAME

    async def schedule_sample(self, id: str | int, epoch: int) -> Any:
        """Tell Inspect whether a sample is still to be run (called by Inspect)."""
        from inspect_ai.util import EarlyStop

        if self._race is None or self._race.ask():
            return None
        return EarlyStop(id=id, epoch=epoch, reason="the race is decided")

    async def complete_sample(self, id: str | int, epoch: int, scores: Mapping[str, Any]) -> None:
        """Take the scores of a sample (called by Inspect)."""
        self._scores.setdefault(str(id), []).append(self._value(scores, str(id)))
        self._advance()

    async def complete_task(self) -> dict[str, Any]:
        """End the race, and give Inspect's log the verdict (called by Inspect)."""
        self._advance(ended=True)
        said = self.verdict()
        return {
            "statement": said.statement,
            "winners": list(said.winners),
            "certified": said.certified,
            "samples": said.calls,
        }

    def _order(self, names: Any) -> list[str]:
        """Sample ids in the order of the race."""
        listed = sorted(names)
        (drawn,) = draw_orders(len(listed), len(listed), realizations=1, seed=self._seed)
        return [listed[i] for i in drawn]

    def _value(self, scores: Mapping[str, Any], sample: str) -> float | None:
        """Find the chosen value among the scores of one sample."""
        scorer, _, key = (self._scorer or "").partition("/")
        if scorer not in scores:
            if self._scorer is not None or len(scores) != 1:
                raise unknown("scorer", scorer, scores)
            scorer = next(iter(scores))
        value = scores[scorer].score.value
        return number(value[key] if key else value, f"sample '{sample}'")

    def _advance(self, *, ended: bool = False) -> None:
        """Tell the race what it asks for, as far as it is known; at the end, all of it."""
        race = self._race
        while race is not None and (tasks := race.ask()):
            sample = tasks[0].query
            given = self._scores.get(sample, [])
            if len(given) < self._epochs and not ended:
                return
            race.tell(sample, {self.challenger: self._outcome(sample, given)})

    def _outcome(self, sample: str, given: Sequence[float | None]) -> int:
        known = [score for score in given if score is not None]
        other = self._known[sample]
        if len(known) < self._epochs or other != other:
            return MISSING
        gap = sum(known) / len(known) - other
        return (gap > 0) - (gap < 0)
