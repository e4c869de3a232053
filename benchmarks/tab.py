"""The race in the tab beside PyTorch: python benchmarks/tab.py [--seeds N] [--long]

The speedrun's model and text, the page's 210 steps of 8 windows of 64, and the loss on the whole validation text, by turns in Chromium and in PyTorch
on one thread. Prints the loss, seconds of training and of the check, how many of them the processor worked on it (on a machine that does other
work too, a program waits for its turn), and the ratio of the processor's seconds.
--long takes the page's long run, 450 steps of 24 windows.
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

TRAIN = """([steps, batch, seed]) => {
    window.learner = new Learner(config, {steps, batch, seed});
    for (let i = 0; i < steps; i++) learner.learn(train);
}"""
CHECK = "() => { let found; for (found of learner.evaluate(val)); return found.loss; }"


def timed(part, clock):
    "What `part()` gives, seconds until it did, and seconds of the processor by `clock()`."
    start, worked = time.perf_counter(), clock()
    found = part()
    return found, time.perf_counter()-start, clock()-worked


def in_chromium(page, clock, steps, batch, seed):
    "Loss and seconds of a race on the page: of training, of the check, of the processor for each."
    _, training, worked = timed(lambda: page.evaluate(TRAIN, [steps, batch, seed]), clock)
    loss, check, checked = timed(lambda: page.evaluate(CHECK), clock)
    return loss, training, check, worked, checked


def in_torch(ids, steps, batch, seed):
    "The same, by the course's trainer."
    def train():
        torch.manual_seed(seed)
        run = Trainer(Speedrun(SpeedrunConfig()), ids, TrainConfig(**CAREFUL, max_iters=steps, batch_size=batch, learning_rate=.016, warmup_iters=5, seed=seed))
        run.model.train()
        while run.step < steps: run.advance()
        return run
    run, training, worked = timed(train, time.process_time)
    loss, check, checked = timed(lambda: estimate_loss(run.model, run.val_ids), time.process_time)
    return loss, training, check, worked, checked


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=3, help="how many races of each (default 3)")
    parser.add_argument("--long", action="store_true", help="the long run instead, 450 steps of 24 windows")
    args = parser.parse_args()
    steps, batch = (450, 24) if args.long else (210, 8)
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
        devtools = page.context.new_cdp_session(page)
        devtools.send("Performance.enable", {"timeDomain": "threadTicks"})
        clock = lambda: next(m["value"] for m in devtools.send("Performance.getMetrics")["metrics"] if m["name"] == "ProcessTime")
        racers = {f"Chromium {browser.version}": lambda seed: in_chromium(page, clock, steps, batch, seed), f"torch {torch.__version__}": lambda seed: in_torch(torch.tensor(ids), steps, batch, seed)}
        print(machine())
        def show(name, seed, loss, training, check, worked, checked):
            print(f"seed {seed}: {loss:.4f} nats, {training:.1f} s for {steps} steps and {check:.1f} s for the check; of the processor {worked:.1f} and {checked:.1f} s  {name}", flush=True)
        for seed in range(1, args.seeds + 1):
            for name, race in racers.items():
                results.setdefault(name, []).append(race(seed))
                show(name, seed, *results[name][-1])
        browser.close()
    for name, rows in results.items():
        loss, training, check, worked, checked = map(statistics.median, zip(*rows))
        print(f"median {loss:.4f} nats, {training:.1f} + {check:.1f} s; of the processor {worked:.1f} + {checked:.1f} s, {steps/worked:.1f} steps/s  {name}")
    ratios = [(a[3]+a[4])/(b[3]+b[4]) for a, b in zip(*results.values())]
    print(f"PyTorch takes the processor {statistics.median(ratios):.1f} times less ({min(ratios):.1f} to {max(ratios):.1f})")


if __name__ == "__main__": main()
