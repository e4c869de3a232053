"The models that ship: what their cards say is true, and the largest grew from the smallest."
import importlib.util, re, zlib
from pathlib import Path

import pytest, torch

from gpt_scratch.data import split
from gpt_scratch.model import GPTConfig, GPTLanguageModel
from gpt_scratch.toolbox.checkpoint import find_checkpoint, load_checkpoint, shipped_models
from gpt_scratch.toolbox.corpus import tinyshakespeare
from gpt_scratch.train import estimate_loss

PRETRAIN = Path(__file__).parents[1]/"tools/pretrain.py"


@pytest.mark.parametrize("name", shipped_models())
def test_the_loss_on_the_card(name):
    "From the weights and the corpus alone."
    model, tokenizer = load_checkpoint(name)
    said = float(re.search(r"^\| loss on the whole validation text .* \| ([\d.]+) \|$", (find_checkpoint(name)/"README.md").read_text(encoding="utf-8"), re.M)[1])
    assert abs(estimate_loss(model, torch.tensor(tokenizer.encode(split(tinyshakespeare())[1]))) - said) < 1e-3


def test_the_models_are_small_enough():
    "None has more than 22 MB, and together they leave room in a wheel of 30 MB, which packs them."
    files = {name: [path.read_bytes() for path in find_checkpoint(name).iterdir()] for name in shipped_models()}
    assert max(sum(map(len, parts)) for parts in files.values()) <= 22e6
    packed = {name: sum(len(zlib.compress(part)) for part in parts) for name, parts in files.items()}
    assert sum(packed.values()) <= 26.1e6, packed  # all else in the wheel has 3.9 MB


@pytest.fixture(scope="module")
def pretrain():
    if not PRETRAIN.exists(): pytest.skip("the tools are only in the repository")
    spec = importlib.util.spec_from_file_location("pretrain", PRETRAIN)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_a_grown_model_says_the_same(pretrain):
    "Within the context of the smaller one; and its copies are no twins, so they learn different things."
    small, _ = load_checkpoint("shakespeare-char")
    large = GPTLanguageModel(GPTConfig(dropout=0.)).eval()
    large.load_state_dict(pretrain.grown(small, large.config))
    idx = torch.randint(65, (2, 128), generator=torch.Generator().manual_seed(0))
    with torch.no_grad(): torch.testing.assert_close(large(idx)[0], small(idx)[0], atol=1e-4, rtol=1e-4)
    large(idx, idx)[1].backward()
    slopes = large.blocks[0].feed_forward.up.weight.grad
    assert (slopes[:768] - slopes[768:]).abs().max() > .01*slopes.abs().max()


def test_a_nimble_model_is_the_same_model(pretrain):
    "Equal numbers and slopes without dropout; with it the right share is dropped, and everything is as before afterwards."
    torch.manual_seed(0)
    model, idx = GPTLanguageModel(GPTConfig(block_size=16, n_embd=32, n_head=2, n_layer=2, dropout=0.)), torch.randint(65, (2, 16))
    plain = torch.autograd.grad(model(idx, idx)[1], [*model.parameters()])
    with pretrain.nimble(model): torch.testing.assert_close(torch.autograd.grad(model(idx, idx)[1], [*model.parameters()]), plain, atol=1e-6, rtol=1e-4)
    x = torch.ones(400, 400, requires_grad=True)
    out = pretrain.Dropout.apply(x, .2)
    out.sum().backward()
    assert abs((out == 0).float().mean() - .2) < .01 and abs(out.mean() - 1) < .01 and torch.equal(x.grad, out.detach())
    for part in model.modules():
        if isinstance(part, torch.nn.Dropout): part.p = .5
    with pretrain.nimble(model):
        a, b = (model(idx)[0] for _ in range(2))
        assert not torch.equal(a, b) and torch.equal(model.eval()(idx)[0], model(idx)[0])
    assert not any("forward" in vars(part) for part in model.modules())
