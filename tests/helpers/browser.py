"""Headless Chromium over its DevTools protocol, and JupyterLab beside it."""

import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request

import pytest

websocket = pytest.importorskip("websocket", reason="browser test: pip install websocket-client")
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
needed = pytest.mark.skipif(CHROMIUM is None, reason="browser test: apt-get install chromium")

FLAGS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
    "--remote-debugging-port=0",
    "--remote-allow-origins=*",
]


class Page:
    """Just enough of the Chrome DevTools Protocol."""

    def __init__(self, port):
        new = urllib.request.Request(f"http://127.0.0.1:{port}/json/new", method="PUT")
        with urllib.request.urlopen(new) as reply:
            address = json.load(reply)["webSocketDebuggerUrl"]
        self.socket = websocket.create_connection(address, timeout=60)
        self.count = 0

    def send(self, method, **parameters):
        self.count += 1
        self.socket.send(json.dumps({"id": self.count, "method": method, "params": parameters}))
        while True:
            reply = json.loads(self.socket.recv())
            if reply.get("id") == self.count:
                assert "error" not in reply, reply
                return reply["result"]

    def run(self, expression):
        found = self.send(
            "Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True
        )
        assert "exceptionDetails" not in found, found
        return found["result"].get("value")

    def wait(self, expression, what, seconds=90):
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            with contextlib.suppress(AssertionError):
                if value := self.run(expression):
                    return value
            time.sleep(0.2)
        raise AssertionError(f"{what}; the page says: {self.run('document.body.innerText')[-800:]}")


@contextlib.contextmanager
def ended():
    """Yield a function that keeps processes and pages; they end at the end, newest first."""
    started = []
    try:
        yield started.append
    finally:
        for process in reversed(started):
            if isinstance(process, Page):
                process.socket.close()
                continue
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def begin(folder, stop, *, lab=False):
    """Start Chromium, and JupyterLab in a folder; return a page and the lab's port (or None)."""
    home, profile = folder / "home", folder / "profile"
    home.mkdir()
    environment = {**os.environ, "HOME": str(home), "OPENBLAS_NUM_THREADS": "1"}
    for name in ("JUPYTER_CONFIG_DIR", "JUPYTERLAB_SETTINGS_DIR", "JUPYTERLAB_WORKSPACES_DIR"):
        environment[name] = str(home / name)
    port = _free_port() if lab else None
    with (folder / "out.txt").open("w") as out:
        options = {"env": environment, "stdout": out, "stderr": out, "start_new_session": True}
        if lab:
            stop(subprocess.Popen(_lab(port), cwd=folder, **options))
        command = [CHROMIUM, *FLAGS, f"--user-data-dir={profile}", "about:blank"]
        stop(subprocess.Popen(command, **options))
    end = time.monotonic() + 90
    while True:
        with contextlib.suppress(OSError, IndexError):
            if lab:
                urllib.request.urlopen(f"http://127.0.0.1:{port}/api").close()
            devtools = int((profile / "DevToolsActivePort").read_text().split()[0])
            page = Page(devtools)
            stop(page)
            return page, port
        assert time.monotonic() < end, (folder / "out.txt").read_text()[-2000:]
        time.sleep(0.2)


def _free_port():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


def _lab(port):
    lab = [sys.executable, "-m", "jupyterlab", "--no-browser", "--allow-root", f"--port={port}"]
    return [
        *lab,
        "--IdentityProvider.token=",
        "--expose-app-in-browser",
        "--ServerApp.port_retries=0",
    ]


def run_notebook(page, port, shown):
    """Open nb.ipynb in JupyterLab, run all of it, and wait for an element."""
    page.send("Page.navigate", url=f"http://127.0.0.1:{port}/lab/tree/nb.ipynb?reset")
    page.wait(
        "!!window.jupyterapp && !!document.querySelector('.jp-Notebook .jp-Cell')", "no notebook"
    )
    # headless Chromium has no focus, so the shell has no current widget until it is told
    panel = "[...jupyterapp.shell.widgets('main')].find(w => w.sessionContext)"
    page.wait(
        f"{panel}?.sessionContext.session?.kernel?.connectionStatus === 'connected'", "kernel"
    )
    page.run(f"jupyterapp.shell.activateById({panel}.id)")
    page.run("jupyterapp.commands.execute('notebook:run-all-cells').then(() => true)")
    page.wait(f"!!document.querySelector('{shown}')", f"no {shown}")
