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

from gpt_scratch.beyond.newer import GroupedAttention, MuonTrainer, Newer, NewerConfig, RMSNorm, RotaryAttention, SquaredReLU, SwiGLU, TokenEmbedding
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
BUDGET = 10. # seconds


def course(positions=True, **parts):
    "The course's model with some parts exchanged."
    model = GPTLanguageModel(GPTConfig(**SIZES), block=partial(Block, **parts))
    if not positions: model.embedding = TokenEmbedding(65, SIZES["n_embd"]).apply(init_weights)
    if "norm" in parts: model.ln_f = parts["norm"](SIZES["n_embd"])
    return model


def newer(**parts): return Newer(NewerConfig(**SIZES, **parts))


class Faster(MuonTrainer): faster = 5.


PARTS = { # what makes the model, and what trains it
    "the course's block": (course, Trainer),
    "RMSNorm": (partial(course, norm=RMSNorm), Trainer),
    "SwiGLU": (partial(course, feed_forward=SwiGLU), Trainer),
    "ReLU²": (partial(course, feed_forward=SquaredReLU), Trainer),
    "RoPE": (partial(course, False, attention=RotaryAttention), Trainer),
    "RoPE, QK-norm": (partial(course, False, attention=partial(RotaryAttention, qk_norm=RMSNorm)), Trainer),
    "RoPE, 2 groups of 4": (partial(course, False, attention=partial(GroupedAttention, n_kv_head=2)), Trainer),
    "Muon": (course, MuonTrainer),
    "Muon, five times the rate": (course, Faster),
    "newer: all of a Llama": (newer, Trainer),
}


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
    first = next(iter(PARTS))
    base = statistics.median(turn[first] for turn in rounds)
    for name, run in runs.items():
        pace = base*statistics.median(turn[name]/turn[first] for turn in rounds)
        saved["parts"][name] = dict(parameters=sum(p.numel() for p in run.model.parameters()), milliseconds=round(1000*pace, 2), steps=round(BUDGET/pace), losses={})
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
    "Means and spreads, and the difference to the course's block seed by seed."
    base = saved["parts"]["the course's block"]["losses"]
    print(f"{'':26} parameters   ms a step   steps   loss (lowest to highest)     against the course's")
    for name, part in saved["parts"].items():
        losses = part["losses"]
        if set(losses) != {"1", "2", "3"}: continue
        gains = [losses[seed] - base[seed] for seed in base]
        print(f"{name:26} {part['parameters']:10,} {part['milliseconds']:11.2f} {part['steps']:7}   {statistics.mean(losses.values()):.4f} ({min(losses.values()):.4f} to {max(losses.values()):.4f})"
              f"   {statistics.mean(gains):+.4f} ({min(gains):+.4f} to {max(gains):+.4f})")


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
