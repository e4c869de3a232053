"Checkpoints whose hashes are right and whose contents are not, in every field: each is refused in one line, or does no harm."
import contextlib, io, json, math, os, random, re, shutil, warnings
from pathlib import Path

import pytest, safetensors.torch, torch

from gpt_scratch.model import GPTConfig
from gpt_scratch.toolbox.checkpoint import CARD, CONFIG, MODEL, STATE, TENSORS, TOKENIZER, CheckpointError, load_checkpoint
from gpt_scratch.toolbox.cli import main
from gpt_scratch.toolbox.export import import_original, original_shapes
from gpt_scratch.toolbox.log import plot_run, read_history
from gpt_scratch.toolbox.run import pick_device, resume_run, train
from test_checkpoint import reseal

TEXT = "To be, or not to be, that is the question:\nWhether 'tis nobler in the mind to suffer\n"*4
SMALL = dict(preset="tiny", n_layer=1, n_embd=8, n_head=2, block_size=16, max_iters=4, eval_interval=2, device="cpu", progress=False)
CASES = int(os.environ.get("GPT_SCRATCH_CASES", 40)) # of a file's; 1000 for all
DEEP = "[" * 200_000
ODD = [None, True, -1, 0, 2**62, 10**400, 0.5, math.inf, math.nan, "", "x", "\x1b[2J", [], ["x"], {}, {"x": 1}]


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    "A short run that ended well."
    out = tmp_path_factory.mktemp("hostile")/"run"
    train(TEXT, out, **SMALL)
    return out


@pytest.fixture
def run(made, tmp_path): return Path(shutil.copytree(made, tmp_path/"run"))


def places(data, path=()):
    "The path of every value in a JSON document, its root included."
    yield path
    for key in data if isinstance(data, dict) else (): yield from places(data[key], (*path, key))


def replaced(data, path, value):
    "A copy of a document with another value, or with none, in one place."
    if not path: return value
    return {**data, path[0]: replaced(data[path[0]], path[1:], value)} if isinstance(data, dict) else data


def uses(folder):
    "All that reads a run's checkpoint: going on for a step, loading, describing and drawing."
    def go_on():
        run = resume_run(TEXT, folder, pick_device("cpu"), dict(max_iters=10**6))
        run.advance()
        assert all(p.isfinite().all() for p in run.model.parameters())
    yield go_on
    yield lambda: load_checkpoint(folder)[0](torch.tensor([[1]]))
    yield lambda: plot_run(folder.parent).clear()


def hold(folder):
    "Use the checkpoint in each way; fails for an error that isn't one line of ours. How often it was refused."
    refused = 0
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for use in uses(folder):
            try: use()
            except ValueError as e:
                assert "\n" not in str(e) and ": " in str(e) and len(str(e)) < 800, e
                refused += 1
        with contextlib.redirect_stdout(io.StringIO()) as out, contextlib.redirect_stderr(out): code = main(["info", "--checkpoint", str(folder)])
        assert code in (0, 1) and "\x1b" not in out.getvalue()
    return refused


@pytest.mark.parametrize("name", [STATE, CONFIG])
def test_any_value_in_any_place(run, name):
    "Each value of the file becomes nothing, a number, a text, a list or a dict that doesn't belong there."
    folder, refused = run/"step-000004", 0
    data = json.loads((folder/name).read_bytes())
    cases = [(path, value) for path in places(data) for value in ODD]
    for path, value in random.Random(0).sample(cases, min(CASES, len(cases))):
        reseal(folder, name, json.dumps(replaced(data, path, value)).encode())
        try: refused += hold(folder) > 0
        except Exception as e: pytest.fail(f"{name}: {path} = {value!r:.40}: {type(e).__name__}: {e}")
    assert refused > min(CASES, len(cases))/2


@pytest.mark.parametrize("name", [STATE, CONFIG, TOKENIZER])
@pytest.mark.parametrize("content", [DEEP, '{"a":' * 100_000, "null", "{}", "[]", "", '"\x1b[2J"', '{"step": 4, "step": 5}'], ids=range(8))
def test_no_json_at_all(run, name, content):
    reseal(run/"step-000004", name, content.encode())
    assert hold(run/"step-000004") > 0


FALSE = {
    "three numbers": lambda t: torch.zeros(3), "one number": lambda t: torch.tensor(1.), "none": lambda t: torch.zeros(0), "transposed": lambda t: t.mT if t.dim() > 1 else t.flatten()[:1],
    "float64": lambda t: t.double(), "int64": lambda t: t.long(), "bool": lambda t: t.bool(), "bfloat16": lambda t: t.bfloat16(),
    "nan": lambda t: t.float()*math.nan, "inf": lambda t: t.float() + math.inf, "negative": lambda t: -t.float().abs() - 1, "zeros": torch.zeros_like,
}


@pytest.mark.parametrize("name", [TENSORS, MODEL])
def test_any_tensor_in_any_place(run, name):
    "Other shapes, types and numbers: what a segmentation fault would need."
    folder, refused = run/"step-000004", 0
    tensors = safetensors.torch.load((folder/name).read_bytes())
    cases = [(key, story) for key in tensors for story in FALSE]
    for key, story in random.Random(0).sample(cases, min(CASES, len(cases))):
        content = FALSE[story](tensors[key]).contiguous()
        reseal(folder, name, safetensors.torch.save({**tensors, key: content}))
        try: refused += hold(folder) > 0
        except Exception as e: pytest.fail(f"{name}: {key} {story}: {type(e).__name__}: {e}")
    assert refused > min(CASES, len(cases))/2


@pytest.mark.parametrize("story", ["nan", "inf", "int64", "bool"])
def test_weights_that_are_no_numbers_are_refused(run, story):
    folder = run/"step-000004"
    tensors = safetensors.torch.load((folder/MODEL).read_bytes())
    key = "blocks.0.attention.proj.weight"
    reseal(folder, MODEL, safetensors.torch.save({**tensors, key: FALSE[story](tensors[key]).contiguous()}))
    with pytest.raises(CheckpointError, match=re.escape(key)): load_checkpoint(folder)


@pytest.mark.parametrize("line", [*map(json.dumps, ({"step": 3, "loss": v} for v in ODD)), *map(json.dumps, ({"step": v, "loss": 1.} for v in ODD)), "null", "[]", DEEP, '{"step": 3, "lo',
    *(json.dumps({"step": 4, "train_loss": v, "val_loss": v}) for v in ODD), '{"step": 3}', "\x1b[2J", '{"step": 3, "loss": 1, "seconds": 0}', '{"step": 3, "seconds": 1}'])
def test_any_line_in_a_history(run, line):
    "A line that no run wrote is left out; the rest still goes on, is described and drawn."
    with open(run/"history.jsonl", "a") as f: f.write(line + "\n")
    assert hold(run/"step-000004") == 0
    assert all(math.isfinite(v) for row in read_history(run) for v in row.values())


# ---- what never ends, and what a terminal would obey

@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs pipes and devices")
@pytest.mark.parametrize("what", ["pipe", "/dev/zero", "/dev/urandom"])
def test_pipes_and_devices_are_not_read(tmp_path, what, capsys):
    "By `train` with and without a folder, by `import`, and by a resumed run."
    path = Path(what)
    if what == "pipe": os.mkfifo(path := tmp_path/"pipe")
    for call in (lambda: train(path, **SMALL), lambda: train(path, tmp_path/"run", **SMALL), lambda: import_original(path)):
        with pytest.raises(ValueError, match="is a pipe or a device"): call()
    assert not (tmp_path/"run").exists()
    assert main(["evaluate", "--input", str(path)]) == 1 and "is a pipe or a device" in capsys.readouterr().err


def laughs(depth):
    "A list that is small on the disk and enormous in words."
    value = "ha"
    for _ in range(depth): value = [value]*10
    return value


@pytest.mark.parametrize("field", ["n_embd", "dropout", "anything"])
def test_nested_hyperparameters_are_refused_at_once(tmp_path, field):
    sizes = dict(vocab_size=2, block_size=4, n_embd=4, n_head=1, n_layer=1, dropout=0.)
    weights = {name: torch.zeros(shape) for name, shape in original_shapes(GPTConfig(**sizes)).items()}
    torch.save(dict(model_state_dict=weights, hyperparameters={**sizes, field: laughs(12)}, stoi={"a": 0, "b": 1}, itos={0: "a", 1: "b"}), tmp_path/"x.pt")
    with pytest.raises(CheckpointError, match="hyperparameters should be numbers and words"): import_original(tmp_path/"x.pt")


@pytest.mark.parametrize("text", ["a\0b"*99, " \n\t"*99])
def test_a_text_that_is_none(text):
    with pytest.raises(ValueError, match="zero character at position 1|the text is empty"): train(text, **SMALL)


def test_a_terminal_obeys_nobody(run, capsys):
    "Escape sequences in a model card, in the name of a tensor and in a path are shown as what they are."
    folder = run/"step-000004"
    tensors = safetensors.torch.load((folder/MODEL).read_bytes())
    reseal(folder, CARD, "# \x1b]0;owned\x07 A model\x9b2J\n".encode())
    assert main(["info", "--checkpoint", str(folder)]) == 0
    reseal(folder, MODEL, safetensors.torch.save({**tensors, "\x1b[2Jmore": torch.zeros(1)}))
    assert main(["info", "--checkpoint", str(folder)]) == 1
    assert main(["info", "--checkpoint", str(run/"\x1b[31m")]) == 1
    said = capsys.readouterr()
    assert not {"\x1b", "\x07", "\x9b"} & {*said.out, *said.err} and "A model" in said.out and "more" in said.err
