"""Write text with the course's model (10.8 M parameters): ours against Hugging Face's generate, and against a loop without a cache.

python benchmarks/generate.py [--threads N] [--repeats N]    needs: pip install transformers

All contestants have the same weights (random ones: the speed doesn't depend on them) and take turns in one process. Prints
the median seconds of each, and the median, lowest and highest of the ratios of neighboring runs.
"""
import argparse, os

os.environ["USE_TF"] = os.environ["USE_FLAX"] = "0"

import torch, transformers

from gpt_scratch.beyond.gpt2 import to_hf
from gpt_scratch.beyond.speed import lean, machine, report, take_turns
from gpt_scratch.generate import Reader
from gpt_scratch.model import GPTConfig, GPTLanguageModel, count_parameters, init_weights
from gpt_scratch.toolbox.writing import continue_all

SHORT, LONG = 255, 1000  # as many as fit into Hugging Face's positions after a prompt of one id, and about a page


@torch.no_grad()
def uncached(model, idx, n):
    "nanoGPT's way: show the model the last block_size ids at each step, draw from the last logits."
    for _ in range(n):
        logits = model(idx[:, -model.config.block_size:])[0][:, -1]
        idx = torch.cat([idx, torch.multinomial(logits.softmax(-1), 1)], 1)
    return idx


@torch.no_grad()
def largest_difference(model, theirs, text):
    "Between our logits, step by step with the cache, and theirs of one pass over the same text; both are up to some tens large."
    reader, expected = Reader(model), theirs(text).logits
    with lean(model): return max((reader(text[:, :n]) - expected[:, n - 1]).abs().max().item() for n in range(1, text.shape[1] + 1))


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--threads", type=int, default=1, help="threads that torch may use (default 1)")
    parser.add_argument("--repeats", type=int, default=5, help="how often each takes its turn (default 5; with 1000 tokens a third as often)")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    transformers.logging.set_verbosity_error()
    torch.manual_seed(0)
    model = GPTLanguageModel(GPTConfig()).apply(lambda part: init_weights(part, 0.1)).eval()  # large weights have clear favorites
    theirs, idx = to_hf(model), torch.zeros(1, 1, dtype=torch.long)
    def hf(n, **options): return theirs.generate(idx, max_new_tokens=n, use_cache=True, pad_token_id=0, **options)
    def plain(n, **options): return model.generate(idx, n, seed=0, **options)
    def ours(n, **options):
        with lean(model): return plain(n, **options)

    print(f"{machine()}, transformers {transformers.__version__}; float32, {count_parameters(model.config):,} parameters")
    text = ours(SHORT)
    print(f"on one text of {text.shape[1]} ids our cached logits and Hugging Face's differ by at most {largest_difference(model, theirs, text):.1e}\n")
    uncached(model, idx, 30)

    print(f"{SHORT} new tokens, drawn at temperature 1 after a prompt of one")
    runs = take_turns(args.repeats, **{
        "ours": lambda: ours(SHORT),
        "ours, without the lean step": lambda: plain(SHORT),
        "Hugging Face generate, with its cache": lambda: hf(SHORT, do_sample=True, top_k=0),
        "uncached loop": lambda: uncached(model, idx, SHORT)})
    report(runs, "ours", SHORT)

    print(f"\n{LONG} new tokens, drawn at temperature 1 after a prompt of one; a context of {model.config.block_size}")
    runs = take_turns(max(1, args.repeats//3), **{
        'ours, window="rolling"': lambda: ours(LONG, window="rolling"),
        'ours, window="full" (the same text as without a cache)': lambda: ours(LONG),
        "uncached loop": lambda: uncached(model, idx, LONG)})
    report(runs, 'ours, window="rolling"', LONG)

    print(f"\n{SHORT} new tokens for each of 8 prompts at once, and for one after the other")
    prompts = [[i]*(i + 1) for i in range(8)]
    runs = take_turns(args.repeats, **{
        "ours, together": lambda: continue_all(model, prompts, SHORT - 7, seed=0),
        "ours, one by one": lambda: [model.generate([prompt], SHORT - 7, seed=i) for i, prompt in enumerate(prompts)]})
    report(runs, "ours, together", 8*(SHORT - 7))


if __name__ == "__main__": main()
