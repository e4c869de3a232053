"""Characters a second in Chromium beside PyTorch's cached step: python benchmarks/live.py [ROUNDS]

The shipped model, one thread each, in turns of 64 characters: the second half of a context, or what lies beyond it (where half a context is
read anew once in 64 characters). Of each contestant the best turn counts, since other programs only take time away.
"""
import shutil, sys, time

import torch
from playwright.sync_api import sync_playwright

from gpt_scratch.model import count_flops
from gpt_scratch.toolbox.checkpoint import find_checkpoint, load_checkpoint
from gpt_scratch.toolbox.html import live_file, page_files

WRITE = """start => {
    const writer = new Writer(model, ids.slice(0, start), {seed: 1});
    if (start === 64) writer.next(); // the prompt itself isn't timed
    const began = performance.now();
    for (let i = 0; i < 63; i++) writer.next();
    if (start > 64) writer.next();
    return (start > 64 ? 64 : 63)/(performance.now() - began)*1000;
}"""
PRODUCT = """rows => {
    const W = model.tensor("blocks.0.feed_forward.up.weight"), x = new Float32Array(192*rows).fill(.3), start = performance.now();
    for (let i = 0; i < 256/rows; i++) linear(x, W);
    return 256*2*192*768/(performance.now() - start)/1e6;
}"""


def main(rounds=10):
    torch.set_num_threads(1)
    model, tokenizer = load_checkpoint("shakespeare-char")
    ids, starts = tokenizer.encode("To be, or not to be, that is the question. "*4), {"within the context": 64, "beyond it": 129}
    best = {}
    def note(name, value): best[name] = max(best.get(name, 0), value)
    with sync_playwright() as p:
        browser = p.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        page = browser.new_page()
        for name in ("read.js", "gpt.js"): page.add_script_tag(content=live_file(name))
        files = page_files(find_checkpoint("shakespeare-char"))
        page.evaluate("""files => {
            const found = readCheckpoint({...files, weights: Uint8Array.from(atob(files.weights), c => c.charCodeAt(0)).buffer});
            Object.assign(window, {model: new GPT(found.config, found.tensors), ids: found.tokenizer.encode("To be, or not to be, that is the question. ".repeat(4))});
        }""", files)
        for _ in range(rounds):
            for where, start in starts.items():
                note(f"Chromium {browser.version}, {where}, characters/s", page.evaluate(WRITE, start))
                writing = model.stream(torch.tensor([ids[:start]]), 64, seed=1, window="rolling")
                if start == 64: next(writing)
                began = time.perf_counter()
                note(f"torch {torch.__version__}, {where}, characters/s", sum(1 for _ in writing)/(time.perf_counter()-began))
            for rows in (1, 64): note(f"Chromium, product of {rows} rows, GFLOP/s", page.evaluate(PRODUCT, rows))
        browser.close()
    for name, value in best.items(): print(f"{value:8.2f}  {name}")
    print(f"{count_flops(model.config)/1e6:8.2f}  million operations a character, at full context")


if __name__ == "__main__": main(*map(int, sys.argv[1:]))
