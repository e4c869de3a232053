"""Check the installed package, away from the repository: import every module; with a checkout's path, compare each file with the one there; with --chapters, run the chapters that the wheel carries."""
import importlib, json, os, pkgutil, re, signal, subprocess, sys, time
from pathlib import Path
from importlib.metadata import version
from importlib.resources import files

import gpt_scratch
from gpt_scratch.toolbox.slicer import SKIP


def run(path):
    "Run a chapter's cells in IPython, as nbdev_test would: in a process of its own, since a chapter patches the package's classes."
    from IPython.core.interactiveshell import InteractiveShell
    from IPython.utils.capture import capture_output
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a job in the background may have been started deaf to it
    shell = InteractiveShell.instance()
    for cell in json.loads(path.read_text(encoding="utf-8"))["cells"]:
        source = "".join(cell["source"])
        if cell["cell_type"] != "code" or re.search(SKIP, source): continue
        with capture_output(): result = shell.run_cell(source)
        result.raise_error()


def chapters():
    "Run every chapter that the wheel carries, the primer and byte pairs; the lessons on newer parts read benchmarks/, which only a clone has."
    os.environ["MPLBACKEND"] = "Agg"
    home = Path(str(files("gpt_scratch.chapters")))
    for path in [*sorted(home.glob("0*.ipynb")), *sorted(home.glob("primer/*.ipynb")), home/"beyond"/"bytepairs.ipynb"]:
        start = time.time()
        subprocess.run([sys.executable, __file__, "--run", str(path)], check=True)
        print(f"{time.time() - start:6.1f} s  {path.name}", flush=True)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--run"]: sys.exit(run(Path(sys.argv[2])))
    assert "site-packages" in gpt_scratch.__file__, gpt_scratch.__file__
    modules = [m.name for m in pkgutil.walk_packages(gpt_scratch.__path__, "gpt_scratch.")]
    for name in modules: importlib.import_module(name)
    print(f"gpt_scratch {gpt_scratch.__version__} with fastcore {version('fastcore')}: {len(modules)} modules imported")
    for checkout in [word for word in sys.argv[1:] if word != "--chapters"]:
        ours, theirs = Path(gpt_scratch.__file__).parent, Path(checkout, "gpt_scratch")
        names = sorted(p.relative_to(theirs).as_posix() for p in theirs.rglob("*") if p.is_file() and "__pycache__" not in p.parts)
        different = [name for name in names if not (ours/name).is_file() or (ours/name).read_bytes() != (theirs/name).read_bytes()]
        assert not different, f"not as in the checkout: {different}"
        print(f"{len(names)} files as in the checkout")
    if "--chapters" in sys.argv: chapters()
