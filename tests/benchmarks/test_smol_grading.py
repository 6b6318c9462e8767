"""Tests of the grading programs of the benchmark `smol` (`data/smol/grade.py`)."""

import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from helpers.smol import SMOL, grader


def grade(check: dict[str, Any], response: str) -> float:
    """Grade, or skip the test where it needs the sandbox and there is none."""
    try:
        return grader.grade(check, response)
    except grader.sandbox.Unavailable as refusal:
        pytest.skip(str(refusal))


NUMBER = {"type": "number", "answer": 40, "bare": False}
BARE = {"type": "number", "answer": 40, "bare": True}
TEXT = {
    "type": "text",
    "accept": ["blue whale"],
    "near": ["whale"],
    "distractors": ["shark"],
    "max_words": 2,
}
ITEMS = {
    "type": "items",
    "items": [["fox"], ["goat", "goats"]],
    "forbidden": ["barn"],
    "max_words": 2,
}
RULES = {
    "type": "constraints",
    "rules": [
        {"rule": "lines", "value": 2},
        {"rule": "each_line_starts", "value": "- "},
        {"rule": "lowercase", "value": True},
        {"rule": "max_words", "value": 4},
    ],
}
CODE = {
    "type": "code",
    "function": "double",
    "tests": [[[3], 6], [[0], 0], [[2.5], 5.0], [[-4], -8]],
}


@pytest.mark.parametrize(
    ("check", "response", "score"),
    [
        # A number: right, right but not final, close, of the right size, wrong, absent.
        (NUMBER, "It is 40.", 1.0),
        (NUMBER, "Forty? 4 x 10 = 40.0", 1.0),
        (NUMBER, "40, because 8 x 5", 0.6),
        (NUMBER, "The answer is 42", 0.3),
        (NUMBER, "The answer is 60", 0.15),
        (NUMBER, "The answer is 400", 0.0),
        (NUMBER, "The answer is forty", 0.0),
        (BARE, "40", 1.0),
        (BARE, "Well, I am certain that it is exactly 40.", 0.8),
        (BARE, "Well, that is certainly 40.", 0.82),
        (BARE, "The answer: 40", 0.85),
        (BARE, "400", 0.2),
        # A short answer: right, long, near, together with a distractor, wrong.
        (TEXT, "Blue whale.", 1.0),
        (TEXT, "The blue whale", 0.85),
        (
            TEXT,
            "It is, as far as I can see or say, the one that we all call the big blue whale",
            0.7,
        ),
        (TEXT, "whale", 0.3),
        (TEXT, "shark or blue whale", 0.45),
        (TEXT, "elephant", 0.1),
        (TEXT, "I would say that it must be the elephant", 0.01),
        # A list of items: all, half, and with a wrong one.
        (ITEMS, "fox, goat", 1.0),
        (ITEMS, "fox", 0.5),
        (ITEMS, "fox, goats, barn", 0.625),
        (ITEMS, "barn", 0.0),
        (ITEMS, "hen", 0.0),
        # Rules about form: the share that is fulfilled.
        (RULES, "- red\n- blue", 1.0),
        (RULES, "- Red\n- Blue", 0.75),
        (RULES, "Red and blue are two colours", 0.0),
        # Code: right, half right, no function, cut short, not Python, no code.
        (CODE, "```python\ndef double(x):\n    return 2 * x\n```\nIt doubles.", 1.0),
        (CODE, "def double(x):\n    return x + x", 1.0),
        (CODE, "def double(x):\n    return x * x", 0.4),
        (CODE, "def double(x):\n    return 7", 0.2),
        (CODE, "def twice(x):\n    return 2 * x", 0.5),
        (CODE, "def twice(x):\n    return 7", 0.1),
        (CODE, "double = 2", 0.1),
        (CODE, "def double(x):\n    return 2 * x\nprint(double(", 0.95),
        (CODE, "def double(x) return 2x", 0.0),
        (CODE, "Multiply it by two.", 0.0),
    ],
)
def test_scores(check: dict[str, Any], response: str, score: float) -> None:
    assert grade(check, response) == pytest.approx(score)


@pytest.mark.parametrize("check", [NUMBER, BARE, TEXT, ITEMS, RULES, CODE])
@pytest.mark.parametrize("response", ["", "  \n\t"])
def test_an_empty_response_scores_zero(check: dict[str, Any], response: str) -> None:
    assert grade(check, response) == 0.0


@pytest.mark.parametrize(
    ("rule", "value", "good", "bad"),
    [
        ("max_words", 2, "a b", "a b c"),
        ("min_words", 2, "a b", "a"),
        ("lines", 2, "a\n\nb", "a"),
        ("sentences", 2, "It is 2.5 m. Yes!", "It is."),
        ("each_line_starts", "- ", "- a\n- b", "- a\nb"),
        ("numbered", 2, "1. a\n2. b", "1. a\n3. b"),
        ("line_items", ["a", "b"], "a\nb", "a b"),
        ("sorted_lines", True, "Ada\nbob", "bob\nAda"),
        ("comma_items", 2, "a, b", "a"),
        ("lowercase", True, "abc", "Abc"),
        ("uppercase", True, "ABC!", "12"),
        ("equals", "yes", "yes", "yes."),
        ("contains", "[a]", "x [a]", "a"),
        ("contains_any", ["dog"], "A dog.", "dogma"),
        ("count", ["A", 2], "A A", "A A A"),
        ("min_count", ["|", 2], "|||", "|"),
        ("starts_with", "So", "So what", "What"),
        ("ends_with", "!", "Yes!", "Yes"),
        ("no_chars", ",;", "a b", "a, b"),
        ("matches", r"\d+", "12", "12a"),
        ("in_order", ["a", "b"], "a b", "b a"),
        ("json", True, '```json\n{"a": 1}\n```', "{a: 1}"),
        ("json_keys", ["a"], '{"a": 1}', '{"a": 1, "b": 2}'),
    ],
)
def test_rules_about_form(rule: str, value: Any, good: str, bad: str) -> None:
    assert grader.RULES[rule](good, value) is True
    assert grader.RULES[rule](bad, value) is False


def test_every_rule_and_type_in_the_queries_is_known() -> None:
    for query in grader.read_jsonl(SMOL / "queries.jsonl"):
        check = query["check"]
        assert check["type"] in grader.GRADERS
        for rule in check.get("rules", []):
            assert rule["rule"] in grader.RULES


def test_an_endless_loop_is_stopped() -> None:
    start = time.monotonic()
    assert grade(CODE, "def double(x):\n    while True:\n        pass") == pytest.approx(0.2)
    outside = "```python\nwhile True:\n    pass\ndef double(x):\n    return 2 * x\n```"
    assert grade(CODE, outside) == pytest.approx(0.1)
    assert time.monotonic() - start < 25


def test_tests_passed_before_an_endless_loop_count() -> None:
    code = "def double(x):\n    while x < 0:\n        pass\n    return 2 * x"
    assert grade(CODE, code) == pytest.approx(0.8)


def test_sleeping_code_is_stopped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(grader.sandbox, "WALL_SECONDS", 1.0)
    code = "import time\ndef double(x):\n    time.sleep(60)"
    start = time.monotonic()
    assert grade(CODE, code) == pytest.approx(0.2)
    assert time.monotonic() - start < 20


def test_a_memory_hog_is_stopped() -> None:
    code = "def double(x):\n    return len(bytearray(8 * 1024 ** 3)) and 2 * x"
    assert grade(CODE, code) == pytest.approx(0.2)


def test_endless_recursion_is_survived() -> None:
    assert grade(CODE, "def double(x):\n    return double(x)") == pytest.approx(0.2)


@pytest.mark.parametrize(
    "action",
    [
        "open({path!r}, 'w').write('x')",
        "import os; os.write(os.open({path!r}, os.O_CREAT | os.O_WRONLY), b'x')",
        "import os; os.mkdir({path!r})",
        "import os; assert os.system('echo x > ' + {path!r}) == 0",
        "import subprocess; subprocess.run(['mkdir', {path!r}])",
    ],
)
def test_code_cannot_write_files_or_start_programs(tmp_path: Path, action: str) -> None:
    target = tmp_path / "written"
    code = "def double(x):\n    " + action.format(path=str(target)) + "\n    return 2 * x"
    assert grade(CODE, code) == pytest.approx(0.2)
    assert not target.exists()


def test_code_cannot_remove_files(tmp_path: Path) -> None:
    target = tmp_path / "kept"
    target.write_text("x")
    code = f"import os\ndef double(x):\n    os.remove({str(target)!r})\n    return 2 * x"
    assert grade(CODE, code) == pytest.approx(0.2)
    assert target.read_text() == "x"


def test_printing_and_exiting_do_not_pass_tests() -> None:
    assert grade(CODE, "print('D1111')\ndef other():\n    pass") == pytest.approx(0.1)
    assert grade(CODE, "def double(x):\n    print('1111')") == pytest.approx(0.2)
    assert grade(CODE, "import sys\ndef double(x):\n    sys.exit(0)") == pytest.approx(0.2)


def test_code_sees_an_empty_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SMOL_SECRET", "1")
    code = "import os\ndef double(x):\n    return 2 * x if 'SMOL_SECRET' not in os.environ else 0"
    assert grade(CODE, code) == pytest.approx(1.0)


def test_the_order_of_a_set_does_not_change_between_runs() -> None:
    check = {"type": "code", "function": "f", "tests": [[[["b", "a", "c"]], ["a", "b", "c"]]]}
    assert len({grade(check, "def f(x):\n    return list(set(x))") for _ in range(8)}) == 1


def test_the_type_of_a_result_counts() -> None:
    check = {"type": "code", "function": "f", "tests": [[[1], True]]}
    assert grade(check, "def f(n):\n    return 1") == pytest.approx(0.2)
    assert grade(check, "def f(n):\n    return True") == pytest.approx(1.0)


def test_regrading_reproduces_the_scores(tmp_path: Path) -> None:
    output = tmp_path / "scores.csv"
    subprocess.run([sys.executable, str(SMOL / "grade.py"), "--output", str(output)], check=True)
    assert output.read_bytes() == (SMOL / "scores.csv").read_bytes()
