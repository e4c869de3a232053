"""Train the runs behind the loss doctor: python tools/doctor_runs.py FOLDER PRESET FIRST_SEED LAST_SEED [KIND …]
Keep those of seeds below 100:            python tools/doctor_runs.py FOLDER save
Count on the others, which it never saw:  python tools/doctor_runs.py FOLDER count

Each run becomes FOLDER/PRESET/KIND/SEED.json, its history; one that is there already isn't made again. The kinds are
"normal" and the mistakes in MISTAKES, all of them if none is named.
"""
import importlib.util, json, os, sys
from pathlib import Path
from statistics import fmean, stdev
from types import ModuleType

import torch

# a mistake: options of `train`, as factors of the preset's or as values, or a module, text in it and what a mistaken hand writes there
MISTAKES = {
    "a rate ten times too high": dict(learning_rate=10.),
    "a rate ten times too low": dict(learning_rate=.1),
    "no warmup": dict(warmup_iters=0),
    "a weight decay a hundred times too strong": dict(weight_decay=100.),
    "memorizing one batch": ("train", "get_batch(self.train_ids, self.step", "get_batch(self.train_ids, 0"),
    "one window for the whole batch": ("data", "integers(n_starts, size=batch_size)", "integers(n_starts, size=1).repeat(batch_size)"),
    "gradients that are never cleared": ("train", "    optimizer.zero_grad()\n", ""),
    "no step of the optimizer": ("train", "    optimizer.step()\n    return float(total),norm", "    return float(total),norm"),
    "a rate that never reaches the optimizer": ("train", 'for group in self.optimizer.param_groups: group["lr"] = rate', "pass"),
    "steps uphill": ("train", "loss.backward()", "(-loss).backward()"),
    "betas exchanged": ("train", "(config.beta1, config.beta2)", "(config.beta2, config.beta1)"),
    "targets that are the inputs": ("data", "return windows[:,:-1],windows[:,1:]", "return windows[:,:-1],windows[:,:-1]"),
    "targets one place too early": ("data", "return windows[:,:-1],windows[:,1:]", "return windows[:,1:],windows[:,:-1]"),
    "targets of another row": ("data", "return windows[:,:-1],windows[:,1:]", "return windows[:,:-1],windows[:,1:].roll(1, 0)"),
    "no mask over the future": ("attention", "is_causal=True)\n        return self.merge", "is_causal=False)\n        return self.merge"),
    "scores that aren't scaled": ("attention", "is_causal=True)\n        return self.merge", "is_causal=True, scale=1.)\n        return self.merge"),
    "no residual around attention": ("block", "x = x + self.attention(self.ln1(x))", "x = self.attention(self.ln1(x))"),
    "no residual around the feed-forward part": ("block", "return x + self.feed_forward(self.ln2(x))", "return self.feed_forward(self.ln2(x))"),
    "no positions": ("embedding", " + self.position.weight[:idx.shape[-1]]", ""),
    "matrices that start ten times too large": ("model", "std:float=0.02", "std:float=0.2"),
    "a loss summed over positions": ("model", "targets.flatten())", "targets.flatten(), reduction='sum')/len(idx)"),
    "smoothed labels": ("model", "targets.flatten())", "targets.flatten(), label_smoothing=.1)"),
}


def plant(module, old, new):
    "Import a module of the package with a mistake in it."
    spec = importlib.util.find_spec(f"gpt_scratch.{module}")
    source = Path(spec.origin).read_text(encoding="utf-8")
    assert source.count(old) == 1, f"{module}: {old!r} stands there {source.count(old)} times"
    wrong = sys.modules[spec.name] = ModuleType(spec.name)
    wrong.__spec__, wrong.__package__, wrong.__file__ = spec, spec.parent, spec.origin
    exec(compile(source.replace(old, new), spec.origin, "exec"), vars(wrong))


def history(preset, seed, mistake):
    "Train, and return the rows of the history; a run that breaks off has fewer."
    options = {}
    if isinstance(mistake, tuple): plant(*mistake)
    from gpt_scratch.toolbox.corpus import tinyshakespeare
    from gpt_scratch.toolbox.run import NotFinite, PRESETS, train
    if isinstance(mistake, dict): options = {name: factor*PRESETS[preset][name] for name, factor in mistake.items()}
    rows = []
    class Keeper:
        def log(self, row): rows.append({name: round(value, 4) if isinstance(value, float) else value for name, value in row.items() if name != "seconds"})
        def close(self): pass
    try: train(tinyshakespeare(), preset=preset, device="cpu", progress=False, seed=seed, loggers=[Keeper()], **options)
    except NotFinite: pass
    return rows


WIDTHS = {"tiny": 10, "speedrun": 25} # steps to average over
FLOORS = {"loss": .01, "grad": .05, "val": .005, "train": .005} # the least spread of a logarithm
PLACE = Path(__file__).parents[1]/"gpt_scratch/toolbox/fingerprints.json"


def runs(folder, preset, kind, saved):
    "The histories of a kind, of saved seeds or of the others."
    for path in sorted(Path(folder, preset, kind).glob("*.json"), key=lambda path: int(path.stem)):
        if (int(path.stem) < 100) == saved: yield json.loads(path.read_text())


def save(folder):
    "Write means, spreads and limits."
    from gpt_scratch.toolbox.doctor import distance, features
    found = {}
    for preset, width in WIDTHS.items():
        def mean(rows): return {name: fmean(row[name] for row in rows if name in row) for name in dict.fromkeys(name for row in rows for name in row)}
        right = [features(run, width) for run in runs(folder, preset, "normal", True)]
        normal = {name: [value, max(FLOORS[name.split()[0]], stdev(row[name] for row in right))] for name, value in mean(right).items()}
        limit = 1.4*max(distance(row, mean([other for other in right if other is not row]), normal) for row in right)
        mistakes = {kind: mean([features(run, width) for run in runs(folder, preset, kind, True)]) for kind in MISTAKES}
        found[preset] = {"width": width, "limit": limit, "seeds": len(right), "normal": normal, "mistakes": mistakes}
    rounded = json.loads(json.dumps(found), parse_float=lambda number: round(float(number), 4))
    PLACE.write_text(json.dumps(rounded, separators=(",", ":"))+"\n")


def count(folder):
    "Print how many right runs are called broken, and how many broken ones are named, of seeds that weren't saved."
    from gpt_scratch.toolbox.doctor import diagnose
    for preset in WIDTHS:
        right = [diagnose(run, preset) for run in runs(folder, preset, "normal", False)]
        named = {kind: [kind in diagnose(run, preset).words for run in runs(folder, preset, kind, False)] for kind in MISTAKES}
        tried = {kind: rows for kind, rows in named.items() if rows}
        print(f"{preset}: {sum(bool(d.likely) or 'normal' not in d.words for d in right)} of {len(right)} right runs called broken, "
              f"{sum(map(sum, tried.values()))} of {sum(map(len, tried.values()))} broken runs named among the first two; "
              f"missed: {', '.join(kind for kind, rows in tried.items() if not all(rows)) or 'none'}")


def main(folder, preset, *words):
    if preset in ("save", "count"): return globals()[preset](folder)
    first, last, *kinds = words
    for seed in range(int(first), int(last) + 1):
        for kind in kinds or ["normal", *MISTAKES]:
            path = Path(folder, preset, kind, f"{seed}.json")
            if path.exists(): continue
            if not (child := os.fork()):
                rows = history(preset, seed, MISTAKES.get(kind))
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(json.dumps(rows))
                os._exit(0)
            os.waitpid(child, 0)


if __name__ == "__main__":
    torch.set_num_threads(1)
    main(*sys.argv[1:])
