"""What a loopback server answers, and the files that name it."""

import json
import re

from llmsel.pool import Pool


def echo(body, number=0):
    return f"{body['model']} says {body['messages'][-1]['content']}"


def files(tmp_path, url, queries=5, extra=""):
    models = tmp_path / "models.toml"
    models.write_text(
        f"""[[model]]
name = "small"
model = "org/small"
base_url = "{url}"
system = "Be brief."
prices = {{in = 1, out = 2}}
parameters = {{temperature = 0.5, max_tokens = 50, top_k = 3}}
{extra}
[[model]]
name = "large"
base_url = "{url}"
timeout = 0.5
"""
    )
    rows = tmp_path / "queries.jsonl"
    rows.write_text(
        "".join(
            json.dumps({"query_id": i, "query": f"question {i} é", "category": "c"}) + "\n"
            for i in range(queries)
        )
    )
    return models, rows, tmp_path / "answers.jsonl"


def shown(body):
    """Return the texts A and B that a request shows."""
    chat = body["messages"][1]["content"]
    mark = re.search(r"<QUERY (\w+)>", chat)[1]
    return [
        chat.split(f"<ANSWER {x} {mark}>\n")[1].split(f"\n</ANSWER {x} {mark}>")[0] for x in "AB"
    ]


def reference(body):
    """Return the reference that a request shows; None without one."""
    chat = body["messages"][1]["content"]
    found = re.search(r"<REFERENCE (\w+)>\n(.*)\n</REFERENCE \1>", chat, re.DOTALL)
    return found and found[2]


def longer(body, number=0):
    a, b = shown(body)
    verdict = "tie" if len(a) == len(b) else "AB"[len(b) > len(a)]
    return f'{{"verdict": "{verdict}"}}'


def pool_of(*responses, queries=1, text="Which is longer?"):
    """Candidates c0, c1, ... and the baseline 'base' (last), the same responses to each query."""
    models = [f"c{j}" for j in range(len(responses) - 1)] + ["base"]
    ids = [f"q{i}" for i in range(queries)]
    texts = [f"{text} ({i})" for i in range(queries)]
    return Pool(ids, models, "base", texts=texts, responses=[list(responses)] * queries)
