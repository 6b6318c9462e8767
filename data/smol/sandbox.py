"""Run code written by a model in a sandbox, and get nothing back but the values it returns.

`outputs(source, function, inputs)` runs the code in a process of its own, which

* bubblewrap keeps from network, processes and files: it sees a Python, the system's libraries
  and `/dev/null`, all read-only, as the user `nobody` without any capability;
* a seccomp filter (libseccomp) allows only the system calls that computing needs: it starts no
  process, no thread, no socket;
* has limits on processor time, memory and output, and is killed with its namespace after a time.

The wanted outputs never enter the sandbox and no verdict leaves it: the caller compares. So code
that takes over its interpreter can at most return wrong values, as any wrong function does.

Needs Linux, bubblewrap, and the Python package pyseccomp. Where they are missing or cannot work,
`Unavailable` says so and nothing is executed.
"""

import dataclasses
import errno
import functools
import json
import os
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import IO, Any

RUNNER = Path(__file__).resolve().with_name("runner.py")
NOBODY = "65534"

WALL_SECONDS = 10.0
OUTPUT_BYTES = 1024 * 1024
LIMITS = {
    "RLIMIT_CPU": 2,  # seconds
    "RLIMIT_AS": 256 * 1024 * 1024,  # bytes of memory
    "RLIMIT_FSIZE": OUTPUT_BYTES,
    "RLIMIT_NPROC": 0,
    "RLIMIT_NOFILE": 64,
    "RLIMIT_CORE": 0,
}

# What an interpreter needs to start and to compute. Not among them: fork, clone, socket, kill,
# ptrace, pipe, memfd_create, mount. `wait4` is for the first process of the namespace, bubblewrap,
# which the filter binds too; its one `execve` starts the interpreter, and nothing else is there.
SYSTEM_CALLS = """
access arch_prctl brk clock_getres clock_gettime clock_nanosleep close dup dup2 dup3 execve exit
exit_group faccessat faccessat2 fcntl fstat futex getcwd getdents64 getegid geteuid getgid
getgroups getpid getppid getrandom getresgid getresuid getrlimit getrusage gettid gettimeofday
getuid ioctl lseek lstat madvise mmap mprotect mremap munmap nanosleep newfstatat open openat poll
ppoll pread64 prlimit64 pselect6 read readlink readlinkat rseq rt_sigaction rt_sigprocmask
rt_sigreturn sched_getaffinity sched_yield select set_robust_list set_tid_address setgroups
setresgid setresuid setrlimit sigaltstack stat statx sysinfo time times uname wait4 write writev
"""


class Unavailable(RuntimeError):
    """No sandbox can be had here, so nothing was executed. The message is one sentence."""


@dataclasses.dataclass(frozen=True)
class Outputs:
    """What a function returned. All of it is the code's own claim.

    `named` is None if there is no function, False if it has another name than the one asked for.
    `values` holds plain JSON values by the number of their input; an input without one failed.
    """

    named: bool | None
    values: dict[int, Any]


def outputs(source: str, function: str, inputs: Sequence[list[Any]]) -> Outputs:
    """Run the code in the sandbox and call its function with each list of arguments in turn.

    Without that function, the first one that the code defines under another name is called.

    Raises:
        Unavailable: the sandbox did not come to stand; the code was not run.
    """
    require()
    return _run(source, function, inputs)


@functools.cache
def require() -> None:
    """Try the sandbox once, with a harmless function.

    Raises:
        Unavailable: what is missing, and how to get it.
    """
    if _run("def f(x):\n    return x", "f", [[1]]) != Outputs(True, {0: 1}):
        raise Unavailable(_refusal("the sandbox cannot run this Python"))


def _run(source: str, function: str, inputs: Sequence[list[Any]]) -> Outputs:
    job = {"source": source, "function": function, "inputs": list(inputs), "limits": LIMITS}
    command = _command()
    filter_end = _pipe_with(_filter())
    with tempfile.TemporaryFile() as written:  # a file, as the kernel limits its size
        try:
            process = subprocess.Popen(
                [*command, "--seccomp", str(filter_end), "--", *_interpreter()],
                stdin=subprocess.PIPE,
                stdout=written,
                stderr=subprocess.PIPE,
                pass_fds=[filter_end],
                env={},
                cwd="/",
                start_new_session=True,
            )
        finally:
            os.close(filter_end)
        said = _finish(process, json.dumps(job).encode())
        if said != b"ready":  # the first process in the sandbox writes it, before the code runs
            reason = said.decode(errors="replace").strip().splitlines() or ["no reason given"]
            raise Unavailable(_refusal(f"the sandbox did not start ({reason[-1]})"))
        return _parse(written, len(inputs))


def _finish(process: "subprocess.Popen[bytes]", job: bytes) -> bytes:
    """Wait for the end of the sandbox, or kill all of it; return what it said on stderr."""
    try:
        return process.communicate(job, timeout=WALL_SECONDS)[1]
    except subprocess.TimeoutExpired:
        process.kill()  # the kernel then kills the first process of the namespace, hence the rest
        return process.communicate()[1]


def _parse(written: IO[bytes], count: int) -> Outputs:
    """Read the lines of the runner, as data of unknown origin."""
    written.seek(0)
    first, *rest = written.read(OUTPUT_BYTES).split(b"\n")
    head = _json(first)
    if not isinstance(head, dict) or not isinstance(head.get("named"), bool):
        return Outputs(None, {})
    lines = enumerate(map(_json, rest[:count]))
    values = {i: line["output"] for i, line in lines if isinstance(line, dict) and "output" in line}
    return Outputs(head["named"], values)


def _json(line: bytes) -> Any:
    try:
        return json.loads(line)
    except (ValueError, RecursionError):
        return None


# --- The mechanism ------------------------------------------------------------------------------


@functools.cache
def _command() -> list[str]:
    """Return the command line of bubblewrap up to the filter."""
    program = shutil.which("bwrap") if sys.platform == "linux" else None
    if program is None:
        raise Unavailable(
            _refusal("bubblewrap is not installed (on Debian: apt-get install bubblewrap)")
        )
    command = [program, "--die-with-parent", "--new-session", "--clearenv"]
    command += ["--unshare-ipc", "--unshare-pid", "--unshare-net", "--unshare-uts"]
    command += ["--unshare-cgroup-try", "--cap-drop", "ALL"]
    if os.geteuid() == 0:  # no user namespace: the runner becomes the real `nobody`
        command += ["--cap-add", "CAP_SETUID", "--cap-add", "CAP_SETGID"]
    else:
        command += ["--unshare-user", "--uid", NOBODY, "--gid", NOBODY]
    for path in _parents(
        [*_needed(), "/dev/null"]
    ):  # left to bubblewrap, some are closed to nobody
        command += ["--perms", "0755", "--dir", path]
    for path in _needed():
        command += ["--ro-bind", path, path]
    packages = Path(sysconfig.get_path("stdlib")) / "site-packages"
    if packages.is_dir():
        command += ["--tmpfs", str(packages), "--remount-ro", str(packages)]
    command += ["--dev-bind", "/dev/null", "/dev/null", "--remount-ro", "/", "--chdir", "/"]
    # Without a fixed hash seed the order of a set of strings, so a score, would vary.
    return [*command, "--setenv", "PYTHONHASHSEED", "0"]


def _needed() -> list[str]:
    """Return the interpreter and the directories of its library and the system's libraries."""
    libraries = [f"{sys.base_prefix}/lib", f"{sys.base_prefix}/lib64"]
    libraries += ["/usr/lib", "/usr/lib64", "/lib", "/lib64"]
    directories = [path for path in dict.fromkeys(libraries) if Path(path).is_dir()]
    return [*directories, os.path.realpath(sys.executable)]


def _parents(paths: Sequence[str]) -> list[str]:
    """Return the directories above the paths but not below another of them, outermost first."""
    above = {str(parent) for path in paths for parent in Path(path).parents if str(parent) != "/"}
    inside = {parent for parent in above if any(Path(parent).is_relative_to(p) for p in paths)}
    return sorted(above - inside)


@functools.cache
def _interpreter() -> list[str]:
    # Not -I, which would ignore the hash seed; -P and -s are its other two parts.
    options = ["-P", "-s", "-S", "-B", "-c", RUNNER.read_text(encoding="utf-8")]
    return [os.path.realpath(sys.executable), *options]


@functools.cache
def _filter() -> bytes:
    """Return the seccomp program that allows `SYSTEM_CALLS`; all others fail with EPERM."""
    try:
        import pyseccomp
    except (ImportError, RuntimeError) as error:  # RuntimeError: no libseccomp
        raise Unavailable(
            _refusal(f"seccomp is missing ({error}; pip install pyseccomp)")
        ) from error
    rules = pyseccomp.SyscallFilter(pyseccomp.ERRNO(errno.EPERM))
    for name in SYSTEM_CALLS.split():
        if pyseccomp.resolve_syscall(pyseccomp.Arch.NATIVE, name) != -1:  # -1: not known here
            rules.add_rule(pyseccomp.ALLOW, name)
    with tempfile.TemporaryFile() as file:
        rules.export_bpf(file)
        file.seek(0)
        return file.read()


def _pipe_with(content: bytes) -> int:
    """Return the reading end of a pipe that holds the content; a filter fits into its buffer."""
    reading, writing = os.pipe()
    with os.fdopen(writing, "wb") as file:
        file.write(content)
    return reading


def _refusal(reason: str) -> str:
    return f"Code written by a model is not executed here: {reason}."
