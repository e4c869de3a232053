"The newer model: against transformers' Llama and Qwen3 in both directions, and trained, resumed, written with and exported by name. No weights are downloaded."
import copy

import pytest, torch
from torch import nn

from gpt_scratch.beyond.newer import Newer, NewerConfig, from_hf, to_config, to_hf
from gpt_scratch.toolbox import cli
from gpt_scratch.toolbox.checkpoint import load_checkpoint
from gpt_scratch.toolbox.run import train

SHAPES = [dict(vocab_size=65, block_size=32, n_embd=96, n_head=6, n_layer=3, n_kv_head=2), dict(vocab_size=20, block_size=7, n_embd=24, n_head=1, n_layer=1),
          dict(vocab_size=2, block_size=1, n_embd=16, n_head=8, n_layer=2, n_kv_head=1), dict(vocab_size=100, block_size=64, n_embd=64, n_head=4, n_layer=4, n_inner=80, base=500.)]
KINDS = [{}, dict(qk_norm=True), dict(tied=True), dict(qk_norm=True, tied=True, eps=1e-3)]
TEXT = "".join(f"{n} times {n % 7} makes {n * (n % 7)}.\n" for n in range(300))
SMALL = dict(preset="tiny", variant="newer", n_kv_head=2, qk_norm=True, max_iters=6, eval_interval=3, eval_iters=1, progress=False)


def randomized(model):
    "Random norms too, so that each of them matters."
    torch.manual_seed(0)
    for name, p in model.named_parameters(): nn.init.normal_(p, mean=float("norm" in name or "ln" in name), std=.2)
    return model.eval()


@torch.no_grad()
def same(ours, hf):
    "Logits equal to 1e-5 of the largest, at full length and at one id."
    c = ours.config
    for T in {c.block_size, 1}:
        idx = torch.randint(c.vocab_size, (3, T), generator=torch.Generator().manual_seed(T))
        a, b = ours(idx)[0], hf(idx).logits
        assert a.shape == b.shape and (a - b).abs().max() <= 1e-5 * b.abs().max()
    return True


@pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: "-".join(map(str, shape.values())))
@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: "-".join(kind) or "llama")
def test_there_and_back(shape, kind):
    pytest.importorskip("transformers", reason="needs the dev extra: pip install -e '.[dev]'")
    ours = randomized(Newer(NewerConfig(**{"dropout": .1, **shape, **kind})))
    hf = to_hf(ours)
    assert type(hf).__name__ == ("Qwen3ForCausalLM" if kind.get("qk_norm") else "LlamaForCausalLM") and same(ours, hf)
    again = from_hf(hf)
    assert all(torch.equal(t, again.state_dict()[name]) for name, t in ours.state_dict().items())
    untouched = copy.deepcopy(hf.state_dict())
    with torch.no_grad(): [p.zero_() for p in again.parameters()]
    assert all(torch.equal(t, untouched[name]) for name, t in hf.state_dict().items())


def test_theirs_in_ours(tmp_path):
    "A random Llama of transformers, from memory and from its folder; and it continues a text with the same ids."
    transformers = pytest.importorskip("transformers", reason="needs the dev extra: pip install -e '.[dev]'")
    config = transformers.LlamaConfig(vocab_size=50, hidden_size=48, intermediate_size=70, num_hidden_layers=2, num_attention_heads=4,
        num_key_value_heads=2, max_position_embeddings=24, bos_token_id=None, eos_token_id=None)
    hf = randomized(transformers.LlamaForCausalLM(config))
    hf.save_pretrained(tmp_path/"llama")
    for source in (hf, tmp_path/"llama"):
        ours = from_hf(source)
        assert same(ours, hf)
    prompt = torch.tensor([[1, 2, 3]])
    theirs = hf.generate(prompt, attention_mask=torch.ones_like(prompt), max_new_tokens=20, do_sample=False, pad_token_id=0)
    assert torch.equal(ours.generate(prompt, 20, temperature=0), theirs)


@pytest.mark.parametrize("change,says", [(dict(model_type="mistral"), "'mistral'"), (dict(attention_bias=True), "attention_bias"), (dict(head_dim=20), "head_dim"),
    (dict(rope_parameters=dict(rope_type="llama3", factor=8.)), "rope_scaling"), (dict(hidden_act="gelu"), "hidden_act")])
def test_what_our_parts_cannot_compute_is_refused(change, says):
    settings = dict(model_type="llama", vocab_size=9, max_position_embeddings=8, hidden_size=16, intermediate_size=40, num_hidden_layers=1, num_attention_heads=2, rms_norm_eps=1e-5)
    assert to_config(settings).n_embd == 16
    with pytest.raises(ValueError, match=says): to_config(settings | change)


def test_a_run_is_resumed_to_the_bit(tmp_path):
    whole = train(TEXT, tmp_path/"whole", **SMALL)
    half = train(TEXT, resume=tmp_path/"whole"/"step-000003", max_iters=6, progress=False)
    assert all(torch.equal(a, b) for a, b in zip(whole.model.parameters(), half.model.parameters()))
    assert half.step == 6 and half.model.config == whole.model.config


def test_the_command(tmp_path, capsys, monkeypatch):
    "train --variant newer, generate with the cache and without, to Hugging Face and back."
    monkeypatch.chdir(tmp_path)
    (tmp_path/"text.txt").write_text(TEXT, encoding="utf-8")
    assert cli.main("train --input text.txt --preset tiny --variant newer --max_iters 4 --eval_interval 2 --eval_iters 1 --out run".split()) in (0, None)
    model, tokenizer = load_checkpoint("run")
    assert type(model) is Newer
    capsys.readouterr()
    assert cli.main(["generate", "--checkpoint", "run", "--prompt", "7 times", "--max_new_tokens", "60", "--seed", "3"]) in (0, None)
    plain = model.generate([tokenizer.encode("7 times")], 60, seed=3, cache=False)
    assert capsys.readouterr().out.strip("\n") == tokenizer.decode(plain[0]).strip("\n")
    pytest.importorskip("transformers", reason="needs the dev extra: pip install -e '.[dev]'")
    assert cli.main("export run --hf hf".split()) in (0, None)
    assert same(from_hf(tmp_path/"hf"), to_hf(model))
