"""Write the data of the live parts, nbs/live/record, from what ships with the package: python tools/live_record.py

run.json: steps, losses, samples, and each snapshot's table of characters in two directions. attention.png: 39 rows of 36 maps, in 16 shades.
letters.json: the shipped model's table of characters in two directions, and the neighbors of each. pages.txt: the first pages of the plays.
"""
import json
from io import BytesIO
from pathlib import Path

import numpy as np
from PIL import Image

from gpt_scratch.toolbox.checkpoint import load_checkpoint
from gpt_scratch.toolbox.corpus import tinyshakespeare

ROOT = Path(__file__).parents[1]
RECORD = ROOT/"gpt_scratch/weights/shakespeare-char-record"


def two_directions(table):
    "Those in which the rows of a table differ most, `(2,C)`."
    directions = np.linalg.svd(table-table.mean(0), full_matrices=False)[2][:2]
    return directions*np.sign(directions[range(2),np.abs(directions).argmax(1)])[:,None] # a direction may point either way


def letters_json():
    "Where each character stands, and the five whose vectors have the largest cosine with its own, all measured from the mean."
    model, tokenizer = load_checkpoint("shakespeare-char")
    table = model.embedding.token.weight.detach().double().numpy()
    table -= table.mean(0)
    units = table/np.linalg.norm(table, axis=1, keepdims=True)
    cosines = (units@units.T).round(2)-2*np.eye(len(table))
    near = [[[int(i), float(row[i])] for i in np.argsort(-row, kind="stable")[:5]] for row in cosines]
    return dict(symbols=tokenizer.itos, map=(table@two_directions(table).T).round(2).tolist(), near=near)


def pages():
    "As many whole speeches from the beginning as fit into 6,000 characters."
    text = tinyshakespeare()
    return text[:text.rindex("\n\n", 0, 6000)]


def run_json():
    snapshots, arrays = json.loads((RECORD/"snapshots.json").read_text(encoding="utf-8")), np.load(RECORD/"snapshots.npz")
    tables = arrays["embedding"]*arrays["scale"][:,None,None].astype(float)
    places = ((tables-tables.mean(1, keepdims=True))@two_directions(tables[-1]).T).round(2)
    rows = [row | {"train_loss": round(row["train_loss"], 3), "val_loss": round(row["val_loss"], 3)} for row in snapshots["rows"]]
    _, layers, heads, *_ = arrays["attention"].shape
    return dict(prompt=snapshots["prompt"], symbols=load_checkpoint("shakespeare-char")[1].itos, layers=layers, heads=heads, rows=rows, map=places.tolist())


def shades():
    "Every map beside each other, as numbers from 0 to 15: the root of the share."
    maps = np.load(RECORD/"snapshots.npz")["attention"]
    steps, layers, heads, T, _ = maps.shape
    return (15*np.sqrt(maps/255)).round().astype(np.uint8).reshape(steps, layers*heads, T, T).swapaxes(1, 2).reshape(steps*T, layers*heads*T)


def attention_png():
    image = Image.fromarray(shades(), "P")
    image.putpalette([48, 132, 220]*16)
    out = BytesIO()
    image.save(out, "PNG", optimize=True, bits=4, transparency=bytes(17*shade for shade in range(16)))
    return out.getvalue()


if __name__ == "__main__":
    folder = ROOT/"nbs/live/record"
    folder.mkdir(exist_ok=True)
    for name, data in (("run", run_json()), ("letters", letters_json())):
        (folder/f"{name}.json").write_text(json.dumps(data, ensure_ascii=False, separators=(",", ":")), encoding="utf-8")
    (folder/"pages.txt").write_text(pages(), encoding="utf-8")
    (folder/"attention.png").write_bytes(attention_png())
