"A model with a prompt format talks in turns, and is exported as the course's model that it is underneath."
import json

import pytest, torch

from gpt_scratch.beyond.obeying import Obeying, add_lora, load_adapter, merge_lora, obeying, save_adapter
from gpt_scratch.model import GPTConfig, GPTLanguageModel
from gpt_scratch.tokenizer import CharTokenizer
from gpt_scratch.toolbox import cli
from gpt_scratch.toolbox.checkpoint import CheckpointError, load_checkpoint, save_checkpoint

CHARS = CharTokenizer("abcdefgh<>?\n")
PLAIN = GPTConfig(CHARS.vocab_size, block_size=16, n_embd=16, n_head=2, n_layer=1, dropout=0.)


@pytest.fixture
def talk(tmp_path, monkeypatch, capsys):
    "Talk to a model that always replies `ab` and ends: what it was shown, and what was printed."
    torch.manual_seed(0)
    plain = GPTLanguageModel(PLAIN)
    save_checkpoint(tmp_path/"plain", plain, CHARS)
    save_checkpoint(tmp_path/"turns", obeying(plain, prompt="<{}>"), CHARS)
    seen = []

    def stream(self, idx, n, *args):
        seen.append(CHARS.decode(idx[0].tolist()))
        yield from torch.tensor([CHARS.encode("ab\ncdefgh")]).T[:n]
    monkeypatch.setattr(GPTLanguageModel, "stream", stream)

    def talk(name, *lines, options=()):
        lines = iter([*lines, "/quit"])
        monkeypatch.setattr("builtins.input", lambda prompt="": next(lines))
        assert cli.main(["generate", "--checkpoint", str(tmp_path/name), "--interactive", *options]) in (0, None)
        return seen, capsys.readouterr().out.splitlines()
    return talk


def test_turns(talk):
    "The format stands around a request, earlier turns before it, and only the reply is printed."
    seen, said = talk("turns", "a?", "b", options=["--max_new_tokens", "5"])
    assert seen == ["<a?>", "<a?>ab\n<b>"] and said[1:] == ["ab", "ab"] and "/reset" in said[0]


def test_reset_and_settings(talk):
    seen, said = talk("turns", "a", "/reset", "b", "/temperature 0", "c", "/colour 3", options=["--max_new_tokens", "5"])
    assert seen == ["<a>", "<b>", "<b>ab\n<c>"] and "no setting 'colour'" in said[-1]


def test_only_what_fits_is_remembered(talk):
    "Whole turns are forgotten, the oldest first, so that there is room for a reply."
    seen, _ = talk("turns", *"abcdef", options=["--max_new_tokens", "4"])
    assert seen[-1] == "<e>ab\n<f>" and all(len(text) + 4 <= 16 for text in seen)


def test_an_unknown_character_is_no_turn(talk):
    seen, said = talk("turns", "ü", "a")
    assert seen == ["<a>"] and any("ü" in line for line in said)


def test_a_model_without_a_format_continues(talk):
    seen, said = talk("plain", "ab", "c", "/reset", options=["--max_new_tokens", "8"])
    assert seen == ["ab", "c"] and said[1].startswith("abab") and "no setting 'reset'" in said[-1]


def test_exports(tmp_path, capsys):
    "HTML and Hugging Face get the course's model; the checkpoint keeps its format."
    model = obeying(GPTLanguageModel(PLAIN), prompt="<{}>").eval()
    save_checkpoint(tmp_path/"run", model, CHARS)
    assert json.loads((tmp_path/"run"/"config.json").read_text())["prompt"] == "<{}>"
    assert type(load_checkpoint(tmp_path/"run")[0]) is Obeying
    assert cli.main(["export", str(tmp_path/"run"), "--html", str(tmp_path/"run.html"), "--dtype", "float32"]) in (0, None)
    assert "obeying" not in (tmp_path/"run.html").read_text(encoding="utf-8").split("<script")[-1]
    assert cli.main(["export", str(tmp_path/"run"), "--hf", str(tmp_path/"hf")]) in (0, None)
    transformers = pytest.importorskip("transformers", reason="needs the dev extra: pip install -e '.[dev]'")
    idx = torch.randint(CHARS.vocab_size, (2, 16))
    with torch.no_grad(): a, b = model(idx)[0], transformers.AutoModelForCausalLM.from_pretrained(tmp_path/"hf").eval()(idx).logits
    assert (a - b).abs().max() <= 1e-5 * a.abs().max()


def test_an_adapter_is_small_and_knows_its_base(tmp_path):
    base = save_checkpoint(tmp_path/"base", GPTLanguageModel(PLAIN), CHARS)
    model = add_lora(obeying(load_checkpoint(base)[0], prompt="<{}>"), rank=2)
    with torch.no_grad(): [p.normal_() for p in model.parameters() if p.requires_grad]
    folder = save_adapter(tmp_path/"adapter", model, base)
    assert sorted(p.name for p in folder.iterdir()) == ["adapter.json", "adapter.safetensors"]
    loaded, _ = load_adapter(folder, base)
    merged = save_checkpoint(tmp_path/"merged", merge_lora(load_adapter(folder, base)[0]), CHARS)
    idx = torch.randint(CHARS.vocab_size, (2, 16))
    assert torch.equal(loaded(idx)[0], model(idx)[0]) and torch.allclose(load_checkpoint(merged)[0](idx)[0], model(idx)[0], atol=1e-5)
    with pytest.raises(CheckpointError, match="is an adapter for weights"): load_adapter(folder, merged)
    (folder/"adapter.json").write_text((folder/"adapter.json").read_text().replace('"rank": 2', '"rank": 3'))
    with pytest.raises(CheckpointError, match="damaged"): load_adapter(folder, base)
