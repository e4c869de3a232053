"What the checkpoint notebook can't show: hundreds of damaged folders, a disk that is full at each write, and killed processes."
import errno, json, math, os, random, shutil, signal, subprocess, sys, time, warnings
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path

import pytest, safetensors.torch, torch

from gpt_scratch.model import GPTConfig, GPTLanguageModel
from gpt_scratch.tokenizer import CharTokenizer
from gpt_scratch.toolbox import checkpoint
from gpt_scratch.toolbox.files import checksum
from gpt_scratch.toolbox.checkpoint import (CARD, CONFIG, MANIFEST, MODEL, STATE, TENSORS, TOKENIZER, CheckpointError, find_checkpoint,
    latest_checkpoint, load_checkpoint, load_trainer, prune_checkpoints, read_best, remove_leftovers, save_checkpoint, seal, steps, verify_checkpoint, write_best)

KILLS = int(os.environ.get("GPT_SCRATCH_KILLS", 10)) # 100 for the full count
FULL = OSError(errno.ENOSPC, "No space left on device")
LETTERS = CharTokenizer("to be, or not to be")
posix = pytest.mark.skipif(os.name != "posix", reason="needs fork and signals")


def small(seed=0, **changes):
    "A model that saves in milliseconds."
    torch.manual_seed(seed)
    return GPTLanguageModel(GPTConfig(**{"vocab_size":LETTERS.vocab_size, "block_size":8, "n_embd":8, "n_head":2, "n_layer":2, **changes})).eval()


def training(model):
    "What a training run would save beside the weights."
    means = {f"{part}.{name}":torch.full_like(p.data, 0.5) for part in ("mean","square") for name,p in model.named_parameters()}
    return {**means, "rng":torch.get_rng_state()}, {"step":500, "learning_rate":3e-4, "history":[4.2, 3.1]}


def save(folder, seed=0, **kwargs):
    model = small(seed)
    return save_checkpoint(folder, model, LETTERS, training(model), card="# A model\n\nfor tests.\n", **kwargs)


def refusals(folder):
    "The messages with which a folder is refused; fails if any way of loading accepts it."
    messages = []
    for load in (verify_checkpoint, load_checkpoint, load_trainer):
        with pytest.raises(CheckpointError) as error: load(folder)
        messages.append(str(error.value))
    assert all("\n" not in m and ": " in m and len(m) < 600 for m in messages), messages
    return messages


@pytest.fixture
def whole(tmp_path): return save(tmp_path/"step-000500")


def test_everything_comes_back_exactly(tmp_path):
    tensors = {"a":torch.randn(3, 4).t(), "b":torch.tensor(7), "c":torch.zeros(0, 3), "d":torch.randn(2, dtype=torch.float64),
        "e":torch.randn(5).bfloat16(), "f":torch.tensor([True, False]), "g":torch.get_rng_state(), "h":torch.tensor([-math.inf, math.nan, -0.0])}
    state = {"step":1, "rate":0.1 + 0.2, "name":"é\n", "list":[1, [2.5, None, True]], "big":2**80}
    model = small()
    folder = save_checkpoint(tmp_path/"a", model, LETTERS, (tensors, state))
    back,values = load_trainer(folder)
    assert values == state and {*back} == {*tensors}
    for name,tensor in tensors.items():
        assert back[name].dtype == tensor.dtype and back[name].shape == tensor.shape
        assert back[name].numpy().tobytes() == tensor.contiguous().numpy().tobytes() if tensor.dtype != torch.bfloat16 else back[name].equal(tensor)
    loaded,tokenizer = load_checkpoint(folder)
    assert all(value.equal(model.state_dict()[name]) for name,value in loaded.state_dict().items())
    assert not loaded.training and all(p.requires_grad for p in loaded.parameters()) and tokenizer.itos == LETTERS.itos


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_float32_whatever_the_file_holds(tmp_path, dtype):
    model = small()
    folder = save_checkpoint(tmp_path/"a", model, LETTERS, dtype=dtype)
    assert {t.dtype for t in safetensors.torch.load_file(folder/MODEL).values()} == {dtype}
    for name,value in load_checkpoint(folder)[0].state_dict().items():
        assert value.dtype == torch.float32 and value.equal(model.state_dict()[name].to(dtype).float())


def test_a_loaded_model_outlives_its_file(whole):
    "The weights are copies: what happens to the file later doesn't reach the model."
    model = load_checkpoint(whole)[0]
    before = {k:v.clone() for k,v in model.state_dict().items()}
    with open(whole/MODEL, "r+b") as f: f.write(b"\0"*os.path.getsize(whole/MODEL))
    assert all(v.equal(before[k]) for k,v in model.state_dict().items())


def test_an_older_config_without_dropout(whole):
    reseal(whole, CONFIG, {k:v for k,v in json.loads((whole/CONFIG).read_bytes()).items() if k != "dropout"})
    idx = torch.arange(8)[None]
    assert load_checkpoint(whole)[0](idx)[0].equal(small()(idx)[0])


def test_sizes_are_never_guessed(tmp_path):
    "The default of 6 heads would fit these weights, and compute something else."
    folder = save_checkpoint(tmp_path/"a", small(n_embd=12), LETTERS)
    reseal(folder, CONFIG, {k:v for k,v in json.loads((folder/CONFIG).read_bytes()).items() if k != "n_head"})
    with pytest.raises(CheckpointError, match="n_head is missing"): load_checkpoint(folder)


# ---- damage

def flips(data, count, rng):
    "Copies of `data` with one bit flipped: in the first and last bytes, and at random places between."
    ends = [*range(min(8, len(data))), *range(max(0, len(data) - 8), len(data))]
    for position in [*ends, *(rng.randrange(len(data)) for _ in range(count))]:
        yield f"bit flipped in byte {position}", data[:position] + bytes([data[position] ^ 1 << rng.randrange(8)]) + data[position + 1:]


def lengths(data):
    "Copies that were cut short, or grew."
    for n in sorted({0, 1, 7, 8, 9, len(data)//3, len(data)//2, len(data) - 2, len(data) - 1}): yield f"cut to {n} bytes", data[:n]
    yield "a byte longer", data + b"\n"
    yield "twice", data*2
    yield "zeros", bytes(len(data))
    yield "shifted", data[1:] + data[:1]


def edits(data):
    "Copies of a JSON file that say the same in other words, or something else in the same words."
    values = json.loads(data)
    yield "compact", json.dumps(values).encode()
    yield "sorted", json.dumps(dict(sorted(values.items(), reverse=True)), indent=1).encode() + b"\n"
    yield "Windows lines", data.replace(b"\n", b"\r\n")
    yield "byte order mark", b"\xef\xbb\xbf" + data
    yield "UTF-16", data.decode().encode("utf-16")
    for key,value in values.items():
        for other in (None, [], "x", -1, 10**6):
            if other != value: yield f"{key}={other}", json.dumps({**values, key:other}, indent=1).encode() + b"\n"
        yield f"without {key}", json.dumps({k:v for k,v in values.items() if k != key}, indent=1).encode() + b"\n"
    yield "one more field", json.dumps({**values, "extra":1}, indent=1).encode() + b"\n"


def test_every_changed_file_is_refused(tmp_path, whole, capsys):
    rng,count,start = random.Random(0),0,time.time()
    other = save(tmp_path/"other", seed=1)
    files = {p.name:p.read_bytes() for p in whole.iterdir()}
    for name,data in files.items():
        damaged = [*flips(data, 100, rng), *lengths(data), *(edits(data) if name.endswith(".json") else ())]
        damaged += [(f"swapped with {n}", d) for n,d in files.items() if n != name]
        damaged += [("of another checkpoint", (other/name).read_bytes())] if (other/name).read_bytes() != data else []
        for story,content in damaged:
            if content == data: continue
            (whole/name).write_bytes(content)
            try: messages = refusals(whole)
            except pytest.fail.Exception: pytest.fail(f"{name} loads although {story}")
            assert all(name in m or (name,story) == (MANIFEST,"of another checkpoint") for m in messages), (story, messages)
            count += 1
        (whole/name).write_bytes(data)
        verify_checkpoint(whole)
    with capsys.disabled(): print(f" {count} changed files refused in {time.time() - start:.1f} s", end="")
    assert count >= 500


def test_every_byte_of_the_manifest_counts(whole):
    data = (whole/MANIFEST).read_bytes()
    for position in range(len(data)):
        (whole/MANIFEST).write_bytes(data[:position] + bytes([data[position] ^ 32]) + data[position + 1:])
        with pytest.raises(CheckpointError, match=MANIFEST): verify_checkpoint(whole)


def test_changed_folders_are_refused(tmp_path, whole):
    outside = tmp_path/"outside.json"
    def link(p): outside.write_bytes(p.read_bytes()); p.unlink(); p.symlink_to(outside)
    def folder(p): p.unlink(); p.mkdir()
    def pipe(p): p.unlink(); os.mkfifo(p)
    stories = {"missing":Path.unlink, "link":link, "folder":folder, "pipe":pipe, "renamed":lambda p: p.rename(p.with_name("_" + p.name))}
    for name in (CONFIG, MODEL, TOKENIZER, STATE, TENSORS, CARD, MANIFEST):
        for story,spoil in stories.items():
            if story == "pipe" and not hasattr(os, "mkfifo"): continue
            copy = Path(shutil.copytree(whole, tmp_path/f"{story} {name}"))
            spoil(copy/name)
            assert all(name in message for message in refusals(copy))
    for extra in ("model.bin", "step-000001"):
        copy = Path(shutil.copytree(whole, tmp_path/f"extra {extra}"))
        (copy/extra).touch()
        assert all(extra in message for message in refusals(copy))
    for nothing in (tmp_path/"nothing", outside, whole/CONFIG): refusals(nothing)


# ---- folders whose hashes are right and whose contents are not

def reseal(folder, name, content):
    "Replace one file and make the manifest agree, as somebody with bad intentions would."
    (folder/name).write_bytes(content if isinstance(content, bytes) else json.dumps(content).encode())
    files = {}
    for path in folder.iterdir():
        with open(path, "rb") as f: files[path.name] = checksum(f)
    files.pop(MANIFEST)
    (folder/MANIFEST).write_bytes(seal({"files":files}))


CONFIGS = [dict(n_layer=10**9), dict(n_layer=1), dict(n_layer=3), dict(n_embd=2**40), dict(n_embd=16), dict(vocab_size=10**15), dict(vocab_size=9), dict(block_size=2**62),
    dict(block_size=0), dict(n_head=0), dict(n_head=3), dict(n_head=-2), dict(n_head=2.), dict(n_head="2"), dict(n_head=True), dict(n_head=None), dict(n_head=[2]), dict(n_head=10**400),
    dict(dropout="0"), dict(dropout=-1), dict(dropout=1e999), dict(dropout=math.nan), dict(dropout=True), dict(format=0), dict(format=2), dict(format="1"), dict(format=None), dict(format=True),
    dict(n_heads=2), dict(path="../../x"), dict(__class__="os.system"), {"":1}, {"n_layer ":2}, {"x"*10_000:1}]


@pytest.mark.parametrize("changes", CONFIGS, ids=lambda c: str(c)[:40])
def test_a_false_config_is_refused(whole, changes):
    reseal(whole, CONFIG, {**json.loads((whole/CONFIG).read_bytes()), **changes})
    unknown = not {*changes} <= {"format", *asdict(GPTConfig())}
    assert all(CONFIG in message and ("unknown field" in message) == unknown for message in refusals(whole))


NO_JSON = [b"", b"{", b"["*100_000, b"\xff\xfe", b'{"format":1' + b"0"*5000 + b"}"]
FALSE_JSON = [(name, content) for name in (CONFIG, TOKENIZER) for content in (*NO_JSON, b"null", b"[]", b"1", b'"x"', b"{}", b'{"format":1}')] + [(STATE, content) for content in NO_JSON]


@pytest.mark.parametrize("name,content", FALSE_JSON, ids=lambda x: repr(x[:20]))
def test_false_json_is_refused(whole, name, content):
    reseal(whole, name, content)
    with pytest.raises(CheckpointError, match=name) as error: (load_trainer if name == STATE else load_checkpoint)(whole)
    assert "\n" not in str(error.value)


def test_another_vocabulary_is_refused(whole):
    CharTokenizer("abc").save(whole/TOKENIZER)
    reseal(whole, TOKENIZER, (whole/TOKENIZER).read_bytes())
    with pytest.raises(CheckpointError, match="has 3 symbols"): load_checkpoint(whole)


def header(**tensors):
    "The bytes of a safetensors file with any header."
    text = json.dumps(tensors).encode()
    return len(text).to_bytes(8, "little") + text


def test_false_tensor_files_are_refused(whole):
    weights = small().state_dict()
    name = "blocks.1.ln2.bias"
    spoiled = [{k:v for k,v in weights.items() if k != name}, {**weights, "more":torch.zeros(1)}, {**weights, name:torch.zeros(8, 1)}, {**weights, name:torch.zeros(9)},
        {**weights, "blocks.2.ln1.bias":torch.zeros(8)}, {**weights, "blocks.x":torch.zeros(8)}, {**weights, "embedding.token.weight":torch.zeros(8)}, {}]
    files = [safetensors.torch.save(tensors) for tensors in spoiled]
    files += [b"", b"\0"*8, b"\xff"*100, (2**63).to_bytes(8, "little") + b"{}", header(a=1), header(a=dict(dtype="F32", shape=[2**40, 2**40], data_offsets=[0, 4])),
        header(a=dict(dtype="F32", shape=[-1], data_offsets=[0, 0])), header(a=dict(dtype="F99", shape=[0], data_offsets=[0, 0])), b"PK\3\4" + bytes(100), b"\x80\x04."]
    for content in files:
        reseal(whole, MODEL, content)
        assert all(MODEL in message for message in refusals(whole))


def test_false_manifests_are_refused(tmp_path, whole):
    files = json.loads((whole/MANIFEST).read_bytes())["files"]
    entry = files[CONFIG]
    (tmp_path/"secret").write_text("x")
    manifests = [{}, {"files":None}, {"files":[*files]}, {"files":{}}, {"files":files, "more":1} | {"files":{**files, "../secret":entry}}]
    manifests += [{"files":{**files, name:entry}} for name in ("../secret", "/etc/passwd", "", ".", "..", "a/b", "a\\b", "C:x", "\0", MANIFEST, "pytorch_model.bin")]
    manifests += [{"files":{k:v for k,v in files.items() if k != name}} for name in files]
    manifests += [{"files":{**files, CONFIG:value}} for value in (None, [], "x", {}, {**entry, "bytes":str(entry["bytes"])}, {**entry, "more":1}, {**entry, "sha256":entry["sha256"].upper()})]
    for data in manifests:
        (whole/MANIFEST).write_bytes(seal(data))
        refusals(whole)
    reseal(whole, "pytorch_model.bin", b"a file that no checkpoint has, with the right hash")
    assert all("doesn't list the files of a checkpoint" in message for message in refusals(whole))
    (whole/"pytorch_model.bin").unlink()
    (whole/TENSORS).unlink()
    reseal(whole, STATE, {}) # half of a training state
    assert all("doesn't list the files of a checkpoint" in message for message in refusals(whole))


# ---- a disk that is full

@contextmanager
def fails_at(operation, monkeypatch):
    "Let the given operation on the disk (0 is the first), and it alone, fail as on a full disk; yields a list of those that were reached."
    reached = []
    def tick(name):
        reached.append(name)
        if len(reached) - 1 == operation: raise FULL
    def counted(f, name): return lambda *args, **kwargs: (tick(name), f(*args, **kwargs))[1]

    class File:
        "A file that writes half of what it's given before it fails."
        def __init__(self, file): self.file = file
        def __getattr__(self, name): return getattr(self.file, name)
        def __enter__(self): return self
        def __exit__(self, *args): self.file.close()
        def write(self, data):
            try: tick("write")
            except OSError: self.file.write(data[:len(data)//2]); raise
            return self.file.write(data)

    real = open
    def fake(path, mode="r", *args, **kwargs):
        if not {*mode} & {*"wax+"}: return real(path, mode, *args, **kwargs)
        tick("open")
        return File(real(path, mode, *args, **kwargs))
    with monkeypatch.context() as patch:
        patch.setattr("builtins.open", fake)
        patch.setattr("io.open", fake)
        for name in ("mkdir", "fsync", "replace"): patch.setattr(os, name, counted(getattr(os, name), name))
        yield reached


def snapshot(folder): return {str(p.relative_to(folder)):p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


def test_disk_full_at_every_write(tmp_path, monkeypatch):
    save(tmp_path/"step-000500")
    before,refused,operation = snapshot(tmp_path),0,0
    while True:
        with fails_at(operation, monkeypatch) as reached:
            try: save(tmp_path/"step-001000", seed=1)
            except CheckpointError as e: message = str(e)
            else: message = None
        if message is None:
            verify_checkpoint(tmp_path/"step-001000") # the failure came where it does no harm, or not at all
            shutil.rmtree(tmp_path/"step-001000")
        else:
            refused += 1
            assert "step-001000 can't be written (No space left on device; needed: " in message and " bytes, free: " in message
        assert snapshot(tmp_path) == before and not list(tmp_path.glob(".tmp-*"))
        if len(reached) <= operation: break
        operation += 1
    assert refused >= 25 and {"open", "write", "fsync", "replace", "mkdir"} <= {*reached}


def test_disk_full_while_noting_the_best(tmp_path, monkeypatch):
    write_best(tmp_path, "step-000500", 1.5)
    for operation in range(5):
        with fails_at(operation, monkeypatch):
            try: write_best(tmp_path, "step-001000", 1.25)
            except CheckpointError as e: assert "best.json" in str(e)
        assert read_best(tmp_path)["val_loss"] in (1.5, 1.25) and [p.name for p in tmp_path.iterdir()] == ["best.json"]


SMALL_DISK = """
import sys; sys.path[:0] = {path!r}
from test_checkpoint import *
run = Path({run!r})
save(run/"step-000500")
before = snapshot(run)
for step in (1000, 1500, 2000, 2500):
    try: save(run/f"step-{{step:06}}")
    except CheckpointError as e:
        print(e)
        break
assert step > 1000 and not list(run.glob(".tmp-*"))
assert snapshot(run/"step-000500") == {{Path(k).name:v for k,v in before.items()}}
for p in steps(run): verify_checkpoint(p)
"""


@posix
def test_a_disk_that_is_really_small(tmp_path):
    program = SMALL_DISK.format(path=sys.path, run=str(tmp_path))
    mount = ["unshare", "-rm", "sh", "-c", 'mount -t tmpfs -o size=120k none "$0" && exec "$@"', str(tmp_path)]
    try: subprocess.run([*mount, "true"], check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError): pytest.skip("a small file system can't be mounted here")
    done = subprocess.run([*mount, sys.executable, "-c", program], capture_output=True, text=True)
    assert done.returncode == 0 and "No space left on device; needed: " in done.stdout, done.stderr


@posix
def test_a_folder_that_may_not_be_written(tmp_path):
    if os.geteuid() == 0: pytest.skip("root may write everywhere")
    tmp_path.chmod(0o500)
    try:
        with pytest.raises(CheckpointError, match="Permission denied"): save(tmp_path/"a")
    finally: tmp_path.chmod(0o700)


@pytest.mark.parametrize("kind", ["checkpoint", "empty folder", "file", "link to nothing"])
def test_what_exists_is_never_overwritten(tmp_path, kind):
    target = tmp_path/"a"
    {"checkpoint":save, "empty folder":Path.mkdir, "file":Path.touch, "link to nothing":lambda p: p.symlink_to("nowhere")}[kind](target)
    before = snapshot(tmp_path)
    with pytest.raises(CheckpointError, match="never overwritten"): save(target, seed=1)
    assert snapshot(tmp_path) == before and os.path.lexists(target)


def test_what_could_not_be_loaded_is_not_saved(tmp_path):
    model = small()
    class Wrapped(torch.nn.Module):
        config = model.config
        def __init__(self): super().__init__(); self.inner = model
    bad = [(Wrapped(), LETTERS, None), (model, CharTokenizer("ab"), None), (model, LETTERS, ({}, {"best":math.inf})), (model, LETTERS, ({}, {"set":{1}})),
        (model, LETTERS, ({"x":1}, {}))]
    for args in bad:
        with pytest.raises(CheckpointError): save_checkpoint(tmp_path/"a", *args)
    assert not list(tmp_path.iterdir())


# ---- processes that die

@contextmanager
def forked(f, *args):
    "Run `f` in a child process; yields its number."
    pid = os.fork()
    if pid == 0:
        try: f(*args)
        except BaseException: os._exit(1)
        os._exit(0)
    yield pid


def endless(run):
    "Save, note and prune as a training run does, until somebody ends it."
    for step in range(1, 10**6):
        save(run/f"step-{step:06}", seed=step)
        write_best(run, f"step-{step - step%3:06}" if step > 2 else "step-000001", 1/step)
        prune_checkpoints(run)


@posix
def test_killed_while_saving(tmp_path):
    rng,left = random.Random(0),0
    for i in range(KILLS):
        run = tmp_path/str(i)
        with forked(endless, run) as pid:
            while not steps(run): time.sleep(0.001)
            time.sleep(rng.random()*0.2)
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
        with warnings.catch_warnings():
            warnings.simplefilter("error") # a skipped checkpoint would warn
            latest,best = latest_checkpoint(run),read_best(run)
        assert latest == steps(run)[-1] and 1 <= len(steps(run)) <= 4
        if best: verify_checkpoint(run/best["checkpoint"])
        left += len(remove_leftovers(run))
        assert not list(run.glob(".tmp-*"))
        save(run/"step-900000")
        assert latest_checkpoint(run).name == "step-900000"
    print(f"{KILLS} kills, {left} of them left something to sweep up")


@posix
def test_interrupted_while_saving(tmp_path, monkeypatch):
    "Ctrl-C in the middle leaves no trace."
    def interrupt(*args): raise KeyboardInterrupt
    monkeypatch.setattr(os, "fsync", interrupt)
    with pytest.raises(KeyboardInterrupt): save(tmp_path/"a")
    assert not list(tmp_path.iterdir())


@posix
def test_eight_processes_save_under_one_name(tmp_path):
    pids = []
    for seed in range(8):
        with forked(save, tmp_path/"a", seed) as pid: pids.append(pid)
    codes = [os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) for pid in pids]
    assert sorted(codes) == [0] + [1]*7 and [p.name for p in tmp_path.iterdir()] == ["a"]
    winner = small(codes.index(0)).state_dict()
    assert all(v.equal(winner[k]) for k,v in load_checkpoint(tmp_path/"a")[0].state_dict().items())


@posix
def test_work_in_progress_is_left_alone(tmp_path):
    with forked(time.sleep, 60) as pid: pass
    (tmp_path/f".tmp-{pid}-00aa11bb-step-000001").mkdir()
    assert remove_leftovers(tmp_path) == []
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    assert [p.name for p in remove_leftovers(tmp_path)] == [f".tmp-{pid}-00aa11bb-step-000001"]


# ---- runs and names

def spoil(folder):
    data = bytearray((folder/MODEL).read_bytes())
    data[-1] ^= 1
    (folder/MODEL).write_bytes(data)


def test_pruning_keeps_what_is_needed(tmp_path):
    for step in range(1, 7): save(tmp_path/f"step-{step:06}")
    write_best(tmp_path, "step-000002", 1.5)
    spoil(tmp_path/"step-000006")
    (tmp_path/"step-notes").mkdir()
    (tmp_path/"step-000000").symlink_to(tmp_path/"step-000001")
    with pytest.warns(UserWarning, match="step-000006"): gone = prune_checkpoints(tmp_path)
    assert [p.name for p in gone] == ["step-000001", "step-000003"]
    assert [p.name for p in steps(tmp_path)] == [f"step-{i:06}" for i in (2, 4, 5, 6)] and (tmp_path/"step-notes").exists()
    with pytest.raises(ValueError, match="at least 1"): prune_checkpoints(tmp_path, keep=0)


def test_pruning_without_knowing_the_best_deletes_nothing(tmp_path):
    for step in range(1, 5): save(tmp_path/f"step-{step:06}")
    (tmp_path/"best.json").write_text("{}")
    with pytest.warns(UserWarning, match="no checkpoint was deleted"): assert prune_checkpoints(tmp_path) == []
    with pytest.warns(UserWarning, match="best.json"): assert find_checkpoint(tmp_path).name == "step-000004"


def test_pruning_leaves_no_half_of_a_checkpoint(tmp_path, monkeypatch):
    "A process that ends while files are being deleted leaves nothing under a good name, and steps are counted as numbers."
    for step in (999_000, 999_500, 1_000_000): save(tmp_path/f"step-{step:06}")
    monkeypatch.setattr(shutil, "rmtree", lambda *args, **kwargs: None)
    assert [p.name for p in prune_checkpoints(tmp_path)] == ["step-999000"]
    assert [p.name for p in steps(tmp_path)] == ["step-999500", "step-1000000"]
    monkeypatch.undo()
    assert len(remove_leftovers(tmp_path)) == 1 and len([*tmp_path.iterdir()]) == 2


def test_latest_takes_the_one_before(tmp_path):
    for step in (500, 1000, 1500): save(tmp_path/f"step-{step:06}")
    (tmp_path/"step-002000").mkdir()
    spoil(tmp_path/"step-001500")
    with pytest.warns(UserWarning) as caught: assert latest_checkpoint(tmp_path).name == "step-001000"
    assert ["step-002000" in str(caught[0].message), "step-001500" in str(caught[1].message)] == [True, True]
    assert latest_checkpoint(tmp_path/"nothing") is None


def test_models_go_by_name(tmp_path, monkeypatch):
    monkeypatch.setattr(checkpoint, "_shipped_folder", lambda: tmp_path/"weights")
    with pytest.raises(CheckpointError, match="none here"): load_checkpoint("shakespeare-char")
    for name in ("shakespeare-char", "bard"): save(tmp_path/"weights"/name)
    assert load_checkpoint("bard")[1].itos == LETTERS.itos
    for wrong in ("shakespear", "", "../bard", "x"*5000, "\0", "weights/bard"):
        with pytest.raises(CheckpointError) as error: load_checkpoint(wrong) if wrong else load_checkpoint(tmp_path)
        assert "\n" not in str(error.value) and ("bard, shakespeare-char" in str(error.value) or not wrong)
    write_best(tmp_path, "step-000500", 1.5)
    with pytest.warns(UserWarning), pytest.raises(CheckpointError, match="no valid checkpoint"): find_checkpoint(tmp_path)


def test_shipped_models_are_whole():
    for name in checkpoint.shipped_models(): load_checkpoint(name)
