"Every notebook through nbdev's own test runner, each in a process of its own, as many at once as there are cores."
import json, os, subprocess, sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

pytest.importorskip("nbdev", reason="the notebooks' tests need the dev extra: pip install -e '.[dev]'")
from nbdev.config import get_config
from nbdev.process import NBProcessor

ROOT = Path(__file__).parents[1]
NOTEBOOKS = sorted(p for p in (ROOT/"nbs").rglob("*.ipynb") if not any(part[0] in "._" for part in p.relative_to(ROOT).parts))
FLAGS = set(get_config(path=ROOT).tst_flags.split())
# nbdev_test for one file; prints how many cells ran, because a runner that runs nothing passes as well.
RUN = """
import sys
from pathlib import Path
from execnb.shell import CaptureShell
from nbdev.test import test_nb
ran, cell = [], CaptureShell.cell
def counted(self, this, **kwargs):
    ran.append(this.idx_)
    return cell(self, this, **kwargs)
CaptureShell.cell = counted
passed, _ = test_nb(Path(sys.argv[1]), skip_flags=sys.argv[3:], basepath=sys.argv[2])
print("cells run:", len(ran))
sys.exit(not passed)
"""


def expected(path):
    "How many code cells of the notebook a test run must run."
    def runs(cell):
        directives = cell.directives_
        return (cell.cell_type == "code" and "nbdev_export(" not in cell.source and directives.get("eval:", [""])[0].lower() != "false"
                and not FLAGS & directives.keys())
    return sum(map(runs, NBProcessor(path).nb.cells))


def run(path):
    "Run the tests of one notebook."
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.run([sys.executable, "-c", RUN, str(path), str(ROOT), *FLAGS], cwd=ROOT, env=env, capture_output=True, text=True, timeout=600)


@pytest.fixture(scope="session")
def runs(request):
    "The chosen notebooks, started at once; each worker of pytest-xdist starts one when its turn comes."
    if "PYTEST_XDIST_WORKER" in os.environ: return (yield None)
    chosen = [item.callspec.params["path"] for item in request.session.items if item.name.startswith("test_notebook[")]
    with ThreadPoolExecutor(min(os.cpu_count() or 1, 4)) as pool:
        yield {path: pool.submit(run, path) for path in chosen}
        pool.shutdown(cancel_futures=True)


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.relative_to(ROOT/"nbs").with_suffix("").as_posix())
def test_notebook(path, runs):
    kernel = json.loads(path.read_text(encoding="utf-8"))["metadata"].get("kernelspec", {})
    assert (kernel.get("name"), kernel.get("language", "python")) == ("python3", "python"), f"{path.name}: kernelspec {kernel}; nbdev_test passes over other kernels"
    done = runs[path].result() if runs else run(path)
    if done.returncode: pytest.fail(f"{path.name}\n{done.stderr}", pytrace=False)
    assert done.stdout.split()[-1:] == [str(expected(path))], f"{path.name} ran: {done.stdout}"


def test_there_are_notebooks(): assert len(NOTEBOOKS) >= 8
