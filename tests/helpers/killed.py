"""Commands that are killed in mid-run, by a process that has imported all of llmsel beforehand."""

import json
import os
import signal
import subprocess
import sys
import time
import traceback
from pathlib import Path

PATIENCE = 120  # seconds until a command counts as hung


class Commands:
    """Run llmsel's commands in forks of a process of its own; kill them after a while.

    Args:
        folder: for what they print.
        environment: added to this process's.
    """

    def __init__(self, folder, **environment):
        self.output, code = folder / "printed.txt", "from helpers.killed import serve; serve()"
        self.process = subprocess.Popen(
            [sys.executable, "-c", code],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), **environment},
        )

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.stdin.close()
        self.process.wait()
        self.process.stdout.close()

    def run(self, *command, sign=None, after=PATIENCE):
        """Run a command; send it a signal after so many seconds.

        Returns:
            Exit code (negative: the signal that ended it), whether the signal was sent, seconds
            that it took, and what it printed.
        """
        words = [str(word) for word in command]
        job = [words, sign, after, str(self.output)]
        self.process.stdin.write(json.dumps(job) + "\n")
        self.process.stdin.flush()
        code, hit, seconds = json.loads(self.process.stdout.readline())
        return code, hit, seconds, self.output.read_text()


def serve():
    """Read jobs line by line and do them; the inside of the process."""
    import llmsel.cli  # before the first fork, with all that its commands import late
    import llmsel.judging
    import llmsel.judging.llm
    import llmsel.studies.reproduce  # noqa: F401

    signal.signal(signal.SIGINT, signal.default_int_handler)  # ignored in jobs of a shell
    while line := sys.stdin.readline():
        print(json.dumps(killed(*json.loads(line))), flush=True)


def killed(words, sign, after, output):
    """Fork a command, and send a signal after so many seconds; SIGINT to its whole group."""
    begun, hit, status = time.monotonic(), False, None
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})  # what forks is no command yet
    child = os.fork()
    if child == 0:
        command(words, output)
    os.setpgid(child, child)
    while status is None:
        done, ended = os.waitpid(child, os.WNOHANG)
        passed = time.monotonic() - begun
        if done:
            status = ended
        elif passed > after + PATIENCE:
            os.killpg(child, signal.SIGKILL)
            raise TimeoutError(f"{words} ran on after signal {sign}")
        elif sign is not None and not hit and passed >= after:
            hit = True
            (os.killpg if sign == signal.SIGINT else os.kill)(child, sign)
        else:
            time.sleep(0.001)
    return os.waitstatus_to_exitcode(status), hit, time.monotonic() - begun


def command(words, output):
    """Be the command; never returns."""
    code = 99
    try:
        os.setpgid(0, 0)
        file = os.open(output, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        for number, target in enumerate((os.open(os.devnull, os.O_RDONLY), file, file)):
            os.dup2(target, number)
        sys.argv = ["llmsel", *words]
        from llmsel.cli import main

        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
        main()
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else int(end.code is not None)
    except KeyboardInterrupt:  # before the command has begun, or after it has ended
        code = 130
    except BaseException:
        traceback.print_exc()
    finally:
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def write_answers(path: Path, queries, models):
    """Write a file of answers whose lengths differ by model and query.

    Returns:
        The path.
    """
    rows = [
        {"model": m, "query_id": f"q{i}", "query": f"question {i}", "response": "x" * (
            1 + (7 * i + 5 * j * j + i * j) % 11 + j)}
        for i in range(queries)
        for j, m in enumerate(models)
    ]  # fmt: skip
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path
