"""Train the course's model on a GPU until its validation loss reaches a goal. Tested on a CPU at toy size; never yet run on a GPU.

python benchmarks/gpu.py OUT --compile [NAME=VALUE …]        for example max_iters=2500 learning_rate=2e-3
python benchmarks/gpu.py OUT --join CHECKPOINT               put the parts together again

NAME is any option of `train`; what isn't named is nanoGPT's recipe for this size, in bfloat16. OUT gets log.jsonl (the history, and a last
line with loss, seconds, tokens per second, share of the peak and memory), config.json, tokenizer.json and the weights in fp16, in parts that
are safetensors files of less than 16 MB each.
"""
import argparse, dataclasses, json, time
from pathlib import Path

import safetensors.torch, torch

from gpt_scratch.model import GPTConfig, GPTLanguageModel, count_flops
from gpt_scratch.toolbox.checkpoint import load_tokenizer, save_checkpoint
from gpt_scratch.toolbox.corpus import tinyshakespeare
from gpt_scratch.toolbox.files import read_text
from gpt_scratch.toolbox.run import Run, pick_device, start_run

RECIPE = dict(max_iters=5000, batch_size=64, learning_rate=1e-3, schedule="cosine", warmup_iters=100, weight_decay=.1, beta2=.99, grad_clip=1., eval_interval=100, dtype="bfloat16")
PART = 15 * 10**6


def race(run, goal, seconds):
    "Train until the goal, the last step or the last second; the best validation loss, and the time without evaluations."
    run.model.train()
    start, tested, best = time.perf_counter(), 0., float("inf")
    while run.step < run.config.max_iters and best > goal and time.perf_counter() - start < seconds:
        run.advance()
        if run.step % run.config.eval_interval and run.step < run.config.max_iters: continue
        begun = time.perf_counter()
        best = min(best, run.evaluate()["val_loss"])
        tested += time.perf_counter() - begun
    return best, time.perf_counter() - start - tested


def save_parts(run, out):
    "Write the weights in fp16, grouped into files below the limit, with what is needed to read them."
    groups, size = [{}], 0
    for name, p in run.model.named_parameters():
        if size + 2*p.numel() > PART: groups, size = [*groups, {}], 0
        groups[-1][name], size = p.detach().cpu().half().contiguous(), size + 2*p.numel()
    for i, group in enumerate(groups): safetensors.torch.save_file(group, out/f"part-{i}.safetensors")
    (out/"config.json").write_text(json.dumps(dataclasses.asdict(run.model.config)))
    run.tokenizer.save(out/"tokenizer.json")


def join(out, target):
    "Make a checkpoint of the parts."
    model = GPTLanguageModel(GPTConfig(**json.loads((out/"config.json").read_text())))
    model.load_state_dict({name: t.float() for part in sorted(out.glob("part-*.safetensors")) for name, t in safetensors.torch.load_file(part).items()})
    return save_checkpoint(target, model.eval(), load_tokenizer(out/"tokenizer.json"), dtype=torch.float16)


def value(text):
    "A number if it is one."
    try: return json.loads(text)
    except ValueError: return text


def main(argv=None):
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("out", type=Path, help="the folder for log and weights")
    parser.add_argument("options", nargs="*", help="NAME=VALUE, options of train")
    parser.add_argument("--input", help="a UTF-8 text file; tinyshakespeare if not given")
    parser.add_argument("--goal", type=float, default=1.4697, help="validation loss at which to stop (default 1.4697)")
    parser.add_argument("--seconds", type=float, default=480, help="when to stop in any case (default 480)")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--compile", action="store_true", help="compile the model first; the time starts after that")
    parser.add_argument("--peak", type=float, default=989e12, help="the device's operations per second (default 989e12, an H100 in bfloat16)")
    parser.add_argument("--join", type=Path, help="only make a checkpoint there of the parts in OUT")
    args = parser.parse_intermixed_args(argv)
    if args.join: return print(join(args.out, args.join))
    args.out.mkdir(parents=True, exist_ok=True)
    options = RECIPE | {name: value(text) for name, text in (option.split("=") for option in args.options)}
    text, device = read_text(args.input) if args.input else tinyshakespeare(), pick_device(args.device)
    run = start_run(text, None, "default", device, options)
    if args.compile:  # in both modes, on a step and an exam of another run's
        run.model.compile()
        run.model.train()
        run.advance()
        run.evaluate()
        fresh = start_run(text, None, "default", device, options)
        run.model.load_state_dict(fresh.model.state_dict())
        run = Run(run.model, run.tokenizer, run.ids, run.config)
    loss, seconds = race(run, args.goal, args.seconds)
    tokens = run.step*run.config.batch_size*run.config.gradient_accumulation_steps*run.model.config.block_size/seconds
    result = dict(val_loss=loss, reached=loss <= args.goal, steps=run.step, training_seconds=seconds, tokens_per_second=tokens,
                  share_of_peak=tokens*3*count_flops(run.model.config)/args.peak, device=torch.cuda.get_device_name() if device.type == "cuda" else device.type,
                  memory=torch.cuda.max_memory_allocated() if device.type == "cuda" else None, torch=torch.__version__, options=options)
    (args.out/"log.jsonl").write_text("".join(json.dumps(row) + "\n" for row in [*run.history, result]))
    save_parts(run, args.out)
    print(json.dumps(result))


if __name__ == "__main__": main()
