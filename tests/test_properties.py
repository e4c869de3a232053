"Any text, any option: what hypothesis thinks of."
import contextlib, io
from dataclasses import fields

import pytest, torch

pytest.importorskip("hypothesis", reason="needs the dev extra: pip install -e '.[dev]'")
from hypothesis import given, settings, strategies as st

from gpt_scratch.beyond.bytepairs import BPETokenizer
from gpt_scratch.model import GPTConfig
from gpt_scratch.tokenizer import CharTokenizer, UnknownCharacter
from gpt_scratch.toolbox.cli import COMMANDS, main
from gpt_scratch.toolbox.checkpoint import load_tokenizer
from gpt_scratch.toolbox.files import encode_pieces
from gpt_scratch.train import TrainConfig

texts = st.text(st.characters(exclude_categories=["Cs"]))
PAIRS = BPETokenizer.train("to be, or not to be, that is the question; être ou ne pas être 生存还是毁灭 "*20, 300)
few = settings(max_examples=60, deadline=None)


@few
@given(texts, texts)
def test_characters_come_back(learned, other):
    tokenizer = CharTokenizer(learned or "x")
    ids = tokenizer.encode(learned)
    assert tokenizer.decode(ids) == tokenizer.decode(torch.tensor(ids, dtype=torch.long)) == learned and all(0 <= i < tokenizer.vocab_size for i in ids)
    assert tokenizer.decode(tokenizer.encode(other, errors="skip")) == "".join(c for c in other if c in (learned or "x"))
    if {*other} <= {*(learned or "x")}: assert tokenizer.decode(tokenizer.encode(other)) == other
    else: pytest.raises(UnknownCharacter, tokenizer.encode, other)


@few
@given(texts)
def test_byte_pairs_come_back(text):
    ids = PAIRS.encode(text)
    assert PAIRS.decode(ids) == text and all(0 <= i < PAIRS.vocab_size for i in ids) and len(ids) <= len(text.encode())


@few
@given(texts, st.integers(1, 7))
def test_a_text_in_pieces_is_the_text(text, size):
    "Where the pieces end makes no difference to the ids."
    parts = [text[i:i+size] for i in range(0, len(text), size)]
    for tokenizer in (CharTokenizer(text or "x"), PAIRS):
        assert [i for ids in encode_pieces(parts, tokenizer) for i in ids] == tokenizer.encode(text)


@few
@given(texts.filter(bool))
def test_a_saved_tokenizer_is_the_same(tmp_path_factory, text):
    path = tmp_path_factory.mktemp("tokenizer")/"tokenizer.json"
    CharTokenizer(text).save(path)
    assert load_tokenizer(path).encode(text) == CharTokenizer(text).encode(text)


values = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=5), st.binary(max_size=3), st.lists(st.integers(), max_size=2), st.complex_numbers())
names = [(config, f.name) for config in (GPTConfig, TrainConfig) for f in fields(config)]


@settings(max_examples=400, deadline=None)
@given(st.sampled_from(names), values)
def test_a_setting_is_right_or_refused(which, value):
    "In one line that begins with its name; a right one is a number or a word of Python's."
    config, name = which
    try: made = config(**{name: value})
    except ValueError as e:
        assert "\n" not in str(e) and name in str(e)
        return
    assert getattr(made, name) == value and type(getattr(made, name)) in (int, float, str, type(None))


words = st.one_of(st.text(max_size=8), st.integers().map(str), st.floats().map(str), st.sampled_from(["--", "-", "", "nan", "-1", "1e400", "\x1b[2J", "/dev/null", "."]))
options = st.sampled_from([(verb, option) for verb, (_, table) in COMMANDS.items() if verb in ("generate", "evaluate", "info", "train") for option in table if not option.isupper() and option not in
    ("out", "max_new_tokens", "interactive", "resume", "n", "input", "log", "preset", "plot", "prompt", "sample")])


@settings(max_examples=60, deadline=None)
@given(options, words)
def test_an_option_never_ends_in_a_traceback(which, word):
    "Each word for each option, with a checkpoint or a text that isn't there, so that nothing runs for long."
    verb, option = which
    extra = ["--input", "/nowhere/text.txt"] if verb in ("train", "evaluate") else ["--max_new_tokens", "1"] if verb == "generate" else []
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()) as said: code = main([verb, f"--{option}={word}", *extra])
    assert code in (0, 1, 2) and (code == 0 or said.getvalue().startswith("gpt_scratch: ")) and "\x1b" not in said.getvalue()
