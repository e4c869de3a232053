"Programs as a user writes them, with parts of their own: each saves, resumes, generates and is measured, or is refused before its first step."
import json, math, re
from functools import partial

import numpy as np, pytest, torch
from torch import nn

from gpt_scratch.block import Block, LayerNorm
from gpt_scratch.model import GPTConfig, GPTLanguageModel
from gpt_scratch.tokenizer import CharTokenizer
from gpt_scratch.toolbox import checkpoint
from gpt_scratch.toolbox.checkpoint import CheckpointError, load_checkpoint, register, save_checkpoint
from gpt_scratch.toolbox.html import live_page
from gpt_scratch.toolbox.run import Run, train
from gpt_scratch.train import AdamW, TrainConfig, estimate_loss
from test_training import RECIPE, TEXT, story


class RMSNorm(nn.Module):
    "A norm of one's own."
    def __init__(self, n_embd): super().__init__(); self.scale = nn.Parameter(torch.ones(n_embd))
    def forward(self, x): return x*(x.pow(2).mean(-1, keepdim=True) + 1e-5).rsqrt()*self.scale


class Words:
    "A tokenizer of one's own: words and what is between them."
    def __init__(self, words): self.words = sorted(words)
    vocab_size = property(lambda self: len(self.words))
    def encode(self, text, errors="strict"): return [self.words.index(w) for w in re.findall(r"\w+|\W", text)]
    def decode(self, ids): return "".join(self.words[i] for i in ids)
    def save(self, path): path.write_text(json.dumps({"type": "words", "words": self.words}))


@pytest.fixture(autouse=True)
def registry(monkeypatch):
    "What a test registers is forgotten after it."
    monkeypatch.setattr(checkpoint, "VARIANTS", dict(checkpoint.VARIANTS))
    monkeypatch.setattr(checkpoint, "READERS", dict(checkpoint.READERS))


def weights(model): return {name.removeprefix("_orig_mod."): p.detach().clone() for name, p in model.named_parameters()}
def same(a, b): return a.keys() == b.keys() and all(torch.equal(a[k], b[k]) for k in a)
def stop_at(step):
    def stop(run):
        if run.step == step: raise KeyboardInterrupt
    return stop


def interrupted(out, step=13, **options):
    "A run that was killed, and went on."
    with pytest.raises(KeyboardInterrupt): train(TEXT, out, callback=stop_at(step), **{**RECIPE, **options})
    kept = {k: v for k, v in options.items() if k == "optimizer"}
    return train(TEXT, resume=out, device="cpu", progress=False, **kept)


def test_a_sweep_over_rates(tmp_path):
    losses = {}
    for rate in np.logspace(-3, -2, 3):
        run = train(TEXT, tmp_path/f"rate-{rate:.4f}", **{**RECIPE, "learning_rate": rate, "max_iters": np.int64(6)})
        losses[rate] = run.history[-1]["val_loss"]
    assert len({*losses.values()}) == 3 and min(losses, key=losses.get) == pytest.approx(1e-2)


@pytest.mark.parametrize("name", ["", "Rms", "my-norm", "1st", "../rms", "rms\n", "r"*33])
def test_a_variant_has_a_plain_name(name):
    with pytest.raises(ValueError, match="small letters, digits and _"): register(name, GPTLanguageModel)
    assert name not in checkpoint.VARIANTS and register("rms_2", GPTLanguageModel)().variant == "rms_2"


def test_a_norm_of_ones_own(tmp_path):
    register("rms", partial(GPTLanguageModel, block=partial(Block, norm=RMSNorm)))
    straight = train(TEXT, tmp_path/"straight", variant="rms", **RECIPE)
    again = interrupted(tmp_path/"parts", variant="rms")
    assert same(weights(straight.model), weights(again.model)) and "blocks.0.ln1.scale" in weights(again.model)
    model, tokenizer = load_checkpoint(tmp_path/"parts"/"step-000024")
    idx = torch.tensor([tokenizer.encode("Hal")])
    assert model.generate(idx, 30, seed=1).tolist() == straight.model.eval().generate(idx, 30, seed=1).tolist()
    with pytest.raises(CheckpointError, match="rms"): live_page(tmp_path/"parts"/"step-000024")
    checkpoint.VARIANTS.pop("rms")
    with pytest.raises(CheckpointError, match="unknown variant 'rms'"): load_checkpoint(tmp_path/"parts"/"step-000024")


def plain(out, optimizer=None, compile=False, tokenizer=None, **parts):
    "The same without `train`: a model, ids and a run by hand."
    tokenizer = tokenizer or CharTokenizer(TEXT)
    torch.manual_seed(0)
    config = GPTConfig(vocab_size=tokenizer.vocab_size, block_size=16, n_embd=16, n_head=2, n_layer=2, dropout=.1)
    model = GPTLanguageModel(config, block=partial(Block, **parts))
    settings = TrainConfig(batch_size=4, max_iters=6, eval_interval=3, learning_rate=1e-3)
    run = Run(torch.compile(model, backend="eager") if compile else model, tokenizer, torch.tensor(tokenizer.encode(TEXT)), settings, out)
    if optimizer: run.optimizer = optimizer(run.model.parameters())
    return run


class Listing(torch.optim.SGD):
    "Keeps a list for each parameter, which no file of ours can hold."
    def step(self, closure=None):
        super().step(closure)
        for group in self.param_groups:
            for p in group["params"]: self.state[p].setdefault("past", []).append(1)


class NoFile(Words):
    def save(self, path): raise NotImplementedError("words can't be saved")


@pytest.mark.parametrize("parts,words", [
    (dict(norm=RMSNorm), "from blocks.0.ln1 on .RMSNorm for LayerNorm.: register a variant"),
    (dict(norm=partial(LayerNorm, eps=.1)), "from blocks.0.ln1 on"),
    (dict(optimizer=partial(Listing, lr=.1)), "the optimizer Listing keeps a list as past"),
    (dict(optimizer=torch.optim.LBFGS), "the optimizer LBFGS can't take a step"),
    (dict(optimizer=partial(AdamW, learning_rate=.1)), "the optimizer is a AdamW: take an optimizer of PyTorch's kind"),
    (dict(tokenizer=NoFile({*"abc"})), "the tokenizer NoFile can't be saved and loaded"),
    (dict(tokenizer=Words({*"abc"})), "READERS a reader for that type")], ids=lambda x: x if isinstance(x, str) else "")
def test_what_could_not_be_saved_is_refused_before_the_first_step(tmp_path, parts, words):
    if "tokenizer" in parts: parts["tokenizer"].words = Words(re.findall(r"\w+|\W", TEXT)).words
    (tmp_path/"run").mkdir()
    run = plain(tmp_path/"run", **parts)
    with pytest.raises(CheckpointError, match=words): run.fit(progress=False)
    assert run.step == 0 and not list((tmp_path/"run").glob("step-*"))


def test_without_a_folder_any_norm_will_do(): assert plain(None, norm=RMSNorm).fit(progress=False).step == 6


def test_a_compiled_model(tmp_path):
    for name in ("compiled", "plain"): (tmp_path/name).mkdir()
    compiled, usual = (plain(tmp_path/name, compile=name == "compiled").fit(progress=False) for name in ("compiled", "plain"))
    assert same(weights(compiled.model), weights(usual.model))
    model, tokenizer = load_checkpoint(tmp_path/"compiled")
    assert same(weights(model), weights(usual.model))
    idx = torch.tensor([[1, 2]])
    assert compiled.model.eval().generate(idx, 5, seed=0).tolist() == model.generate(idx, 5, seed=0).tolist()
    again = train(TEXT, resume=tmp_path/"compiled", max_iters=8, device="cpu", progress=False)
    assert same(weights(again.model), weights(train(TEXT, resume=tmp_path/"plain", max_iters=8, device="cpu", progress=False).model))
    save_checkpoint(tmp_path/"by hand", torch.compile(model, backend="eager"), tokenizer)
    assert same(weights(load_checkpoint(tmp_path/"by hand")[0]), weights(model))


OPTIMIZERS = dict(momentum=lambda model, c: torch.optim.SGD(model.parameters(), c.learning_rate, momentum=.9),
    adagrad=lambda model, c: torch.optim.Adagrad(model.parameters(), c.learning_rate), adafactor=lambda model, c: torch.optim.Adafactor(model.parameters(), c.learning_rate))


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_an_optimizer_of_ones_own(tmp_path, name):
    make = OPTIMIZERS[name]
    straight = train(TEXT, tmp_path/"straight", optimizer=make, **RECIPE)
    again = interrupted(tmp_path/"parts", optimizer=make)
    assert same(weights(straight.model), weights(again.model)) and story(straight.history) == story(again.history)
    with pytest.raises(ValueError, match="another optimizer than AdamW: resume with optimizer="): train(TEXT, resume=tmp_path/"parts", device="cpu", progress=False)


def test_a_tokenizer_of_ones_own(tmp_path):
    checkpoint.READERS["words"] = lambda data: Words(data["words"])
    straight = train(TEXT, tmp_path/"straight", tokenizer=Words({*re.findall(r"\w+|\W", TEXT)}), **RECIPE)
    with pytest.raises(KeyboardInterrupt): train(TEXT, tmp_path/"parts", tokenizer=straight.tokenizer, callback=stop_at(13), **RECIPE)
    again = train(TEXT, resume=tmp_path/"parts", device="cpu", progress=False)
    model, tokenizer = load_checkpoint(tmp_path/"parts")
    assert same(weights(straight.model), weights(again.model)) and tokenizer.decode(tokenizer.encode("Hal met")) == "Hal met"


def test_a_fresh_model_writes():
    tokenizer = CharTokenizer(TEXT)
    model = GPTLanguageModel(GPTConfig(vocab_size=tokenizer.vocab_size, block_size=8, n_embd=8, n_head=2, n_layer=1))
    ids = model.generate(torch.tensor([tokenizer.encode("Hal met")]), 20, seed=0)
    assert ids.shape == (1, 27) and len(tokenizer.decode(ids[0].tolist())) == 27


def test_bits_per_character():
    "From public functions, on a text that the model hasn't seen."
    model, tokenizer = load_checkpoint("shakespeare-char")
    text = "ROMEO:\nWhat light through yonder window breaks?\nIt is the east, and Juliet is the sun.\n"
    bits = estimate_loss(model, torch.tensor(tokenizer.encode(text)))/math.log(2)
    assert 1.5 < bits < 3.5
