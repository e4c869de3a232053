"""Train a model that ships: OMP_NUM_THREADS=1 python tools/pretrain.py NAME [--resume]   (one or two hours of a CPU core)

Writes gpt_scratch/weights/NAME (the checkpoint in fp16, with its model card) and NAME-record beside it: the history, and at about
40 log-spaced steps the losses, a sample, the attention of every head and the token embeddings. What a run needs in order to go on
is in runs/NAME; `--resume` goes on from there to the same bits, with as many
threads (OMP_NUM_THREADS) and the same recipe as before; a recipe may be lengthened meanwhile.
"""
import argparse, json, platform, shutil
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path

import numpy as np, torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torch import nn

import gpt_scratch.generate # noqa: F401 gives models their `stream`
from gpt_scratch.attention import MultiHeadAttention
from gpt_scratch.data import ngram_losses
from gpt_scratch.model import count_parameters
from gpt_scratch.toolbox.checkpoint import load_checkpoint, save_checkpoint
from gpt_scratch.toolbox.corpus import tinyshakespeare
from gpt_scratch.toolbox.run import train
from gpt_scratch.train import estimate_loss

ALIKE = dict(schedule="cosine", warmup_iters=100, weight_decay=0.1, beta2=0.99, grad_clip=1.0, seed=1337)
RECIPES = {
    "shakespeare-char": dict(block_size=128, n_embd=192, n_head=6, n_layer=6, dropout=0.1, max_iters=8000, batch_size=32, learning_rate=1e-3, dtype="bfloat16", **ALIKE),
    "shakespeare-char-10m": dict(max_iters=2900, batch_size=8, learning_rate=4e-4, min_lr=4e-6, eval_interval=500, **ALIKE), # the default architecture
}
GROWN = {"shakespeare-char-10m": "shakespeare-char"}  # begins with the weights of the smaller model, made wider, and is trained inside `nimble`
PROMPT = "ROMEO:\nIs it the day, my lord? "
ROOT = Path(__file__).parents[1]
WEIGHTS = ROOT/"gpt_scratch"/"weights"


class Dropout(torch.autograd.Function):
    "Dropout whose mask costs a tenth of PyTorch's on a CPU: NumPy's bytes decide, so p is rounded to 1/256; PyTorch's generator seeds them, so a resumed run draws the same."
    @staticmethod
    def forward(ctx, x, p):
        draw = np.random.Generator(np.random.SFC64(torch.randint(2**62, ()).item())).bytes(x.numel())
        ctx.mask = torch.from_numpy(np.frombuffer(draw, np.uint8) >= round(p*256)).view(x.shape)
        ctx.scale = 256/(256 - round(p*256))
        return (x*ctx.mask).mul_(ctx.scale)

    @staticmethod
    def backward(ctx, grad): return (grad*ctx.mask).mul_(ctx.scale), None


def attention(part, x):
    "What `MultiHeadAttention.forward` computes, with `Dropout` while training."
    if not part.training: return MultiHeadAttention.forward(part, x)
    q, k, v = part.split(x)
    T, D = q.shape[-2:]
    scores = (q*D**-.5) @ k.mT + torch.full((T, T), -torch.inf).triu(1)
    return part.merge(Dropout.apply(scores.softmax(-1), part.dropout.p) @ v)


@contextmanager
def nimble(model):
    "In this context the model trains about a tenth faster on a CPU; the mathematics is the same, dropout's rate within 1/512."
    parts = [m for m in model.modules() if type(m) in (nn.Dropout, MultiHeadAttention)]
    for part in parts:
        if type(part) is MultiHeadAttention: part.forward = partial(attention, part)
        else: part.forward = lambda x, part=part: Dropout.apply(x, part.p) if part.training and part.p else x
    try: yield model
    finally:
        for part in parts: del part.forward


def doubled(n, groups=1):
    "For each of 2n units the unit that it copies, and which copy it is; both copies stand in the same of `groups` groups (heads)."
    unit, copy = torch.arange(n).view(groups, 1, -1).expand(-1, 2, -1), torch.arange(2).view(1, 2, 1)
    return unit.flatten(), copy.expand_as(unit).flatten()


def grown(small, config, seed=1337):
    """The weights of a model twice as wide and with a context twice as long that says the same as `small` within its context (Chen et al. 2015, Net2Net).

    Every unit becomes two; the weights that read it are shared out between the copies at random, so that they learn different things."""
    torch.manual_seed(seed)
    C, H = small.config.n_embd, small.config.n_head
    heads, plain = doubled(C, H)[0], doubled(C)[0]

    def reading(w, columns):  # w with its inputs doubled
        unit, copy = columns
        share = .5 + .25*torch.randn(w.shape)
        return w[:, unit]*torch.where(copy == 0, share[:, unit], 1 - share[:, unit])

    wide = {}
    for name, w in small.state_dict().items():
        if name.startswith("embedding"): w = w[:, plain]
        elif name.endswith("qkv.weight"):
            q, k, v = (reading(part[heads], doubled(C)) for part in w.split(C))
            w = torch.cat([q*2**-.25, k*2**-.25, v])  # twice the terms in a product that is divided by sqrt(2) times as much
        elif name.endswith("proj.weight"): w = reading(w[plain], doubled(C, H))
        elif w.dim() == 2: w = reading(w if name.startswith("lm_head") else w[doubled(len(w))[0]], doubled(w.shape[1]))
        elif not name.startswith("lm_head"): w = w[doubled(len(w))[0]]
        wide[name] = w
    position = wide["embedding.position.weight"]
    wide["embedding.position.weight"] = position.repeat(config.block_size//len(position), 1)  # a start; they are soon learned
    return wide


class Recorder:
    "A callback that looks at the model at each of `steps`, writes what it saw to `folder`, and changes nothing, the random state included."
    def __init__(self, folder, max_iters):
        self.folder, self.steps = folder, {0, *np.geomspace(1, max_iters, 42).astype(int).tolist()}

    def __call__(self, run):
        if run.step not in self.steps: return
        model, tokenizer, training = run.model, run.tokenizer, run.model.training
        losses = [estimate_loss(model, ids, 16, eval_iters=2) for ids in (run.train_ids, run.val_ids)]
        sample = model.generate(torch.tensor([tokenizer.encode("\n")]), 200, seed=run.step)
        model.eval()
        with torch.no_grad():
            x, maps = model.embedding(torch.tensor([tokenizer.encode(PROMPT)])), []
            for block in model.blocks:
                maps.append(block.attention.weights(block.ln1(x))[0])
                x = block(x)
        model.train(training)
        row = dict(step=run.step, train_loss=losses[0], val_loss=losses[1], sample=tokenizer.decode(sample[0].tolist())[1:])
        self.folder.mkdir(parents=True, exist_ok=True)
        save_file(dict(attention=torch.stack(maps), embedding=model.embedding.token.weight.detach().clone()),  # (layer, head, T, T), (V, C)
                  self.folder/f"{run.step:06d}.safetensors", {"row": json.dumps(row)})

    def read(self):
        "Rows, maps and tables, in the order of the steps."
        files = sorted(self.folder.glob("*.safetensors"))
        rows = [json.loads(safe_open(f, "pt").metadata()["row"]) for f in files]
        found = [load_file(f) for f in files]
        return rows, *(torch.stack([f[name] for f in found]) for name in ("attention", "embedding"))


def card(name, model, ids, how, recipe):
    "The model card in Markdown; the losses are measured here."
    n = int(len(ids)*.9)
    val, train = estimate_loss(model, ids[n:]), estimate_loss(model, ids[:n], eval_iters=4)
    landmarks = ", ".join(f"{counts} {loss:.3f}" for counts, loss in ngram_losses(ids[:n], ids[n:], 65).items())
    settings = "\n".join(f"| `{setting}` | {value} |" for setting, value in recipe.items())
    print(f"val {val:.4f}, train {train:.4f}")
    return f"""# {name}

A character-level GPT of {count_parameters(model.config):,} parameters that writes in the manner of Shakespeare's plays. It ships with gpt_scratch as `{name}`.

| measure | nats per character |
|---|---|
| loss on the whole validation text (float32, windows of {model.config.block_size} side by side) | {val:.4f} |
| loss on the training text (256 windows, evenly spread) | {train:.4f} |

For comparison, models that only count, on the same validation text: {landmarks}.

Trained on the first 90 % of tinyshakespeare by {how}

| setting | value |
|---|---|
{settings}

It knows 65 characters and the layout of a play. It knows nothing of facts, and it repeats the views of the sixteenth century. MIT licence, like the code; the plays are in the public domain.
"""


def to_ship(model):
    "The same model, rounded to the eight significant bits of bfloat16: 16 bits each, and the zip of a wheel halves what is always 0."
    rounded = type(model)(model.config)
    rounded.load_state_dict({k: v.bfloat16().half().float() for k, v in model.state_dict().items()})
    return rounded.eval()


def ship(name, model, tokenizer, history, resumed, recorder, text):
    "Write the checkpoint and its record."
    half, cores = to_ship(model), "one core" if torch.get_num_threads() == 1 else f"{torch.get_num_threads()} cores"
    step, every = min((row for row in history if "val_loss" in row), key=lambda row: row["val_loss"])["step"], RECIPES[name].get("eval_interval", 500)
    pieces = "in one go" if not resumed else f"resumed at step {', '.join(f'{step:,}' for step in resumed)}"
    start = f" It began with the weights of `{GROWN[name]}`, made twice as wide and twice as long by the same file's `grown`; dropout and attention went through its `nimble`, whose dropout is rounded to 1/256." if name in GROWN else ""
    how = f"`python tools/pretrain.py {name}`, which is `train` of the toolbox with a recorder, in {RECIPES[name].get('dtype', 'float32')} on {cores} of {platform.machine()} ({sum(row.get('seconds', 0) for row in history)/3600:.1f} hours of steps, {pieces}, torch {torch.__version__.split('+')[0]}).{start} These are the weights of step {step:,}, the best of the evaluations every {every:,} steps. The curve and what the model looked like along the way are in `{name}-record`."
    for folder in (WEIGHTS/name, WEIGHTS/f"{name}-record"): shutil.rmtree(folder, ignore_errors=True)
    save_checkpoint(WEIGHTS/name, half, tokenizer, card=card(name, half, torch.tensor(tokenizer.encode(text)), how, RECIPES[name]), dtype=torch.float16)
    record = WEIGHTS/f"{name}-record"
    record.mkdir()
    kept = [row for row in history if "val_loss" in row or row["step"] % 20 == 0 or row["step"] <= 100]
    (record/"history.jsonl").write_text("".join(json.dumps({k: round(v, 6) if isinstance(v, float) else v for k, v in row.items()}) + "\n" for row in kept))
    rows, maps, tables = recorder.read()
    scales = tables.abs().amax((1, 2))/127  # eight bits each: a map is byte/255, a table byte*scale
    np.savez_compressed(record/"snapshots.npz", attention=(maps*255).round().byte(), embedding=(tables/scales[:, None, None]).round().char(), scale=scales)
    (record/"snapshots.json").write_text(json.dumps({"prompt": PROMPT, "rows": rows}, indent=0))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Train a model that ships, and write it to gpt_scratch/weights.")
    parser.add_argument("name", choices=RECIPES)
    parser.add_argument("--resume", action="store_true", help="go on with the run in runs/NAME")
    args = parser.parse_args()
    text, out = tinyshakespeare(), ROOT/"runs"/args.name
    recorder, began = Recorder(ROOT/"runs"/f"{args.name}-snapshots", RECIPES[args.name]["max_iters"]), []

    def callback(run):
        if not began:
            began.append(run.step)
            with open(recorder.folder.with_suffix(".starts"), "a") as file: file.write(f"{run.step}\n")
            if args.name in GROWN: stack.enter_context(nimble(run.model))
            if args.name in GROWN and not run.step: run.model.load_state_dict(grown(load_checkpoint(GROWN[args.name])[0], run.model.config))
        recorder(run)

    with ExitStack() as stack:
        run = train(text, **(dict(resume=out, max_iters=RECIPES[args.name]["max_iters"]) if args.resume else dict(out=out, **RECIPES[args.name])), callback=callback, device="cpu")
    if run.step < RECIPES[args.name]["max_iters"]: raise SystemExit(f"stopped at step {run.step}; go on with --resume")
    model, tokenizer = load_checkpoint(out)  # the step with the best validation loss
    resumed = [int(step) for step in recorder.folder.with_suffix(".starts").read_text().split()][1:]
    ship(args.name, model, tokenizer, run.history, resumed, recorder, text)
