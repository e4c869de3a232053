"""Check a built site: python tools/check_site.py [_docs]   (standard library only)

Every internal link must lead to a page and an anchor that exist, every image and file that a page loads must be there,
no page may load anything from another host, and no Markdown link may be left in a page's text. Links that a reader clicks may lead anywhere.
"""
import re, sys
from configparser import ConfigParser
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

LOADS = {"img": "src", "script": "src", "iframe": "src", "source": "src", "video": "src", "audio": "src", "embed": "src", "object": "data",
         "image": "href", "use": "href"}
RAW = {"pre", "code", "script", "style", "math"} # text that is meant to be shown as it is
CSS_LOAD = re.compile(r"""(?:url\(\s*|@import\s+)['"]?([^'")\s;]+)""")
JS_LOAD = re.compile(r"""(?:\bfrom\s*|\bimport\s*\(?\s*)['"](https?://[^'"]+)""")


class Page(HTMLParser):
    "The anchors of a page, the links it offers and the files it loads."
    def __init__(self, html):
        super().__init__()
        self.ids, self.links, self.loads, self.inside, self.raw, self.text = set(), [], [], None, 0, []
        self.feed(html)

    def handle_starttag(self, tag, attrs):
        attrs = {k: v or "" for k, v in attrs}
        self.inside = tag
        self.raw += tag in RAW
        self.ids |= {attrs[k] for k in ("id", "name") if k in attrs}
        if tag in ("a", "area") and "href" in attrs: self.links.append(attrs["href"])
        if tag in LOADS: self.loads += [attrs[k] for k in (LOADS[tag], "xlink:href") if k in attrs]
        if tag == "link" and attrs.get("rel") not in ("canonical", "prev", "next", "license"): self.loads.append(attrs.get("href", ""))
        self.loads += [part.split()[0] for part in attrs.get("srcset", "").split(",") if part.strip() and not part.strip().startswith("data:")]
        self.loads += CSS_LOAD.findall(attrs.get("style", ""))

    def handle_endtag(self, tag):
        self.inside = None
        self.raw -= tag in RAW

    def handle_data(self, data):
        self.text.append("\0" if self.raw else data)
        if self.inside == "style": self.loads += CSS_LOAD.findall(data)
        if self.inside == "script": self.loads += JS_LOAD.findall(data)


def site_url():
    "The address that settings.ini gives the site; links to it count as internal."
    config = ConfigParser(delimiters=["="])
    config.read(Path(__file__).parents[1] / "settings.ini", encoding="utf-8")
    return config["DEFAULT"]["doc_host"] + config["DEFAULT"]["doc_baseurl"]


def check(site):
    "The problems of the site in folder `site`, one line each."
    site, home, problems = Path(site).resolve(), site_url(), []
    base = urlsplit(home).path # the site's own path on its host; the 404 page's links begin with it
    pages = {p: Page(p.read_text(encoding="utf-8")) for p in sorted(site.rglob("*.html"))}
    if not pages: return [f"{site}: no pages"]

    def find(source, href):
        "The file inside the site that `href` on `source` leads to, its fragment, and None for the file when it leads elsewhere."
        if href == home or href.startswith(home + "/"): href, source = href[len(home):].lstrip("/") or "index.html", site / "index.html"
        if re.match(re.escape(base) + "(/|$)", href): href, source = href[len(base):].lstrip("/") or "index.html", site / "index.html"
        url = urlsplit(href)
        if url.scheme or url.netloc: return None, ""
        path = unquote(url.path)
        target = source if not path else (site / path.lstrip("/") if path.startswith("/") else source.parent / path).resolve()
        return (target / "index.html" if target.is_dir() else target), unquote(url.fragment)

    def load(source, href):
        "Report what is wrong with a file that `source` loads."
        if not href or href.startswith(("data:", "#", "blob:", "about:")): return
        target, _ = find(source, href)
        where = source.relative_to(site)
        if target is None: problems.append(f"{where}: loads {href} from another host")
        elif not target.is_file(): problems.append(f"{where}: loads {href}, which doesn't exist")

    for source, page in pages.items():
        where = source.relative_to(site)
        for href in page.loads: load(source, href)
        problems += [f"{where}: an unfinished link, …{found}" for found in re.findall(r".{0,40}\]\(.{0,20}", "".join(page.text).replace("\0", ""))]
        for href in page.links:
            target, fragment = find(source, href)
            if target is None: continue
            if not target.is_file(): problems.append(f"{where}: link to {href}, which doesn't exist")
            elif fragment and target in pages and fragment not in pages[target].ids | {"top"}: problems.append(f"{where}: link to {href}, a page without that anchor")
    for source in site.rglob("*.css"):
        for href in CSS_LOAD.findall(re.sub(r"/\*.*?\*/", "", source.read_text(encoding="utf-8"), flags=re.S)): load(source, href)
    return list(dict.fromkeys(problems))


def main():
    site = Path(sys.argv[1] if len(sys.argv) > 1 else "_docs")
    problems = check(site)
    for problem in problems: print(problem)
    if problems: sys.exit(f"{len(problems)} problems in {site}")
    print(f"{len(list(site.rglob('*.html')))} pages in {site}: every link, anchor and file is there, nothing comes from another host")


if __name__ == "__main__": main()
