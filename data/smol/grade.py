"""Grade the responses of the benchmark `smol` with programs: the oracle of the benchmark.

`grade(check, response)` returns a score from 0 to 1 for one response; `check` is the entry of the
same name in `queries.jsonl`. The command line reads `queries.jsonl` and `responses.jsonl` and
writes `scores.csv` (one row per query, one column per model)::

    python grade.py

The scores are deterministic. Code written by a model runs in a sandbox only, see `sandbox.py`;
where there is none, it is not executed, and the committed grades of `scores.csv` stand in for it.
All else needs the standard library only.
"""

import argparse
import ast
import csv
import json
import os
import re
import sys
import tomllib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import sandbox

HERE = Path(__file__).resolve().parent

Check = dict[str, Any]

NUMBER_WORDS = [
    "zero",
    "one",
    "two",
    "three",
    "four",
    "five",
    "six",
    "seven",
    "eight",
    "nine",
    "ten",
    "eleven",
    "twelve",
    "thirteen",
    "fourteen",
    "fifteen",
    "sixteen",
    "seventeen",
    "eighteen",
    "nineteen",
    "twenty",
]


# --- Helpers for text -------------------------------------------------------------------------


def count_words(text: str) -> int:
    """Return the number of words, where a word is anything between spaces."""
    return len(text.split())


def mentions(text: str, phrase: str) -> bool:
    """Tell whether the phrase occurs in the text as whole words, whatever the case."""
    pattern = r"(?<!\w)" + re.escape(phrase.lower()) + r"(?!\w)"
    return re.search(pattern, text.lower()) is not None


def brevity(text: str, max_words: int) -> float:
    """Return 1 within the limit of words, and less the more often it is exceeded.

    Up to twice the limit gives 0.5, four times 0.25, eight times 0.1, and more gives 0.
    """
    words = count_words(text)
    for factor, credit in ((1, 1.0), (2, 0.5), (4, 0.25), (8, 0.1)):
        if words <= factor * max_words:
            return credit
    return 0.0


def numbers_in(text: str) -> list[float]:
    """Return the numbers of a text in their order; the words zero to twenty count as well."""
    pattern = r"(?<![\w.])-?\d[\d,]*(?:\.\d+)?|\b(?:" + "|".join(NUMBER_WORDS) + r")\b"
    # An operator's minus ("9-4") is no sign; spaces around it keep the digits apart.
    spaced = re.sub(r"(?<=\d)\s*[-−]\s*(?=\d)", " - ", text.lower())
    found = []
    for token in re.findall(pattern, spaced):
        if token in NUMBER_WORDS:
            found.append(float(NUMBER_WORDS.index(token)))
        else:
            found.append(float(token.replace(",", "")))
    return found


# --- Graders by type of check -------------------------------------------------------------------


def grade_number(check: Check, response: str) -> float:
    """Grade a numeric answer: the last number of the response is its final answer.

    The final answer right gives 1; the right number elsewhere 0.6; a final answer within 10 %
    0.3, within a factor of two 0.15. If the query asks for the number only (`bare`), that is
    80 % of the score, and the shortness of the response the other 20 %.
    """
    found = numbers_in(response)
    if not found:
        return 0.0
    answer = float(check["answer"])
    error = abs(found[-1] - answer)
    if error < 1e-6:
        value = 1.0
    elif any(abs(number - answer) < 1e-6 for number in found):
        value = 0.6
    elif error <= 0.1 * abs(answer):
        value = 0.3
    elif 0.5 * answer <= found[-1] <= 2 * answer:
        value = 0.15
    else:
        value = 0.0
    if check.get("bare"):
        return 0.8 * value + 0.2 * brevity(response, 1)
    return value


def grade_text(check: Check, response: str) -> float:
    """Grade a short answer: an accepted answer has to occur in the response.

    An accepted answer gives 0.7, but 0.3 if a distractor (a wrong choice) occurs as well; a near
    miss gives 0.2. Obeying the limit of words adds up to 0.3, or 0.1 for a wrong answer.
    """
    short = brevity(response, check["max_words"])
    if any(mentions(response, answer) for answer in check["accept"]):
        mixed = any(mentions(response, wrong) for wrong in check.get("distractors", []))
        return (0.3 if mixed else 0.7) + 0.3 * short
    if any(mentions(response, answer) for answer in check.get("near", [])):
        return 0.2 + 0.1 * short
    return 0.1 * short


def grade_items(check: Check, response: str) -> float:
    """Grade a list of items: the share found, less the share of wrong ones, and shortness."""
    found = sum(any(mentions(response, form) for form in forms) for forms in check["items"])
    share = found / len(check["items"])
    forbidden = check.get("forbidden", [])
    wrong = sum(mentions(response, word) for word in forbidden) / max(1, len(forbidden))
    score = 0.75 * share - 0.25 * wrong + 0.25 * share * brevity(response, check["max_words"])
    return max(0.0, score)


def grade_constraints(check: Check, response: str) -> float:
    """Grade an instruction about form: the share of its rules that the response fulfils."""
    rules = check["rules"]
    return sum(RULES[rule["rule"]](response, rule["value"]) for rule in rules) / len(rules)


def grade_code(check: Check, response: str) -> float:
    """Grade a Python function: 0.1 if it parses, 0.1 if the function exists, 0.8 for tests.

    Code that parses only after its last lines are cut off gets 0.05 instead of the first 0.1. If
    only a function of another name exists, it is tested for half the credit (0.4).
    """
    source, whole = extract_code(response)
    if not source:
        return 0.0
    score = 0.1 if whole else 0.05
    named, passed = run_tests(source, check["function"], check["tests"])
    share = passed / len(check["tests"])
    return score + (0.1 + 0.8 * share if named else 0.4 * share)


# --- Rules about form ---------------------------------------------------------------------------


def lines_of(text: str) -> list[str]:
    """Return the lines of a text that are not blank, without the spaces around them."""
    return [line.strip() for line in text.splitlines() if line.strip()]


def count_sentences(text: str) -> int:
    """Return the number of sentences, as the number of pieces between end marks."""
    return len([part for part in re.split(r"[.!?]+(?:\s|$)", text) if re.search(r"\w", part)])


def parse_json(text: str) -> Any:
    """Return the value of a JSON text, also inside a code fence, or None."""
    fenced = re.fullmatch(r"```(?:json)?\s*(.*?)\s*```", text, re.DOTALL)
    try:
        return json.loads(fenced.group(1) if fenced else text)
    except (ValueError, RecursionError):
        return None


def has_json_keys(text: str, keys: list[str]) -> bool:
    """Tell whether the text is a JSON object with exactly these keys."""
    value = parse_json(text)
    return isinstance(value, dict) and set(value) == set(keys)


def in_order(text: str, words: list[str]) -> bool:
    """Tell whether the words occur in the text in this order."""
    position = 0
    for word in words:
        position = text.lower().find(word.lower(), position) + len(word)
        if position < len(word):
            return False
    return True


def is_sorted(text: str) -> bool:
    """Tell whether the text has several lines, and they are in alphabetical order."""
    lines = [line.lower() for line in lines_of(text)]
    return len(lines) > 1 and lines == sorted(lines)


RULES: dict[str, Callable[[str, Any], bool]] = {
    "max_words": lambda text, n: count_words(text) <= n,
    "min_words": lambda text, n: count_words(text) >= n,
    "lines": lambda text, n: len(lines_of(text)) == n,
    "sentences": lambda text, n: count_sentences(text) == n,
    "each_line_starts": lambda text, mark: all(line.startswith(mark) for line in lines_of(text)),
    "numbered": lambda text, n: (
        [line.split(" ")[0] for line in lines_of(text)] == [f"{i}." for i in range(1, n + 1)]
    ),
    "line_items": lambda text, items: lines_of(text) == items,
    "sorted_lines": lambda text, _: is_sorted(text),
    "comma_items": lambda text, n: len([part for part in text.split(",") if part.strip()]) == n,
    "lowercase": lambda text, _: text == text.lower() and text != text.upper(),
    "uppercase": lambda text, _: text == text.upper() and text != text.lower(),
    "equals": lambda text, wanted: text == wanted,
    "contains": lambda text, part: part in text,
    "contains_any": lambda text, words: any(mentions(text, word) for word in words),
    "count": lambda text, pair: text.count(pair[0]) == pair[1],
    "min_count": lambda text, pair: text.count(pair[0]) >= pair[1],
    "starts_with": lambda text, start: text.startswith(start),
    "ends_with": lambda text, end: text.endswith(end),
    "no_chars": lambda text, chars: not any(char in text for char in chars),
    "matches": lambda text, pattern: re.fullmatch(pattern, text) is not None,
    "in_order": in_order,
    "json": lambda text, _: parse_json(text) is not None,
    "json_keys": has_json_keys,
}


# --- Code written by a model --------------------------------------------------------------------


def parses(source: str) -> bool:
    """Tell whether the text is Python, without running it."""
    try:
        ast.parse(source)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return False
    return True


def extract_code(response: str) -> tuple[str, bool]:
    """Return the Python code of a response, and whether it was whole.

    That is the first fenced block, or the text from the first line that looks like code. If it
    does not parse, lines are cut off at the end (the answer may have been cut short) as long as
    a function is left; without one, the code is the empty string.
    """
    fenced = re.search(r"```[a-zA-Z]*\s*\n(.*?)(?:```|\Z)", response, re.DOTALL)
    if fenced:
        source = fenced.group(1)
    else:
        start = re.search(r"^(?:def |import |from |\w+\s*=)", response, re.MULTILINE)
        source = response[start.start() :] if start else ""
    lines = source.rstrip().splitlines()
    for end in range(len(lines), 0, -1):
        candidate = "\n".join(lines[:end])
        if end < len(lines) and "def " not in candidate:
            break
        if parses(candidate):
            return candidate + "\n", end == len(lines)
    return "", False


def same(value: Any, wanted: Any) -> bool:
    """Tell whether a returned JSON value is the wanted one; numbers may differ by 1e-6."""
    if isinstance(wanted, bool) or isinstance(value, bool):
        return value is wanted
    if isinstance(wanted, int | float) and isinstance(value, int | float):
        try:
            return abs(value - wanted) < 1e-6
        except OverflowError:  # an integer beyond any float
            return False
    return type(value) is type(wanted) and value == wanted


def run_tests(source: str, function: str, tests: list[list[Any]]) -> tuple[bool, int]:
    """Run the tests in the sandbox; return whether the function exists, and how many passed.

    Without it, the first function that the code defines under another name is tested instead.
    The outputs are compared here: the sandbox does not know the wanted ones. A test that is not
    reached (endless loop, crash) has not passed.

    Raises:
        sandbox.Unavailable: there is no sandbox here, and nothing was executed.
    """
    found = sandbox.outputs(source, function, [arguments for arguments, _ in tests])
    passed = sum(same(value, tests[i][1]) for i, value in found.values.items())
    return found.named is True, passed


# --- Everything together ------------------------------------------------------------------------

GRADERS: dict[str, Callable[[Check, str], float]] = {
    "number": grade_number,
    "text": grade_text,
    "items": grade_items,
    "constraints": grade_constraints,
    "code": grade_code,
}


def grade(check: Check, response: str) -> float:
    """Return the score of a response, from 0 to 1; an empty response scores 0."""
    response = response.strip()
    if not response:
        return 0.0
    return round(GRADERS[check["type"]](check, response), 4)


def read_jsonl(path: Path) -> list[dict[str, Any]]:
    """Read a JSON Lines file."""
    return [json.loads(line) for line in path.read_text(encoding="utf-8").split("\n") if line]


def grade_all(
    queries: list[dict[str, Any]], responses: list[dict[str, Any]], jobs: int = 2
) -> dict[tuple[str, str], float]:
    """Return the score of every (model, query_id); equal responses are graded only once.

    Raises:
        sandbox.Unavailable: there is no sandbox, and a response with code is not a committed one.
    """
    checks = {query["query_id"]: query["check"] for query in queries}
    distinct = sorted({(row["query_id"], row["response"]) for row in responses})
    grader = choose_grader()
    with ThreadPoolExecutor(jobs) as pool:
        scores = list(pool.map(lambda pair: grader(checks[pair[0]], pair[1]), distinct))
    by_response = dict(zip(distinct, scores, strict=True))
    return {
        (row["model"], row["query_id"]): by_response[row["query_id"], row["response"]]
        for row in responses
    }


def choose_grader() -> Callable[[Check, str], float]:
    """Return `grade`, or where there is no sandbox, one that takes the committed grades of code."""
    try:
        sandbox.require()
    except sandbox.Unavailable as refusal:
        print(f"{refusal} The committed grades are used for it.", file=sys.stderr)
    else:
        return grade
    known = committed_grades()

    def grade_unexecuted(check: Check, response: str) -> float:
        found = known.get((json.dumps(check), response))
        return grade(check, response) if found is None else found

    return grade_unexecuted


def committed_grades() -> dict[tuple[str, str], float]:
    """Return the committed grades of code, by check (as JSON) and response."""
    checks = {row["query_id"]: row["check"] for row in read_jsonl(HERE / "queries.jsonl")}
    with (HERE / "scores.csv").open(encoding="utf-8", newline="") as file:
        scores = {row["query_id"]: row for row in csv.DictReader(file)}
    return {
        (json.dumps(checks[row["query_id"]]), row["response"]): float(
            scores[row["query_id"]][row["model"]]
        )
        for row in read_jsonl(HERE / "responses.jsonl")
        if checks[row["query_id"]]["type"] == "code"
    }


def main() -> None:
    """Parse the arguments, grade every response and write the table of scores."""
    parser = argparse.ArgumentParser(description="Grade the responses of the smol benchmark.")
    parser.add_argument("--queries", type=Path, default=HERE / "queries.jsonl")
    parser.add_argument("--responses", type=Path, default=HERE / "responses.jsonl")
    parser.add_argument("--output", type=Path, default=HERE / "scores.csv")
    parser.add_argument("--jobs", type=int, default=min(2, os.cpu_count() or 1))
    parser.add_argument(
        "--summary", action="store_true", help="print the win rate of every candidate"
    )
    args = parser.parse_args()

    queries = read_jsonl(args.queries)
    responses = read_jsonl(args.responses)
    models = list(dict.fromkeys(row["model"] for row in responses))
    try:
        scores = grade_all(queries, responses, args.jobs)
    except sandbox.Unavailable as refusal:
        parser.exit(1, f"{refusal} There is no committed grade for one of the responses.\n")
    with args.output.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["query_id", *models])
        for query in queries:
            row = [scores[model, query["query_id"]] for model in models]
            writer.writerow([query["query_id"], *(f"{score:.4g}" for score in row)])
    if args.summary:
        baseline = tomllib.loads((HERE / "models.toml").read_text(encoding="utf-8"))["baseline"]
        print_summary(queries, models, baseline, scores)


def print_summary(
    queries: list[dict[str, Any]],
    models: list[str],
    baseline: str,
    scores: dict[tuple[str, str], float],
) -> None:
    """Print the wins, draws, losses, win rate and mean score of every model."""
    ids = [query["query_id"] for query in queries]
    print("model              wins draws losses  win rate  mean score")
    for model in models:
        gaps = [scores[model, i] - scores[baseline, i] for i in ids]
        wins = sum(gap > 1e-9 for gap in gaps)
        losses = sum(gap < -1e-9 for gap in gaps)
        draws = len(ids) - wins - losses
        rate = (wins + 0.5 * draws) / len(ids)
        mean = sum(scores[model, i] for i in ids) / len(ids)
        print(f"{model:<18} {wins:>4} {draws:>5} {losses:>6}  {rate:>8.4f}  {mean:>10.4f}")


if __name__ == "__main__":
    main()
