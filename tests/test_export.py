"What the export notebook can't show: the original's own modules, written again here, and files that want to do harm."
import io, os, pickle, subprocess, sys, tarfile, zipfile

import pytest, torch
from torch import nn
from torch.nn import functional as F

from gpt_scratch.toolbox.checkpoint import CheckpointError, load_checkpoint, save_checkpoint
from gpt_scratch.toolbox.export import import_original

TEXT = "First Clerk:\nIs the sum right?\n"


class OriginalHead(nn.Module):
    def __init__(self, n_embd, head_size, block_size, dropout):
        super().__init__()
        self.key, self.query, self.value = (nn.Linear(n_embd, head_size, bias=False) for _ in range(3))
        self.register_buffer("tril", torch.tril(torch.ones(block_size, block_size)))
        self.dropout = nn.Dropout(dropout)

    def forward(self, x):
        T = x.shape[1]
        scores = self.query(x) @ self.key(x).transpose(-2, -1) * self.key.out_features**-0.5
        weights = F.softmax(scores.masked_fill(self.tril[:T, :T] == 0, float("-inf")), dim=-1)
        return self.dropout(weights) @ self.value(x)


class OriginalAttention(nn.Module):
    def __init__(self, n_embd, n_head, block_size, dropout):
        super().__init__()
        self.heads = nn.ModuleList([OriginalHead(n_embd, n_embd//n_head, block_size, dropout) for _ in range(n_head)])
        self.proj, self.dropout = nn.Linear(n_embd, n_embd), nn.Dropout(dropout)

    def forward(self, x): return self.dropout(self.proj(torch.cat([head(x) for head in self.heads], dim=-1)))


class OriginalFeedForward(nn.Module):
    def __init__(self, n_embd, dropout):
        super().__init__()
        self.net = nn.Sequential(nn.Linear(n_embd, 4*n_embd), nn.ReLU(), nn.Linear(4*n_embd, n_embd), nn.Dropout(dropout))

    def forward(self, x): return self.net(x)


class OriginalBlock(nn.Module):
    def __init__(self, n_embd, n_head, block_size, dropout):
        super().__init__()
        self.sa, self.ffwd = OriginalAttention(n_embd, n_head, block_size, dropout), OriginalFeedForward(n_embd, dropout)
        self.ln1, self.ln2 = nn.LayerNorm(n_embd), nn.LayerNorm(n_embd)

    def forward(self, x):
        x = x + self.sa(self.ln1(x))
        return x + self.ffwd(self.ln2(x))


class Original(nn.Module):
    "The model of GPT-from-Scratch: the same modules under the same names."
    def __init__(self, vocab_size, block_size, n_embd, n_head, n_layer, dropout=0.2):
        super().__init__()
        self.token_embedding_table = nn.Embedding(vocab_size, n_embd)
        self.position_embedding_table = nn.Embedding(block_size, n_embd)
        self.blocks = nn.Sequential(*[OriginalBlock(n_embd, n_head, block_size, dropout) for _ in range(n_layer)])
        self.ln_f, self.lm_head = nn.LayerNorm(n_embd), nn.Linear(n_embd, vocab_size)

    def forward(self, idx):
        x = self.token_embedding_table(idx) + self.position_embedding_table(torch.arange(idx.shape[1]))
        return self.lm_head(self.ln_f(self.blocks(x)))


SHAPES = [dict(block_size=8, n_embd=8, n_head=2, n_layer=2), dict(block_size=16, n_embd=24, n_head=3, n_layer=1), dict(block_size=5, n_embd=6, n_head=6, n_layer=3),
    dict(block_size=7, n_embd=16, n_head=1, n_layer=12)]


def original(seed=0, text=TEXT, **shape):
    "A trained-looking model of the original and what its training script would save."
    torch.manual_seed(seed)
    chars = sorted(set(text))
    shape = {"vocab_size":len(chars), **(shape or SHAPES[0])}
    model = Original(**shape).eval()
    for p in model.parameters(): nn.init.normal_(p, std=0.3)
    data = {"model_state_dict":model.state_dict(), "hyperparameters":{**shape, "batch_size":64, "max_iters":5000, "learning_rate":3e-4, "dropout":0.2, "device":"cuda"},
        "stoi":{c:i for i, c in enumerate(chars)}, "itos":dict(enumerate(chars))}
    return model, data


def refused(path):
    with pytest.raises(CheckpointError) as error: import_original(path)
    message = str(error.value)
    assert "\n" not in message and path.name in message and len(message) < 1200, message
    return message


def saved(tmp_path, data):
    torch.save(data, tmp_path/"gpt_checkpoint.pt")
    return tmp_path/"gpt_checkpoint.pt"


@pytest.mark.parametrize("shape", SHAPES, ids=lambda s: "-".join(map(str, s.values())))
def test_the_same_logits(tmp_path, shape):
    theirs, data = original(**shape)
    ours, tokenizer = import_original(saved(tmp_path, data))
    for T in (1, shape["block_size"]):
        idx = torch.randint(tokenizer.vocab_size, (3, T))
        expected = theirs(idx)
        assert (ours(idx)[0] - expected).abs().max() <= 1e-6*expected.abs().max()
        assert (ours.double()(idx)[0] - theirs.double()(idx)).abs().max() <= 1e-14*expected.abs().max() # no difference but rounding
        ours.float(), theirs.float()
    assert tokenizer.decode(tokenizer.encode(TEXT)) == TEXT and not ours.training and ours.config.dropout == 0.2
    folder = save_checkpoint(tmp_path/"saved", ours, tokenizer)
    assert load_checkpoint(folder)[0](idx)[0].equal(ours(idx)[0])


def test_other_ways_of_saving(tmp_path):
    "Half precision, a list for itos, no hyperparameters to speak of, more keys than needed."
    theirs, data = original()
    half = {name:value.half() for name, value in data["model_state_dict"].items()}
    ours, _ = import_original(saved(tmp_path, {**data, "model_state_dict":half, "hyperparameters":{}, "itos":[*data["itos"].values()], "iteration":5000}))
    theirs.half().float()
    idx = torch.arange(8)[None]
    torch.testing.assert_close(ours(idx)[0], theirs(idx), rtol=1e-6, atol=1e-6)


def spoil(data, name, value):
    "Change one tensor, or take it out."
    weights = {**data["model_state_dict"], name:value}
    return {**data, "model_state_dict":{k:v for k, v in weights.items() if v is not None}}


V = len(set(TEXT))
WRONG = [("blocks.0.sa.proj.bias", torch.zeros(9), "blocks.0.sa.proj.bias is (9,) and should be (8,)"), ("blocks.1.ln2.weight", torch.zeros(8, 1), "blocks.1.ln2.weight is (8, 1) and should be (8,)"),
    ("blocks.0.sa.heads.1.key.weight", torch.zeros(8, 4), "blocks.0.sa.heads.1.key.weight is (8, 4) and should be (4, 8)"), ("blocks.1.sa.heads.0.query.weight", None, "blocks.1.sa.heads.0.query.weight is missing"),
    ("blocks.1.sa.heads.2.query.weight", torch.zeros(4, 8), "blocks.1.sa.heads.2.query.weight is unknown"), ("blocks.1.sa.heads.0.tril", torch.ones(8, 8), "isn't a causal mask"),
    ("blocks.1.sa.heads.0.tril", torch.ones(9, 9).tril(), "tril is (9, 9) and should be (8, 8)"), ("lm_head.bias", None, "lm_head.bias is missing"), ("lm_head.weight", torch.zeros(V, 8).long(), "lm_head.weight isn't a tensor"),
    ("lm_head.weight", torch.zeros(V, 8).to_sparse(), "lm_head.weight isn't a tensor"), ("lm_head.weight", torch.zeros(V, 8, device="meta"), "lm_head.weight isn't a tensor"), ("ln_f.bias", [0.]*8, "ln_f.bias isn't a tensor"),
    ("token_embedding_table.weight", None, "no embedding tables"), ("token_embedding_table.weight", torch.zeros(V), "no embedding tables"), ("position_embedding_table.weight", torch.zeros(0, 8), "block_size"),
    ("blocks.2.ln1.bias", torch.zeros(8), "n_layer is 2 in the hyperparameters and 3 in the tensors"), (7, torch.zeros(1), "isn't")]


@pytest.mark.parametrize("name,value,expected", WRONG, ids=lambda x: str(x)[:40] if isinstance(x, str) else "")
def test_wrong_tensors_are_explained(tmp_path, name, value, expected):
    assert expected in refused(saved(tmp_path, spoil(original()[1], name, value)))


def test_all_wrong_fields_are_named(tmp_path):
    data = original()[1]
    for name in ("ln_f.bias", "lm_head.bias"): data = spoil(data, name, torch.zeros(3))
    message = refused(saved(tmp_path, spoil(data, "extra", torch.zeros(1))))
    assert all(part in message for part in ("ln_f.bias is (3,) and should be (8,)", f"lm_head.bias is (3,) and should be ({V},)", "extra is unknown"))
    hyperparameters = dict(n_embd=384, n_head=6, n_layer=6, block_size=256, vocab_size=65)
    message = refused(saved(tmp_path, {**data, "hyperparameters":hyperparameters}))
    assert all(f"{name} is {value} in the hyperparameters" in message for name, value in hyperparameters.items())


PARTS = [("stoi", {}), ("stoi", None), ("stoi", {"to":0}), ("itos", {0:"a"}), ("itos", "abc"), ("itos", 5), ("hyperparameters", [1]), ("hyperparameters", {"dropout":"0.2"}), ("hyperparameters", {"dropout":7}),
    ("hyperparameters", {"n_embd":torch.zeros(3)}), ("model_state_dict", []), ("model_state_dict", {}), ("model_state_dict", torch.zeros(3))]


@pytest.mark.parametrize("key,value", PARTS, ids=lambda x: repr(x)[:30])
def test_wrong_parts_are_refused(tmp_path, key, value): refused(saved(tmp_path, {**original()[1], key:value}))


def test_other_vocabularies_are_refused(tmp_path):
    data = original()[1]
    chars = sorted(data["stoi"], reverse=True)
    assert "sorted" in refused(saved(tmp_path, {**data, "stoi":{c:i for i, c in enumerate(chars)}, "itos":dict(enumerate(chars))}))
    assert f"stoi has 2 symbols and should have {V}" in refused(saved(tmp_path, {**data, "stoi":{"a":0, "b":1}, "itos":{0:"a", 1:"b"}}))
    for key in data: assert f"it has no {key}" in refused(saved(tmp_path, {k:v for k, v in data.items() if k != key}))


def test_a_tensor_larger_than_its_file(tmp_path):
    "A few bytes that claim to be a terabyte."
    claims = torch.zeros(1).as_strided((10**6, 2**18), (0, 0))
    assert "than the file holds" in refused(saved(tmp_path, spoil(original()[1], "token_embedding_table.weight", claims)))


# ---- files that act

class Act:
    "An object whose unpickling calls a function."
    def __init__(self, f, *args): self.call = f, args
    def __reduce__(self): return self.call


def acts(marker):
    "Ways to make a mark when a file is read."
    yield "os.system", Act(os.system, f"touch {marker}")
    yield "eval", Act(eval, f"open({str(marker)!r}, 'w')")
    yield "exec", Act(exec, f"open({str(marker)!r}, 'w')")
    yield "open", Act(open, str(marker), "w")
    yield "subprocess", Act(subprocess.call, ["touch", str(marker)])
    yield "pickle in pickle", Act(pickle.loads, pickle.dumps(Act(open, str(marker), "w")))
    yield "torch.load", Act(torch.load, str(marker))
    yield "getattr", Act(getattr, os, "system")


def archive(path, content):
    "A torch.save file whose pickle is replaced."
    torch.save({}, path)
    with zipfile.ZipFile(path) as z: files = {name:z.read(name) for name in z.namelist()}
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as z:
        for name, data in files.items(): z.writestr(name, content if name.endswith("data.pkl") else data)


def test_a_malicious_pickle_is_never_run(tmp_path):
    marker, path, data = tmp_path/"marker", tmp_path/"gpt_checkpoint.pt", original()[1]
    for name, act in acts(marker):
        places = [act, {**data, "extra":act}, {**data, "hyperparameters":act}, {**data, "stoi":{"a":act}}, {"model_state_dict":{"lm_head.bias":act}}, [act]]
        for place in places:
            try: torch.save(place, path)
            except TypeError: path.write_bytes(b"")
            message = refused(path)
            assert "nothing in it was run" in message or not path.stat().st_size
            assert "weights_only" not in message and not marker.exists(), name
        if name == "getattr": continue # os is a module and can't be pickled
        content = pickle.dumps(act, protocol=2)
        archive(path, content)
        assert "nothing in it was run" in refused(path)
        path.write_bytes(content) # a bare pickle
        assert "isn't a file that torch.save wrote" in refused(path)
        torch.save(data, path, _use_new_zipfile_serialization=False)
        path.write_bytes(path.read_bytes() + content) # the format before zip
        assert "isn't a file that torch.save wrote" in refused(path)
        with tarfile.open(path, "w") as tar: # and the one before that
            info = tarfile.TarInfo("pickle")
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
        assert "isn't a file that torch.save wrote" in refused(path)
        assert not marker.exists(), name


def test_the_marks_would_be_made(tmp_path):
    "The traps of the test above do work on a reader that trusts them."
    name, act = next(acts(tmp_path/"marker"))
    torch.save({"extra":act}, tmp_path/"trap.pt")
    program = "import sys, torch; torch.load(sys.argv[1], weights_only=False)"
    subprocess.run([sys.executable, "-c", program, str(tmp_path/"trap.pt")], check=True)
    assert (tmp_path/"marker").exists()


@pytest.mark.parametrize("content", [b"", b"PK\3\4", b"PK\5\6" + bytes(18), b"\x80\x02.", b"\x80\x02cos\nsystem\n.", b"not a checkpoint"])
def test_other_files_are_refused(tmp_path, content):
    path = tmp_path/"gpt_checkpoint.pt"
    path.write_bytes(content)
    refused(path)
    archive(path, content)
    refused(path)


def test_damaged_and_missing_files_are_refused(tmp_path):
    path = saved(tmp_path, original()[1])
    data = path.read_bytes()
    for n in (1, 100, len(data)//2, len(data) - 1):
        path.write_bytes(data[:n])
        refused(path)
    for nothing in (tmp_path/"nothing.pt", tmp_path): refused(nothing)


def test_an_old_torch_is_refused(tmp_path, monkeypatch):
    path = saved(tmp_path, original()[1])
    monkeypatch.setattr(torch, "__version__", "2.5.1")
    assert "2.6 or newer" in refused(path)


def test_the_command_imports_the_same_model(tmp_path, capsys):
    from gpt_scratch.toolbox.cli import main
    path, out = saved(tmp_path, original()[1]), tmp_path/"ours"
    assert main(["import", str(path), str(out)]) == 0 and str(out) in capsys.readouterr().out
    ours, expected = load_checkpoint(out)[0], import_original(path)[0]
    assert all(torch.equal(a, b) for a, b in zip(ours.parameters(), expected.parameters()))
    assert main(["import", str(path), str(out)]) == 1 and "never overwritten" in capsys.readouterr().err
