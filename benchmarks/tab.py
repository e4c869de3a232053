"""The race in the tab beside PyTorch: python benchmarks/tab.py [--seeds N] [--steps N] [--long]

The speedrun's model, recipe and text (100 steps of 24 windows of 64, the loss on the whole validation text), by turns in Chromium and in PyTorch
on one thread. Prints the loss, seconds of training and of the check, and steps per second of each, and the ratio of the seconds.
--long adds one run of 700 steps in Chromium.
"""
import argparse, shutil, statistics, time

import torch
from playwright.sync_api import sync_playwright

from gpt_scratch.beyond.speed import machine
from gpt_scratch.beyond.speedrun import Speedrun, SpeedrunConfig
from gpt_scratch.tokenizer import CharTokenizer
from gpt_scratch.toolbox.corpus import tinyshakespeare
from gpt_scratch.toolbox.html import live_file
from gpt_scratch.toolbox.run import CAREFUL
from gpt_scratch.train import TrainConfig, Trainer, estimate_loss

RACE = """([steps, seed]) => {
    const start = performance.now(), learner = new Learner(config, {steps, seed});
    for (let i = 0; i < steps; i++) learner.learn(train);
    const trained = performance.now();
    let found;
    for (found of learner.evaluate(val));
    return [found.loss, (trained - start)/1000, (performance.now() - trained)/1000];
}"""


def in_torch(ids, steps, seed):
    "The same, by the course's trainer."
    start = time.perf_counter()
    torch.manual_seed(seed)
    run = Trainer(Speedrun(SpeedrunConfig()), ids, TrainConfig(**CAREFUL, max_iters=steps, batch_size=24, learning_rate=.016, warmup_iters=5, seed=seed))
    run.model.train()
    while run.step < steps: run.advance()
    trained = time.perf_counter()
    return estimate_loss(run.model, run.val_ids), trained-start, time.perf_counter()-trained


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=3, help="how many races of each (default 3)")
    parser.add_argument("--steps", type=int, default=100, help="steps of a race (default 100)")
    parser.add_argument("--long", action="store_true", help="add one run of 700 steps in Chromium")
    args = parser.parse_args()
    torch.set_num_threads(1)
    text = tinyshakespeare()
    ids = CharTokenizer(text).encode(text)
    results = {}
    with sync_playwright() as p:
        browser = p.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        page = browser.new_page()
        page.set_default_timeout(600_000)
        for name in ("read.js", "gpt.js", "work.js", "train.js"): page.add_script_tag(content=live_file(name))
        page.evaluate("""([ids, config]) => {
            const n = Math.floor(.9*ids.length), all = Int32Array.from(ids);
            Object.assign(window, {config, train: all.subarray(0, n), val: all.subarray(n)});
        }""", [ids, vars(SpeedrunConfig())])
        racers = {f"Chromium {browser.version}": lambda steps, seed: page.evaluate(RACE, [steps, seed]), f"torch {torch.__version__}": lambda steps, seed: in_torch(torch.tensor(ids), steps, seed)}
        print(machine())
        def show(name, steps, seed, loss, training, check):
            print(f"seed {seed}: {loss:.4f} nats, {training:.1f} s for {steps} steps ({steps/training:.1f} a second), {check:.1f} s for the check  {name}", flush=True)
        for seed in range(1, args.seeds + 1):
            for name, race in racers.items():
                results.setdefault(name, []).append(race(args.steps, seed))
                show(name, args.steps, seed, *results[name][-1])
        if args.long: show(name := next(iter(racers)), 700, 1, *racers[name](700, 1))
        browser.close()
    for name, rows in results.items():
        losses, training, checks = zip(*rows)
        print(f"median {statistics.median(losses):.4f} nats, {statistics.median(training):.1f} + {statistics.median(checks):.1f} s, {args.steps/statistics.median(training):.1f} steps/s  {name}")
    ours, theirs = results.values()
    print(f"PyTorch is {statistics.median((a[1]+a[2])/(b[1]+b[2]) for a, b in zip(ours, theirs)):.1f} times as fast")


if __name__ == "__main__": main()
