"""Write the learner notebooks: python tools/learner.py [FOLDER]   (default: learner)

A learner notebook is a chapter, or the primer's lesson on learning, without the solutions to its exercises and without saved outputs: the stubs run as they are, and each check
fails until the learner's code is right. It needs nothing but the installed package.
"""
import re, sys
from configparser import ConfigParser
from pathlib import Path

import nbformat

ROOT = Path(__file__).parents[1]
CHAPTERS = [ROOT / "nbs/primer/learning.ipynb", *sorted((ROOT / "nbs").glob("0*.ipynb"))]
WELCOME = """This is the learner's copy of [the chapter]({page}): its exercises wait near the end, without their solutions. A check below an exercise
fails until your code is right and says nothing once it is. The solutions stand folded on the chapter's page."""


def site():
    "The site's address, as settings.ini has it."
    config = ConfigParser(delimiters=["="])
    config.read(ROOT / "settings.ini", encoding="utf-8")
    return config["DEFAULT"]["doc_host"] + config["DEFAULT"]["doc_baseurl"] + "/"


def directives(cell):
    "The names of a code cell's directives: {'hide', 'exercise', …}."
    return set(re.findall(r"(?m)^#\| *([\w-]+)", cell.source)) if cell.cell_type == "code" else set()


def is_solution(cell): return "solution" in directives(cell) or cell.source.startswith("<!-- solution -->")


def page(path):
    "The address of the chapter at `path` on the site."
    return site() + ("primer/" if path.parent.name == "primer" else "") + re.sub(r"^0\d_", "", path.stem) + ".html"


def away(link):
    "A link that leads out of the chapters, as a link to the site."
    path, anchor = link[1], link[2] or ""
    return link[0] if re.fullmatch(r"0\d_\w+", path) else f"]({site()}{re.sub(r'0[0-9]_', '', path)}.html{anchor})"


def learner(path):
    "The learner notebook of the chapter at `path`."
    nb = nbformat.read(path, as_version=4)
    nb.cells = [cell for cell in nb.cells if not (is_solution(cell) or "default_exp" in directives(cell) or "nbdev_export(" in cell.source)]
    for cell in nb.cells:
        if cell.cell_type == "code":
            if "check" in directives(cell): cell.metadata.tags = ["raises-exception"]  # "run all" goes on behind it
            cell.source = re.sub(r"\A(#\|.*\n)+", "", cell.source)
            cell.outputs, cell.execution_count = [], None
        else:
            if path.parent.name == "primer":  # links as they would stand one folder higher, where the copies of the chapters are
                cell.source = re.sub(r"\]\((\w+\.ipynb)", r"](primer/\1", cell.source).replace("](../", "](")
            cell.source = re.sub(r"\]\(([\w/]+)\.ipynb(#[^)]*)?\)", away, cell.source)
            cell.source = cell.source.replace("](images/", f"]({site()}images/")
    nb.cells.insert(1, nbformat.v4.new_markdown_cell(WELCOME.format(page=page(path)), id="welcome"))
    return nb


def write(folder):
    "Write all learner notebooks into `folder`."
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    for path in CHAPTERS: nbformat.write(learner(path), folder / path.name)
    return len(CHAPTERS)


if __name__ == "__main__":
    folder = sys.argv[1] if len(sys.argv) > 1 else "learner"
    print(f"{write(folder)} notebooks in {folder}")
