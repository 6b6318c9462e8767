"""The annotation view in a real browser: JupyterLab in headless Chromium, over CDP."""

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

import nbformat
import pytest

from llmsel.judging.replay import read_log
from llmsel.pool import Pool

websocket = pytest.importorskip("websocket", reason="browser test: pip install websocket-client")
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="browser test: apt-get install chromium")

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
EVIL = "<img src=x onerror=\"document.title='attacked'\"><script>document.title='attacked'</script>"
CELL = """import os
from llmsel import AnnotationLog, AnnotationView, Pool
open("kernel.pid", "w").write(str(os.getpid()))
AnnotationView(AnnotationLog("log.jsonl", Pool.load("pool.npz")), "ann", race=False)"""


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


def open_notebook(page, port):
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
    page.wait("!!document.querySelector('.llmsel-1')", "no annotation view")


def press(page, key, log, lines):
    page.run(f"document.querySelector('.llmsel-{key}').click()")
    end = time.monotonic() + 30
    while len(log.read_text().splitlines()) < lines and time.monotonic() < end:
        time.sleep(0.05)
    assert len(log.read_text().splitlines()) == lines


def shown(page):
    return page.run("document.querySelector('.jp-OutputArea').innerText")


@pytest.fixture
def stop():
    """Processes to end, newest first."""
    started = []
    yield started.append
    for process in reversed(started):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


@pytest.mark.slow
def test_click_through_kill_the_kernel_reopen_and_continue(tmp_path, stop):
    rows = [[EVIL, f"other {i}", "the baseline"] for i in range(4)]
    pool = Pool(
        [f"q{i}" for i in range(4)],
        ["secret-a", "secret-b", "secret-base"],
        "secret-base",
        texts=[f"query number {i} {EVIL}" for i in range(4)],
        responses=rows,
    )
    pool.save(tmp_path / "pool.npz")
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(CELL)])
    notebook.metadata.kernelspec = {"name": "python3", "display_name": "Python 3"}
    nbformat.write(notebook, tmp_path / "nb.ipynb")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    home = tmp_path / "home"
    home.mkdir()
    environment = {**os.environ, "HOME": str(home), "OPENBLAS_NUM_THREADS": "1"}
    for name in ("JUPYTER_CONFIG_DIR", "JUPYTERLAB_SETTINGS_DIR", "JUPYTERLAB_WORKSPACES_DIR"):
        environment[name] = str(home / name)
    lab = [sys.executable, "-m", "jupyterlab", "--no-browser", "--allow-root", f"--port={port}"]
    lab += ["--IdentityProvider.token=", "--expose-app-in-browser", "--ServerApp.port_retries=0"]
    profile = tmp_path / "profile"
    browser = [CHROMIUM, *FLAGS, f"--user-data-dir={profile}", "about:blank"]
    with (tmp_path / "lab.txt").open("w") as out:
        options = {"env": environment, "stdout": out, "stderr": out, "start_new_session": True}
        stop(subprocess.Popen(lab, cwd=tmp_path, **options))
        stop(subprocess.Popen(browser, **options))
    end = time.monotonic() + 90
    while True:
        with contextlib.suppress(OSError):
            urllib.request.urlopen(f"http://127.0.0.1:{port}/api").close()
            devtools = int((profile / "DevToolsActivePort").read_text().split()[0])
            break
        assert time.monotonic() < end, (tmp_path / "lab.txt").read_text()[-2000:]
        time.sleep(0.2)
    page = Page(devtools)
    log = tmp_path / "log.jsonl"

    open_notebook(page, port)
    text = shown(page)
    assert "<script>" in text and "<img src=x" in text  # shown as text
    assert page.run("document.title") != "attacked"
    assert page.run("document.querySelectorAll('.jp-OutputArea img').length") == 0
    assert "secret" not in text
    for i, key in enumerate("1243"):
        press(page, key, log, 2 + i)
    press(page, "u", log, 6)
    press(page, "2", log, 7)
    said = json.dumps(read_log(log, pool).session.best().statement)
    now = f"document.querySelector('.jp-OutputArea').innerText.includes({said})"
    page.wait(now, "not the leader of the log")  # the page follows the kernel a moment later
    before = shown(page)
    os.kill(int((tmp_path / "kernel.pid").read_text()), signal.SIGKILL)
    open_notebook(page, port)
    page.wait(now, "another leader after the crash")
    assert shown(page) == before
    for i in range(4):
        press(page, "1", log, 8 + i)
    page.wait(
        "document.querySelector('.jp-OutputArea').innerText.includes('Every query is annotated')",
        "the end",
    )
    assert page.run("document.title") != "attacked"
    contents = read_log(log, pool)
    assert not contents.session.remaining and len(contents.given) == 8
    page.socket.close()
