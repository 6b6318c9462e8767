"""A pairwise scorer for Inspect: is a sample's answer better than the baseline's recorded one?"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from llmsel._base.errors import InputError, unknown
from llmsel.answers.missing import REFUSE
from llmsel.answers.read import read_answers
from llmsel.judging.judges import Group, settled
from llmsel.judging.llm import POINTS, LLMJudge
from llmsel.judging.reading import parse
from llmsel.pool import MISSING

GRADER = "grader"  # the role that Inspect's own graded scorers take
Answer = tuple[str | None, str]  # the query's text if it is known, and the answer
CUT = {"max_tokens": "length", "model_length": "length", "content_filter": "content_filter"}


def pairwise(
    baseline: str | Path | Mapping[str, str],
    *,
    model: str | None = None,
    grader: Any = None,
    missing: str = REFUSE,
) -> Any:
    """Make a scorer that has a grader model compare each answer with the baseline's.

    The grader sees both orders, with llmsel's instruction. A sample's score is 1 (win), 0.5 (draw,
    or the two orders disagree), 0 (loss), or NaN, which Inspect leaves out, where the grader gives
    no clear verdict. Its mean is the win rate. Two models that were so scored are compared by
    ``llmsel compare A B logs/ --metric pairwise``.

    Args:
        baseline: answers of the baseline: its Inspect log, another file that
            `llmsel.answers.read.read_answers` reads, with sample ids as ``query_id``, or a mapping
            sample id -> answer.
        model: which model's, where the file has several.
        grader: Inspect's model or its name; None takes the task's model of the role "grader", and
            never the model that is evaluated.
        missing: what becomes of answers that the file lacks, as `read_answers` has it.

    Returns:
        Inspect's ``Scorer``.

    Raises:
        InputError: inspect_ai is not installed, or no answers of one baseline. In the evaluation: a
            sample without an answer of the baseline.

    Example:
        >>> scorer = pairwise("logs/shipped.eval")  # doctest: +SKIP
        >>> task = inspect_ai.Task(dataset=dataset, scorer=scorer)  # doctest: +SKIP
        >>> roles = {"grader": "openai/judge"}  # doctest: +SKIP
        >>> inspect_ai.eval(task, model="openai/new", model_roles=roles)  # doctest: +SKIP
    """
    try:
        from inspect_ai.model import get_model
        from inspect_ai.scorer import Score, mean, scorer, stderr
    except ImportError as error:
        raise InputError("to score in Inspect, pip install inspect_ai.") from error
    if isinstance(baseline, Mapping):
        answers: dict[str, Answer] = {name: (None, text) for name, text in baseline.items()}
    else:
        answers = _answers(baseline, model, missing)

    async def score(state: Any, _target: Any) -> Any:
        sample, said = str(state.sample_id), state.output.completion
        if sample not in answers:
            raise unknown("sample among the answers of the baseline", sample, answers)
        asked, other = answers[sample]
        if asked is not None and _text(state.input) not in (None, asked):
            raise InputError(
                f"sample '{sample}' asks something else than the baseline answered; name answers "
                "to this very dataset."
            )
        known = settled(Group((), said, other))
        if known is not None:
            return Score(value=_value(known), answer=said, explanation="known without a judge")
        judge = get_model(role=GRADER, required=True) if grader is None else get_model(grader)
        outcome, replies = await _compare(judge, state.input_text, said, other)
        return Score(
            value=_value(outcome),
            answer=said,
            explanation="\n\n".join(replies),
            metadata={"grader": str(judge)},
        )

    made = scorer(metrics=[mean(), stderr()], name="pairwise")(lambda: score)
    return made()


def _text(asked: Any) -> str | None:
    """The input of a sample if it is a text; None for a conversation."""
    return asked if isinstance(asked, str) else None


def _answers(path: str | Path, model: str | None, missing: str) -> dict[str, Answer]:
    """Answers of one model by sample id, each with what it answers.

    Raises:
        InputError: several models and none chosen, or no such model.
    """
    frame = read_answers(path, missing=missing)
    models = list(dict.fromkeys(frame["model"]))
    if model is None and len(models) > 1:
        raise InputError(f"'{path}' has answers of {len(models)} models; name the one: model=.")
    if model is not None and model not in models:
        raise unknown("model", model, models)
    mine = frame[frame["model"] == (model or models[0])]
    tasks = mine["category"] if "category" in mine else [None] * len(mine)
    rows = zip(mine["query_id"], mine["query"], mine["response"], tasks, strict=True)
    # of an Inspect log, ids are task:sample
    return {name.removeprefix(f"{task}:"): (_text(asked), said) for name, asked, said, task in rows}


async def _compare(judge: Any, query: str, mine: str, other: str) -> tuple[int, list[str]]:
    """Ask in both orders; the outcome (MISSING without a clear verdict) and what was said."""
    from inspect_ai.model import ChatMessageSystem, ChatMessageUser

    # only words the question: no server is asked
    words = LLMJudge(GRADER, "http://localhost").messages
    points, replies = [], []
    for first, second, sign in ((mine, other, 1), (other, mine, -1)):
        system, user = (message["content"] for message in words(query, first, second))
        chat = [ChatMessageSystem(content=system), ChatMessageUser(content=user)]
        reply = await judge.generate(chat)
        replies.append(reply.completion)
        verdict = parse(reply.completion, CUT.get(reply.stop_reason))
        if verdict is None:
            return MISSING, replies
        points.append(sign * POINTS[verdict])
    return points[0] if points[0] == points[1] else 0, replies


def _value(outcome: int) -> float:
    """Points of an outcome; NaN is how Inspect writes that there are none."""
    return float("nan") if outcome == MISSING else (outcome + 1) / 2
