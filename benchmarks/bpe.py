"""Learn 1,024 tokens from tinyshakespeare: the naive loop against ours, and ours against Hugging Face's trainer, in one run.

python benchmarks/bpe.py [--full]    needs: pip install tokenizers

Without --full, the naive loop's time is extrapolated: single merges are timed at nine stages of the training, and the
others interpolated between them. With --full it runs to its end, which takes minutes, and its merges are compared.
"""
import argparse, gc, statistics, time

import numpy as np, tokenizers, torch
from tokenizers import Regex, Tokenizer, models, pre_tokenizers, trainers

from gpt_scratch.beyond.speed import machine, report, take_turns
from gpt_scratch.beyond.bytepairs import BPETokenizer, slow_merges, split_words
from gpt_scratch.toolbox.corpus import tinyshakespeare

V = 1024
PATTERN = r"'(?:[sdmt]|ll|ve|re)| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"


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
    "The seconds of the naive loop, without Python's garbage collector, whose share depends on what else is alive."
    gc.disable()
    if full:
        start = time.perf_counter()
        merges = slow_merges([word.encode() for word in split_words(text)], V - 256)
        seconds = time.perf_counter() - start
        known = tokens[:256]
        for a, b in merges: known.append(known[a] + known[b])
        assert known == tokens
        return seconds
    stages, times = np.linspace(0, V - 257, 9).round().astype(int), []
    for done in stages:
        so_far = BPETokenizer(tokens[:256 + done])
        words = [so_far.encode_word(word) for word in split_words(text)]
        times.append(min(take_turns(2, it=lambda words=words: slow_merges(words, 1))["it"]))
    return np.interp(range(V - 256), stages, times).sum()


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=5, help="how often each takes its turn (default 5)")
    parser.add_argument("--full", action="store_true", help="run the naive loop to its end instead of extrapolating")
    args = parser.parse_args()
    torch.set_num_threads(1)  # nothing here uses torch; `machine` names the threads
    text = tinyshakespeare()
    tokens = ours(text)
    assert theirs(text) == tokens
    runs = take_turns(args.repeats, **{"ours": lambda: ours(text), "Hugging Face, the same rules": lambda: theirs(text), "Hugging Face, byte-level": lambda: byte_level(text)})
    slow, quick = naive(text, tokens, args.full), statistics.median(runs["ours"])
    print(f"{machine()}, tokenizers {tokenizers.__version__}\n{V:,} tokens from {len(text):,} characters; medians of {args.repeats} turns, the naive loop once{'' if args.full else ' and extrapolated from 9 of its merges'}\n")
    report(runs, "ours", len(text))
    print(f"{slow:9.4f} s  naive, {slow/quick:.0f} times ours")


if __name__ == "__main__": main()
