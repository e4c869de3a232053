"""The built site as a reader meets it: pages that say what they show, in Chromium in two themes and at four widths, by mouse and by keyboard.

Any build will do, of smalldocs or of Quarto: SITE=_docs pytest tests/test_site.py
"""
import json, os, re, shutil, sys, threading
from functools import partial
from html.parser import HTMLParser
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import urlsplit

import pytest

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT/"tools"))
from check_site import Page, check, site_url
SITE = Path(os.environ.get("SITE", ROOT/"_docs"))
CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
PAGES = sorted(path.relative_to(SITE).with_suffix("").as_posix() for path in SITE.rglob("*.html") if path.parent.name != "live") # live/page.html is the frame of an exported model
WIDTHS = [1600, 1280, 1024, 390]

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


@pytest.mark.parametrize("page", PAGES)
def test_page(page):
    "Headings in order, a text for every image, at most 700 kB with its pictures, our styles and scripts."
    path = SITE/f"{page}.html"
    text = path.read_text(encoding="utf-8")
    page = Outline(text)
    assert page.levels[:1] == [1] and all(b <= a + 1 for a, b in zip(page.levels, page.levels[1:])), page.levels
    assert page.without_alt == []
    assert not re.search(r"<summary>\s*<[ou]l", text), "a question that begins like a list"
    assert not re.search("<code>[^<]*[–“][^<]*</code>", text) # Quarto sets typographic quotes and dashes in raw HTML
    assert f"`]({site_url()}" not in re.sub("<[^>]+>", "", text), "a link of Markdown in a box of code"
    files = {(path.parent/name).resolve() for name in re.findall(r'<(?:img|script|link)\b[^>]*\b(?:src|href)="([^":#]+)"', text)}
    ours = [p for p in files if p.suffix in (".png", ".svg", ".js", ".css") and p.is_file() and "site_libs" not in p.parts]
    assert len(text.encode()) + sum(p.stat().st_size for p in ours) < 700_000


class Server(SimpleHTTPRequestHandler):
    "The site, at the server's root and at the path that it will be published under, which Quarto's 404.html asks for."
    def translate_path(self, path): return super().translate_path(path.removeprefix(urlsplit(site_url()).path))
    def log_message(self, *args): pass


@pytest.fixture(scope="module")
def browser():
    "A Chromium with a window for each theme, and the address of the site."
    playwright = pytest.importorskip("playwright.sync_api", reason="this test needs: pip install playwright")
    if CHROMIUM is None: pytest.skip("this test needs Chromium")
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Server, directory=str(SITE)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    with playwright.sync_playwright() as p:
        chromium = p.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield {theme: chromium.new_context(color_scheme=theme) for theme in ("light", "dark")}, f"http://127.0.0.1:{server.server_port}"
        chromium.close()
    server.shutdown()


@pytest.fixture
def visit(browser):
    "Open a page of the site; at the end it must have asked no other host and reported no error."
    windows, address = browser
    tabs, complaints = [], []

    def visit(page, theme="light", width=1280):
        tab = windows[theme].new_page()
        tabs.append(tab)
        tab.set_viewport_size({"width": width, "height": 900})
        tab.on("console", lambda message: message.type in ("error", "warning") and complaints.append(message.text))
        tab.on("pageerror", lambda error: complaints.append(str(error)))
        tab.on("request", lambda request: request.url.startswith((address, "data:", "blob:")) or complaints.append(request.url))
        tab.goto(f"{address}/{page}", wait_until="load") if "#" in page else tab.goto(f"{address}/{page}.html", wait_until="load")
        return tab

    yield visit
    for tab in tabs: tab.close()
    assert complaints == []


COLOURS = ["color-contrast", "link-in-text-block"] # most of axe's time
AXE = """rules => axe.run(document, {resultTypes: ["violations"], runOnly: rules ?? ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa"], rules: {"target-size": {enabled: true}}})
  .then(found => found.violations.map(v => `${v.id}: ${v.nodes[0].html.slice(0, 120)} ${v.nodes[0].failureSummary}`))"""
# axe takes long, so the second time a kind of token stands in code it becomes plain text; of the formulas two stay, of a table's rows six, of the sidebar's links eight
ONE_OF_A_KIND = """() => {
  const seen = new Set();
  for (const box of document.querySelectorAll("main pre")) {
    for (const token of box.querySelectorAll("span")) if (token.className && !seen.has(token.className)) seen.add(token.className); else token.replaceWith(...token.childNodes);
    box.normalize();
  }
  for (const formula of [...document.querySelectorAll("math")].slice(2)) formula.textContent = "";
  for (const row of document.querySelectorAll("main tr:nth-child(n+6)")) row.remove();
  for (const link of [...document.querySelectorAll("#quarto-sidebar li li:not(:has(.active))")].slice(8)) link.remove();
}"""
PROSE = """[...document.querySelectorAll("main p, main li")].filter(e => e.textContent.length > 200 && e.offsetWidth > 46*parseFloat(getComputedStyle(document.documentElement).fontSize)).map(e => e.textContent.slice(0, 60))"""

TOO_SMALL = """[...document.querySelectorAll("main img")].filter(e => e.naturalWidth > 400 && e.width < .99*Math.min(540, e.naturalWidth)).map(e => [e.src, e.width, e.naturalWidth])"""


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("page", PAGES)
def test_in_a_browser(visit, page, theme):
    "Nothing to scroll sideways at any width, lines and figures that can be read, the theme of the system, nothing that axe-core holds against it at WCAG 2.1 AA, and room for a finger."
    axe = pytest.importorskip("axe_playwright_python", reason="this test needs: pip install axe-playwright-python")
    tab = visit(page, theme)
    for width in WIDTHS:
        tab.set_viewport_size({"width": width, "height": 900})
        assert tab.evaluate("document.documentElement.scrollWidth") <= width
        assert tab.evaluate(PROSE) == [], width
        assert tab.evaluate(TOO_SMALL) == [], width
    red = int(re.findall(r"\d+", tab.evaluate("getComputedStyle(document.body).backgroundColor"))[0])
    assert red > 200 if theme == "light" else red < 60
    tab.evaluate((Path(axe.__file__).parent/"axe.min.js").read_text(encoding="utf-8"))
    tab.evaluate(ONE_OF_A_KIND)
    # the last width is a phone's; there colours are looked at in the dark, and in the light at a desk's
    if theme == "dark": assert tab.evaluate(AXE, COLOURS) == []
    else:
        assert tab.evaluate(AXE, ["target-size", "scrollable-region-focusable"]) == []
        tab.set_viewport_size({"width": 1280, "height": 900})
        assert tab.evaluate(AXE) == []


def test_drawings_in_the_dark(visit):
    "A drawing on white paper doesn't glare from a dark page."
    tab = visit("index", "dark")
    assert "invert" in tab.locator("main img").first.evaluate("img => getComputedStyle(img).filter")


@pytest.mark.parametrize("page", ["index", "attention", "beyond/interpret"])
def test_on_a_phone(visit, page):
    "One menu, which holds the chapters, and a title that isn't cut off."
    tab = visit(page, width=390)
    buttons = tab.locator("#quarto-header button:is(.navbar-toggler, .quarto-btn-toggle)")
    seen = [button for button in buttons.all() if button.is_visible()]
    assert len(seen) == 1
    seen[0].click()
    tab.wait_for_timeout(600)
    assert tab.locator("#quarto-sidebar a[href$='attention.html']").is_visible()
    title = tab.locator(".navbar-title, .navbar-brand").first
    assert title.evaluate("e => e.scrollWidth <= e.clientWidth + 1 && e.getBoundingClientRect().right < 320")


def test_without_scripts(browser):
    "The title stands below the header, and the sample and the way in are there."
    windows, address = browser
    plain = windows["light"].browser.new_context(java_script_enabled=False, viewport={"width": 390, "height": 900})
    tab = plain.new_page()
    tab.goto(f"{address}/index.html")
    header, title = tab.locator("#quarto-header").bounding_box(), tab.locator("h1").first.bounding_box()
    assert title["y"] >= header["y"] + header["height"]
    assert tab.locator("main pre").filter(has_text="BENVOLIO:").first.is_visible() and tab.locator("main .start").first.is_visible()
    plain.close()


def test_code_fits(visit):
    "A line of 88 characters stands on one line beside both sidebars, and a wrapped one continues further in than it began."
    tab = visit("attention")
    lines = "[...document.querySelectorAll('main pre > code.sourceCode > span[id]')]"
    assert tab.evaluate(f"{lines}.filter(e => e.textContent.length <= 88 && e.offsetHeight > 1.8*parseFloat(getComputedStyle(e).lineHeight)).map(e => e.textContent)") == []
    assert tab.evaluate("[...document.querySelectorAll('main pre code span:not([id])')].every(e => parseFloat(getComputedStyle(e).paddingLeft) == 0)"), "room between the words of a line"
    tab.set_viewport_size({"width": 390, "height": 900})
    assert tab.evaluate(f"{lines}.every(e => parseFloat(getComputedStyle(e).paddingLeft) > 20)")


DEFINED = {path: path.read_text(encoding="utf-8") for path in SITE.rglob("*.html") if not path.parent.name == "notes"}
MOVED = json.loads((Path(__file__).parent/"anchors-0.1.json").read_text(encoding="utf-8"))


@pytest.mark.parametrize("page", MOVED)
def test_old_anchors(page):
    "What version 0.1 defined on a chapter's page is there, or page.html knows which page it is on now. Where a section is gone, its link leads to the page."
    rows = re.findall(r'\["(\w+)", /(.+?)/, "([\w/.]+)"\]', (ROOT/"nbs/page.html").read_text(encoding="utf-8"))
    assert {row[0] for row in rows} <= set(MOVED)
    here = Page((SITE/f"{page}.html").read_text(encoding="utf-8")).ids
    for anchor in MOVED[page]:
        now = {path.relative_to(SITE).as_posix() for path in DEFINED if f'id="{anchor}"' in DEFINED[path]}
        leads = next((row[2] for row in rows if row[0] == page and re.search(row[1], anchor)), None)
        assert anchor in here or not now or leads in now, f"{page}.html#{anchor} leads to {leads} and is on {now}"


def test_renamed_sections():
    "What page.html says of a section of 0.1 that has another name now: the old name is gone, the new one is there."
    rows = re.search(r"RENAMED = \{\n(.+?)\n  \};", (ROOT/"nbs/page.html").read_text(encoding="utf-8"), re.S)[1]
    for page, names in re.findall(r'^ *"?([\w/]+)"?: \{(.+)\},$', rows, re.M):
        for old, new in re.findall(r'"([^"]+)": "([^"]+)"', names):
            there, _, anchor = new.rpartition("#")
            assert f'id="{old}"' not in DEFINED[SITE/f"{page}.html"], old
            assert f'id="{anchor}"' in DEFINED[SITE/(there or f"{page}.html")], new


@pytest.mark.parametrize("old,new", [("tokenizer.html#bpetokenizer.encode", "beyond/bytepairs.html#bpetokenizer.encode"),
                                     ("block.html#digesting", "block.html#working-on-what-was-gathered"), ("tokenizer.html#rung-4-learning-the-merges", "beyond/bytepairs.html#learning-the-merges")])
def test_an_old_link_is_followed(visit, old, new):
    tab = visit(old)
    tab.wait_for_url(f"**/{new}")


@pytest.mark.parametrize("path", sorted((ROOT/"_proc").rglob("*.ipynb")), ids=lambda path: path.relative_to(ROOT/"_proc").with_suffix("").as_posix())
def test_what_quarto_gets(path):
    "No output for which Quarto would load scripts from another host."
    outputs = [output for cell in json.loads(path.read_text(encoding="utf-8"))["cells"] for output in cell.get("outputs", [])]
    assert {kind for output in outputs for kind in output.get("data", {})} <= {"text/plain", "text/markdown", "image/png", "image/svg+xml", "text/latex"}


@pytest.mark.parametrize("page", [*MOVED, "primer/learning"])
def test_terms_lead_to_the_glossary(page):
    "Each chapter leads to entries of the glossary."
    links = re.findall(r'href="[./]*notes/glossary\.html#([\w-]+)"', (SITE/f"{page}.html").read_text(encoding="utf-8"))
    assert len(set(links)) >= 5, links


def test_check_site_knows_its_address(tmp_path):
    "Links that begin with the path the site is published under are links into the site."
    base = urlsplit(site_url()).path
    (tmp_path/"index.html").write_text(f'<a href="{base}/404.html">', encoding="utf-8")
    (tmp_path/"404.html").write_text(f'<img src="{base}/there.png"><a href="{base}/index.html"></a><a href="{base}/">home</a><img src="{base}/gone.png">', encoding="utf-8")
    (tmp_path/"there.png").touch()
    assert check(tmp_path) == [f"404.html: loads {base}/gone.png, which doesn't exist"]


@pytest.mark.parametrize("page,here", [("index", 0), ("attention", 1), ("beyond/interpret", 0)])
def test_notebook_links_and_map(visit, page, here):
    tab = visit(page)
    links = tab.locator(".notebook-links a:not([download])").evaluate_all("links => links.map(a => a.href)")
    assert len(links) == 3 and all(re.search(r"github(\.com)?/[\w-]+/\w+/\w+/main/nbs/.*\.ipynb$", link) for link in links), links
    learner = tab.locator(".notebook-links a[download]").evaluate_all("links => links.map(a => a.href)")
    assert len(learner) == here and all(tab.request.get(link).json()["nbformat"] == 4 for link in learner)
    assert tab.locator(".course-map li").count() == (10 if "/" not in page else 0)
    assert tab.locator(".course-map [aria-current=page]").count() == here


def test_attention_view(visit):
    "The view answers to the mouse, to the Tab key and to the arrow keys, on touch-sized screens as well, and several share a page."
    tab = visit("toolbox/view", width=390)
    view = tab.locator(".attention-view").first
    status, letters, heads = view.locator(".status"), view.locator(".tokens button"), view.locator(".heads button")
    assert letters.count() == 19 and heads.count() == 4
    letters.nth(9).hover()
    assert " at 9 looks at " in status.inner_text()
    assert re.search(r"at \d+ \(\d+ %\)", status.inner_text())
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


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_search(visit, theme):
    "The search box finds a chapter by a word of its text, loads its index only then, and its results can be read."
    axe = pytest.importorskip("axe_playwright_python", reason="this test needs: pip install axe-playwright-python")
    tab = visit("index", theme)
    assert not tab.evaluate("performance.getEntriesByType('resource').some(file => file.name.includes('search.json'))")  # the index is large
    tab.keyboard.press("/")
    tab.wait_for_timeout(500)
    tab.keyboard.type("softmax")
    tab.wait_for_timeout(1500)
    assert tab.get_by_text("Attention").count() > 1
    tab.evaluate((Path(axe.__file__).parent/"axe.min.js").read_text(encoding="utf-8"))
    assert [found for found in tab.evaluate(AXE, COLOURS) if found.startswith("color-contrast")] == []
