"""A training step of nanoGPT's CPU recipe: ours against its plain one, in one run.

python benchmarks/train.py [--threads N] [--repeats N] [--full]    (--full: the course's model of 10.8 M parameters instead, without dropout)

The peer is nanoGPT's published recipe with its plain choices, in our code: float32, eager, fused attention, GELU, a tied
head, no biases, PyTorch's default AdamW. Ours is chapter 06's `train_step` on the course's model of the same shape (ReLU, an
untied head and biases, so slightly more parameters). Each step includes forward, backward, clipping and the optimizer; the batch is ready.
"""
import argparse, statistics

import torch
from torch import nn

from gpt_scratch.beyond.speed import machine, quick, ratio, take_turns
from gpt_scratch.beyond.speedrun import recipe
from gpt_scratch.model import GPTConfig, GPTLanguageModel
from gpt_scratch.train import TrainConfig, configure_optimizer, train_step

PEER = "nanoGPT's plain step, float32"


def plain_stepper(c, x, y):
    "nanoGPT's step: backward, clip, AdamW as PyTorch has it by default."
    model = recipe(c)
    groups = [dict(params=[p for p in model.parameters() if (p.dim() > 1) == decays], weight_decay=decay) for decays, decay in ((True, .1), (False, 0.))]
    optimizer = torch.optim.AdamW(groups, lr=1e-3, betas=(.9, .99))
    def step():
        model(x, y)[1].backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.)
        optimizer.step()
        optimizer.zero_grad()
    return step


def our_stepper(c, x, y, dtype, faster):
    "The course's step, inside `quick` or as it is."
    torch.manual_seed(0)
    model = GPTLanguageModel(c)
    optimizer = configure_optimizer(model, TrainConfig(learning_rate=1e-3, beta2=.99, weight_decay=.1))
    def step(): train_step(model, optimizer, [(x, y)], 1., dtype)
    def quickly():
        with quick(model): step()
    return quickly if faster else step


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--threads", type=int, default=1, help="threads that torch may use (default 1)")
    parser.add_argument("--repeats", type=int, default=30, help="how often each takes its turn (default 30)")
    parser.add_argument("--full", action="store_true", help="the course's model, 64 windows of 256 characters, instead of the CPU recipe")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    torch.manual_seed(0)
    c, B = (GPTConfig(dropout=0.), 64) if args.full else (GPTConfig(block_size=64, n_embd=128, n_head=4, n_layer=4, dropout=0.), 12)
    windows = torch.randint(c.vocab_size, (B, c.block_size + 1))
    x, y = windows[:, :-1], windows[:, 1:]
    steps = {PEER: plain_stepper(c, x, y)}
    for dtype in ("float32", "bfloat16"):
        for faster in (False, True): steps[f"ours, {dtype}{', quick' if faster else ''}"] = our_stepper(c, x, y, dtype, faster)
    for step in 2*[*steps.values()]: step()
    print(f"{machine()}\n{B} windows of {c.block_size}, {c.n_layer} layers, {c.n_embd} wide, {c.n_head} heads; medians of {args.repeats} turns\n")
    runs = take_turns(args.repeats, **steps)
    for name, seconds in runs.items():
        faster, low, high = ratio(runs[PEER], seconds)
        versus = "" if name == PEER else f"   {faster:.2f} times its tokens per second ({low:.2f} to {high:.2f})"
        print(f"{1e3*statistics.median(seconds):8.1f} ms  {x.numel()/statistics.median(seconds):7.0f} tokens/s  {name}{versus}")


if __name__ == "__main__": main()
