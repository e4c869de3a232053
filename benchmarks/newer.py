"""Do newer parts pay at equal time? Each on top of the course's model, three seeds, the same seconds of one core.

python benchmarks/newer.py speed             seconds per step of every part, taken by turns; decides how many steps each may take
python benchmarks/newer.py run [--minutes M] train what is not in benchmarks/newer.json yet, for at most so many minutes; call it again
python benchmarks/newer.py table             the table of what was saved

Seconds are those of the process, not of the clock on the wall. Every part gets the steps that fill the same budget at its own pace, with
a schedule of that length, and the loss is that on the whole validation text. Parts take turns within a seed. A run with the same number of steps and the same seed repeats to the bit.
"""
import argparse, json, os, statistics, time
from functools import partial
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")
import torch

from gpt_scratch.beyond.newer import GroupedAttention, MuonTrainer, Newer, NewerConfig, RMSNorm, RotaryAttention, SquaredReLU, SwiGLU, TokenEmbedding, verdicts
from gpt_scratch.beyond.speed import machine
from gpt_scratch.block import Block
from gpt_scratch.model import GPTConfig, GPTLanguageModel, init_weights
from gpt_scratch.tokenizer import CharTokenizer
from gpt_scratch.toolbox.corpus import tinyshakespeare
from gpt_scratch.toolbox.run import CAREFUL
from gpt_scratch.train import TrainConfig, Trainer, estimate_loss

SAVED = Path(__file__).with_suffix(".json")
SIZES = dict(block_size=64, n_embd=64, n_head=4, n_layer=2, dropout=0.)
SETTINGS = dict(CAREFUL, batch_size=12, learning_rate=4e-3, warmup_iters=50)
BUDGET = 15. # seconds


def course(positions=True, **parts):
    "The course's model with some parts exchanged."
    model = GPTLanguageModel(GPTConfig(**SIZES), block=partial(Block, **parts))
    if not positions: model.embedding = TokenEmbedding(65, SIZES["n_embd"]).apply(init_weights)
    if "norm" in parts: model.ln_f = parts["norm"](SIZES["n_embd"])
    return model


def newer(**parts): return Newer(NewerConfig(**SIZES, **parts))


class Faster(MuonTrainer): faster = 5.


class Fastest(MuonTrainer): faster = 20.


PARTS = { # what makes the model, and what trains it
    "the course's block": (course, Trainer),
    "RMSNorm": (partial(course, norm=RMSNorm), Trainer),
    "SwiGLU": (partial(course, feed_forward=SwiGLU), Trainer),
    "ReLU²": (partial(course, feed_forward=SquaredReLU), Trainer),
    "RoPE": (partial(course, False, attention=RotaryAttention), Trainer),
    "QK-norm, on top of RoPE": (partial(course, False, attention=partial(RotaryAttention, qk_norm=RMSNorm)), Trainer),
    "2 groups of 4, on top of RoPE": (partial(course, False, attention=partial(GroupedAttention, n_kv_head=2)), Trainer),
    "Muon": (course, MuonTrainer),
    "Muon, five times the rate": (course, Faster),
    "Muon, twenty times the rate": (course, Fastest),
    "newer: all of a Llama": (newer, Trainer),
}
FIRST = next(iter(PARTS))


def trainer(name, seed, steps):
    "A fresh run of one of the parts."
    make, kind = PARTS[name]
    torch.manual_seed(seed)
    run = kind(make(), IDS, TrainConfig(**SETTINGS, max_iters=steps, seed=seed))
    run.model.train()
    return run


def seconds(run, steps):
    "Process seconds of so many steps."
    start = time.process_time()
    for _ in range(steps): run.advance()
    return time.process_time() - start


def speed(saved, turns=15, steps=8):
    "The pace of every part, as the median of its ratios to the course's block in the same turn."
    runs = {name: trainer(name, 1, 10**6) for name in PARTS}
    for run in runs.values(): seconds(run, 3)
    rounds = [{name: seconds(run, steps)/steps for name, run in runs.items()} for _ in range(turns)]
    base = statistics.median(turn[FIRST] for turn in rounds)
    for name, run in runs.items():
        pace = base*statistics.median(turn[name]/turn[FIRST] for turn in rounds)
        saved["parts"][name] = dict(parameters=sum(p.numel() for p in run.model.parameters()), milliseconds=round(1000*pace, 2), steps=round(BUDGET/pace),
            against="RoPE" if name.endswith("on top of RoPE") else FIRST, losses={})
    saved["machine"], saved["budget"] = machine(), BUDGET


def train(saved, minutes):
    "Train what is missing, seed by seed."
    end = time.time() + 60*minutes
    for seed in ("1", "2", "3"):
        for name, part in saved["parts"].items():
            if seed in part["losses"]: continue
            if time.time() > end: return print("more to do: call it again")
            run = trainer(name, int(seed), part["steps"])
            took = seconds(run, part["steps"])
            part["losses"][seed] = round(estimate_loss(run.model, run.val_ids), 4)
            print(f"seed {seed}: {part['losses'][seed]:.4f} nats, {part['steps']} steps in {took:.1f} s  {name}", flush=True)
            save(saved)


def save(saved): SAVED.write_text(json.dumps(saved, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def table(saved):
    "Means, spreads and verdicts, once all seeds have been run."
    parts = saved["parts"]
    losses = {name: [*part["losses"].values()] for name, part in parts.items()}
    if not all(len(found) == 3 for found in losses.values()): return print("no table yet: not all seeds have been run")
    means, found = {name: statistics.mean(losses[name]) for name in parts}, verdicts(losses, {name: part["against"] for name, part in parts.items()})
    print(f"{'':30}  parameters  ms a step  steps  loss (lowest to highest)    difference to")
    for name, part in parts.items():
        print(f"{name:30}  {part['parameters']:10,} {part['milliseconds']:10.2f} {part['steps']:6}  {means[name]:.4f} ({min(losses[name]):.4f} to {max(losses[name]):.4f})"
              f"  {means[name] - means[part['against']]:+.4f} {part['against']:18}  {found.get(name, '')}")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("what", choices=["speed", "run", "table"])
    parser.add_argument("--minutes", type=float, default=60, help="stop after so many (default 60)")
    args = parser.parse_args()
    torch.set_num_threads(1)
    global IDS
    text = tinyshakespeare()
    IDS = torch.tensor(CharTokenizer(text).encode(text))
    saved = json.loads(SAVED.read_text(encoding="utf-8")) if SAVED.exists() else dict(parts={})
    if args.what == "speed": speed(saved), save(saved)
    if args.what == "run": train(saved, args.minutes)
    table(saved)


if __name__ == "__main__": main()
