"Two processes under torchrun: the curve of one, one that writes, and what happens when one of them dies."
import json, os, signal, subprocess, sys, time
from pathlib import Path

import pytest, torch
from torch.nn import functional as F

dist = pytest.importorskip("torch.distributed")
if not dist.is_available() or not dist.is_gloo_available(): pytest.skip("torch was built without gloo", allow_module_level=True)

from gpt_scratch.model import GPTConfig, GPTLanguageModel
from gpt_scratch.tokenizer import CharTokenizer
from gpt_scratch.toolbox.checkpoint import latest_checkpoint, load_trainer, steps, verify_checkpoint
from gpt_scratch.toolbox.log import read_history
from gpt_scratch.toolbox.run import Run, train
from gpt_scratch.train import TrainConfig

pytestmark = pytest.mark.skipif(os.name != "posix", reason="needs signals")
TEXT = "".join(f"{a} met {b} in the {c}.\n" for a in ("Hal", "Lear", "Viola", "Iago") for b in ("Puck", "Ariel", "Falstaff") for c in ("wood", "tavern", "storm", "garden"))
SETTINGS = TrainConfig(max_iters=200, batch_size=16, learning_rate=3e-3, warmup_iters=10, schedule="cosine", grad_clip=1., eval_interval=200, eval_iters=2)
SMALL = dict(preset="tiny", block_size=16, n_embd=16, n_head=2, n_layer=1, batch_size=4, max_iters=20, eval_interval=5, eval_iters=1, device="cpu", progress=False)


class Double(GPTLanguageModel):
    "A model whose loss is computed at 64 bits like everything else."
    def forward(self, idx, targets=None):
        logits, _ = super().forward(idx)
        return logits, None if targets is None else F.cross_entropy(logits.flatten(0, 1), targets.flatten())


def make(kind, double):
    torch.manual_seed(0)
    tokenizer = CharTokenizer(TEXT)
    model = (Double if double else GPTLanguageModel)(GPTConfig(vocab_size=tokenizer.vocab_size, block_size=16, n_embd=16, n_head=2, n_layer=2, dropout=0.))
    return kind(model.double() if double else model, tokenizer, torch.tensor(tokenizer.encode(TEXT)), SETTINGS)


def losses(run): return [row["loss"] for row in run.history if "loss" in row]


WORKER = """
import builtins, json, os, signal, sys, time
from test_scale import *
from gpt_scratch.beyond.scale import ParallelRun,train_parallel
out, story = Path(sys.argv[1]), sys.argv[2]
rank, written, real = int(os.environ["RANK"]), [], open

def spy(file, mode="r", *args, **kwargs):
    if {*mode} & {*"wax+"} and str(file).startswith(str(out)): written.append(str(file))
    return real(file, mode, *args, **kwargs)
builtins.open = spy

def callback(run):
    if story == "die" and rank == 1 and run.step == 12: os.kill(os.getpid(), signal.SIGKILL)
    if story == "wait": time.sleep(.2)
    if story == "stop" and rank == 1 and run.step == 6: signal.raise_signal(signal.SIGTERM)

if story == "curve":
    dist.init_process_group("gloo")
    curves = [losses(make(ParallelRun, double).fit(progress=False)) for double in (True, False)]
    dist.destroy_process_group()
    if rank == 0: (out/"curves.json").write_text(json.dumps(curves))
else:
    run = train_parallel(TEXT, None if story == "resume" else out, resume=out if story == "resume" else None, callback=callback,
                         **{"device":"cpu", "progress":False, **json.loads(sys.argv[3])} if story == "resume" else {**SMALL, "dropout":.2, **json.loads(sys.argv[3])})
    (out.parent/f"written-{story}-{rank}.json").write_text(json.dumps([written, losses(run)]))
"""


def launch(tmp_path, out, story, processes=2, **options):
    "The start of a job."
    (tmp_path/"worker.py").write_text(WORKER)
    env = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": os.pathsep.join([str(Path(__file__).parent), *sys.path])}
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(processes), str(tmp_path/"worker.py"), str(out), story, json.dumps(options)]
    return subprocess.Popen(command, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def torchrun(*args, **named):
    "Two processes or more; the exit code and what was said."
    job = launch(*args, **named)
    said = job.communicate(timeout=300)[1]
    return job.returncode, said


def test_the_same_curve_as_one_process(tmp_path, capsys):
    "200 steps at 64 bits agree to 1e-9; at 32 bits they drift, and we print how far."
    code, said = torchrun(tmp_path, tmp_path, "curve")
    assert code == 0, said
    for double, both in zip((True, False), json.loads((tmp_path/"curves.json").read_text())):
        alone = losses(make(Run, double).fit(progress=False))
        drift = max(abs(a - b) for a, b in zip(alone, both))
        assert len(both) == 200 and alone[-1] < alone[0]/2 and drift < (1e-9 if double else 1e-2)
        with capsys.disabled(): print(f" {'float64' if double else 'float32'}: largest difference in 200 steps {drift:.1e};", end="")


def test_a_death_a_stop_and_going_on(tmp_path):
    "Dropout is on, so the random states of both processes count."
    whole, dead, stopped = tmp_path/"whole", tmp_path/"dead", tmp_path/"stopped"
    code, said = torchrun(tmp_path, whole, "whole")
    assert code == 0, said
    (wrote, expected), (silent, same) = (json.loads((tmp_path/f"written-whole-{rank}.json").read_text()) for rank in (0, 1))
    assert wrote and not silent and same == expected and len(expected) == 20 # only rank 0 writes
    assert {"rng.cpu", "rng.cpu.1"} <= {*load_trainer(latest_checkpoint(whole))[0]}

    code, said = torchrun(tmp_path, dead, "die")
    assert code == 1 and f"process 0: another process has ended, so the job ends too; go on with resume='{dead}'" in said
    assert [p.name for p in steps(dead)][-1] == "step-000010" and not list(dead.glob(".tmp-*"))
    verify_checkpoint(dead/"step-000010")

    code, said = torchrun(tmp_path, stopped, "stop")
    assert code != 0 and said.count("stopped by SIGTERM after step 7") == 1, said
    verify_checkpoint(stopped/"step-000007")

    code, said = torchrun(tmp_path, stopped, "resume")
    assert code == 0, said
    assert json.loads((tmp_path/"written-resume-0.json").read_text())[1] == expected
    with pytest.warns(UserWarning, match="processes was 2 and is 1"): alone = train(TEXT, resume=dead, device="cpu", progress=False)
    assert alone.step == 20 and [row["step"] for row in read_history(dead) if "loss" in row] == [*range(1, 21)]


@pytest.mark.parametrize("spoil,options,words", [(lambda out: (out/"notes.txt").touch(), {}, "already holds something; choose another folder"), (lambda out: None, {"batch_size": 3}, "1 batches of 3 can't be shared equally by 2 processes"),
    (lambda out: None, {"n_layers": 3}, "n_layers is no option")])
def test_a_plain_mistake_is_one_line(tmp_path, spoil, options, words):
    "Of ours; torchrun adds its own report."
    (out := tmp_path/"run").mkdir()
    spoil(out)
    code, said = torchrun(tmp_path, out, "whole", **options)
    assert code == 1 and said.count(words) == 1 and 'worker.py", line' not in said, said
    assert not list(out.glob("step-*"))


def test_one_two_three(tmp_path):
    "A run goes on with other numbers of processes, and says so."
    train(TEXT, tmp_path/"run", **{**SMALL, "batch_size": 6, "max_iters": 6, "dropout": .2})
    for processes in (2, 3):
        code, said = torchrun(tmp_path, tmp_path/"run", "resume", processes, max_iters=6*processes)
        assert code == 0 and f"is {processes}: the run goes on" in said, said
    assert [row["step"] for row in read_history(tmp_path/"run") if "loss" in row] == [*range(1, 19)]


def test_orphans_stop(tmp_path):
    "The launcher is killed; its processes notice, save and end."
    job = launch(tmp_path, tmp_path/"run", "wait", max_iters=10_000)
    try:
        deadline = time.monotonic() + 120
        while not steps(tmp_path/"run") and time.monotonic() < deadline: time.sleep(.1)
        os.kill(job.pid, signal.SIGKILL)
        begin = time.monotonic()
        job.communicate(timeout=60) # its pipe closes when the last of them ends
        assert time.monotonic() - begin < 30
    finally: job.kill()
    verify_checkpoint(latest_checkpoint(tmp_path/"run"))
    assert len(read_history(tmp_path/"run")) < 9000
