"Our GPT-2 against the one in transformers, on random models of several shapes, in both directions. No weights are downloaded."
import copy, json

import pytest, torch
from torch import nn

from gpt_scratch.beyond.gpt2 import GPT2, GPT2Config, from_hf, save_hf, to_hf
from gpt_scratch.model import GPTConfig, GPTLanguageModel
from gpt_scratch.beyond.bytepairs import BPETokenizer
from gpt_scratch.tokenizer import CharTokenizer
from gpt_scratch.toolbox.checkpoint import load_checkpoint, save_checkpoint, shipped_models

transformers = pytest.importorskip("transformers", reason="needs the dev extra: pip install -e '.[dev]'")

SHAPES = [dict(vocab_size=65, block_size=32, n_embd=96, n_head=6, n_layer=3), dict(vocab_size=20, block_size=7, n_embd=24, n_head=1, n_layer=1),
          dict(vocab_size=1, block_size=1, n_embd=8, n_head=8, n_layer=2), dict(vocab_size=100, block_size=64, n_embd=128, n_head=2, n_layer=8)]
shapes = pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: "-".join(map(str, shape.values())))


def randomized(model, std):
    "Random biases and norms too, so that each of them matters."
    torch.manual_seed(0)
    for name, p in model.named_parameters(): nn.init.normal_(p, mean=float("ln" in name and name.endswith("weight")), std=std)
    return model.eval()


def theirs(shape, **settings):
    "A random GPT-2 of transformers."
    names = dict(shape)
    config = transformers.GPT2Config(n_positions=names.pop("block_size"), **names, **settings, bos_token_id=None, eos_token_id=None)
    return randomized(transformers.GPT2LMHeadModel(config), 0.2 if config.scale_attn_weights else 0.05) # unscaled scores soon make attention a lottery


@torch.no_grad()
def same(ours, hf):
    "Logits equal to 1e-5 of the largest, at full length and at one id."
    c = ours.config
    for T in {c.block_size, 1}:
        idx = torch.randint(c.vocab_size, (3, T), generator=torch.Generator().manual_seed(T))
        a, b = ours(idx)[0], hf(idx).logits
        assert a.shape == b.shape
        assert (a - b).abs().max() <= 1e-5 * b.abs().max()
    return True


@shapes
@pytest.mark.parametrize("settings", [{}, {"tie_word_embeddings": False}, {"n_inner": 40}, {"activation_function": "gelu"}, {"activation_function": "relu"},
    {"layer_norm_epsilon": 1e-3}, {"scale_attn_weights": False}, {"scale_attn_by_inverse_layer_idx": True}], ids=lambda s: next(iter(s), "plain"))
def test_theirs_in_ours(shape, settings):
    hf = theirs(shape, **settings)
    ours = from_hf(hf)
    assert same(ours, hf)
    untouched = copy.deepcopy(hf.state_dict())
    with torch.no_grad(): [p.zero_() for p in ours.parameters()]
    assert all(torch.equal(t, untouched[name]) for name, t in hf.state_dict().items())


@shapes
def test_the_course_s_model_in_theirs(shape):
    ours = randomized(GPTLanguageModel(GPTConfig(**shape)), 0.2)
    assert ours.lm_head.bias.abs().max() > 0
    hf = to_hf(ours)
    assert same(ours, hf) and same(from_hf(hf), hf)


@shapes
@pytest.mark.parametrize("tied", [True, False])
def test_our_gpt2_in_theirs(shape, tied):
    ours = randomized(GPT2(GPT2Config(**shape, tied=tied)), 0.2)
    hf = to_hf(ours)
    assert same(ours, hf)
    again = from_hf(hf).state_dict()
    assert all(torch.equal(t, again[name]) for name, t in ours.state_dict().items())


def test_the_default_model_in_theirs():
    ours = GPTLanguageModel(GPTConfig()).eval()
    nn.init.normal_(ours.lm_head.bias)
    assert same(ours, to_hf(ours))


@pytest.mark.parametrize("name", shipped_models())
def test_shipped_models_in_theirs(name):
    ours, _ = load_checkpoint(name)
    assert same(ours, to_hf(ours))


def test_a_bias_without_room_doubles_the_width():
    ours = GPTLanguageModel(GPTConfig(vocab_size=65, block_size=8, n_embd=64, n_head=4, n_layer=1)).eval()
    assert same(ours, to_hf(ours)) # a fresh bias is zero
    nn.init.normal_(ours.lm_head.bias)
    ours = randomized(ours, 0.2)
    hf = to_hf(ours)
    assert same(ours, hf) and hf.config.n_embd == 128 and same(from_hf(hf), hf)


def test_an_export_that_would_lose_accuracy_doubles_the_width():
    "Rows that are nearly the same need a shift so large that float32 can't carry it."
    ours = randomized(GPTLanguageModel(GPTConfig(vocab_size=8, block_size=8, n_embd=8, n_head=2, n_layer=1)), 0.2)
    with torch.no_grad(): ours.lm_head.weight[1] = ours.lm_head.weight[0] * (1 + 1e-6)
    assert same(ours, to_hf(ours))


TEXT = "»Größe 12«, said the 3rd; don't they'll\n\n  the the\tend…\n" * 40


@pytest.mark.parametrize("kind", ["characters", "characters of a wide model", "byte pairs", "GPT-2 with a special token"])
def test_a_folder_that_writes_by_itself(tmp_path, kind):
    "AutoTokenizer gives our ids and texts, and the pipeline our greedy continuation."
    tokenizer = CharTokenizer(TEXT) if "char" in kind else BPETokenizer.train(TEXT, 286, ["<|end|>"] if "special" in kind else [])
    shape = dict(vocab_size=tokenizer.vocab_size, block_size=48, n_embd=64 if "wide" in kind else 24, n_head=3 if "wide" not in kind else 4, n_layer=2)
    ours = randomized(GPT2(GPT2Config(**shape)) if "GPT-2" in kind else GPTLanguageModel(GPTConfig(**shape)), 0.2)
    folder = str(save_hf(ours, tokenizer, tmp_path/"out"))
    theirs = transformers.AutoTokenizer.from_pretrained(folder)
    for text in (TEXT, "the\n \n  don't 12 ", "ß"):
        ids = tokenizer.encode(text)
        assert theirs(text)["input_ids"] == ids and theirs.decode(ids) == text == tokenizer.decode(ids)
    write = transformers.pipeline("text-generation", model=folder)
    found = write("the ", do_sample=False, max_new_tokens=40)[0]["generated_text"]
    assert found == tokenizer.decode(ours.generate(torch.tensor([tokenizer.encode("the ")]), 40, temperature=0)[0])
    assert len(write("the ", return_tensors=True)[0]["generated_token_ids"]) <= 48 # what the folder itself asks for stays in the context
    if "char" in kind:
        with pytest.raises(Exception, match="UNK"): theirs("中")
    with pytest.raises(ValueError, match="never overwritten"): save_hf(ours, tokenizer, folder)


def test_what_gpt2_has_no_place_for(tmp_path):
    from gpt_scratch.beyond.speedrun import Speedrun, SpeedrunConfig
    with pytest.raises(ValueError, match="a speedrun's tables"): save_hf(Speedrun(SpeedrunConfig(vocab_size=3)), CharTokenizer("abc"), tmp_path/"out")
    assert list(tmp_path.iterdir()) == []


def test_folders(tmp_path):
    "What transformers saves, whole or in shards, is what we read; and what we export, it loads by itself and continues with the same ids."
    hf = theirs(SHAPES[0])
    hf.save_pretrained(tmp_path/"whole")
    hf.save_pretrained(tmp_path/"shards", max_shard_size="300KB")
    assert len(list((tmp_path/"shards").glob("*.safetensors"))) > 1
    for name in ("whole", "shards"): assert same(from_hf(tmp_path/name), hf)
    ours = randomized(GPTLanguageModel(GPTConfig(**SHAPES[0])), 0.2)
    to_hf(ours).save_pretrained(tmp_path/"exported")
    loaded = transformers.AutoModelForCausalLM.from_pretrained(tmp_path/"exported").eval()
    assert same(ours, loaded) and same(from_hf(tmp_path/"exported"), loaded)
    prompt = torch.tensor([[1, 2, 3]])
    continued = loaded.generate(prompt, attention_mask=torch.ones_like(prompt), max_new_tokens=20, do_sample=False, pad_token_id=0)
    assert torch.equal(ours.generate(prompt, 20, temperature=0), continued)


@pytest.mark.parametrize("changes", [{}, {"tied": False, "n_inner": 40, "activation": "relu", "eps": 1e-3}], ids=["plain", "other"])
def test_checkpoints(tmp_path, changes):
    "A checkpoint of ours remembers that it is a GPT-2, and of which kind."
    ours = randomized(GPT2(GPT2Config(vocab_size=256, block_size=8, n_embd=24, n_head=2, n_layer=2, **changes)), 0.2)
    save_checkpoint(tmp_path/"a", ours, BPETokenizer([bytes([i]) for i in range(256)]))
    assert json.loads((tmp_path/"a"/"config.json").read_text())["variant"] == "gpt2"
    loaded, tokenizer = load_checkpoint(tmp_path/"a")
    assert (type(loaded), loaded.config, tokenizer.vocab_size) == (GPT2, ours.config, 256)
    assert (loaded.lm_head.weight is loaded.embedding.token.weight) == ours.config.tied
    idx = torch.randint(256, (2, 8))
    assert torch.equal(loaded(idx)[0], ours(idx)[0])


def test_other_models_are_refused(tmp_path):
    opt = transformers.OPTConfig(vocab_size=9, hidden_size=8, ffn_dim=8, num_hidden_layers=1, num_attention_heads=1, max_position_embeddings=8, word_embed_proj_dim=8)
    with pytest.raises(ValueError, match="'opt'"): from_hf(transformers.OPTForCausalLM(opt))
    (tmp_path/"config.json").write_text("{}")
    torch.save({}, tmp_path/"pytorch_model.bin")
    with pytest.raises(ValueError, match="pickled"): from_hf(tmp_path)
    (tmp_path/"model.safetensors").write_bytes(b"\xff" * 100)
    with pytest.raises(ValueError, match="can't be read"): from_hf(tmp_path)
