"""A wheel of this tree, installed where nothing of the checkout can be imported."""

import importlib.metadata
import os
import re
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PARTS = ("pyproject.toml", "README.md", "LICENSE", "NOTICE", "llmsel")
NO_NETWORK = re.compile(r"Could not find a version|Connection|resolve|offline|No matching", re.I)


def build(folder):
    """Build a wheel of a copy of this tree; skip where its builder cannot be had."""
    source = folder / "source"
    for part in PARTS:
        copy = shutil.copytree if (ROOT / part).is_dir() else shutil.copy
        source.mkdir(exist_ok=True)
        copy(ROOT / part, source / part)
    run = [sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "-w", folder, source]
    if int(importlib.metadata.version("setuptools").split(".")[0]) >= 77:  # as pyproject.toml asks
        run.append("--no-build-isolation")
    done = subprocess.run(run, capture_output=True, text=True)
    if done.returncode and NO_NETWORK.search(done.stderr):
        pytest.skip("no setuptools >= 77 here, and no network to fetch it from")
    assert done.returncode == 0, done.stderr
    (wheel,) = folder.glob("*.whl")
    return wheel


def install(wheel, folder):
    """Make an environment that holds the wheel, and borrows what it depends on; return its bin."""
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder], check=True)
    bin_ = folder / ("Scripts" if os.name == "nt" else "bin")
    run = [sys.executable, "-m", "pip", "--python", bin_ / "python", "install", "-q", "--no-deps"]
    subprocess.run([*run, "--no-index", wheel], check=True)
    site = next(folder.glob("lib/python*/site-packages"))
    # of a folder named here no .pth file counts: an editable llmsel stays out
    (site / "borrowed.pth").write_text(sysconfig.get_path("purelib") + "\n")
    return bin_


class Stranger:
    """Runs commands in a folder of its own, as somebody who has nothing but the wheel."""

    def __init__(self, bin_, folder):
        self.bin, self.folder = bin_, folder
        gone = ("PYTHONPATH", "LLMSEL_ROOT", "VIRTUAL_ENV")
        self.environment = {k: v for k, v in os.environ.items() if k not in gone}
        self.environment["PATH"] = f"{bin_}{os.pathsep}{os.environ['PATH']}"

    def run(self, *arguments, code=0, given="", stderr=False):
        """Run a program of the environment; return what it prints, or its errors."""
        command = [self.bin / arguments[0], *map(str, arguments[1:])]
        done = subprocess.run(
            command,
            cwd=self.folder,
            env=self.environment,
            input=given,
            capture_output=True,
            text=True,
            timeout=120,
        )
        assert done.returncode == code, (arguments, done.stdout, done.stderr)
        return done.stderr if stderr else done.stdout
