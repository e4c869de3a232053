"""nanoGPT's CPU recipe against the speedrun: the same text, the same exam, by turns. Takes six minutes.

python benchmarks/speedrun.py [--threads N] [--seeds N]

Prints the loss on the whole validation text and the seconds of all training steps of each, and the ratio of the seconds.
The recipe is nanoGPT's published one with its plain choices, in our code: float32, GELU, a tied head, no biases.
"""
import argparse, statistics

import torch

from gpt_scratch.beyond.speed import machine
from gpt_scratch.beyond.speedrun import Speedrun, SpeedrunConfig, race, recipe
from gpt_scratch.model import GPTConfig
from gpt_scratch.tokenizer import CharTokenizer
from gpt_scratch.toolbox.corpus import tinyshakespeare


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--threads", type=int, default=1, help="threads that torch may use (default 1)")
    parser.add_argument("--seeds", type=int, default=3, help="how many races of each (default 3)")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    text = tinyshakespeare()
    ids = torch.tensor(CharTokenizer(text).encode(text))
    sizes = GPTConfig(block_size=64, n_embd=128, n_head=4, n_layer=4, dropout=0.)
    racers = {"nanoGPT's CPU recipe": (lambda: recipe(sizes), dict(max_iters=2000, batch_size=12, learning_rate=1e-3, warmup_iters=100)),
              "the speedrun, 100 steps": (lambda: Speedrun(SpeedrunConfig()), dict(max_iters=100, batch_size=24, learning_rate=.016, warmup_iters=5))}
    print(machine())
    results = {name: [] for name in racers}
    for seed in range(1, args.seeds + 1):
        for name, (make, settings) in racers.items():
            results[name].append(race(make, ids, seed, **settings))
            print(f"seed {seed}: {results[name][-1][0]:.4f} nats in {results[name][-1][1]:6.1f} s  {name}", flush=True)
    for name, rows in results.items(): print(f"mean   {statistics.mean(loss for loss, _ in rows):.4f} nats, median {statistics.median(seconds for _, seconds in rows):.1f} s  {name}")
    recipes, ours = results.values()
    print(f"{statistics.median(slow/fast for (_, slow), (_, fast) in zip(recipes, ours)):.0f} times as fast")


if __name__ == "__main__": main()
