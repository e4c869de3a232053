"Runs that are stopped, killed, robbed of a piece of their state or fed with nonsense, and what becomes of them."
import json, math, os, random, shutil, signal, subprocess, sys, time, warnings
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from types import SimpleNamespace

import pytest, safetensors.torch, torch
from torch import nn

from gpt_scratch.data import get_batch
from gpt_scratch.model import GPTLanguageModel
from gpt_scratch.toolbox.checkpoint import CheckpointError, STATE, TENSORS, latest_checkpoint, load_trainer, steps, verify_checkpoint, write_best
from gpt_scratch.toolbox.faults import OutOfMemory, Stopped
from gpt_scratch.toolbox.log import Logger, plot_run, read_history
from gpt_scratch.toolbox import run as module
from gpt_scratch.toolbox.run import pick_device, resume_run, train
from gpt_scratch.train import NotFinite
from test_checkpoint import reseal

KILLS = int(os.environ.get("GPT_SCRATCH_KILLS", 6)) # 100 for the full count
TEXT = "".join(f"{a} met {b} in the {c}.\n" for a in ("Hal", "Lear", "Viola", "Iago") for b in ("Puck", "Ariel", "Falstaff") for c in ("wood", "tavern", "storm", "garden"))
# dropout, accumulation, warmup, cosine and clipping: all that has a state or depends on the step
RECIPE = dict(preset="tiny", block_size=16, n_embd=16, n_head=2, n_layer=2, dropout=.2, batch_size=4, gradient_accumulation_steps=2, max_iters=24,
              warmup_iters=4, eval_interval=5, eval_iters=2, grad_clip=.5, device="cpu", progress=False)
posix = pytest.mark.skipif(os.name != "posix", reason="needs fork and signals")


def digest(run):
    "The sha256 of every parameter and of all that the optimizer remembers."
    seen = sha256()
    for name, p in run.model.named_parameters():
        for tensor in (p.detach(), *(run.optimizer.state[p][kind] for kind in ("step", "exp_avg", "exp_avg_sq"))): seen.update(name.encode() + tensor.numpy().tobytes())
    return seen.hexdigest()


def story(history): return [{k: v for k, v in row.items() if k != "seconds"} for row in history]


def at(step, act):
    "A callback that acts before one step."
    return lambda run: act(run) if run.step == step else None


def snapshot(folder): return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(Path(folder).rglob("*")) if p.is_file()}


@pytest.fixture(scope="module")
def straight(tmp_path_factory):
    "A run that nobody disturbed: its digest, its history, its folder."
    out = tmp_path_factory.mktemp("straight")/"run"
    run = train(TEXT, out, **RECIPE)
    return digest(run), story(run.history), out


@pytest.fixture
def half(tmp_path):
    "A run that was stopped by Ctrl-C after 12 of 24 steps."
    with pytest.raises(Stopped): train(TEXT, tmp_path/"half", callback=at(11, lambda run: signal.raise_signal(signal.SIGINT)), **RECIPE)
    return tmp_path/"half"


# Going on

PROGRAM = """
import json, signal, sys
from test_training import *
out, stop, resume = sys.argv[1], int(sys.argv[2]), sys.argv[3] == "resume"
callback = at(stop, lambda run: signal.raise_signal(getattr(signal, sys.argv[4]))) if stop else None
run = train(TEXT, resume=out, device="cpu", progress=False) if resume else train(TEXT, out, callback=callback, **RECIPE)
print(json.dumps([digest(run), story(run.history)]))
"""


def process(*argv, program=PROGRAM):
    env = {**os.environ, "PYTHONPATH": os.pathsep.join([str(Path(__file__).parent), *sys.path])}
    return subprocess.Popen([sys.executable, "-c", program, *map(str, argv)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=env, text=True)


@posix
def test_another_process_goes_on_to_the_same_end(straight, tmp_path):
    "24 steps; and 12 steps, a signal, and 12 steps in a new process: the same bits, losses and rates, and the end of a program that was interrupted."
    started = {name: process(tmp_path/name, 11, "start", name) for name in ("SIGINT", "SIGTERM")}
    for name in started:
        out, errors = started[name].communicate(timeout=120)
        assert started[name].returncode != 0 and out == "", errors
        last = errors.splitlines()[-1]
        assert last.startswith("gpt_scratch.toolbox.faults.Stopped: ") and all(word in last for word in (name, "step 12", str(tmp_path/name), "resume")), last
        verify_checkpoint(tmp_path/name/"step-000012")
    out, errors = process(tmp_path/"SIGTERM", 0, "resume").communicate(timeout=120)
    assert errors == "" and json.loads(out) == [straight[0], straight[1]]
    assert story(read_history(tmp_path/"SIGTERM")) == straight[1]


def go_on(folder, **changes):
    run = resume_run(TEXT, folder, pick_device("cpu"), changes)
    return run, lambda: digest(run.fit(progress=False))


def test_nothing_left_out(straight, half):
    run, end = go_on(half)
    assert run.step == 12 and end() == straight[0] and story(run.history) == straight[1]


@pytest.mark.parametrize("torn, lost", [(lambda rows: rows + b'{"step": 13, "lo', 0), (lambda rows: rows[:-9], 1)], ids=["half a line more", "the last line cut"])
def test_a_line_half_written(straight, half, torn, lost):
    "What a power failure left of a line isn't glued to the next one; a row that it tore is the only one that is lost."
    history = half/"history.jsonl"
    history.write_bytes(torn(history.read_bytes()))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        run, end = go_on(half)
        assert end() == straight[0]
        rows = story(read_history(half))
    assert len(rows) == len(straight[1]) - lost and [row for row in straight[1] if row in rows] == rows


PIECES = dict(
    random=lambda run: torch.manual_seed(0),
    optimizer=lambda run: [state["exp_avg"].zero_() for state in run.optimizer.state.values()],
    squares=lambda run: [state["exp_avg_sq"].mul_(1.001) for state in run.optimizer.state.values()],
    count=lambda run: [state["step"].zero_() for state in run.optimizer.state.values()],
    weights=lambda run: run.model.lm_head.bias.data[0].add_(1e-6),
    step=lambda run: setattr(run, "step", 10),
    schedule=lambda run: setattr(run, "config", replace(run.config, schedule="constant")),
    length=lambda run: setattr(run, "config", replace(run.config, max_iters=25)),
    seed=lambda run: setattr(run, "config", replace(run.config, seed=1)),
    clip=lambda run: setattr(run, "config", replace(run.config, grad_clip=0.)),
    dropout=lambda run: [setattr(m, "p", 0.) for m in run.model.modules() if isinstance(m, nn.Dropout)],
)


@pytest.mark.parametrize("piece", PIECES)
def test_every_piece_of_state_matters(straight, half, piece):
    "The comparison above would notice if any one piece were left out."
    run, end = go_on(half)
    PIECES[piece](run)
    assert end() != straight[0]


def test_the_position_in_the_data_needs_no_state():
    ids = torch.arange(100)
    assert torch.equal(get_batch(ids, 12, 4, 16)[0], get_batch(ids, 12, 4, 16)[0]) and not torch.equal(get_batch(ids, 12, 4, 16)[0], get_batch(ids, 12, 4, 16, seed=1)[0])


@pytest.mark.parametrize("piece", ["rng.cpu", "exp_avg.lm_head.weight", "exp_avg_sq.blocks.1.ln2.bias", "step.ln_f.bias"])
def test_a_missing_tensor_is_an_error(half, piece):
    folder = latest_checkpoint(half)
    tensors = load_trainer(folder)[0]
    del tensors[piece]
    reseal(folder, TENSORS, safetensors.torch.save(tensors))
    with pytest.raises(CheckpointError, match=f"lacks {piece}: without it the run can't go on exactly"): go_on(folder)


@pytest.mark.parametrize("piece", ["step", "text", "made_with", "settings"])
def test_a_missing_value_is_an_error(half, piece):
    folder = latest_checkpoint(half)
    state = load_trainer(folder)[1]
    del state[piece]
    reseal(folder, STATE, state)
    with pytest.raises(CheckpointError, match=piece): go_on(folder)


@pytest.mark.parametrize("settings", [{"max_iters": 0}, {"speed": 3}, {"dtype": "int8"}, [], None])
def test_false_settings_are_refused(half, settings):
    folder = latest_checkpoint(half)
    state = load_trainer(folder)[1]
    reseal(folder, STATE, {**state, "settings": {**state["settings"], **settings} if isinstance(settings, dict) else settings})
    with pytest.raises(CheckpointError, match="no usable training settings"): go_on(folder)


@pytest.mark.parametrize("name,value", [("threads", 7), ("torch", "1.0"), ("hardware", "abacus"), ("device", "cuda"), ("processes", 2)])
def test_other_surroundings_warn(half, name, value):
    folder = latest_checkpoint(half)
    tensors, state = load_trainer(folder)
    reseal(folder, TENSORS, safetensors.torch.save({**tensors, "rng.cuda": tensors["rng.cpu"].clone()}))
    reseal(folder, STATE, {**state, "made_with": {**state["made_with"], name: value}})
    with pytest.warns(UserWarning, match=f"{name} was {value} and is .*: the run goes on, but it may differ in the last bits"): go_on(folder)


def test_the_same_surroundings_do_not_warn(half):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        go_on(half)


def test_another_architecture_is_refused_field_by_field(half):
    before = snapshot(half)
    with pytest.raises(ValueError) as error: go_on(half, n_layer=3, n_embd=32, block_size=8)
    for words in ("block_size is 16 in the checkpoint, 8 was asked for", "n_embd is 16 in the checkpoint, 32", "n_layer is 2 in the checkpoint, 3", "batch_size, max_iters, learning_rate and dropout may change"):
        assert words in str(error.value)
    assert snapshot(half) == before


def test_what_may_change_can_change(half):
    run, end = go_on(half, batch_size=2, max_iters=14, learning_rate=1e-4, dropout=0.)
    end()
    assert (run.step, run.config.batch_size, run.model.config.dropout) == (14, 2, 0.)
    assert module.saved_settings(half/"step-000014") == run.config


def test_a_checkpoint_alone_is_enough(straight, half, tmp_path):
    "Without its history and its neighbors."
    folder = Path(shutil.copytree(half/"step-000012", tmp_path/"moved"/"step-000012"))
    run, end = go_on(folder)
    assert run.history == [] and end() == straight[0]


def test_a_torn_history_does_no_harm(straight, half):
    with open(half/"history.jsonl", "a") as f: f.write('{"step": 13, "loss": 2.')
    run, end = go_on(half)
    assert end() == straight[0] and story(read_history(half)) == straight[1]


def test_an_invalid_latest_is_skipped(straight, half):
    data = bytearray((half/"step-000012"/TENSORS).read_bytes())
    data[99] ^= 1
    (half/"step-000012"/TENSORS).write_bytes(data)
    with pytest.warns(UserWarning) as said: run, end = go_on(half)
    assert ["skipped: " in str(said[0].message), "step-000012-1" in str(said[1].message)] == [True, True]
    assert run.step == 10 and end() == straight[0]


# What lies in a run's folder and isn't the run's

def test_a_strangers_file_survives(straight, tmp_path):
    "In a checkpoint's folder, in a folder of one's own that is named like one, and beside them."
    def visit(run):
        if run.step == 6: (run.out/"step-000005"/"thesis.txt").write_text("mine"); (run.out/"step-000005"/".DS_Store").touch()
        if run.step == 7: (run.out/"step-000015").mkdir(); (run.out/"step-000015"/"thesis.txt").write_text("mine")
        if run.step == 8: (run.out/".tmp-notes").write_text("mine")
    with pytest.warns(UserWarning, match="step-000015 was in the way: it is now .*step-000015-1"): run = train(TEXT, tmp_path/"run", callback=visit, **RECIPE)
    found = sorted(str(p.relative_to(tmp_path/"run")) for p in (tmp_path/"run").rglob("*") if p.is_file() and p.read_text(errors="replace") == "mine")
    assert found == [".tmp-notes", "step-000005/thesis.txt", "step-000015-1/thesis.txt"] and digest(run) == straight[0]


def test_a_dotfile_changes_nothing(straight, half):
    (half/"step-000012"/".DS_Store").write_text("x")
    run, end = go_on(half)
    assert run.step == 12 and end() == straight[0]


@pytest.mark.parametrize("left", [{}, {"history.jsonl": '{"step": 1, "loss": 4.'}, {"history.jsonl": ""}, {"ids.bin": "x", "ids.json": "{}"}, {".tmp-999999999-00aa11bb-ids.bin": "x"}, {".DS_Store": ""}], ids=list)
def test_a_run_that_never_saved_can_start_again(straight, tmp_path, left):
    (tmp_path/"run").mkdir()
    for name, text in left.items(): (tmp_path/"run"/name).write_text(text)
    assert digest(train(TEXT, tmp_path/"run", **RECIPE)) == straight[0]
    assert story(read_history(tmp_path/"run")) == straight[1] and not list((tmp_path/"run").glob(".tmp-*"))


@pytest.mark.parametrize("mine", [{"history.jsonl": "The history of a county\n"}, {"notes.txt": ""}, {"history.jsonl": "", "best.json": "{}"}], ids=list)
def test_a_folder_with_something_else_is_refused(tmp_path, mine):
    (tmp_path/"run").mkdir()
    for name, text in mine.items(): (tmp_path/"run"/name).write_text(text)
    before = snapshot(tmp_path)
    with pytest.raises(ValueError, match="already holds something"): train(TEXT, tmp_path/"run", **RECIPE)
    assert snapshot(tmp_path) == before


@pytest.mark.parametrize("spoil", [Path.unlink, lambda p: p.write_text("{}"), lambda p: p.write_text("[" * 10**5), lambda p: write_best(p.parent, "step-000003", 0.)])
def test_the_best_is_noted_again(straight, tmp_path, spoil):
    "A missing, damaged or false best.json ends no run, and doesn't stop old checkpoints from going."
    best = json.loads((straight[2]/"best.json").read_text())
    run = train(TEXT, tmp_path/"run", callback=at(12, lambda run: spoil(run.out/"best.json")), **RECIPE)
    assert json.loads((run.out/"best.json").read_text()) == best and sorted(p.name for p in steps(run.out)) == sorted(p.name for p in steps(straight[2]))


def test_going_back_takes_another_way(half):
    "From an older checkpoint and at another rate: what was saved later is set aside, and doesn't pass for the new run's."
    old = (half/"step-000012"/"model.safetensors").read_bytes()
    with pytest.warns(UserWarning, match="step-000012 was in the way"): run, end = go_on(half/"step-000010", learning_rate=1e-4, eval_interval=1)
    end()
    assert (half/"step-000012-1"/"model.safetensors").read_bytes() == old and latest_checkpoint(half).name == "step-000024"


def test_a_minute_is_the_most_that_is_lost(straight, tmp_path, monkeypatch):
    "Evaluations far apart, and a clock on which a step takes twenty seconds."
    clock, seen = [0.], []
    monkeypatch.setattr(module, "time", SimpleNamespace(monotonic=lambda: clock[0]))
    def look(run):
        clock[0] += 20
        seen.append(max([int(p.name[5:]) for p in steps(run.out)], default=0))
    run = train(TEXT, tmp_path/"run", callback=look, **{**RECIPE, "eval_interval": 24})
    assert all(step - last <= 4 for step, last in enumerate(seen)) and len({*seen}) > 3
    monkeypatch.undo()
    with pytest.raises(Stopped): train(TEXT, tmp_path/"other", callback=at(11, lambda run: signal.raise_signal(signal.SIGINT)), **{**RECIPE, "eval_interval": 24})
    assert digest(train(TEXT, resume=tmp_path/"other", device="cpu", progress=False)) == digest(run)


# Two at once

INTRUDER = """
import sys
from test_training import *
for where in (dict(resume=sys.argv[1]), dict(out=sys.argv[1]), dict(resume=sys.argv[1] + "/step-000005")):
    try: train(TEXT, **where, **(RECIPE if "out" in where else dict(device="cpu", progress=False)))
    except ValueError as e: print(e)
"""


def test_one_process_at_a_time(straight, tmp_path):
    "While a run goes on, another process gets one line and changes nothing; a lock dies with its owner."
    said = []
    def meet(run):
        history = (run.out/"history.jsonl").read_text()
        said.extend(process(run.out, program=INTRUDER).communicate(timeout=120)[0].splitlines())
        assert (run.out/"history.jsonl").read_text() == history
    run = train(TEXT, tmp_path/"run", callback=at(7, meet), **RECIPE)
    assert digest(run) == straight[0] and story(read_history(run.out)) == straight[1]
    assert ["in use by another process" in line for line in said] == [True, False, True] and "already holds something" in said[1]
    if os.name != "posix": return
    assert ended(forked(lambda: train(TEXT, tmp_path/"other", callback=at(7, lambda run: os.kill(os.getpid(), signal.SIGKILL)), **RECIPE))) == -9
    assert digest(train(TEXT, resume=tmp_path/"other", device="cpu", progress=False)) == straight[0]


@posix
def test_modes_follow_the_umask(tmp_path):
    old = os.umask(0o027)
    try: train(TEXT, tmp_path/"run", **RECIPE)
    finally: os.umask(old)
    for path in (tmp_path/"run").rglob("*"): assert path.stat().st_mode & 0o777 == (0o750 if path.is_dir() else 0o640), path


# Stopping

def forked(f):
    "Run `f` in a child process; its number."
    pid = os.fork()
    if pid == 0:
        try:
            with open(os.devnull, "w") as null: os.dup2(null.fileno(), 2)
            torch.set_num_threads(1) # the parent's other threads don't exist here
            f()
            os._exit(0)
        except Stopped as e: os._exit(e.code)
        except KeyboardInterrupt: os._exit(99)
        except BaseException: os._exit(1)
    return pid


def ended(pid):
    "The exit code of a child, negative for a signal."
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


@posix
@pytest.mark.parametrize("first,second,code", [("SIGINT", "SIGINT", 99), ("SIGINT", "SIGTERM", -15), ("SIGTERM", "SIGTERM", -15), ("SIGTERM", "SIGINT", 99)])
def test_the_second_signal_ends_at_once(straight, tmp_path, first, second, code):
    "In the middle of a step; the checkpoint from before is untouched and good."
    def both(run): [signal.raise_signal(getattr(signal, name)) for name in (first, second)]
    assert ended(forked(lambda: train(TEXT, tmp_path/"run", callback=at(13, both), **RECIPE))) == code
    assert [p.name for p in steps(tmp_path/"run")] == ["step-000005", "step-000010"]
    run, end = go_on(tmp_path/"run")
    assert run.step == 10 and end() == straight[0]


def test_stopped_before_the_first_step(tmp_path):
    "The step is finished first, so there is something to save."
    with pytest.raises(Stopped): train(TEXT, tmp_path/"run", callback=at(0, lambda run: signal.raise_signal(signal.SIGTERM)), **RECIPE)
    assert latest_checkpoint(tmp_path/"run").name == "step-000001"


def test_stopped_at_an_evaluation_and_at_the_end(straight, tmp_path):
    for step in (9, 23):
        with pytest.raises(Stopped): train(TEXT, tmp_path/str(step), callback=at(step, lambda run: signal.raise_signal(signal.SIGINT)), **RECIPE)
        run, end = go_on(tmp_path/str(step))
        assert run.step == step + 1 and end() == straight[0] and story(run.history) == straight[1]


def test_without_a_folder_nothing_is_saved():
    with pytest.raises(Stopped, match="nothing was saved"): train(TEXT, callback=at(3, lambda run: signal.raise_signal(signal.SIGINT)), **RECIPE)


def test_signals_are_given_back(half): assert signal.getsignal(signal.SIGINT) is signal.default_int_handler and signal.getsignal(signal.SIGTERM) == signal.SIG_DFL


@posix
def test_killed_at_any_moment(straight, tmp_path):
    "SIGKILL at a random moment of a run that saves all the time; what goes on from the wreck reaches the same end."
    out, done, rng = tmp_path/"run", tmp_path/"digest", random.Random(0)
    often = dict(RECIPE, eval_interval=1)
    def start(): done.write_text(digest(train(TEXT, out, **often)))
    def go_on(): done.write_text(digest(train(TEXT, resume=out, device="cpu", progress=False)))
    begin, kept, left, found = time.perf_counter(), 0, 0, set()
    assert ended(forked(start)) == 0 and done.read_text() == straight[0]
    whole = time.perf_counter() - begin
    for _ in range(KILLS):
        shutil.rmtree(out)
        done.write_text("")
        pid = forked(start)
        time.sleep(rng.uniform(.02, .95)*whole)
        os.kill(pid, signal.SIGKILL)
        ended(pid)
        left += bool(list(out.glob(".tmp-*")))
        newest = latest_checkpoint(out)
        if newest: kept += 1; found.add(newest.name)
        elif out.exists(): shutil.rmtree(out)
        assert ended(forked(go_on if newest else start)) == 0
        assert done.read_text() == straight[0] and not list(out.glob(".tmp-*"))
    print(f"{KILLS} kills, {kept} after the first checkpoint ({len(found)} different steps), {left} left something to sweep up")


# Numbers that are none, memory that is not there

def spoil_weight(run): run.model.ln_f.weight.data[3] = math.nan
def spoil_gradient(run): run.model.lm_head.weight.register_hook(lambda g: g*math.inf)
def spoil_evaluation(run): run.model.register_forward_hook(lambda model, args, out: out if model.training else (out[0], out[1]*math.nan))


@pytest.mark.parametrize("spoil,step,words", [(spoil_weight, 7, "after step 7 the loss is nan and gradient is nan"), (spoil_gradient, 7, "after step 7 the gradient is (inf|nan)"),
    (spoil_evaluation, 9, "after step 10 the training loss is nan and validation loss is nan")])
def test_not_a_number_stops_before_the_step(tmp_path, spoil, step, words):
    good = {}
    def callback(run):
        good.update(run=run, weights=[p.detach().clone() for p in run.model.parameters()])
        if run.step == step: spoil(run); good.update(weights=[p.detach().clone() for p in run.model.parameters()], files=snapshot(tmp_path/"run"/"step-000005"))
    with pytest.raises(NotFinite, match=words + r".*the checkpoints in .* are good; try learning_rate=.*") as error: train(TEXT, tmp_path/"run", callback=callback, **RECIPE)
    assert "grad_clip" not in str(error.value) # it is set already
    if step == 7: assert all(torch.equal(a.nan_to_num(), b.nan_to_num()) for a, b in zip(good["weights"], good["run"].model.parameters()))
    assert snapshot(tmp_path/"run"/"step-000005") == good["files"] and latest_checkpoint(tmp_path/"run").name == "step-000005"
    assert all(math.isfinite(v) for row in read_history(tmp_path/"run") for v in row.values())


def test_out_of_memory_says_what_fits(tmp_path, monkeypatch):
    "As on a GPU with a fifth of a megabyte."
    def full(self, x, targets=None):
        if self.training: raise torch.cuda.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 KiB")
        return forward(self, x, targets)
    forward = GPTLanguageModel.forward
    monkeypatch.setattr(GPTLanguageModel, "forward", full)
    monkeypatch.setattr(module, "memory_size", lambda device: 220_000)
    with pytest.raises(OutOfMemory, match=r"^out of memory: a step needs about 0\.3 MiB \(parameters .* optimizer .* activations .*the device has 0\.2 MiB.*batch_size=1, gradient_accumulation_steps=8$"): train(TEXT, tmp_path/"run", **RECIPE)


# Loggers

class Notes(Logger):
    def __init__(self): self.rows, self.closed = [], 0
    def log(self, row): self.rows.append(row)
    def close(self): self.closed += 1


class Broken(Logger):
    calls = 0
    def log(self, row): self.calls += 1; raise ConnectionError("no route to the dashboard")


def test_loggers_follow_and_never_stop_a_run(straight, tmp_path):
    notes, broken = Notes(), Broken()
    with pytest.warns(UserWarning, match="Broken failed, the training goes on without it: no route to the dashboard") as warned: run = train(TEXT, tmp_path/"run", loggers=[broken, notes], **RECIPE)
    assert (len(warned), broken.calls, notes.closed) == (1, 1, 1)
    assert notes.rows == run.history == read_history(tmp_path/"run") and digest(run) == straight[0]


def test_a_history_that_cannot_be_written_does_not_stop_a_run(straight, tmp_path):
    out = tmp_path/"run"
    (out/"history.jsonl").mkdir(parents=True)
    out = tmp_path/"other"
    def lose(run): (out/"history.jsonl").unlink(); (out/"history.jsonl").mkdir()
    def find(run): (out/"history.jsonl").rmdir()
    with pytest.warns(UserWarning, match="JSONLines failed") as warned: run = train(TEXT, out, callback=lambda run: {6: lose, 9: find}.get(run.step, lambda run: None)(run), **RECIPE)
    assert len(warned) == 1 and digest(run) == straight[0] and [row["step"] for row in read_history(out)] == [row["step"] for row in run.history if row["step"] > 6]


def test_tensorboard(tmp_path):
    pytest.importorskip("tensorboard")
    train(TEXT, tmp_path/"run", loggers=["tensorboard"], **RECIPE)
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
    events = EventAccumulator(str(tmp_path/"run"/"tensorboard")).Reload()
    assert [e.step for e in events.Scalars("loss")] == list(range(1, 25)) and len(events.Scalars("val_loss")) == 6


@pytest.mark.parametrize("loggers,words", [(["tensorbord"], "choose from tensorboard, wandb"), (["wandb"], r"wandb is not installed .*gpt_scratch\[log\]")])
def test_a_logger_that_is_not_there(tmp_path, monkeypatch, loggers, words):
    monkeypatch.setitem(sys.modules, "wandb", None)
    with pytest.raises((ValueError, ImportError), match=words) as error: train(TEXT, tmp_path/"run", loggers=loggers, **RECIPE)
    assert isinstance(error.value, ImportError) == (loggers == ["wandb"])


def test_every_run_folder_can_be_drawn(straight):
    axes = plot_run(straight[2], dict(unigram=2.9)).axes
    assert [len(ax.lines[0].get_xdata()) for ax in axes] == [24]*4 and axes[3].get_ylabel() == "tokens per second"
    seconds = [row["seconds"] for row in read_history(straight[2]) if "seconds" in row]
    assert list(axes[3].lines[0].get_ydata()) == pytest.approx([4*2*16/s for s in seconds])
