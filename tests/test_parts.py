"The live parts of the pages: each in its notebook's own cell, in Chromium, beside what Python computes."
import json, re, shutil, sys
from pathlib import Path

import numpy as np, pytest, torch

from gpt_scratch.tokenizer import CharTokenizer
from gpt_scratch.toolbox.checkpoint import load_checkpoint
from gpt_scratch.toolbox.html import stored
from browser import Quiet, axe, serve
from test_live import look

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
    class Logger(Quiet):
        def do_GET(self): log.append(self.path); super().do_GET()
    with serve(root, Logger) as address: yield address, log


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


def maker():
    "tools/live_record.py as a module."
    pytest.importorskip("PIL.Image", reason="this test needs: pip install pillow")
    if str(NBS.parent/"tools") not in sys.path: sys.path.insert(0, str(NBS.parent/"tools"))
    import live_record
    return live_record


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
    tab = part(name, theme, width)
    idle(tab, name)
    assert tab.evaluate("document.documentElement.scrollWidth") <= width
    assert axe(tab) == []


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


def test_windows(part):
    "By slider, keyboard and mouse: x and y are chapter 01's, one character apart, and the last window leaves room for its last answer."
    tab, text, tokenizer = part("windows"), (NBS/"live/record/pages.txt").read_text(encoding="utf-8"), load_checkpoint("shakespeare-char")[1]
    begins, length, page = tab.get_by_label("It begins at"), tab.get_by_label("Length T"), tab.locator(".live-page")
    symbol = lambda c: c.replace("\n", "⏎").replace(" ", "␣")
    def check(start, T):
        assert begins.input_value() == str(start) and f"x is ids {start} to {start+T-1}, y is ids {start+1} to {start+T}:" in tab.locator(".live-status").inner_text()
        rows = tab.evaluate("Array.from(document.querySelectorAll('.live-lens tbody tr'), row => Array.from(row.children, cell => cell.textContent))")
        x, y = text[start:start+T], text[start+1:start+T+1]
        assert rows == [[str(t), *(f"{symbol(c)} {tokenizer.encode(c)[0]}" for c in (x[t], y[t])), f"{symbol(x[:t+1])} → {symbol(y[t])}"] for t in range(T)]
        for name, part in (("x", x), ("y", y)): assert "".join(tab.locator(f".live-{name}").all_text_contents()).replace("⏎", "") == part
    check(0, 5)
    begins.focus()
    for _ in range(3): tab.keyboard.press("ArrowRight")
    check(3, 5)
    length.fill("12")
    page.focus()
    tab.keyboard.press("ArrowDown")
    check(43, 12)
    for T in (12, 4):
        length.fill(str(T))
        page.focus()
        tab.keyboard.press("End")
        check(len(text)-T-1, T)
    tab.keyboard.press("Home")
    letters = tab.locator(".live-page > span")
    letters.nth(10).hover() # without a button nothing moves
    check(0, 4)
    tab.mouse.down()
    letters.nth(70).hover()
    tab.mouse.up()
    check(68, 4)


def test_counting(part):
    "The counts are NgramModel's, the babble is made of them, and with long sequences it recites."
    from gpt_scratch.data import NgramModel
    tab, pages = part("counting"), (NBS/"live/record/pages.txt").read_text(encoding="utf-8")
    says, written, text = tab.locator(".live-status"), tab.locator(".live-sample"), tab.get_by_label("The text that is counted")
    for counted, contexts in (("to be, or not to be", ["", "o", "b", "be", "t to", "be,e"]), (pages, ["", "v", "th", "the ", "Citizen:"])):
        tokenizer = CharTokenizer(counted)
        for context in contexts:
            model = NgramModel(torch.tensor(tokenizer.encode(counted)), tokenizer.vocab_size, len(context)+1)
            theirs = model.predict(torch.tensor(tokenizer.encode(context), dtype=torch.long))
            assert np.allclose(tab.evaluate("([text, context]) => [...new Counting(text, 9).predict([...context])]", [counted, context]), theirs, atol=1e-6)
    assert "looks at 1 character, and knows" in says.inner_text() and len(written.text_content()) == 300
    first, copied = written.text_content(), []
    tab.get_by_role("button", name="Babble").click()
    assert written.text_content() != first
    for n in (1, 8):
        tab.get_by_role("slider").fill(str(n))
        told, babble = re.search(r"copied: “(.*)”, (\d+) char", says.inner_text()).groups(), written.text_content()
        longest = max((babble[i:j] for i in range(300) for j in range(i+1, 301) if babble[i:j] in pages), key=len)
        assert told == (longest.replace("\n", "⏎"), str(len(longest)))
        copied.append(len(longest))
    assert copied[0] < 10 and copied[1] > 15 # 60 times each: 4 to 6, 23 to 63
    text.fill("abab")
    assert "knows 2 symbols" in says.inner_text() and set(written.text_content()) == set("ab")
    text.fill("")
    assert "nothing to count" in says.inner_text() and written.text_content() == ""


def test_letters(part):
    "Neighbors are those of the shipped model's table, by keyboard and by mouse; without scripts the text tells the same."
    tab, (model, tokenizer) = part("letters"), load_checkpoint("shakespeare-char")
    table = model.embedding.token.weight.detach()
    units = torch.nn.functional.normalize(table-table.mean(0), dim=-1)
    cosines, nearest = (units@units.T).fill_diagonal_(-1).max(-1)
    symbol = lambda c: c.replace("\n", "⏎").replace(" ", "␣")
    near = {c: (tokenizer.itos[id], f"{cosine:.2f}") for c, cosine, id in zip(tokenizer.itos, cosines, nearest)}
    def check(c):
        assert f"Nearest to “{symbol(c)}” is “{symbol(near[c][0])}”, with a cosine of {near[c][1]}." in tab.locator(".live-told").inner_text()
        bars = tab.locator(".live-next b").all_text_contents()
        assert bars[0] == symbol(near[c][0]) and len(set(bars)) == 5
    check("t")
    tab.get_by_role("combobox").focus()
    tab.keyboard.press("w")
    check("w")
    tab.locator(".live-plane text").filter(has_text=re.compile(r"^\?$")).hover()
    check("?")
    for id, c in enumerate(near):
        tab.get_by_role("combobox").select_option(str(id))
        check(c)
    fallback, letters = PARTS["letters"][1], [c for c in near if c.isalpha()]
    assert f"<code>{near['t'][0]}</code>, with a cosine of {near['t'][1]}" in fallback and f"<code>{near['.'][0]}</code>, with {near['.'][1]}" in fallback
    assert f"Of the {len(letters)} letters, {sum(near[c][0] == c.swapcase() for c in letters)} have" in fallback


@pytest.mark.parametrize("text", ["to be, or not to be", "xy ab ab xy", "aaaa aaaa aaa", "Grüße, grüne Grüße: don't we'll  \n\n 1603 1603", "もし もし\U0001F642\U0001F642", "", "a"])
def test_merges(part, text):
    "Every merge is slow_merges', ties and overlaps included, and each step shows the tokens that are left."
    from gpt_scratch.beyond.bytepairs import replace_pair, slow_merges, split_words
    tab = part("merges")
    words = [word.encode() for word in split_words(text)]
    merges, left, pieces = slow_merges(words, 999), [list(word) for word in words], [bytes([b]) for b in range(256)]
    tab.get_by_label("Text", exact=True).fill(text)
    on, says = tab.get_by_role("button", name="Next merge"), tab.locator(".live-status")
    for step in range(len(merges)+1):
        if step:
            pair = merges[step-1]
            count = sum((*ids[i:i+2],) == pair for ids in left for i in range(len(ids)-1))
            left = [replace_pair(ids, pair, 255+step) for ids in left]
            pieces.append(pieces[pair[0]]+pieces[pair[1]])
            on.focus()
            tab.keyboard.press("Enter")
            assert re.match(rf"Merge {step} of {len(merges)}: “.*” and “.*” stood side by side {count} times and become {255+step}, “", says.inner_text(), re.S)
        assert f"{sum(map(len, left))} ids for {len(text.encode())} bytes" in says.inner_text()
        ids = tab.evaluate("Array.from(document.querySelectorAll('.live-pieces > span'), word => Array.from(word.children, piece => Number(piece.title.slice(3))))")
        assert ids == left
    assert on.is_disabled() and "No pair occurs twice" in says.inner_text()
    assert tab.evaluate("slowMerges(document.querySelector('.live textarea').value).slice(1).map(([pair]) => pair)") == [list(pair) for pair in merges]
    def spell(token):
        try: return token.decode().replace(" ", "␣").replace("\n", "⏎")
        except UnicodeDecodeError: return token.hex(" ")
    assert tab.locator(".live-pieces > span > span").all_text_contents() == [spell(pieces[id]) for ids in left for id in ids]
    if merges:
        tab.get_by_role("button", name="One back").click()
        assert on.is_enabled()
        tab.get_by_label("Merges").focus()
        tab.keyboard.press("Home")
        assert says.inner_text().startswith("No merge yet")


def test_data_is_the_packages():
    "The parts' data is what tools/live_record.py makes of the package's corpus and model."
    record = maker()
    assert (NBS/"live/record/pages.txt").read_text(encoding="utf-8") == record.pages()
    ours, theirs = json.loads((NBS/"live/record/letters.json").read_text(encoding="utf-8")), record.letters_json()
    assert np.allclose(ours.pop("map"), theirs.pop("map"), atol=.011) and ours == theirs


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
    live_record, image = maker(), pytest.importorskip("PIL.Image")
    ours = json.loads((NBS/"live/record/run.json").read_text(encoding="utf-8"))
    theirs = live_record.run_json()
    assert np.allclose(ours.pop("map"), theirs.pop("map"), atol=.011) and ours == theirs
    assert (np.array(image.open(NBS/"live/record/attention.png")) == live_record.shades()).all()
