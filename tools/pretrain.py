"""Train the model that ships: OMP_NUM_THREADS=1 python tools/pretrain.py   (about an hour and a half on one CPU core that has bfloat16 products)

Writes gpt_scratch/weights/shakespeare-char (the checkpoint in fp16, with its model card) and shakespeare-char-record beside it:
the history, and at about 40 log-spaced steps the losses, a sample, the attention of every head and the token embeddings.
"""
import json, platform, shutil
from pathlib import Path

import numpy as np, torch

import gpt_scratch.generate
from gpt_scratch.data import ngram_losses
from gpt_scratch.model import count_parameters
from gpt_scratch.toolbox.checkpoint import load_checkpoint, save_checkpoint
from gpt_scratch.toolbox.corpus import tinyshakespeare
from gpt_scratch.toolbox.run import train
from gpt_scratch.train import estimate_loss

NAME = "shakespeare-char"
RECIPE = dict(block_size=128, n_embd=192, n_head=6, n_layer=6, dropout=0.1, max_iters=8000, batch_size=32, learning_rate=1e-3,
              schedule="cosine", warmup_iters=100, weight_decay=0.1, beta2=0.99, grad_clip=1.0, dtype="bfloat16", seed=1337)
STEPS = {0, *np.geomspace(1, RECIPE["max_iters"], 42).astype(int).tolist()}
PROMPT = "ROMEO:\nIs it the day, my lord? "
WEIGHTS = Path(__file__).parents[1]/"gpt_scratch"/"weights"


class Recorder:
    "A callback that looks at the model at each of `STEPS` and changes nothing, the random state included."
    def __init__(self): self.maps, self.tables, self.rows = [], [], []

    def __call__(self, run):
        if run.step not in STEPS: return
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
        self.maps.append(torch.stack(maps))  # (layer, head, T, T)
        self.tables.append(model.embedding.token.weight.detach().clone())  # (V, C)
        self.rows.append(dict(step=run.step, train_loss=losses[0], val_loss=losses[1], sample=tokenizer.decode(sample[0].tolist())[1:]))


def card(model, losses, ladder):
    "The model card in Markdown."
    landmarks = ", ".join(f"{name} {loss:.3f}" for name, loss in ladder.items())
    recipe = "\n".join(f"| `{name}` | {value} |" for name, value in RECIPE.items())
    return f"""# {NAME}

A character-level GPT of {count_parameters(model.config):,} parameters that writes in the manner of Shakespeare's plays. It ships with gpt_scratch and is what `gpt_scratch generate` uses when no checkpoint is named.

| measure | nats per character |
|---|---|
| loss on the whole validation text (float32, windows of {model.config.block_size} side by side) | {losses['val']:.4f} |
| loss on the training text (256 windows, evenly spread) | {losses['train']:.4f} |

For comparison, models that only count, on the same validation text: {landmarks}.

Trained on the first 90 % of tinyshakespeare by `tools/pretrain.py`, which is `train` of the toolbox with a recorder, in bfloat16 on one core of {platform.machine()} ({losses['hours']:.1f} hours, torch {torch.__version__.split('+')[0]}). These are the weights of step {losses['step']:,}, the best of the evaluations every 500 steps. The curve and what the model looked like along the way are in `{NAME}-record`; the page *How the model grew up* draws them.

| setting | value |
|---|---|
{recipe}

It knows 65 characters and the layout of a play. It knows nothing of facts, and it repeats the views of the sixteenth century. MIT licence, like the code; the plays are in the public domain.
"""


def ship(model, tokenizer, history, recorder, text):
    "Write the checkpoint and its record."
    ids = torch.tensor(tokenizer.encode(text))
    n = int(len(ids)*.9)
    half = type(model)(model.config)
    half.load_state_dict({k: v.half().float() for k, v in model.state_dict().items()})  # judge what ships
    losses = dict(val=estimate_loss(half, ids[n:]), train=estimate_loss(half, ids[:n], eval_iters=4), hours=sum(row.get("seconds", 0) for row in history)/3600,
                  step=min((row for row in history if "val_loss" in row), key=lambda row: row["val_loss"])["step"])
    for folder in (WEIGHTS/NAME, WEIGHTS/f"{NAME}-record"): shutil.rmtree(folder, ignore_errors=True)
    save_checkpoint(WEIGHTS/NAME, model, tokenizer, card=card(model, losses, ngram_losses(ids[:n], ids[n:], 65)), dtype=torch.float16)
    record = WEIGHTS/f"{NAME}-record"
    record.mkdir()
    kept = [row for row in history if "val_loss" in row or row["step"] % 20 == 0 or row["step"] <= 100]
    (record/"history.jsonl").write_text("".join(json.dumps({k: round(v, 6) if isinstance(v, float) else v for k, v in row.items()}) + "\n" for row in kept))
    maps, tables = torch.stack(recorder.maps), torch.stack(recorder.tables)
    scales = tables.abs().amax((1, 2))/127  # eight bits each: a map is byte/255, a table byte*scale
    np.savez_compressed(record/"snapshots.npz", attention=(maps*255).round().byte(), embedding=(tables/scales[:, None, None]).round().char(), scale=scales)
    (record/"snapshots.json").write_text(json.dumps({"prompt": PROMPT, "rows": recorder.rows}, indent=0))
    print(f"val {losses['val']:.4f}, train {losses['train']:.4f}")


if __name__ == "__main__":
    text, recorder = tinyshakespeare(), Recorder()
    run = train(text, f"runs/{NAME}", callback=recorder, device="cpu", **RECIPE)
    model, tokenizer = load_checkpoint(run.out)  # the step with the best validation loss
    ship(model, tokenizer, run.history, recorder, text)
