"The exercises: complete, unsolved in the learner notebooks, and with checks that fail on an untouched stub and pass on the solution."
import ast, json, os, re, subprocess, sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
if not (ROOT/"nbs/00_tokenizer.ipynb").is_file(): pytest.skip("the exercises' tests need the repository", allow_module_level=True)
from gpt_scratch.toolbox import slicer
from gpt_scratch.toolbox.slicer import Cell
nbformat = pytest.importorskip("nbformat", reason="the exercises' tests need the dev extra: pip install -e '.[dev]'")
from gpt_scratch.toolbox.learn import directives, is_solution, learner_copy, lessons, page, site

CHAPTERS = [ROOT/"nbs/primer/learning.ipynb", *sorted((ROOT/"nbs").glob("0*.ipynb"))]
chapters = pytest.mark.parametrize("path", CHAPTERS, ids=lambda path: path.stem)
# Runs lists of cells in one IPython; prints for each list which of its cells failed, and how.
RUN = """
import json, sys
from IPython.core.interactiveshell import InteractiveShell
from IPython.utils.capture import capture_output
shell = InteractiveShell.instance()
def failures(cells):
    for name, source in cells:
        with capture_output(): result = shell.run_cell(source)
        error = result.error_before_exec or result.error_in_exec
        if error is not None: yield name, f"{type(error).__name__}: {error}"
print(json.dumps([list(failures(cells)) for cells in json.load(sys.stdin)]))
"""


def learner(path): return nbformat.reads(json.dumps(learner_copy(path)), as_version=4)


def exercises(nb):
    "The exercises of a chapter: for each its number, the task and the cells that follow it."
    found, inside = [], False
    for cell in nb.cells:
        if re.match(r"## (?!Exercises)", cell.source) and cell.cell_type == "markdown": inside = False
        elif cell.cell_type == "markdown" and re.search(r"(?m)^## Exercises$", cell.source): inside = True
        title = cell.cell_type == "markdown" and re.search(r"(?m)^### Exercise (\d+): \S", cell.source)
        if title: found.append((int(title[1]), cell, []))
        elif inside and found: found[-1][2].append(cell)
    return found


def role(cell):
    "What a cell is to its exercise."
    if cell.cell_type == "markdown": return "explanation" if is_solution(cell) else "text"
    return next((name for name in ("exercise", "solution", "check") if name in directives(cell)), "code")


def needed(cells, later):
    "Those statements of `cells` that the cells `later` rest on, as the zoo slices a chapter: a whole one would take its minute."
    def statements(cell): return map(ast.unparse, ast.parse(re.sub(r"(?m)^[!%].*$", "", cell.source)).body)
    before = [s for cell in cells for s in statements(cell)]
    # patches and seeds are kept wherever they stand
    rows = [Cell(i, s, ("kept",) if re.match(r"@patch\b|torch\.manual_seed", s) else ()) for i, s in enumerate(before + [s for cell in later for s in statements(cell)])]
    return [row.source for row in slicer.needed(rows, {*range(len(before), len(rows))}) if row.number < len(before)]


def attempt(path):
    "Run what the exercises of the chapter at `path` rest on, then its stubs and checks, then its solutions and checks: the failures of these two."
    chapter = nbformat.read(path, as_version=4)
    solved = {c.id for _, _, cells in exercises(chapter) for c in cells}
    cells = [c for c in learner(path).cells if c.cell_type == "code"]
    first = next(i for i, c in enumerate(cells) if c.id in solved)
    solution = [c for _, _, cells in exercises(chapter) for c in cells if role(c) in ("solution", "check", "code")]
    stubs = [c for c in cells if c.id in solved]
    parts = [[("setting", s) for s in needed(cells[:first], stubs + solution)], *([(c.id, c.source) for c in part] for part in (stubs, solution))]
    done = subprocess.run([sys.executable, "-c", RUN], cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)}, input=json.dumps(parts), capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])[1:] # a statement kept in vain may fail; one that is missed makes a solution fail


def verdict(path):
    "What is wrong with the exercises of a chapter, one line each."
    chapter, wrong = nbformat.read(path, as_version=4), []
    found = exercises(chapter)
    if [n for n, _, _ in found] != list(range(1, len(found) + 1)): wrong.append(f"numbered {[n for n, _, _ in found]}")
    for n, task, cells in found:
        roles = [role(c) for c in cells if role(c) not in ("text", "code")]
        if roles != ["exercise", "solution", "explanation", "check"]: wrong.append(f"exercise {n} has {roles}")
        if not re.search(r"(?i)\b(predict|implement|investigate)\b", task.source): wrong.append(f"exercise {n} doesn't say whether to predict, implement or investigate")
        if not re.search(r"<details><summary>Hint</summary>\n\n.+\n\n</details>", task.source, re.S): wrong.append(f"exercise {n} has no hint")
        if any("eval:" not in c.source for c in cells if role(c) == "exercise"): wrong.append(f"exercise {n}: the chapter runs the stub")
        if not all(re.search(r"<details><summary>Why</summary>\n\n.+\n\n</details>", c.source, re.S) for c in cells if role(c) == "explanation"): wrong.append(f"exercise {n} isn't explained")
    if wrong or not found: return wrong
    stubs, solutions = attempt(path)
    checks = {c.id: n for n, _, cells in found for c in cells if role(c) == "check"}
    wrong += [f"an untouched stub passes the check of exercise {n}" for cell, n in checks.items() if cell not in dict(stubs)]
    wrong += [f"without solutions another cell fails: {error}" for cell, error in stubs if cell not in checks]
    return wrong + [f"the solution fails: {error}" for _, error in solutions]


@pytest.fixture(scope="module")
def verdicts(request):
    "The chosen chapters' exercises, started at once; each worker of pytest-xdist starts one when its turn comes."
    if "PYTEST_XDIST_WORKER" in os.environ: return (yield None)
    chosen = [item.callspec.params["path"] for item in request.session.items if item.name.startswith("test_exercises[")]
    with ThreadPoolExecutor(min(os.cpu_count() or 1, 4)) as pool:
        yield {path: pool.submit(verdict, path) for path in chosen}
        pool.shutdown(cancel_futures=True)


@pytest.mark.parametrize("path", [*CHAPTERS, *(ROOT/f"nbs/beyond/{name}.ipynb" for name in ("bytepairs", "newer", "obeying"))], ids=lambda path: path.stem)
def test_exercises(path, verdicts):
    "Task, stub, hint, solution, explanation and check; the check fails on the stub and passes on the solution."
    assert (verdicts[path].result() if verdicts else verdict(path)) == []


@chapters
def test_summaries_are_html(path):
    "A summary is raw HTML: Jupyter, GitHub and the site would show backticks and dollars as they are."
    text = "\n".join(c.source for c in nbformat.read(path, as_version=4).cells if c.cell_type == "markdown")
    assert [s for s in re.findall(r"<summary>(.*?)</summary>", text) if re.search(r"[`$]|\*\w|\]\(", s)] == []


@pytest.mark.parametrize("path", lessons().values(), ids=lambda path: path.stem)
def test_learner_notebook(path):
    "No solution, no output, no need of nbdev; a link leads to a chapter beside it or to the site."
    chapter, copy = nbformat.read(path, as_version=4), learner(path)
    nbformat.validate(copy)
    gone = {c.id for c in chapter.cells} - {c.id for c in copy.cells}
    assert gone >= {c.id for c in chapter.cells if is_solution(c)} and len(copy.cells) == len(chapter.cells) - len(gone) + 1
    text = "\n".join(c.source for c in copy.cells)
    assert not re.search(r"import nbdev|from nbdev|(?m:^#\|)|<!-- solution", text)
    assert not any(c.get("outputs") or c.get("execution_count") for c in copy.cells)
    links = re.findall(r"\]\(([^)\s]+)\)", "\n".join(c.source for c in copy.cells if c.cell_type == "markdown"))
    assert [link for link in links if not re.match(r"https?://|#", link) and link.split("#")[0] not in lessons()] == []
    assert page(path) in copy.cells[1].source


@chapters
def test_enough_to_do(path):
    nb = nbformat.read(path, as_version=4)
    summaries = re.findall(r"<summary>(.*?)</summary>", "\n".join(c.source for c in nb.cells if c.cell_type == "markdown"))
    assert 3 <= len(exercises(nb)) <= 6
    assert len([s for s in summaries if s not in ("Hint", "Why")]) >= 4, "questions"


STUB, SOLUTION, CHECK = '#| exercise\n#| eval: false\ndef double(x): ...', '#| solution\n#| code-fold: true\n#| code-summary: "Solution"\ndef double(x): return two*x', "#| check\nassert double(3)==6"
TASK = "### Exercise 1: Twice\n\nImplement `double`.\n\n<details><summary>Hint</summary>\n\nAdd.\n\n</details>"
WHY = "<!-- solution -->\n<details><summary>Why</summary>\n\nTwice is two times.\n\n</details>"


def made_up(folder, task=TASK, stub=STUB, solution=SOLUTION, why=WHY, check=CHECK, after="two"):
    "A chapter with one exercise."
    code, text = nbformat.v4.new_code_cell, nbformat.v4.new_markdown_cell
    cells = [text("# Two\n\n> Twice."), code("#| default_exp two"), code("two = 2"), code("1/0 # nothing needs this cell"), text("## Exercises"), text(task), code(stub), code(solution),
        text(why), code(check), text("## In short\n\n[Far](beyond/far.ipynb#way), [near](03_attention.ipynb)"), code(after), code("#| hide\nimport nbdev; nbdev.nbdev_export()")]
    nbformat.write(nbformat.v4.new_notebook(cells=[c for c in cells if c.source]), folder/"09_two.ipynb")
    return folder/"09_two.ipynb"


@pytest.mark.parametrize("change,complaint", [({}, None), (dict(check="#| check\nassert double"), "an untouched stub passes"), (dict(solution=SOLUTION.replace("two", "3")), "the solution fails"),
    (dict(stub=STUB + "\ndouble(3)+1"), "another cell fails"), (dict(task=TASK.replace("Hint", "Help")), "no hint"), (dict(why=""), "has ['exercise', 'solution', 'check']"),
    (dict(check=CHECK[9:]), "has ['exercise', 'solution', 'explanation']"), (dict(why=WHY.replace("Why", "Because")), "isn't explained"), (dict(stub=STUB.replace("#| eval: false\n", "")), "runs the stub")])
def test_wrong_exercises_are_found(tmp_path, change, complaint):
    wrong = verdict(made_up(tmp_path, **change))
    assert wrong == [] if complaint is None else any(complaint in line for line in wrong), wrong


def test_made_up_learner_notebook(tmp_path):
    sources = [c.source for c in learner(made_up(tmp_path)).cells]
    assert sources[2:] == ["two = 2", "1/0 # nothing needs this cell", "## Exercises", TASK, "def double(x): ...", CHECK[9:], f"## In short\n\n[Far]({site()}beyond/far.html#way), [near](03_attention.ipynb)", "two"]
