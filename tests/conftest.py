"What every test shares: one thread per process, no window for figures, a browser, and how pytest-xdist may spread the tests."
import os, shutil, signal, sys

import pytest

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("MPLBACKEND", "Agg")

# A shell without job control starts background jobs deaf to Ctrl-C; tests send it, and their processes inherit what is set here.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN: signal.signal(signal.SIGINT, signal.default_int_handler)

SPREAD = {"test_notebook", "test_exercises"}  # each case is a process of its own


def pytest_collection_modifyitems(items):
    "Under `pytest -n 2 --dist loadgroup`: a file's tests stay together, and the zoo's by chapter, so that what they share is made once."
    for item in items:
        if item.originalname in SPREAD: continue
        member = getattr(item, "callspec", None) and (item.callspec.params.get("wrong") or item.callspec.params.get("right"))
        group = f"{item.path.stem}-{member.chapter}" if hasattr(member, "chapter") else item.path.stem
        item.add_marker(pytest.mark.xdist_group(group))


@pytest.fixture(autouse=True)
def one_thread():
    "Whatever number of threads a test has set: a process that has had several can't fork and go on to compute."
    yield
    torch = sys.modules.get("torch")
    if torch and torch.get_num_threads() > 1: torch.set_num_threads(1)


@pytest.fixture(scope="module")
def chromium():
    "A browser, closed after the last test of a file."
    playwright = pytest.importorskip("playwright.sync_api", reason="this test needs: pip install playwright")
    path = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if path is None: pytest.skip("this test needs Chromium")
    with playwright.sync_playwright() as p:
        browser = p.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield browser
        browser.close()
