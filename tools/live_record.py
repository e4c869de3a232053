"""Write the time machine's files, nbs/live/record, from the record that ships with the package: python tools/live_record.py

run.json: steps, losses, samples, and each snapshot's table of characters in two directions. attention.png: 39 rows of 36 maps, in 16 shades.
"""
import json
from io import BytesIO
from pathlib import Path

import numpy as np
from PIL import Image

from gpt_scratch.toolbox.checkpoint import load_checkpoint

ROOT = Path(__file__).parents[1]
RECORD = ROOT/"gpt_scratch/weights/shakespeare-char-record"


def run_json():
    snapshots, arrays = json.loads((RECORD/"snapshots.json").read_text(encoding="utf-8")), np.load(RECORD/"snapshots.npz")
    tables = arrays["embedding"]*arrays["scale"][:,None,None].astype(float)
    last = tables[-1]-tables[-1].mean(0)
    directions = np.linalg.svd(last, full_matrices=False)[2][:2]
    directions *= np.sign(directions[range(2),np.abs(directions).argmax(1)])[:,None] # a direction may point either way
    places = ((tables-tables.mean(1, keepdims=True))@directions.T).round(2)
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
    (folder/"run.json").write_text(json.dumps(run_json(), ensure_ascii=False, separators=(",", ":")), encoding="utf-8")
    (folder/"attention.png").write_bytes(attention_png())
