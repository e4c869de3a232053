"""Characters a second in Chromium beside PyTorch's cached step: python benchmarks/live.py [ROUNDS]

The shipped model, one thread each, in turns: half a context is read at once, then 63 characters follow one by one. Beyond the context, 64 characters cost
all of that. What counts is the thread's processor time, so other programs don't count, though they still disturb; of each part the best round counts.
"""
import shutil, sys, time

import torch
from playwright.sync_api import sync_playwright

from gpt_scratch.model import count_flops
from gpt_scratch.toolbox.checkpoint import find_checkpoint, load_checkpoint
from gpt_scratch.toolbox.html import live_file, page_files

READ = "() => { window.writer = new Writer(model, ids, {seed: 1}); writer.next(); }"
WRITE = "() => { for (let i = 0; i < 63; i++) writer.next(); }"
PRODUCT = """rows => {
    const W = model.tensor("blocks.0.feed_forward.up.weight"), x = new Float32Array(192*rows).fill(.3);
    for (let i = 0; i < 256/rows; i++) linear(x, W);
}"""


def main(rounds=10):
    torch.set_num_threads(1)
    model, tokenizer = load_checkpoint("shakespeare-char")
    text = "To be, or not to be, that is the question: whether 'tis nobler in the mind"[:64]
    idx, best, rates = torch.tensor([tokenizer.encode(text)]), {}, {}
    def note(name, *times): best[name] = [min(pair) for pair in zip(best.get(name, times), times)]
    with sync_playwright() as p:
        browser = p.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        page = browser.new_page()
        for name in ("read.js", "gpt.js"): page.add_script_tag(content=live_file(name))
        files = page_files(find_checkpoint("shakespeare-char"))
        page.evaluate("""files => {
            const found = readCheckpoint({...files, weights: Uint8Array.from(atob(files.weights), c => c.charCodeAt(0)).buffer});
            Object.assign(window, {model: new GPT(found.config, found.tensors), ids: found.tokenizer.encode(files.text)});
        }""", files | {"text": text})
        session = page.context.new_cdp_session(page)
        session.send("Performance.enable", {"timeDomain": "threadTicks"})
        def spent(program, value=None):
            "Seconds of processor time that the page's thread needs for it."
            clock = lambda: next(m["value"] for m in session.send("Performance.getMetrics")["metrics"] if m["name"] == "ThreadTime")
            start = clock()
            page.evaluate(program, value)
            return clock()-start
        for _ in range(rounds):
            note(f"Chromium {browser.version}", spent(READ), spent(WRITE))
            writing, times = model.stream(idx, 64, seed=1, window="rolling"), []
            for n in (1, 63):
                start = time.thread_time()
                for _ in range(n): next(writing)
                times.append(time.thread_time()-start)
            note(f"torch {torch.__version__}", *times)
            for rows in (1, 64):
                name = f"Chromium, product of {rows} rows, GFLOP/s"
                rates[name] = max(rates.get(name, 0), 256*2*192*768/spent(PRODUCT, rows)/1e9)
        browser.close()
    for name, (reading, writing) in best.items():
        print(f"{63/writing:8.1f}  {name}, within the context, characters/s\n{64/(reading+writing):8.1f}  {name}, beyond it, characters/s")
    for name, value in rates.items(): print(f"{value:8.2f}  {name}")
    print(f"{count_flops(model.config)/1e6:8.2f}  million operations a character, at full context")


if __name__ == "__main__": main(*map(int, sys.argv[1:]))
