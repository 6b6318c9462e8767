"""Damage to files: bytes flipped, cut, doubled; and JSON whose values are of another kind."""

import copy
import json

ODD = [
    None, True, False, 0, -1, 1.5, 10**400, float("nan"), float("inf"), "", "x", "\x00", "\ud83d",
    "a" * 140_000, [], [[]], [None], [1], ["x"], {}, {"": None}, {"content": 4}, [{"role": 1}],
    [{"role": "user"}], [{"role": "user", "content": {"a": 1}}], [{"type": "text"}], {"a": {}},
]  # fmt: skip


def damaged(data, random):
    """Return bytes with one to four faults."""
    data = bytearray(data)
    for _ in range(random.randint(1, 4)):
        at = random.randrange(len(data) + 1)
        kind = random.randrange(6)
        if kind == 0 and data:
            data[at % len(data)] ^= 1 << random.randrange(8)
        elif kind == 1:
            del data[at : at + random.choice((1, 7, 100))]
        elif kind == 2:
            data[at:at] = random.randbytes(random.choice((1, 4, 30)))
        elif kind == 3:
            del data[at:]
        elif kind == 4:
            start = random.randrange(len(data) + 1)
            data[at:at] = data[start : start + 50]
        else:
            data[at:at] = random.choice((b'"', b"\n", b"\x00", b"{", b"[", b",", b"\xed\xa0\x80"))
    return bytes(data)


def places(value, path=()):
    """Every place in a JSON value."""
    yield path
    if isinstance(value, dict | list):
        for key, inner in list(value.items() if isinstance(value, dict) else enumerate(value)):
            yield from places(inner, (*path, key))


def warped(value, random):
    """Return a JSON value with one to three parts replaced, removed or renamed."""
    value = copy.deepcopy(value)
    for _ in range(random.randint(1, 3)):
        found = [p for p in places(value) if p]
        if not found:
            return copy.deepcopy(random.choice(ODD))
        near = [p for p in found if len(p) <= random.randint(1, 8)] or found  # near the top, too
        *way, last = random.choice(near)
        inner = value
        for key in way:
            inner = inner[key]
        kind = random.randrange(4)
        if kind == 0:
            del inner[last]
        elif kind == 1 and isinstance(inner, dict):
            inner[str(random.choice(("x", "", "content", "id")))] = inner.pop(last)
        else:
            inner[last] = copy.deepcopy(random.choice(ODD))
    return value


def warped_text(text, random, *, lines):
    """Warp a JSON file, or one line of JSON Lines."""
    if not lines:
        return json.dumps(warped(json.loads(text), random)).encode()
    rows = text.strip().split("\n")
    at = random.randrange(len(rows))
    rows[at] = json.dumps(warped(json.loads(rows[at]), random))
    return ("\n".join(rows) + "\n").encode()
