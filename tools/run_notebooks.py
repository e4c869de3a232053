"""Execute notebooks in place and save their outputs: python tools/run_notebooks.py [--slow] [FILE …]   (default: all under nbs/)

Skips the cells that nbdev_test skips (`#| eval: false`, the tst_flags of settings.ini, the export cell) and keeps their
saved outputs; --slow runs the slow ones as well. Stops at the first error. Ends with nbdev_clean, so a second run leaves the same bytes.
"""
import argparse, os, sys, time
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("PYTHONHASHSEED", "0")
os.environ["SOURCE_DATE_EPOCH"] = "0" # no creation dates inside figures
os.environ["PYDEVD_DISABLE_FILE_VALIDATION"] = "1"
os.environ.pop("MPLBACKEND", None) # with another backend than the kernel's own, figures would vanish from the outputs without a word

import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError
from nbdev.clean import nbdev_clean
from nbdev.config import get_config
from nbdev.process import extract_directives

# Runs in each kernel before the first cell: stable ids inside SVG figures, this checkout first on the path.
SETUP = "import sys, matplotlib; sys.path.insert(0, {root!r}); matplotlib.rcParams['svg.hashsalt'] = 'gpt_scratch'; del sys, matplotlib"


def skipped(cell, flags):
    "Whether nbdev_test would not run `cell`."
    if "nbdev_export(" in cell.source: return True
    directives = extract_directives(cell, remove=False)
    return directives.get("eval:", [""])[0].lower() == "false" or bool(flags & directives.keys())


class Runner(NotebookClient):
    "A notebook client that leaves skipped cells and their outputs alone."
    async def async_execute_cell(self, cell, cell_index, **kwargs):
        if cell.cell_type == "code" and skipped(cell, self.flags): return cell
        return await super().async_execute_cell(cell, cell_index, **kwargs)

    async def async_start_new_kernel_client(self):
        client = await super().async_start_new_kernel_client()
        reply = await client.execute_interactive(self.setup, store_history=False, silent=True, output_hook=lambda message: None)
        if reply["content"]["status"] != "ok": raise RuntimeError(reply["content"]["evalue"])
        return client


def merge_streams(cell):
    "Join neighbouring pieces of one output stream: how a kernel splits them is a matter of timing."
    merged = []
    for output in cell.outputs:
        if merged and output.output_type == "stream" == merged[-1].output_type and output.name == merged[-1].name: merged[-1].text += output.text
        else: merged.append(output)
    cell.outputs = merged


def run(path, root, flags):
    "Execute the notebook at `path` and save it."
    nb = nbformat.read(path, as_version=4)
    runner = Runner(nb, timeout=1800, kernel_name="python3", record_timing=False, extra_arguments=["--log-level=CRITICAL"],
                    resources={"metadata": {"path": str(path.parent)}})
    runner.flags, runner.setup = flags, SETUP.format(root=str(root))
    runner.execute()
    for cell in nb.cells:
        if cell.cell_type == "code": merge_streams(cell)
    nbformat.write(nb, path)
    nbdev_clean.__wrapped__(str(path))


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("files", nargs="*", type=Path, help="notebooks, default all under nbs/")
    parser.add_argument("--slow", action="store_true", help="run the cells marked slow as well")
    args = parser.parse_args()
    cfg = get_config()
    flags = set(cfg.tst_flags.split()) - ({"slow"} if args.slow else set())
    files = args.files or sorted(p for p in cfg.nbs_path.rglob("*.ipynb") if not any(part[0] in "._" for part in p.relative_to(cfg.nbs_path).parts))
    for path in files:
        start = time.time()
        try: run(path.resolve(), cfg.config_path, flags)
        except CellExecutionError as error: sys.exit(f"{path}: {error}")
        print(f"{time.time() - start:6.1f} s  {path}", flush=True)


if __name__ == "__main__": main()
