"""The site: built without a network, every link leads somewhere, no page complains."""

import importlib.util
import subprocess
import sys
from functools import partial
from html.parser import HTMLParser
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from urllib.parse import unquote, urlsplit

import pytest
from helpers import browser

ROOT = Path(__file__).resolve().parents[1]
NEEDS = ("sphinx", "myst_nb", "sphinx_book_theme", "sphinx_design", "latex2mathml")
missing = [name for name in NEEDS if importlib.util.find_spec(name) is None]
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(bool(missing), reason="site: pip install 'llmsel[site]'"),
]
LOADED = {"img": "src", "script": "src", "link": "href", "source": "src", "iframe": "src"}
DOORS = ("notebooks/method.html", "boards.html", "notebooks/your-models.html")


class Links(HTMLParser):
    """Ids of a page, what it links to, and what it loads."""

    def __init__(self, page):
        super().__init__()
        self.ids, self.links, self.loaded = set(), [], []
        self.feed(page)

    def handle_starttag(self, tag, attributes):
        given = dict(attributes)
        self.ids.add(given.get("id"))
        if tag == "a" and "href" in given:
            self.links.append(given["href"])
        if tag in LOADED and given.get(LOADED[tag]) and given.get("rel") != "canonical":
            self.loaded.append(given[LOADED[tag]])


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, str(ROOT / "docs" / "build.py"), str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr.strip()) == (0, ""), done.stderr[-3000:]
    return folder / "html"


@pytest.fixture(scope="module")
def pages(site):
    some = [path for path in site.rglob("*.html") if "_static" not in path.parts]
    found = {path: Links(path.read_text(encoding="utf-8")) for path in some}
    assert len(found) > 50
    return found


def lost(path, links, pages):
    """Links of a page that lead to no file, or to no place in a page."""
    gone = []
    for link in [*links.links, *links.loaded]:
        parts = urlsplit(link)
        if parts.scheme or parts.netloc:
            continue
        goal = (path.parent / unquote(parts.path)).resolve() if parts.path else path
        page = pages.get(goal)
        at = unquote(parts.fragment)
        if not goal.exists() or (at and page is not None and at not in page.ids):
            gone.append(link)
    return gone


def test_every_link_leads_somewhere(pages):
    assert {str(p): g for p, links in pages.items() if (g := lost(p, links, pages))} == {}


def test_nothing_is_loaded_from_elsewhere(pages):
    loaded = {one for links in pages.values() for one in links.loaded}
    assert [one for one in loaded if urlsplit(one).netloc] == []


def test_a_lost_link_is_seen(tmp_path):
    page = tmp_path / "a.html"
    page.write_text('<a href="gone.html">x</a><a href="#no"></a><a href="https://x.org">y</a>')
    links = Links(page.read_text())
    assert lost(page, links, {page: links}) == ["gone.html", "#no"]


def test_three_doors_lead_on_and_every_run_is_in_the_gallery(site, pages):
    assert set(DOORS) <= set(pages[site / "index.html"].links)
    runs = {path.stem for path in (ROOT / "notebooks" / "rendered").glob("*.ipynb")}
    shown = {link for link in pages[site / "gallery.html"].links if "rendered/" in link}
    assert runs <= {Path(urlsplit(link).path).stem for link in shown}


def test_the_front_page_says_what_was_found(site):
    page = (site / "index.html").read_text(encoding="utf-8")
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    table = readme.split("## What was found")[1].split("\n## ")[0]
    rows = [line for line in table.splitlines() if line.startswith("| ")][2:]
    assert page.count("sd-dropdown") == len(rows) > 3
    assert all(row.split("|")[1].split("'")[0].strip() in page for row in rows)


@pytest.fixture
def served(site):
    handler = type("Quiet", (SimpleHTTPRequestHandler,), {"log_message": lambda *_: None})
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(handler, directory=site)) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()


WATCH = """window.complaints = [];
window.addEventListener('error', e => complaints.push(String(e.message || e.target.src)), true);
console.error = (...said) => complaints.push(said.join(' '));"""
VIEWS = {"desktop": (1280, 900), "phone": (390, 844)}


@browser.needed
@pytest.mark.parametrize("view", VIEWS)
def test_pages_open_without_a_complaint(served, tmp_path, view):
    width, height = VIEWS[view]
    with browser.ended() as keep:
        page, _ = browser.begin(tmp_path, keep)
        page.send("Page.enable")
        page.send("Page.addScriptToEvaluateOnNewDocument", source=WATCH)
        page.send(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=1,
            mobile=view == "phone",
        )
        for name in ("index.html", "gallery.html", "notebooks/rendered/smol.html", *DOORS):
            page.send("Page.navigate", url=f"{served}/{name}")
            page.wait(
                f"location.href.includes('{name}') && document.readyState === 'complete'", name
            )
            assert page.run("complaints") == []
            assert page.run("document.documentElement.scrollWidth <= innerWidth + 1"), name


@browser.needed
def test_a_player_plays_without_a_kernel(served, tmp_path):
    with browser.ended() as keep:
        page, _ = browser.begin(tmp_path, keep)
        page.send("Page.navigate", url=f"{served}/notebooks/method.html")
        page.wait("document.readyState === 'complete' && !!document.querySelector('.on')", "player")
        shown = "document.querySelector('.llmsel-film').innerText"
        assert "0 of 12 queries" in page.run(shown)
        page.run("document.querySelector('.llmsel-film .on').click()")
        assert "1 of 12 queries" in page.run(shown)
        page.run("""(() => { const s = document.querySelector('.llmsel-film input');
            s.value = 12; s.oninput(); })()""")
        assert "belief: baseline" in page.run(shown)
        page.run("""(() => { const s = document.querySelectorAll('.llmsel-film select')[1];
            s.selectedIndex = 1; s.onchange(); })()""")
        assert "left out" in page.run(shown)
