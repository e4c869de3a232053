"Every line of README's code blocks runs, in order, in a fresh folder, on a text with digits, quotes and umlauts that nobody has seen."
import os, re, signal, subprocess, sys, time, urllib.request
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
if not (ROOT/"README.md").is_file(): pytest.skip("needs the repository", allow_module_level=True)
README = (ROOT/"README.md").read_text(encoding="utf-8")
TEXT = "The »Größe« was 12 or 345; \"don't\", said Ärmel & Söhne, 'ask why?'\nAnd they didn't: 6 of 10 took the 7:30 train (at 89 %).\n" * 60
OTHER = "The 3 cafés weren't cheap — 20 € each…\n" * 40
# What takes minutes is shortened, and nothing else is changed: these numbers are added to README's own lines.
FEWER = {"--preset cpu": "--max_iters 4 --eval_interval 2 --eval_iters 1", "finetune": "--max_iters 2 --eval_interval 1 --eval_iters 1", "generate": "--max_new_tokens 20"}
PYTHON = ('preset="cpu"', 'preset="cpu", max_iters=4, eval_interval=2, eval_iters=1')


def blocks():
    "The code blocks of README.md, in order."
    found = re.findall(r"^```\w*\n(.*?)^```|((?:^    [^\n]+\n|^\n(?=    ))+)", README, re.M | re.S)
    return [fenced or re.sub(r"(?m)^    ", "", indented).strip("\n") + "\n" for fenced, indented in found if fenced.strip() or indented.strip()]


def shortened(line):
    "A line of README with less to do."
    line = line.replace("--max_iters 2400", "--max_iters 6")
    extra = " ".join(more for words, more in FEWER.items() if words in line and more.split()[0] not in line)
    head, pipe, tail = line.partition(" < ")
    return f"{head} {extra}{pipe}{tail}"


def served(line, cwd, env):
    "What `play` serves, until Ctrl-C."
    running = subprocess.Popen(["bash", "-c", f"exec {line} --no-browser"], cwd=cwd, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    try:
        address = re.search(r"http://[\d.:]+/", running.stdout.readline())
        page = urllib.request.urlopen(address[0], timeout=60).read().decode()
        running.send_signal(signal.SIGINT)
        assert running.wait(60) == 0
        return page
    finally: running.kill()


def test_blocks_are_found():
    kinds = [block.split()[0] for block in blocks()]
    assert kinds[0] == "ROMEO:" and set(kinds[1:]) == {"pip", "gpt_scratch", "from"}, kinds
    assert sum(block.count("gpt_scratch") for block in blocks()) >= 14


@pytest.mark.skipif(os.name != "posix", reason="the lines are for a POSIX shell")
def test_every_line_runs(tmp_path):
    for name, text in (("my.txt", TEXT), ("other.txt", OTHER), ("my_attention.py", "from gpt_scratch.attention import attention_weights\ndef attend(q, k, v): return attention_weights(q, k) @ v\n")): (tmp_path/name).write_text(text, encoding="utf-8")
    env = {**os.environ, "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}", "PYTHONPATH": str(ROOT), "PYTHONUTF8": "1"}
    ran = []
    def run(command, line):
        start = time.perf_counter()
        done = subprocess.run(command, cwd=tmp_path, env=env, capture_output=True, text=True, encoding="utf-8", timeout=300)
        assert done.returncode == 0, f"{line}\n{done.stdout[-2000:]}\n{done.stderr[-2000:]}"
        assert "Traceback" not in done.stderr and "warning" not in done.stderr, f"{line}\n{done.stderr[-2000:]}"
        ran.append((line, round(time.perf_counter() - start, 1)))
        return done.stdout
    for block in blocks()[1:]:
        if block.startswith("from "):
            assert PYTHON[0] in block
            assert "'val_loss'" in run([sys.executable, "-c", block.replace(*PYTHON)], block)
            continue
        for line in block.splitlines():
            line = re.sub(r"^pip install [^&]*(&& )?", "", line)
            if line in ("", "pytest"): continue # installing and testing are the business of those who run this
            if line.startswith("jupyter lab"): assert {"00_tokenizer.ipynb", "tensors.ipynb", "bytepairs.ipynb"} <= {p.name for p in (tmp_path/line.split()[2]).iterdir()}
            elif " play " in line: assert "<!doctype html>" in served(line, tmp_path, env)
            else:
                out = run(["bash", "-c", shortened(line)], line)
                if " check " in line: assert "right  your attend" in out
                if "--errors skip" in line and "evaluate" in line: assert "left out" in out and "'é'" in out
                if "--n 3" in line: assert out.count("---\n") == 5
    made = {p.relative_to(tmp_path).as_posix() for p in tmp_path.rglob("*")}
    assert {"mine.html", "both.svg", "mine-hf/tokenizer.json", "runs/mine/loss.svg", "runs/fine/best.json", "runs/again/history.jsonl"} <= made
    assert len(ran) >= 14, ran


def test_the_presets_of_readme_and_help():
    "The same numbers in README's table and in the help of train."
    from gpt_scratch.toolbox.cli import PRESET_TABLE
    for line in PRESET_TABLE.splitlines()[3:8]:
        name, parameters = line.split()[:2]
        row = next(row for row in README.splitlines() if row.startswith(f"| {name} |"))
        steps, loss, when = re.search(r" (\d+)  ([\w ]+|-) +([\d.]+|-)  (.+)$", line).group(1, 3, 4)
        cells = [cell.strip() for cell in row.strip("|").split("|")]
        assert cells[1] == parameters and cells[3] == steps and cells[5] == loss.replace("-", "not measured") and cells[6] == when, (line, row)
        assert cells[2] in " ".join(line.split())


def test_the_sizes_of_the_presets():
    from dataclasses import fields, replace
    from gpt_scratch.toolbox.checkpoint import blueprint, classes_of
    from gpt_scratch.toolbox.cli import PRESET_TABLE
    from gpt_scratch.toolbox.run import PRESETS
    for name, preset in PRESETS.items():
        Config = classes_of(preset.get("variant", ""))[0]
        config = Config(**{k: v for k, v in preset.items() if k in {f.name for f in fields(Config)}})
        parameters = sum(p.numel() for p in blueprint(replace(config, vocab_size=65)).parameters())
        row = next(line for line in PRESET_TABLE.splitlines() if line.startswith(f"  {name} "))
        assert f"{parameters:,}" in row and f"{config.n_layer}, {config.n_embd}, {config.block_size}" in row and f" {preset.get('max_iters', 5000)} " in row
