"""Train a model that ships: OMP_NUM_THREADS=1 python tools/pretrain.py NAME [--resume]   (one or two hours on CPU cores that have bfloat16 products)

Writes gpt_scratch/weights/NAME (the checkpoint in fp16, with its model card) and NAME-record beside it: the history, and at about
40 log-spaced steps the losses, a sample, the attention of every head and the token embeddings. What a run needs in order to go on
is in runs/NAME; `--resume` goes on from there to the same bits, with as many
threads (OMP_NUM_THREADS) as before.
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

ALIKE = dict(learning_rate=1e-3, schedule="cosine", weight_decay=0.1, beta2=0.99, grad_clip=1.0, dtype="bfloat16", seed=1337)
RECIPES = {
    "shakespeare-char": dict(block_size=128, n_embd=192, n_head=6, n_layer=6, dropout=0.1, max_iters=8000, batch_size=32, warmup_iters=100, **ALIKE),
    "shakespeare-char-10m": dict(max_iters=7500, batch_size=8, warmup_iters=200, min_lr=1e-5, eval_interval=2500, **ALIKE), # the default architecture
}
NIMBLE = {"shakespeare-char-10m"}  # trained inside `nimble`
PROMPT = "ROMEO:\nIs it the day, my lord? "
ROOT = Path(__file__).parents[1]
WEIGHTS = ROOT/"gpt_scratch"/"weights"


def kept(shape, p):
    "1 where an element stays, 0 with probability p, rounded to 1/256; a byte of NumPy's decides, seeded by PyTorch's generator, so a resumed run draws the same."
    draw = np.random.Generator(np.random.SFC64(torch.randint(2**62, ()).item())).bytes(int(np.prod(shape)))
    ones = (np.frombuffer(draw, np.uint8) >= round(p*256)).view(np.uint8)*np.uint16(0x3F80)  # the bits of 1.0 in bfloat16
    return torch.from_numpy(ones).view(torch.bfloat16).view(shape), 256/(256 - round(p*256))


class Dropout(torch.autograd.Function):
    "Dropout whose mask costs a tenth of PyTorch's on a CPU."
    @staticmethod
    def forward(ctx, x, p):
        ctx.mask, ctx.scale = kept(x.shape, p)
        return (x*ctx.mask).mul_(ctx.scale)

    @staticmethod
    def backward(ctx, grad): return (grad*ctx.mask).mul_(ctx.scale), None


class Attention(torch.autograd.Function):
    "Causal attention with dropout on its weights, softmax and products in bfloat16."
    @staticmethod
    def forward(ctx, q, k, v, p):
        q, k, v = (t.to(torch.bfloat16).contiguous() for t in (q, k, v))
        T, D = q.shape[-2:]
        scores = (q*D**-.5) @ k.mT
        w = torch.softmax(scores.add_(torch.full((T, T), -torch.inf, dtype=q.dtype).triu(1)), -1)
        mask, ctx.scale = kept(w.shape, p)
        dropped = w*mask
        ctx.save_for_backward(q, k, v, w, mask, dropped)
        return (dropped @ v).mul_(ctx.scale)

    @staticmethod
    def backward(ctx, grad):
        q, k, v, w, mask, dropped = ctx.saved_tensors
        grad, c = grad*ctx.scale, q.shape[-1]**-.5
        scores = torch.ops.aten._softmax_backward_data((grad @ v.mT).mul_(mask), w, -1, w.dtype)
        return (scores @ k).mul_(c), (scores.mT @ q).mul_(c), dropped.mT @ grad, None


def attention(part, x):
    "What `MultiHeadAttention.forward` computes, by `Attention` while training."
    if not part.training: return MultiHeadAttention.forward(part, x)
    q, k, v = part.split(x)
    with torch.autocast("cpu", enabled=False): heads = Attention.apply(q, k, v, part.dropout.p)
    return part.merge(heads)


@contextmanager
def nimble(model):
    "In this context the model trains about 1.4 times as fast in bfloat16 on a CPU; the mathematics is the same, dropout's rate within 1/512."
    parts = [m for m in model.modules() if type(m) in (nn.Dropout, MultiHeadAttention)]
    for part in parts:
        if type(part) is MultiHeadAttention: part.forward = partial(attention, part)
        else: part.forward = lambda x, part=part: Dropout.apply(x, part.p) if part.training and part.p else x
    try: yield model
    finally:
        for part in parts: del part.forward


class Recorder:
    "A callback that looks at the model at each of `steps`, writes what it saw to `folder`, and changes nothing, the random state included."
    def __init__(self, folder, max_iters):
        self.folder, self.steps = folder, {0, *np.geomspace(1, max_iters, 42).astype(int).tolist()}

    def __call__(self, run):
        if run.step not in self.steps: return
        model, tokenizer, training = run.model, run.tokenizer, run.model.training
        losses = [estimate_loss(model, ids, eval_iters=2, dtype="bfloat16") for ids in (run.train_ids, run.val_ids)]
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


def card(name, model, losses, ladder):
    "The model card in Markdown."
    landmarks = ", ".join(f"{counts} {loss:.3f}" for counts, loss in ladder.items())
    recipe = "\n".join(f"| `{setting}` | {value} |" for setting, value in RECIPES[name].items())
    cores = "one core" if torch.get_num_threads() == 1 else f"{torch.get_num_threads()} cores"
    pieces = "in one go" if not losses["resumed"] else f"resumed at step {', '.join(f'{step:,}' for step in losses['resumed'])}"
    products = " Dropout and attention went through the same file's `nimble`, which computes in bfloat16 what the chapters' parts compute." if name in NIMBLE else ""
    return f"""# {name}

A character-level GPT of {count_parameters(model.config):,} parameters that writes in the manner of Shakespeare's plays. It ships with gpt_scratch as `{name}`.

| measure | nats per character |
|---|---|
| loss on the whole validation text (float32, windows of {model.config.block_size} side by side) | {losses['val']:.4f} |
| loss on the training text (256 windows, evenly spread) | {losses['train']:.4f} |

For comparison, models that only count, on the same validation text: {landmarks}.

Trained on the first 90 % of tinyshakespeare by `python tools/pretrain.py {name}`, which is `train` of the toolbox with a recorder, in bfloat16 on {cores} of {platform.machine()} ({losses['hours']:.1f} hours of steps, {pieces}, torch {torch.__version__.split('+')[0]}).{products} These are the weights of step {losses['step']:,}, the best of the evaluations every {losses['every']:,} steps. The curve and what the model looked like along the way are in `{name}-record`.

| setting | value |
|---|---|
{recipe}

It knows 65 characters and the layout of a play. It knows nothing of facts, and it repeats the views of the sixteenth century. MIT licence, like the code; the plays are in the public domain.
"""


def ship(name, model, tokenizer, history, resumed, recorder, text):
    "Write the checkpoint and its record."
    ids = torch.tensor(tokenizer.encode(text))
    n = int(len(ids)*.9)
    half = type(model)(model.config)
    half.load_state_dict({k: v.half().float() for k, v in model.state_dict().items()})  # judge what ships
    losses = dict(val=estimate_loss(half, ids[n:]), train=estimate_loss(half, ids[:n], eval_iters=4), hours=sum(row.get("seconds", 0) for row in history)/3600,
                  step=min((row for row in history if "val_loss" in row), key=lambda row: row["val_loss"])["step"], every=RECIPES[name].get("eval_interval", 500), resumed=resumed)
    for folder in (WEIGHTS/name, WEIGHTS/f"{name}-record"): shutil.rmtree(folder, ignore_errors=True)
    save_checkpoint(WEIGHTS/name, model, tokenizer, card=card(name, model, losses, ngram_losses(ids[:n], ids[n:], 65)), dtype=torch.float16)
    record = WEIGHTS/f"{name}-record"
    record.mkdir()
    kept = [row for row in history if "val_loss" in row or row["step"] % 20 == 0 or row["step"] <= 100]
    (record/"history.jsonl").write_text("".join(json.dumps({k: round(v, 6) if isinstance(v, float) else v for k, v in row.items()}) + "\n" for row in kept))
    rows, maps, tables = recorder.read()
    scales = tables.abs().amax((1, 2))/127  # eight bits each: a map is byte/255, a table byte*scale
    np.savez_compressed(record/"snapshots.npz", attention=(maps*255).round().byte(), embedding=(tables/scales[:, None, None]).round().char(), scale=scales)
    (record/"snapshots.json").write_text(json.dumps({"prompt": PROMPT, "rows": rows}, indent=0))
    print(f"val {losses['val']:.4f}, train {losses['train']:.4f}")


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
            if args.name in NIMBLE: stack.enter_context(nimble(run.model))
        recorder(run)

    with ExitStack() as stack:
        run = train(text, **(dict(resume=out) if args.resume else dict(out=out, **RECIPES[args.name])), callback=callback, device="cpu")
    if run.step < RECIPES[args.name]["max_iters"]: raise SystemExit(f"stopped at step {run.step}; go on with --resume")
    model, tokenizer = load_checkpoint(out)  # the step with the best validation loss
    resumed = [int(step) for step in recorder.folder.with_suffix(".starts").read_text().split()][1:]
    ship(args.name, model, tokenizer, run.history, resumed, recorder, text)
