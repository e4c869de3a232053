"The live parts of the pages: each in its notebook's own cell, in Chromium, beside what Python computes."
import json, re, shutil, threading
from functools import partial
from http.server import ThreadingHTTPServer
from pathlib import Path

import pytest, torch

from gpt_scratch.toolbox.checkpoint import load_checkpoint
from gpt_scratch.toolbox.html import stored
from test_live import Server, chromium, look

NBS = Path(__file__).parents[1]/"nbs"
if not (NBS/"live").exists(): pytest.skip("needs the checkout", allow_module_level=True)
PARTS = {match[1]: (path, "".join(cell["source"])) for path in sorted(NBS.rglob("*.ipynb")) if ".ipynb_checkpoints" not in path.parts
    for cell in json.loads(path.read_text(encoding="utf-8"))["cells"] if cell["cell_type"] == "markdown"
    if (match := re.search(r'<div class="live" data-part="(\w+)"', "".join(cell["source"])))}


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    "Each part on a page of its own, at the notebook's place beside nbs/live, and a log of what was asked for."
    root, log = tmp_path_factory.mktemp("site"), []
    shutil.copytree(NBS/"live", root/"live")
    shutil.copy(NBS/"styles.css", root)
    for name, (path, text) in PARTS.items():
        folder = (root/path.relative_to(NBS)).parent
        folder.mkdir(exist_ok=True)
        html = text[text.index('<div class="live"'):text.rindex("</script>")] + "</script>"
        up = "../"*len(path.relative_to(NBS).parent.parts)
        (folder/f"{name}.html").write_text(f"""<!doctype html><html lang="en"><meta charset="utf-8"><title>{name}</title><meta name="viewport" content="width=device-width">
            <link rel="icon" href="data:,"><link rel="stylesheet" href="{up}styles.css"><body style="margin: 0 1rem"><main><h1>{name}</h1><h2>Part</h2><div style="height: 1500px">above</div>{html}</main>
            <script>document.body.className = matchMedia("(prefers-color-scheme: dark)").matches ? "quarto-dark" : "quarto-light"</script></body></html>""", encoding="utf-8")
    class Logger(Server):
        def do_GET(self): log.append(self.path); super().do_GET()
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Logger, directory=str(root)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}", log
    server.shutdown()


@pytest.fixture
def part(chromium, site):
    "Open the page of a part; at the end, only files of this site were asked for, and nothing was complained about."
    address, log = site
    contexts, complaints = [], []
    def visit(name, theme="light", width=1280, scroll=True, **options):
        context = chromium.new_context(viewport={"width": width, "height": 900}, color_scheme=theme, **options)
        contexts.append(context)
        tab = context.new_page()
        tab.on("console", lambda message: message.type in ("error", "warning") and complaints.append(message.text))
        tab.on("pageerror", lambda error: complaints.append(str(error)))
        tab.on("request", lambda request: request.method == "GET" and request.url.startswith((address, "blob:", "data:")) or complaints.append(request.url))
        log.clear()
        tab.goto(f"{address}/{PARTS[name][0].relative_to(NBS).with_name(name).as_posix()}.html")
        if scroll:
            tab.locator(".live").scroll_into_view_if_needed()
            tab.locator(".live-on").wait_for(timeout=60_000)
        return tab
    yield visit
    for context in contexts: context.close()
    assert complaints == []


@pytest.fixture(scope="module")
def shipped():
    "The model as the site has it: in int8."
    model, tokenizer = load_checkpoint("shakespeare-char")
    return stored(model, "int8"), tokenizer


def idle(tab, name):
    "Wait until what a part shows first is there."
    if name in ("playground", "attention"): tab.locator(".live-heads canvas").first.wait_for(timeout=60_000)
    if name == "drawing": tab.locator(".live-next li").first.wait_for(timeout=60_000)


@pytest.mark.parametrize("name", PARTS)
def test_waits_and_does_without(part, site, name):
    "Nothing is fetched before the part is seen, and without scripts its text stands there."
    tab = part(name, scroll=False)
    tab.wait_for_timeout(200)
    assert all(path.endswith((".html", "styles.css", "parts.js")) for path in site[1]) and tab.locator(".live-on").count() == 0
    still = part(name, scroll=False, java_script_enabled=False)
    assert len(still.locator(".live").inner_text()) > 40


@pytest.mark.parametrize("theme,width", [("light", 1280), ("dark", 1280), ("light", 390)])
@pytest.mark.parametrize("name", PARTS)
def test_for_everybody(part, name, theme, width):
    "Nothing to scroll sideways, nothing that axe holds against it, and every control has a name."
    axe = pytest.importorskip("axe_playwright_python", reason="this test needs: pip install axe-playwright-python")
    tab = part(name, theme, width)
    idle(tab, name)
    assert tab.evaluate("document.documentElement.scrollWidth") <= width
    found = tab.evaluate((Path(axe.__file__).parent/"axe.min.js").read_text(encoding="utf-8") + "; axe.run(document, {runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa']})")
    assert [f"{v['id']}: {v['nodes'][0]['html'][:120]} {v['nodes'][0]['failureSummary']}" for v in found["violations"]] == []


def test_home(part, site):
    "The weights come when the reader turns to the text; Enter lets the model go on, and a second line goes on from there."
    tab, log = part("home"), site[1]
    assert not any("safetensors" in path for path in log)
    text = tab.get_by_label("Type a line")
    text.focus()
    tab.keyboard.press("Control+End")
    tab.keyboard.type("Good morrow")
    tab.keyboard.press("Enter")
    for _ in range(2):
        tab.get_by_text(re.compile("^200 characters in")).wait_for(timeout=60_000)
        before = text.input_value()
        assert "ROMEO:\nGood morrow" in before and len(before) >= 218
        tab.keyboard.press("Enter")
        tab.get_by_role("button", name="Stop").wait_for()
    assert sum("model.safetensors" in path for path in log) == 1


def test_attention(part, shipped):
    "The chosen head looks where torch says it does."
    tab, line = part("attention"), "Good morrow"
    idle(tab, "attention")
    tab.get_by_label("Your sentence").fill(line)
    tab.wait_for_function("n => document.querySelectorAll('.live-tokens button').length == n", arg=len(line))
    tab.locator(".live-heads button").nth(0).focus()
    for _ in range(5): tab.keyboard.press("ArrowRight")
    model, tokenizer = shipped
    row = look(model, torch.tensor([tokenizer.encode(line)]))[2][0,5,-1]
    assert re.match(rf"Layer 0, head 5: “w” at 10 looks at .*? at {row.argmax()} \({100*row.max():.0f} %\)", tab.locator(".live-told").inner_text())


def test_drawing(part, shipped):
    "The bars are next_probabilities, the frame is around what was drawn, and sliders count while it writes."
    from gpt_scratch.generate import next_probabilities
    tab, line = part("drawing"), "ROMEO:\nGood m"
    idle(tab, "drawing")
    text, bars = tab.get_by_label("The text"), tab.locator(".live-next li")
    text.fill(line)
    for name, value in (("Temperature", 1.5), ("Top-k", 6), ("Top-p", .9)): tab.get_by_role("slider", name=name).fill(str(value))
    model, tokenizer = shipped
    with torch.no_grad(): p = next_probabilities(model(torch.tensor([tokenizer.encode(line)]))[0][0,-1], 1.5, 6, .9)
    tab.get_by_text(f"{(p>0).sum()} of 65 characters can be drawn").wait_for(timeout=60_000)
    tab.wait_for_timeout(500)
    for item, id in zip(bars.all(), p.argsort(descending=True)): assert re.sub(r"\s", "", item.inner_text()) == f"{tokenizer.decode([id])}{100*p[id]:.{1 if p[id]<.0995 else 0}f}%"
    tab.get_by_role("button", name="One character").click()
    tab.wait_for_function("n => document.querySelector('.live textarea').value.length > n", arg=len(line))
    tab.get_by_role("button", name="Write").click()
    tab.locator(".live-drawn").wait_for()
    tab.get_by_role("slider", name="Temperature").fill("0")
    tab.get_by_text("1 of 65 characters can be drawn").wait_for(timeout=60_000)
    tab.get_by_role("button", name="Stop").click()
    tab.get_by_text(re.compile("^[0-9]+ characters? in")).wait_for(timeout=60_000)
    assert "nats per character" in tab.locator(".live").inner_text()


def test_sizes(part):
    "Parameters and operations are chapter 05's, at any position of the sliders."
    from gpt_scratch.model import GPTConfig, count_flops, count_parameters
    tab, shapes = part("sizes"), [(65, 256, 384, 6), (65, 128, 192, 6), (50257, 1024, 768, 12), (2, 16, 24, 1)]
    for V, T, C, L in shapes:
        config = GPTConfig(vocab_size=V, block_size=T, n_embd=C, n_head=12, n_layer=L)
        found = tab.evaluate("([V, T, C, L]) => [countParameters({V, T, C, L}), countFlops({V, T, C, L})]", [V, T, C, L])
        assert found == [count_parameters(config), count_flops(config)]
    tab.get_by_role("slider", name="V, symbols").focus()
    tab.keyboard.press("ArrowRight")
    config = GPTConfig(vocab_size=66)
    said = tab.locator(".live-status").inner_text()
    assert f"{count_parameters(config):,} parameters" in said and f"{count_flops(config):,} operations" in said


def test_ids(part):
    "Both ways, as chapter 00's tokenizer does it; what it doesn't know is named."
    tab, tokenizer = part("ids"), load_checkpoint("shakespeare-char")[1]
    text, ids, says = tab.get_by_label("Text"), tab.get_by_label("Ids"), tab.locator(".live-status")
    text.fill("Good morrow,\ncafé!")
    assert ids.input_value() == " ".join(map(str, tokenizer.encode("Good morrow,\ncafé!", errors="skip"))) and says.inner_text().endswith(": é")
    ids.fill("58, 53 65 x")
    assert text.input_value() == "to" and "No symbol has the id 65 x" in says.inner_text()


def test_lens(part, shipped):
    "Each layer's guesses are logit_lens, and the surprise with and without heads is Python's."
    from gpt_scratch.beyond.interpret import logit_lens, silence
    tab, line = part("lens"), "ROMEO:\nGood morrow"
    model, tokenizer = shipped
    ids = torch.tensor([tokenizer.encode(line)])
    tab.get_by_label("Your text").fill(line)
    tab.wait_for_function("n => document.querySelectorAll('.live-tokens button').length == n", arg=len(line))
    best = logit_lens(model, ids)[:,0,-1].softmax(-1).max(-1)
    for row, p, id in zip(tab.locator(".live-lens tr").all(), *best):
        assert re.sub(r"\s", "", row.locator("td").first.inner_text()) == f"{tokenizer.decode([id])}{100*p:.{1 if p<.0995 else 0}f}%".replace("\n", "⏎").replace(" ", "␣")
    with torch.no_grad():
        plain = model(ids[:,:-1], ids[:,1:])[1].item()
        with silence(model, 0, [1]), silence(model, 3, [2]): changed = model(ids[:,:-1], ids[:,1:])[1].item()
    told = tab.locator(".live-told")
    assert f"{plain:.3f} nats" in told.inner_text()
    for name in ("layer 0, head 1", "layer 3, head 2"):
        tab.get_by_role("button", name=name).focus()
        tab.keyboard.press("Enter")
    tab.get_by_text(f"without these 2 heads by {changed:.3f}").wait_for(timeout=60_000)


def test_machine(part):
    "One slider, by keyboard, moves the loss, the sample, the head and the map."
    tab = part("machine")
    before = tab.evaluate("document.querySelector('.live canvas').toDataURL() + document.querySelectorAll('.live svg')[1].outerHTML")
    tab.get_by_label("Training step").focus()
    tab.keyboard.press("End")
    rows = json.loads((NBS.parent/"gpt_scratch/weights/shakespeare-char-record/snapshots.json").read_text(encoding="utf-8"))["rows"]
    assert f"{rows[-1]['val_loss']:.2f} nats on unseen text" in tab.locator(".live-status").inner_text()
    assert tab.locator(".live-sample").text_content() == rows[-1]["sample"]
    assert tab.evaluate("document.querySelector('.live canvas').toDataURL() + document.querySelectorAll('.live svg')[1].outerHTML") != before


def test_record_is_the_packages():
    "The time machine's files are what tools/live_record.py makes of the package's record."
    image = pytest.importorskip("PIL.Image")
    import sys
    sys.path.insert(0, str(NBS.parent/"tools"))
    import live_record, numpy as np
    ours = json.loads((NBS/"live/record/run.json").read_text(encoding="utf-8"))
    theirs = live_record.run_json()
    assert np.allclose(ours.pop("map"), theirs.pop("map"), atol=.011) and ours == theirs
    assert (np.array(image.open(NBS/"live/record/attention.png")) == live_record.shades()).all()
