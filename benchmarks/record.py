"""What helps a small GPT with little text? Eight runs answer six questions; the seventh column of the plan is the seed.

python benchmarks/record.py trial N...   run trials (0 to 7; 8 and 9 settle a doubt) and append what they gave to benchmarks/record.jsonl
python benchmarks/record.py final        train the recipe on all of the training text, measure it once on the validation text, and write gpt_scratch/weights/NAME
python benchmarks/record.py table        what each choice is worth

Every choice has two levels, and every level is run four times, twice with either level of every other choice and with either seed. So the mean of four less the mean of the other four is
what the choice is worth. A trial is the shipped model's recipe at an eighth of its size: model, text and number of steps, so that it sees its text as often.
All losses are those on the last tenth of the *training* text, which no trial learns from; nothing here looks at the validation text.
"""
import argparse, json, os, platform, statistics, sys, time
from functools import partial
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")
import torch
from safetensors.torch import save_file

from gpt_scratch.beyond.newer import RotaryAttention, TokenEmbedding
from gpt_scratch.beyond.record import Averaged, EpochTrainer, screened
from gpt_scratch.beyond.speed import machine
from gpt_scratch.block import Block
from gpt_scratch.data import split
from gpt_scratch.model import GPTConfig, GPTLanguageModel, init_weights
from gpt_scratch.tokenizer import CharTokenizer
from gpt_scratch.toolbox.checkpoint import save_checkpoint
from gpt_scratch.toolbox.corpus import tinyshakespeare
from gpt_scratch.train import TrainConfig, Trainer, estimate_loss

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT/"tools"))
from pretrain import WEIGHTS, card, nimble, to_ship # noqa: E402

SAVED = Path(__file__).with_suffix(".jsonl")
EIGHTH = dict(share=8, steps=2000, tokens=2048, n_embd=96, n_head=3, n_layer=3, decays=(.98, .99, .995, .998))  # of the text, the 8,000 times 4,096 tokens and the parameters of shakespeare-char; the averages
FULL = dict(share=1, steps=6000, tokens=4096, n_embd=192, n_head=6, n_layer=6, decays=(.99, .995, .9967))
SETTINGS = dict(schedule="cosine", warmup_iters=100, beta2=.99, grad_clip=1.)
CHOICES = {"dropout": (.1, .2), "weight_decay": (.1, 1.), "order": ("random", "epochs"), "block_size": (128, 256), "positions": ("learned", "rotary"), "learning_rate": (1e-3, 2e-3), "seed": (1, 2)}
AGAIN = {8: (6, "dropout"), 9: (7, "dropout")}  # trials that repeat another one with one choice at its other level
RECIPE = dict(dropout=.1, weight_decay=1., order="epochs", block_size=128, positions="learned", learning_rate=1e-3, seed=3)  # a seed that no trial had; plain parts, and what paid
DECAY = .9967  # of the mean that ships: it looks back a twentieth of the steps, as .99 does in a trial
NAME = "shakespeare-char-averaged"


def choices(trial):
    "The level of every choice in one of the eight trials: the three bits of its number, and the parities of each two and of all."
    if trial in AGAIN:
        other, name = AGAIN[trial]
        chosen = choices(other)
        return chosen | {name: next(level for level in CHOICES[name] if level != chosen[name])}
    a, b, c = trial & 1, trial >> 1 & 1, trial >> 2
    return {name: levels[level] for (name, levels), level in zip(CHOICES.items(), (a, b, a ^ b, c, a ^ c, b ^ c, a ^ b ^ c))}


def model_of(chosen, size):
    config = GPTConfig(block_size=chosen["block_size"], dropout=chosen["dropout"], n_embd=size["n_embd"], n_head=size["n_head"], n_layer=size["n_layer"])
    if chosen["positions"] == "learned": return GPTLanguageModel(config)
    model = GPTLanguageModel(config, block=partial(Block, attention=RotaryAttention))
    model.embedding = TokenEmbedding(config.vocab_size, config.n_embd).apply(init_weights)
    return model


def trained(chosen, size, ids, look=lambda run: None):
    "A run of that recipe on `ids`, its averages by decay, and the seconds of a core that it took."
    torch.manual_seed(chosen["seed"])
    kind = EpochTrainer if chosen["order"] == "epochs" else Trainer
    config = TrainConfig(batch_size=size["tokens"]//chosen["block_size"], weight_decay=chosen["weight_decay"], learning_rate=chosen["learning_rate"], seed=chosen["seed"], max_iters=size["steps"], **SETTINGS)
    run = kind(model_of(chosen, size), ids, config)
    run.train_ids, run.val_ids = ids, None
    averages, start = {decay: Averaged(decay) for decay in size["decays"]}, time.process_time()
    run.model.train()
    for average in averages.values(): average(run)
    with nimble(run.model):
        while run.step < config.max_iters:
            run.advance()
            for average in averages.values(): average(run)
            look(run)
            if run.step % 100 == 0: print(run.step, f"{run.history[-1]['loss']:.3f} {time.process_time() - start:.0f} s", flush=True)
    return run, averages, time.process_time() - start


def trial(number):
    "Train once, and say what came of it."
    chosen, size, text, half = choices(number), EIGHTH, tinyshakespeare(), []
    fit_ids, held_out = split(split(torch.tensor(CharTokenizer(text).encode(text)))[0])
    fit_ids = fit_ids[:len(fit_ids)//size["share"]]
    def look(run):
        if run.step == run.config.max_iters//2: half.append(estimate_loss(run.model, held_out))
    run, averages, seconds = trained(chosen, size, fit_ids, look)
    losses = {"last": estimate_loss(run.model, held_out), "half-way": half[0], "train": estimate_loss(run.model, fit_ids, eval_iters=4),
              **{f"mean {decay}": estimate_loss(average.model, held_out) for decay, average in averages.items()}}
    row = dict(trial=number, **chosen, **{name: round(loss, 4) for name, loss in losses.items()}, minutes=round(seconds/60, 1), date=time.strftime("%Y-%m-%d"), machine=machine())
    with open(SAVED, "a", encoding="utf-8") as file: file.write(json.dumps(row) + "\n")
    print(row, flush=True)


def final():
    "The one run that counts: all of the training text, and one look at the validation text."
    torch.set_num_threads(2)
    tokenizer = CharTokenizer(text := tinyshakespeare())
    ids = torch.tensor(tokenizer.encode(text))
    run, averages, seconds = trained(RECIPE, FULL, split(ids)[0])
    kept = {"last": run.model, **{str(decay): average.model for decay, average in averages.items()}}
    (ROOT/"runs").mkdir(exist_ok=True)
    (ROOT/"runs"/f"{NAME}.json").write_text(json.dumps(run.history))
    save_file({f"{kind} {name}": w.clone() for kind, model in kept.items() for name, w in model.state_dict().items()}, ROOT/"runs"/f"{NAME}.safetensors")  # whatever happens below
    model = to_ship(averages[DECAY].model)
    recipe = {name: value for name, value in (RECIPE | dict(decay_of_the_mean=DECAY) | SETTINGS | FULL).items() if name not in ("decays", "share")}
    how = f"`python benchmarks/record.py final`, in float32 on two cores of {platform.machine()} ({seconds/3600:.1f} core hours, torch {torch.__version__.split('+')[0]}). The weights are the running mean of the last steps. The recipe was chosen without the validation text, which was looked at once, after the run: see the lesson *The record*."
    save_checkpoint(WEIGHTS/NAME, model, tokenizer, card=card(NAME, model, ids, how, recipe), dtype=torch.float16)


def table():
    "What each choice is worth, and each average."
    rows = [json.loads(line) for line in (SAVED.read_text(encoding="utf-8").splitlines() if SAVED.exists() else [])]
    rows = [row for row in rows if row["trial"] < 8]
    if sorted(row["trial"] for row in rows) != [*range(8)]: raise SystemExit(f"no table yet: {len(rows)} of 8 trials are in {SAVED.name}")
    seconds = {name: levels[1] for name, levels in CHOICES.items()}
    parts = json.loads(SAVED.with_name("newer.json").read_text(encoding="utf-8"))["parts"]
    scatter = statistics.median(statistics.stdev(part["losses"].values()) for part in parts.values())
    for name, (worth, verdict) in screened(rows, seconds, scatter).items(): print(f"{name:14} {CHOICES[name][0]} -> {CHOICES[name][1]}: {worth:+.4f}  {verdict}")
    for decay in EIGHTH["decays"]: print(f"mean of weights, decay {decay}: " + " ".join(f"{row[f'mean {decay}'] - row['last']:+.4f}" for row in rows))


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("what", choices=["trial", "final", "table"])
    parser.add_argument("numbers", nargs="*", type=int)
    args = parser.parse_args()
    torch.set_num_threads(1)
    for number in args.numbers if args.what == "trial" else (): trial(number)
    if args.what != "trial": globals()[args.what]()


if __name__ == "__main__": main()
