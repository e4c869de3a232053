"The repository agrees with itself: exports, clean notebooks, one version, one owner, one map of the chapters."
import ast, builtins, importlib.util, json, os, re, shutil, subprocess, sys
from collections import Counter
from configparser import ConfigParser
from pathlib import Path

import pytest

pytest.importorskip("nbdev", reason="these tests need the dev extra: pip install -e '.[dev]'")
import yaml
from nbdev.process import first_code_ln

ROOT = Path(__file__).parents[1]
NBS = sorted(p for p in (ROOT/"nbs").rglob("*.ipynb") if not any(part[0] in "._" for part in p.relative_to(ROOT).parts))
DIRECTIVES = set("""default_exp export exports exporti hide hide_input hide_output hide_line eval notest slow cuda label echo output include
    code-fold code-summary fig-cap fig-alt fig-align fig-width fig-height tbl-cap exercise solution experiment check""".split())
settings = ConfigParser(delimiters=["="])
settings.read(ROOT/"settings.ini", encoding="utf-8")
CFG = settings["DEFAULT"]


def page(path): return path.relative_to(ROOT/"nbs").with_suffix("").as_posix()


notebooks = pytest.mark.parametrize("path", NBS, ids=page)


def cells(path): return json.loads(path.read_text(encoding="utf-8"))["cells"]
def source(cell): return "".join(cell["source"])
def read(name): return (ROOT/name).read_text(encoding="utf-8")


@pytest.fixture(scope="session")
def copy(tmp_path_factory):
    "What nbdev works on, in another place, without any generated module."
    root = tmp_path_factory.mktemp("copy")
    for name in ("settings.ini", "pyproject.toml"): shutil.copy(ROOT/name, root)
    for name in ("nbs", "gpt_scratch"):
        shutil.copytree(ROOT/name, root/name, ignore=shutil.ignore_patterns(".*", "_proc", "_docs", "__pycache__", "weights"))
    for p in (root/"gpt_scratch").rglob("*.py"): p.unlink()
    return root


def nbdev(command, root):
    "Run one of nbdev's commands in `root`."
    env = {k: v for k, v in os.environ.items() if k != "IN_TEST"}
    code = f"from nbdev.{command[0]} import {command[1]}; {command[1]}.__wrapped__()"
    subprocess.run([sys.executable, "-c", code], cwd=root, env=env, check=True, capture_output=True)


def test_exports_are_in_sync(copy):
    nbdev(("doclinks", "nbdev_export"), copy)
    def modules(root): return {p.relative_to(root).as_posix(): p.read_text(encoding="utf-8") for p in (root/"gpt_scratch").rglob("*.py")}
    fresh, ours = modules(copy), modules(ROOT)
    assert sorted(fresh) == sorted(ours), "run nbdev_export; a module without a notebook must go"
    assert [name for name in fresh if fresh[name] != ours[name]] == [], "run nbdev_export"
    assert (copy/"pyproject.toml").read_text(encoding="utf-8") == read("pyproject.toml"), "run nbdev_export"


def test_notebooks_are_clean(copy):
    nbdev(("clean", "nbdev_clean"), copy)
    assert [p.name for p in NBS if (copy/p.relative_to(ROOT)).read_bytes() != p.read_bytes()] == [], "run nbdev_clean"


@notebooks
def test_anatomy(path):
    "A title and a summary alone in the first cell; every cell with an id of its own; the export cell at the end."
    all_cells = cells(path)
    ids = [c.get("id") for c in all_cells]
    assert all(ids) and len(set(ids)) == len(ids)
    first = source(all_cells[0]).strip()
    assert all_cells[0]["cell_type"] == "markdown" and re.fullmatch(r"# [^\n]+\n\n?> [^\n]+(\n+(- [\w-]+: [^\n]+\n?)+)?", first), f"first cell:\n{first}"
    if any(source(c).startswith("#| default_exp") for c in all_cells):
        assert "nbdev_export()" in source(all_cells[-1]) and source(all_cells[-1]).startswith("#| hide")


@notebooks
def test_directives_count(path):
    "nbdev ignores a directive that is misspelt or comes after code, without a word."
    for cell in cells(path):
        if cell["cell_type"] != "code": continue
        lines = source(cell).splitlines()
        top = first_code_ln(lines)
        for i, line in enumerate(lines):
            if not re.match(r"\s*#\s*\|", line): continue
            name = re.sub(r"^\s*#\s*\|\s*", "", line).split()[0].rstrip(":")
            assert name in DIRECTIVES, f"{line!r} is no directive"
            assert top is None or i < top, f"{line!r} comes after code"


@notebooks
def test_imports_have_a_cell_of_their_own(path):
    "The site build runs every cell that imports, alone and whatever its flags: other code, or a library that isn't there, would break it."
    for cell in cells(path):
        text = source(cell)
        if cell["cell_type"] != "code" or "nbdev_export()" in text or re.search(r"(?m)^#\|\s*(exports?\b|eval: false)", text): continue
        try: body = ast.parse(text).body
        except SyntaxError: continue
        names = [name for node in body for name in ([a.name for a in node.names] if isinstance(node, ast.Import) else [node.module] if isinstance(node, ast.ImportFrom) else [])]
        assert [name for name in names if name and not importlib.util.find_spec(name.split(".")[0])] == [], "not in the dev extra"
        kinds = {isinstance(node, (ast.Import, ast.ImportFrom)) for node in body}
        nested = any(isinstance(n, (ast.Import, ast.ImportFrom)) for node in body for n in ast.walk(node) if n is not node)
        assert kinds != {True, False} and not nested, f"imports and other code in one cell:\n{text}"


@notebooks
def test_outputs(path):
    "Saved outputs carry no error, no warning, no widget and no path of a machine."
    for cell in cells(path):
        for output in cell.get("outputs", []):
            assert output["output_type"] != "error" and output.get("name") != "stderr", f"{source(cell)}\n{output}"
            assert not any("widget" in mime for mime in output.get("data", {})), source(cell)
            assert not re.search(r"/(root|home|tmp|Users)/\w", json.dumps(output)), f"a path of this machine in the output of\n{source(cell)}"


def annotations(function):
    args = function.args
    return [a.annotation for a in (*args.posonlyargs, *args.args, *args.kwonlyargs, args.vararg, args.kwarg) if a and a.annotation] + [function.returns] * bool(function.returns)


@notebooks
def test_what_the_site_shows_of_a_definition(path):
    "nbdev puts a signature below each exported cell: two definitions there give an empty one, and annotations are evaluated, so what they name must be there by then."
    known = set(dir(builtins))
    for cell in cells(path):
        if cell["cell_type"] != "code": continue
        try: tree = ast.parse(source(cell))
        except SyntaxError: continue
        for node in tree.body:
            if isinstance(node, (ast.Import, ast.ImportFrom)): known |= {(a.asname or a.name).split(".")[0] for a in node.names}
        if not re.search(r"(?m)^#\|\s*exports?\b", source(cell)): continue
        defined = [n.name for n in tree.body if isinstance(n, (ast.FunctionDef, ast.ClassDef))]
        assert len(defined) < 2, "one definition a cell"
        known |= {*defined, *(n.id for n in ast.walk(tree) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store))}
        used = {n.id for f in ast.walk(tree) if isinstance(f, ast.FunctionDef) for a in annotations(f) for n in ast.walk(a) if isinstance(n, ast.Name)}
        assert used <= known, f"{defined} is annotated with what isn't there yet: {used - known}; in quotes it is shown as it stands"


CHAPTERS = [p for p in NBS if re.match(r"0\d_", p.name)]
COURSE = [p for p in NBS if p in CHAPTERS or p.parent.name == "primer"]
course = pytest.mark.parametrize("path", COURSE, ids=lambda path: path.stem)
UNSEEN = re.compile(r"(?m)^#\|\s*(hide\b|export\b|exercise\b|default_exp\b|echo: *false)")


def lines(text): return [line for line in text.splitlines() if line.strip() and not line.lstrip().startswith("#|")]


# notebooks whose lines are still too long: one that is done leaves this list
LONG = """toolbox/cli toolbox/doctor toolbox/reverse toolbox/run toolbox/slicer toolbox/teaching toolbox/zoo""".split()


@pytest.mark.parametrize("path", [path for path in NBS if page(path) not in LONG], ids=page)
def test_code_fits_the_page(path):
    "A box of code holds 88 characters; a longer line wraps or scrolls."
    wide = [line for cell in cells(path) if cell["cell_type"] == "code" and not UNSEEN.search(source(cell)) for line in lines(source(cell)) if len(line) > 88]
    assert wide == []


@course
def test_definitions_are_short(path):
    "An exported cell has at most 25 lines, a body at most 10, signature and docstring not counted."
    long = []
    for cell in cells(path):
        if cell["cell_type"] != "code" or not re.search(r"(?m)^#\|\s*exports\b", source(cell)): continue
        functions = [n for n in ast.walk(ast.parse(source(cell))) if isinstance(n, ast.FunctionDef)]
        bodies = {f.name: f.body[bool(ast.get_docstring(f)):] for f in functions}
        if len(lines(source(cell))) > 25: long.append(source(cell))
        long += [name for name, body in bodies.items() if body and body[-1].end_lineno - body[0].lineno + 1 > 10]
    assert long == []


@course
def test_a_picture_comes_early(path):
    "A drawing or a figure stands among the first cells, before the definitions."
    def shows(cell):
        if cell["cell_type"] == "markdown": return re.search(r"!\[|<svg|<img|<figure", source(cell))
        return any(kind.startswith("image/") for output in cell["outputs"] for kind in output.get("data", {}))
    assert next((i for i, cell in enumerate(cells(path)) if shows(cell)), 99) <= 12


def minutes(path):
    "How long the page takes up to its questions: 220 words a minute, 8 seconds for a line of code."
    total, apart = 0., False
    for cell in cells(path):
        text = source(cell)
        if cell["cell_type"] == "markdown": apart = (apart or bool(re.search(r"(?m)^## (Questions|Exercises)", text))) and not re.search(r"(?m)^## In short", text)
        if apart: continue
        if cell["cell_type"] == "markdown": total += len(text.split())/220
        elif not UNSEEN.search(text): total += len(lines(text))*8/60
    return total


def test_the_course_takes_an_afternoon():
    times = {path.stem: round(minutes(path)) for path in CHAPTERS}
    assert max(times.values()) <= 42 and sum(times.values()) <= 250, times


def imports(name):
    "What a module of the package imports from the package, anywhere in it."
    folder, found = [*Path(name).parts[:-1]], set()
    for node in ast.walk(ast.parse(read(f"gpt_scratch/{name}"))):
        if isinstance(node, ast.ImportFrom) and node.level: found.add("/".join([*folder[:len(folder)-node.level+1], *(node.module or "").split(".")]).strip("/"))
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("gpt_scratch."): found.add(node.module[12:].replace(".", "/"))
    return found


def test_imports_go_one_way():
    "A chapter imports the primer and the chapters before it, at its head or inside a function, and no toolbox; the primer imports none of them."
    order = [path.stem[3:] for path in CHAPTERS]
    for i, name in enumerate(order): assert imports(f"{name}.py") <= {"primer/learning", *order[:i]}, name
    assert imports("primer/learning.py") == set()
    for path in sorted((ROOT/"gpt_scratch/toolbox").glob("*.py")):
        beyond = {name for name in imports(f"toolbox/{path.name}") if name.startswith("beyond/")}
        assert not beyond or path.name in ("checkpoint.py", "cli.py", "run.py", "export.py", "html.py", "files.py"), f"{path.name} imports {beyond}"


def tracked():
    "Every text file that git knows, with its content."
    if not (ROOT/".git").exists(): pytest.skip("not a git checkout")
    names = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, check=True, capture_output=True, text=True).stdout.split("\0")
    for name in filter(None, names):
        try: yield name, read(name)
        except UnicodeDecodeError: pass


def test_nothing_of_a_machine_or_a_draft():
    "No path of somebody's machine, no note to self, no emoji."
    bad = re.compile(r"/(?:root|home|work|Users)/\w|\b(?:TO" r"DO|FIX" r"ME|XX" r"X)\b|[\U0001F300-\U0001FAFF]|(?-i:^(?:<{7}|>{7}) )", re.M)
    found = [f"{name}: {m[0]}" for name, text in tracked() for m in bad.finditer(re.sub(r"[A-Za-z0-9+/=]{200,}", "", text))]
    assert found == []


def test_one_version():
    version = CFG["version"]
    assert f'__version__ = "{version}"' in read("gpt_scratch/__init__.py")
    assert re.search(r"^## (\S+)", read("CHANGELOG.md"), re.M)[1] == version


def test_one_owner():
    "Links to the repository and the site, wherever they stand, use the owner that settings.ini names."
    hosts = re.compile(r"https://github\.com/([\w-]+)/" + CFG["repo"] + r"\b|https://([\w-]+)\.github\.io/" + CFG["repo"]
        + r"\b|(?:colab\.research\.google\.com|kaggle\.com)/[^\s)\"]*github/([\w-]+)/" + CFG["repo"])
    owners = {(name, owner) for name, text in tracked() for m in hosts.finditer(text) for owner in m.groups() if owner}
    assert {(name, owner) for name, owner in owners if owner != CFG["user"]} == set()
    assert any(name == "README.md" for name, _ in owners)


def test_sidebar_lists_every_notebook_once():
    def hrefs(entry):
        if isinstance(entry, str): return [entry]
        return [h for h in [entry.get("href")] if h] + [h for e in entry.get("contents", []) for h in hrefs(e)]
    site = yaml.safe_load(read("_quarto.yml"))["website"]
    listed = Counter(h for entry in site["sidebar"]["contents"] for h in hrefs(entry))
    assert listed == Counter(p.relative_to(ROOT/"nbs").as_posix() for p in NBS)


@pytest.mark.parametrize("heading", ["## Install and run", "## Learn it here", "## The chapters"])
def test_readme_and_home_page_agree(heading):
    "The same words in README.md and on the home page; only where a link leads may differ."
    def section(text):
        found = re.search(rf"^{heading}\n(.*?)(?=^## |\Z)", text, re.M | re.S)
        assert found, f"no section {heading!r}"
        return re.sub(r"\]\([^)]*\)", "]", re.sub(r"\n{2,}", "\n\n", found[1].strip()))
    home = "\n\n".join(source(c) for c in cells(ROOT/"nbs/index.ipynb") if c["cell_type"] == "markdown")
    assert section(read("README.md")) == section(home)
