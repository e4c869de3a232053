"""Write text with the course's model (10.8 M parameters): ours against Hugging Face's generate, and against a loop without a cache.

python benchmarks/generate.py [--threads N] [--repeats N]    needs: pip install transformers

All contestants have the same weights (random ones: the speed doesn't depend on them) and take turns in one process. Prints
the median seconds of each, and the median, lowest and highest of the ratios of neighboring runs.
"""
import argparse, os, platform, statistics, time

os.environ["USE_TF"] = os.environ["USE_FLAX"] = "0"

import torch, transformers

import gpt_scratch.generate
from gpt_scratch.beyond.gpt2 import to_hf
from gpt_scratch.model import GPTConfig, GPTLanguageModel, count_parameters, init_weights

SHORT, LONG = 255, 1000  # as many as fit into Hugging Face's positions after a prompt of one id, and about a page


@torch.no_grad()
def uncached(model, idx, n):
    "nanoGPT's way: show the model the last block_size ids at each step, draw from the last logits."
    for _ in range(n):
        logits = model(idx[:, -model.config.block_size:])[0][:, -1]
        idx = torch.cat([idx, torch.multinomial(logits.softmax(-1), 1)], 1)
    return idx


def timed(f):
    "The seconds that `f` takes."
    start = time.perf_counter()
    f()
    return time.perf_counter() - start


def take_turns(repeats, **contestants):
    "Seconds per contestant and run, after a short warm-up of each."
    runs = {name: [] for name in contestants}
    for _ in range(repeats):
        for name, f in contestants.items(): runs[name].append(timed(f))
    return runs


def report(runs, n, ours):
    "Print the medians, and the ratio of each contestant to `ours`."
    for name, seconds in runs.items():
        ratios = sorted(a/b for a, b in zip(seconds, runs[ours]))
        versus = "" if name == ours else f"   {statistics.median(ratios):5.1f} times ours ({ratios[0]:.1f} to {ratios[-1]:.1f})"
        print(f"{statistics.median(seconds):9.3f} s  {n/statistics.median(seconds):7.1f} tokens/s  {name}{versus}")


def cpu():
    "The processor's name."
    try: names = {line.split(":")[1].strip() for line in open("/proc/cpuinfo") if line.startswith("model name")}
    except OSError: names = {platform.processor()}
    return f"{', '.join(sorted(names))}, {os.cpu_count()} cores"


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--threads", type=int, default=1, help="threads that torch may use (default 1)")
    parser.add_argument("--repeats", type=int, default=5, help="how often each takes its turn (default 5; the slow loop at most 3 times)")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    transformers.logging.set_verbosity_error()
    torch.manual_seed(0)
    model = GPTLanguageModel(GPTConfig()).apply(lambda part: init_weights(part, 0.1)).eval()  # large weights have clear favorites
    theirs, idx = to_hf(model), torch.zeros(1, 1, dtype=torch.long)
    def hf(n, **options): return theirs.generate(idx, max_new_tokens=n, use_cache=True, pad_token_id=0, **options)
    def ours(n, **options): return model.generate(idx, n, seed=0, **options)

    print(f"torch {torch.__version__}, transformers {transformers.__version__}, Python {platform.python_version()}, {cpu()}, {args.threads} threads, float32, {count_parameters(model.config):,} parameters")
    agree = (hf(SHORT, do_sample=False) == ours(SHORT, temperature=0)).float().mean().item()
    print(f"{agree:.0%} of {SHORT} greedy tokens agree with Hugging Face's\n")
    uncached(model, idx, 30)

    print(f"{SHORT} new tokens, drawn at temperature 1 after a prompt of one")
    runs = take_turns(args.repeats, **{
        "ours": lambda: ours(SHORT),
        "Hugging Face generate, with its cache": lambda: hf(SHORT, do_sample=True, top_k=0),
        "uncached loop": lambda: uncached(model, idx, SHORT)})
    report(runs, SHORT, "ours")

    print(f"\n{LONG} new tokens, drawn at temperature 1 after a prompt of one; a context of {model.config.block_size}")
    runs = take_turns(min(3, args.repeats), **{
        'ours, window="rolling"': lambda: ours(LONG, window="rolling"),
        'ours, window="full" (the same text as without a cache)': lambda: ours(LONG),
        "uncached loop": lambda: uncached(model, idx, LONG)})
    report(runs, LONG, 'ours, window="rolling"')

    print(f"\n{SHORT} new tokens for each of 8 prompts at once, and for one after the other")
    prompts = [[i]*(i + 1) for i in range(8)]
    runs = take_turns(args.repeats, **{
        "ours, together": lambda: model.generate(prompts, SHORT - 7, seed=0),
        "ours, one by one": lambda: [model.generate([prompt], SHORT - 7, seed=i) for i, prompt in enumerate(prompts)]})
    report(runs, 8*(SHORT - 7), "ours, together")


if __name__ == "__main__": main()
