"The built site as a reader meets it: pages that say what they show, in Chromium on two themes and two widths, by mouse and by keyboard."
import os, re, shutil, threading
from functools import partial
from html.parser import HTMLParser
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SITE = Path(os.environ.get("SITE", ROOT/"_docs"))
CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
PAGES = ["index", "attention", "beyond/interpret"]
SCREENS = [("light", 1280), ("dark", 1280), ("light", 390), ("dark", 390)]

if not (SITE/"index.html").is_file(): pytest.skip("there is no site: run python tools/build_site.py first", allow_module_level=True)


class Outline(HTMLParser):
    "The headings and the images of a page's main part."
    def __init__(self, html):
        super().__init__()
        self.main, self.levels, self.without_alt = False, [], []
        self.feed(html)

    def handle_starttag(self, tag, attrs):
        attrs = dict(attrs)
        if tag == "main": self.main = True
        if self.main and re.fullmatch("h[1-6]", tag): self.levels.append(int(tag[1]))
        if self.main and tag == "img" and not (attrs.get("alt") or "").strip(): self.without_alt.append((attrs.get("src") or "")[:60])

    def handle_endtag(self, tag):
        if tag == "main": self.main = False


@pytest.mark.parametrize("path", sorted(SITE.rglob("*.html")), ids=lambda path: path.relative_to(SITE).with_suffix("").as_posix())
def test_page(path):
    "Headings in order, a text for every image, at most 3 MB with its pictures."
    text = path.read_text(encoding="utf-8")
    page = Outline(text)
    assert page.levels[:1] == [1] and all(b <= a + 1 for a, b in zip(page.levels, page.levels[1:])), page.levels
    assert page.without_alt == []
    pictures = {(path.parent/src).resolve() for src in re.findall(r'<img[^>]*\bsrc="([^":]+)"', text)}
    assert len(text.encode()) + sum(p.stat().st_size for p in pictures if p.is_file()) < 3_000_000


class Server(SimpleHTTPRequestHandler):
    def log_message(self, *args): pass


@pytest.fixture(scope="module")
def browser():
    "A Chromium, and the address of the site."
    playwright = pytest.importorskip("playwright.sync_api", reason="this test needs: pip install playwright")
    if CHROMIUM is None: pytest.skip("this test needs Chromium")
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Server, directory=str(SITE)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    with playwright.sync_playwright() as p:
        chromium = p.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield chromium, f"http://127.0.0.1:{server.server_port}"
        chromium.close()
    server.shutdown()


@pytest.fixture
def visit(browser):
    "Open a page of the site; at the end it must have asked no other host and reported no error."
    chromium, address = browser
    contexts, complaints = [], []

    def visit(page, theme="light", width=1280):
        context = chromium.new_context(viewport={"width": width, "height": 900}, color_scheme=theme)
        contexts.append(context)
        tab = context.new_page()
        tab.on("console", lambda message: message.type in ("error", "warning") and complaints.append(message.text))
        tab.on("pageerror", lambda error: complaints.append(str(error)))
        tab.on("request", lambda request: request.url.startswith((address, "data:", "blob:")) or complaints.append(request.url))
        tab.goto(f"{address}/{page}.html", wait_until="networkidle")
        return tab

    yield visit
    for context in contexts: context.close()
    assert complaints == []


@pytest.mark.parametrize("theme,width", SCREENS)
@pytest.mark.parametrize("page", PAGES)
def test_in_a_browser(visit, page, theme, width):
    "Nothing to scroll sideways, the theme of the system, and nothing that axe-core holds against it at WCAG 2.1 AA."
    axe = pytest.importorskip("axe_playwright_python", reason="this test needs: pip install axe-playwright-python")
    tab = visit(page, theme, width)
    assert tab.evaluate("document.documentElement.scrollWidth") <= width
    red = int(re.findall(r"\d+", tab.evaluate("getComputedStyle(document.body).backgroundColor"))[0])
    assert red > 200 if theme == "light" else red < 60
    tab.evaluate((Path(axe.__file__).parent/"axe.min.js").read_text(encoding="utf-8"))
    found = tab.evaluate("axe.run(document, {runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa']})")
    assert [f"{v['id']}: {v['nodes'][0]['html'][:120]} {v['nodes'][0]['failureSummary']}" for v in found["violations"]] == []


@pytest.mark.parametrize("page,here", [("index", 0), ("attention", 1), ("beyond/interpret", 0)])
def test_notebook_links_and_map(visit, page, here):
    tab = visit(page)
    links = tab.locator(".notebook-links a:not([download])").evaluate_all("links => links.map(a => a.href)")
    assert len(links) == 3 and all(re.search(r"github(\.com)?/[\w-]+/\w+/\w+/main/nbs/.*\.ipynb$", link) for link in links), links
    learner = tab.locator(".notebook-links a[download]").evaluate_all("links => links.map(a => a.href)")
    assert len(learner) == here and all(tab.request.get(link).json()["nbformat"] == 4 for link in learner)
    assert tab.locator(".course-map li").count() == (8 if "/" not in page else 0)
    assert tab.locator(".course-map [aria-current=page]").count() == here


def test_attention_view(visit):
    "The view answers to the mouse, to the Tab key and to the arrow keys, on touch-sized screens as well, and several share a page."
    tab = visit("attention", width=390)
    view = tab.locator(".attention-view").first
    status, letters, heads = view.locator(".status"), view.locator(".tokens button"), view.locator(".heads button")
    assert letters.count() == 16 and heads.count() == 2
    letters.nth(9).hover()
    assert " at 9 looks at " in status.inner_text()
    share = re.search(r"at 6 \((\d+) %\)", status.inner_text())
    assert share and int(share[1]) > 30  # the task is to look three places back
    letters.nth(9).focus()
    tab.keyboard.press("ArrowRight")
    assert " at 10 looks at " in status.inner_text()
    tab.keyboard.press("Home")
    assert " at 0 looks at " in status.inner_text()
    tab.keyboard.press("Tab")
    tab.keyboard.press("ArrowRight")
    assert status.inner_text().startswith("Layer 0, head 1: ")
    assert letters.evaluate_all("all => all.filter(b => b.tabIndex == 0).length") == 1


def test_views_share_a_page(visit):
    "Two views on one page stay apart, whichever script runs first."
    tab = visit("toolbox/view")
    html = tab.locator(".attention-view").first.evaluate("view => { const copy = view.cloneNode(); delete copy.dataset.alive; copy.dataset.tokens = JSON.stringify(JSON.parse(copy.dataset.tokens).map(t => t.toUpperCase())); view.after(copy); return [...document.scripts].find(s => s.text.includes('attention-view')).text; }")
    tab.add_script_tag(content=html)
    one, two = tab.locator(".attention-view").nth(0), tab.locator(".attention-view").nth(1)
    two.locator(".tokens button").nth(3).hover()
    assert "“B” at 3 looks at" in two.locator(".status").inner_text()
    assert " at 18 looks at" in one.locator(".status").inner_text()


def test_search(visit):
    "The search box finds a chapter by a word of its text."
    tab = visit("index")
    tab.keyboard.press("/")
    tab.keyboard.type("softmax")
    tab.wait_for_timeout(800)
    assert tab.get_by_text("Attention").count() > 1
