"""Learn 1,024 tokens from tinyshakespeare: the naive loop against ours, and ours against Hugging Face's trainer, in one run.

python benchmarks/bpe.py [--full]    needs: pip install tokenizers

Without --full, the naive loop's time is extrapolated: single merges are timed at nine stages of the training, and the
others interpolated between them. With --full it runs to its end, which takes minutes, and its merges are compared.
"""
import argparse, time

import numpy as np
from tokenizers import Regex, Tokenizer, models, pre_tokenizers, trainers

from gpt_scratch.tokenizer import BPETokenizer, slow_merges, split_words
from gpt_scratch.toolbox.corpus import tinyshakespeare

V = 1024
PATTERN = r"'(?:[sdmt]|ll|ve|re)| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"


def timed(f):
    "What `f` returns, and the seconds that it takes."
    start = time.perf_counter()
    return f(), time.perf_counter() - start


def ours(text):
    "The tokens that our trainer learns."
    return BPETokenizer.train(text, V).tokens


def theirs(text):
    "The tokens of Hugging Face's trainer, by the same rules: on ASCII text its characters are our bytes."
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Split(Regex(PATTERN), "isolated")
    alphabet = [chr(i) for i in range(256)]
    tokenizer.train_from_iterator([text], trainers.BpeTrainer(vocab_size=V, min_frequency=2, initial_alphabet=alphabet, show_progress=False))
    return [tokenizer.id_to_token(i).encode("latin-1") for i in range(V)]


def byte_level(text):
    "The same with Hugging Face's own byte-level splitting, the usual way; ties fall differently there."
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.train_from_iterator([text], trainers.BpeTrainer(vocab_size=V, min_frequency=2, initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), show_progress=False))


def naive(text, tokens, full):
    "The seconds of the naive loop."
    if full:
        merges, seconds = timed(lambda: slow_merges([word.encode() for word in split_words(text)], V - 256))
        known = tokens[:256]
        for a, b in merges: known.append(known[a] + known[b])
        assert known == tokens
        return seconds
    stages, times = np.linspace(0, V - 257, 9).round().astype(int), []
    for done in stages:
        so_far = BPETokenizer(tokens[:256 + done])
        words = [so_far.encode_word(word) for word in split_words(text)]
        times.append(timed(lambda: slow_merges(words, 1))[1])
    return np.interp(range(V - 256), stages, times).sum()


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--full", action="store_true", help="run the naive loop to its end instead of extrapolating")
    args = parser.parse_args()
    text = tinyshakespeare()
    runs = {"ours": [], "Hugging Face, the same rules": [], "Hugging Face, byte-level": []}
    for _ in range(3):
        for name, f in zip(runs, (ours, theirs, byte_level)):
            result, seconds = timed(lambda: f(text))
            runs[name].append(seconds)
            if f is ours: tokens = result
            if f is theirs: assert result == tokens
    best = {name: min(seconds) for name, seconds in runs.items()}
    slow = naive(text, tokens, args.full)
    print(f"{V:,} tokens from {len(text):,} characters; best of 3, the naive loop once{'' if args.full else ' and extrapolated from 9 of its merges'}")
    print(f"{slow:9.2f} s  naive")
    for name, seconds in best.items(): print(f"{seconds:9.2f} s  {name}")
    print(f"naive/ours {slow/best['ours']:.0f}; " + "; ".join(f"ours/{name} {best['ours']/seconds:.2f}" for name, seconds in best.items() if name != "ours"))


if __name__ == "__main__": main()
