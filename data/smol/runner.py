"""The inside of the sandbox: call a function of a model's code and write down what it returns.

`sandbox.py` passes this text to a Python in the sandbox; nothing else should run it. It knows the
inputs but not the wanted outputs, so the code it runs can lie about nothing but its own outputs.
"""

import contextlib
import json
import os
import resource
import sys
from typing import Any

NOBODY = 65534  # the unprivileged user of Linux


def confine(limits: dict[str, int]) -> None:
    """Give up the rights of root, if any, and set the resource limits, for good."""
    if os.getuid() == 0:
        os.setgroups([])
        os.setresgid(NOBODY, NOBODY, NOBODY)
        os.setresuid(NOBODY, NOBODY, NOBODY)
    for name, value in limits.items():
        resource.setrlimit(getattr(resource, name), (value, value))


def detach() -> int:
    """Point the standard streams at nothing; return the descriptor for the outputs.

    "ready" on stderr tells the parent that the sandbox stands: all that fails later is the fault
    of the code.
    """
    outputs = os.dup(1)
    os.write(2, b"ready")
    null = os.open(os.devnull, os.O_RDWR)
    for descriptor in (0, 1, 2):
        os.dup2(null, descriptor)
    return outputs


def plain(value: Any) -> Any:
    """Return the value if JSON carries it without a change of type; raise TypeError if not."""
    if value is None or type(value) in (bool, int, float, str):
        return value
    if type(value) is list:
        return [plain(item) for item in value]
    if type(value) is dict and all(type(key) is str for key in value):
        return {key: plain(item) for key, item in value.items()}
    raise TypeError(type(value).__name__)


def find(scope: dict[str, Any], name: str) -> tuple[bool, Any]:
    """Return whether the function exists under its name, and the function to call, or None."""
    function = scope.get(name)
    if callable(function):
        return True, function
    others = [value for value in scope.values() if type(value) is type(find)]
    return False, others[0] if others else None


def call(function: Any, arguments: list[Any]) -> str:
    """Call the function; return a line of JSON that holds its output, or none if it failed."""
    try:
        return json.dumps({"output": plain(function(*arguments))})
    except BaseException:
        return json.dumps({})


def main() -> None:
    """Read the job, run the code, and write a line per input."""
    job = json.loads(sys.stdin.buffer.read())
    confine(job["limits"])
    outputs = detach()
    scope: dict[str, Any] = {"__name__": "response"}
    with contextlib.suppress(BaseException):
        exec(compile(job["source"], "response", "exec"), scope)
    named, function = find(scope, job["function"])
    if function is not None:
        os.write(outputs, (json.dumps({"named": named}) + "\n").encode())
        for arguments in job["inputs"]:
            os.write(outputs, (call(function, arguments) + "\n").encode())
    os._exit(0)


main()
