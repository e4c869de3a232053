"A GPT that learns in the browser: what nbs/live/train.js computes in Chromium, beside what torch computes from the same weights and batches."
import base64, io, json, os, re, shutil, subprocess, sys, time, zipfile
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import replace
from pathlib import Path

import numpy as np, pytest, torch

from gpt_scratch.beyond.bytepairs import BPETokenizer
from gpt_scratch.beyond.speedrun import Speedrun, SpeedrunConfig, ngram_rows
from gpt_scratch.model import GPTConfig, GPTLanguageModel
from gpt_scratch.tokenizer import CharTokenizer
from gpt_scratch.toolbox.checkpoint import load_checkpoint, save_checkpoint
from gpt_scratch.toolbox.cli import main
from gpt_scratch.toolbox.corpus import tinyshakespeare
from gpt_scratch.toolbox.html import live_file
from gpt_scratch.toolbox.run import CAREFUL
from gpt_scratch.train import TrainConfig, configure_optimizer, estimate_loss, learning_rate_at, train_step
from browser import FETCH_AND_PACK, axe, serve, unpack

SHAPES = {"speedrun": (SpeedrunConfig(), Speedrun), "plain": (GPTConfig(vocab_size=60, block_size=33, n_embd=48, n_head=4, n_layer=3, dropout=0.), GPTLanguageModel)}
ROOT = Path(__file__).parents[1]
LIVE = ROOT/"nbs/live"
STEPS = dict(max_iters=10, batch_size=6, learning_rate=.016, warmup_iters=3)


@pytest.fixture(scope="module")
def folder(tmp_path_factory): return tmp_path_factory.mktemp("tab")


@pytest.fixture(scope="module")
def page(chromium, folder):
    "An empty page with the engine, and `learner(NAME, settings)` for a checkpoint in `folder`."
    scripts = ("read.js", "gpt.js", "work.js", "train.js")
    for name in scripts: (folder/name).write_text(live_file(name), encoding="utf-8")
    (folder/"index.html").write_text("<!doctype html><meta charset=utf-8>" + "".join(f'<script src="{name}"></script>' for name in scripts) + FETCH_AND_PACK + """<script>
        const learner = async (name, settings) => { const found = await read(name); return new Learner(found.config, settings, found.tensors); };
        </script>""", encoding="utf-8")
    with serve(folder) as address:
        tab = chromium.new_page()
        tab.goto(f"{address}/")
        yield tab


@pytest.fixture(scope="module", params=SHAPES)
def shape(request, folder):
    "The name of a checkpoint whose every number is random, its model, and ten batches."
    config, kind = SHAPES[request.param]
    torch.manual_seed(0)
    model = kind(config)
    with torch.no_grad():
        for p in model.parameters(): p.add_(.05*torch.randn_like(p))
    save_checkpoint(folder/request.param, model, CharTokenizer(map(chr, range(40, 40+config.vocab_size))))
    windows = torch.randint(config.vocab_size, (10, STEPS["batch_size"], config.block_size+1))
    windows[:,::2] = windows[:,:1] # some n-grams come more than once
    return request.param, model, [(w[:,:-1], w[:,1:]) for w in windows]


def flat(batch): return [part.flatten().tolist() for part in batch]


def test_gradients(page, shape):
    "Each is torch's: the largest difference is at most 1e-4 of the tensor's largest value. A second batch leaves nothing of the first."
    name, model, batches = shape
    model.zero_grad()
    loss = model(*batches[1])[1]
    loss.backward()
    ours, found = page.evaluate("""async ([name, batches, T]) => {
        const l = await learner(name);
        let loss;
        for (const [x, y] of batches) loss = l.gradients(Int32Array.from(x), Int32Array.from(y), T);
        return [loss, Object.fromEntries([...l.tensors].map(([name, {grad}]) => [name, pack(grad)]))];
    }""", [name, [flat(batch) for batch in batches[:2]], model.config.block_size])
    assert abs(ours - loss.item()) < 1e-5
    gaps = {name: ((unpack(found[name], *p.shape) - p.grad).abs().max()/p.grad.abs().max()).item() for name, p in model.named_parameters()}
    print(f"largest difference of a gradient: {max(gaps.values()):.1e}")
    assert len(found) == len(gaps) and max(gaps.values()) <= 1e-4, gaps


def test_ten_steps(page, shape, folder):
    "Warmup, cosine, clipping and AdamW: the same losses on the way, the same loss at the end."
    name, model, batches = shape
    theirs = type(model)(model.config)
    theirs.load_state_dict(model.state_dict())
    config = TrainConfig(**CAREFUL | STEPS)
    optimizer, losses = configure_optimizer(theirs, config), []
    for step, batch in enumerate(batches):
        for group in optimizer.param_groups: group["lr"] = learning_rate_at(step, config)
        losses.append(train_step(theirs, optimizer, [batch], config.grad_clip)[0])
    losses.append(theirs(*batches[0])[1].item())
    ours = page.evaluate("""async ([name, batches, T, settings]) => {
        const l = await learner(name, settings), losses = batches.map(([x, y]) => l.step(Int32Array.from(x), Int32Array.from(y), T));
        return [...losses, l.forward(Int32Array.from(batches[0][0]), Int32Array.from(batches[0][1]), T).loss];
    }""", [name, [flat(batch) for batch in batches], model.config.block_size, dict(batch=6, steps=10, rate=.016, warmup=3)])
    gaps = np.abs(np.array(ours) - losses)
    print(f"losses {losses[0]:.3f} to {losses[-1]:.3f}, largest difference {gaps.max():.1e}")
    assert gaps[-1] <= 1e-4 and gaps.max() <= 1e-3


def test_one_seed_one_result(page, shape):
    "Two runs from one seed end in the same bits, another seed in others."
    one, two, other = (page.evaluate("""([config, seed]) => {
        const l = new Learner(config, {seed, batch: 6, steps: 6}), ids = Int32Array.from({length: 5000}, (_, i) => (i*i) % config.vocab_size);
        for (let i = 0; i < 6; i++) l.learn(ids);
        return l.checksum();
    }""", [vars(shape[1].config), seed]) for seed in (1, 1, 2))
    assert one == two != other and len(one) == 8


@pytest.mark.parametrize("M,O,I,band", [(5, 7, 3, ""), (301, 6, 2000, ""), (7, 203, 2001, ""), (64, 64, 16, "y"), (64, 8, 64, "x"), (64, 8, 64, "turned"), (700, 700, 40, "y"), (700, 5, 700, "x"), (700, 5, 700, "turned")])
def test_products(page, M, O, I, band):
    "By the definition, in one part or in several, with a triangle of zeros that isn't looked at."
    worst = page.evaluate("""([M, O, I, band]) => {
        const dart = darts(M), random = n => Float32Array.from({length: n}, () => dart() - .5), x = random(M*I), w = random(O*I);
        for (let t = 0; t < M; t++) for (let i = 0; i < I; i++) if (band === "x" && i > t || band === "turned" && i < t) x[t*I + i] = 0;
        const y = product(matrix(x, M, I), matrix(w, O, I), matrix(new Float32Array(M*O), M, O), band);
        let worst = 0;
        for (let t = 0; t < M; t++) for (let o = 0; o < (band === "y" ? t + 1 : O); o++) {
            let sum = 0;
            for (let i = 0; i < I; i++) sum += x[t*I + i]*w[o*I + i];
            worst = Math.max(worst, Math.abs(Math.fround(sum) - y[t*O + o]));
        }
        return worst;
    }""", [M, O, I, band])
    assert worst < 1e-6


def test_a_sum_too_long(page):
    "A model whose sums don't fit is refused."
    said = page.evaluate("() => { try { product(matrix([], 1, 2**17), matrix([], 1, 2**17), matrix([], 1, 1)); } catch (error) { return error.message; } }")
    assert "too large to be trained in a page" in said and "131072" in said


def test_fresh_weights(page):
    "Drawn as chapter 05 draws them: matrices from N(0, 0.02²), the speedrun's tables and all biases zero, the norms' scales one."
    found = page.evaluate("config => Object.fromEntries([...new Learner(config).tensors].map(([name, {values}]) => [name, pack(values)]))", vars(SHAPES["speedrun"][0]))
    for name, theirs in Speedrun(SpeedrunConfig()).state_dict().items():
        ours = unpack(found[name], *theirs.shape)
        assert abs(ours.mean() - theirs.mean()) < .002 and abs(ours.std() - theirs.std()) < .002, name


@pytest.mark.parametrize("n,V,rows", [(2, 65, 8192), (4, 65, 8192), (4, 240, 8192), (4, 241, 8192), (4, 900, 4096), (3, 4000, 1000), (6, 65, 8192)])
def test_rows_are_exact(page, n, V, rows):
    "Where a product leaves 2⁵³ and where torch's integers wrap around as well."
    idx = torch.randint(V, (40, 64))
    idx[0] = V-1
    ours = page.evaluate("([ids, n, rows, V]) => Array.from(gramRows(Int32Array.from(ids), 64, n, rows, V))", [idx.flatten().tolist(), n, rows, V])
    assert ours == ngram_rows(idx, n, rows, V).flatten().tolist()


@pytest.mark.parametrize("N", [24*33+1, 2*33*24+70, 50, 2])
def test_evaluation(page, shape, N):
    "The loss on a whole text is Python's, however long the last window is."
    name, model, _ = shape
    ids = torch.randint(model.config.vocab_size, (N,))
    ours = page.evaluate("""async ([name, ids]) => {
        let last;
        for (const found of (await learner(name)).evaluate(Int32Array.from(ids))) last = found;
        return last;
    }""", [name, ids.tolist()])
    assert ours["done"] == 1 and abs(ours["loss"] - estimate_loss(model, ids)) < 1e-5


# ---- the page -------------------------------------------------------------------------------------------------------

GERMAN = "Die Grüße der Bäume fließen übers Öl. »Ja«, sagt er, »äußerst schön!«\n"


@pytest.fixture(scope="module")
def site(folder):
    "A page of the lesson's markup in a small site, with Shakespeare among its files; gives its address."
    root = folder/"site"
    (root/"beyond").mkdir(parents=True)
    shutil.copytree(LIVE, root/"live")
    (root/"corpus").mkdir()
    (root/"corpus/tinyshakespeare.txt").write_text(tinyshakespeare(), encoding="utf-8")
    markup = next(source for cell in json.loads((LIVE.parent/"beyond/tab.ipynb").read_text(encoding="utf-8"))["cells"]
                  if "trainHere" in (source := "".join(cell["source"])))
    colors = re.search(r"<style>(.*?){{css}}", live_file("page.html"), re.S)[1]
    head = f'<!doctype html><html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>In the tab</title><link rel="icon" href="data:,"><style>{colors} pre {{ color: #111; }}</style></head>' # as Quarto's theme has it
    (root/"beyond/tab.html").write_text(f"{head}<body><main><h1>In the tab</h1><h2>Train it</h2>{markup[markup.index('<link'):]}</main></body></html>", encoding="utf-8")
    with serve(root) as address: yield f"{address}/beyond/tab.html"


@pytest.fixture
def visit(chromium, site):
    "Open the page; at the end it must have asked for nothing but the site's own files, by GET, and reported no error."
    contexts, complaints = [], []
    own = site.removesuffix("beyond/tab.html")

    def visit(theme="light", width=1280):
        context = chromium.new_context(viewport={"width": width, "height": 900}, color_scheme=theme)
        contexts.append(context)
        tab = context.new_page()
        tab.set_default_timeout(90_000)
        tab.on("console", lambda message: message.type in ("error", "warning") and complaints.append(message.text))
        tab.on("pageerror", lambda error: complaints.append(str(error)))
        tab.on("request", lambda r: r.method == "GET" and r.post_data is None and r.url.startswith((own + "live/", own + "corpus/", site, "data:", "blob:")) and "?" not in r.url
            or complaints.append(f"{r.method} {r.url}"))
        tab.goto(site)
        return tab

    yield visit
    for context in contexts: context.close()
    assert complaints == []


def status(tab, pattern):
    tab.locator(".live-status", has_text=re.compile(pattern)).wait_for()
    return tab.locator(".live-status").inner_text()


def shorten(tab, steps=None, seconds=None):
    if steps: tab.evaluate("n => { document.querySelector('.tab select option').value = n; }", steps)
    if seconds: tab.evaluate("n => { [...document.querySelectorAll('.tab select')][1].options[0].value = n; }", seconds)


def test_race(visit):
    "By keyboard: a short race, the loss over the ladder, what it writes, and a check that is the same every time."
    tab, found = visit(), []
    shorten(tab, steps=24)
    for _ in range(2):
        tab.get_by_role("button", name="Race").focus()
        tab.keyboard.press("Enter")
        found.append(status(tab, "nats per character on the whole part"))
        found.append(tab.locator(".tab-progress").inner_text().split("checksum: ")[1])
        assert tab.locator(".tab-samples li").count() >= 3 and "fell from 4.2" in tab.locator(".tab-chart").get_attribute("aria-label")
        tab.get_by_role("button", name="Race").focus()
        tab.evaluate("document.querySelector('.live-status').textContent = ''")
    assert found[0][:6] == found[2][:6] and found[1] == found[3] and 1.9 < float(found[0][:6]) < 2.8
    assert "after 24 steps" in found[0] and "not reached" in found[0]


def test_own_text(visit, tmp_path):
    "Paste, pause, talk meanwhile, resume, look inside, finish, take it home as a page of its own; then go on with it from the zip."
    tab = visit()
    tab.get_by_label("Paste a text").fill(GERMAN*60)
    tab.get_by_role("combobox", name="For").select_option("1 minute")
    tab.get_by_role("button", name="Learn it").click()
    status(tab, "parameters learn 4,200 characters")
    tab.wait_for_function("parseInt(document.querySelector('.tab-progress').textContent) >= 20")
    tab.get_by_role("button", name="Pause").click()
    tab.wait_for_timeout(1000)
    steps = tab.locator(".tab-progress").inner_text()
    tab.get_by_label("Talk to it").fill("Die Grüße ")
    tab.get_by_role("button", name="Write").click()
    tab.wait_for_function("document.querySelectorAll('.tab textarea')[1].value.length >= 310")
    tab.get_by_role("button", name="Look inside").click()
    tab.locator(".live-heads canvas").first.wait_for()
    assert tab.locator(".live-tokens button").count() == 48 and "looks at" in tab.locator(".live-told").inner_text()
    assert tab.locator(".tab-progress").inner_text() == steps
    tab.get_by_role("button", name="Resume").click()
    tab.wait_for_function("n => parseInt(document.querySelector('.tab-progress').textContent.replace(',', '')) >= n", arg=int(steps.split()[0].replace(",", "")) + 5)
    tab.get_by_role("button", name="Finish now").click()
    status(tab, "nats per character on the whole part")
    with tab.expect_download() as given: tab.get_by_role("button", name="Download the checkpoint").click()
    given.value.save_as(tmp_path/"my-gpt.zip")
    tab.locator("input[type=file]").set_input_files(tmp_path/"my-gpt.zip")
    tab.get_by_text("It goes on with my-gpt.zip").wait_for()
    shorten(tab, seconds=.3)
    tab.get_by_role("combobox", name="For").select_option("10 seconds")
    tab.get_by_role("button", name="Learn it").click()
    status(tab, "nats per character on the whole part")
    assert float(re.search(r"fell from ([\d.]+)", tab.locator(".tab-chart").get_attribute("aria-label"))[1]) < 2
    with tab.expect_download() as given: tab.get_by_role("button", name="Save as one page").click()
    given.value.save_as(tmp_path/"my-gpt.html")
    alone = tab.context.new_page()
    alone.goto((tmp_path/"my-gpt.html").as_uri())
    alone.locator(".live-heads canvas").first.wait_for()
    assert "my-gpt: 8" in alone.locator(".live-status").inner_text()


def gpt_scratch(*words):
    "Exit code, output and complaints of a command."
    with redirect_stdout(io.StringIO()) as said, redirect_stderr(io.StringIO()) as complained: code = main(list(map(str, words)))
    return code, said.getvalue(), complained.getvalue()


@pytest.mark.parametrize("shape", ["tables", "plain"])
def test_taken_home(visit, chromium, tmp_path, shape):
    "The downloaded checkpoint does what every checkpoint does, with the page's loss; only a run can't be resumed from it."
    tab, home, rest, german = visit(), tmp_path/"my-gpt", tmp_path/"rest.txt", GERMAN*60
    tab.get_by_label("Paste a text").fill(german)
    tab.get_by_role("combobox", name="Model").select_option(shape)
    shorten(tab, seconds=1)
    tab.get_by_role("combobox", name="For").select_option("10 seconds")
    tab.get_by_role("button", name="Learn it").click()
    loss = float(status(tab, "nats per character on the whole part")[:6])
    with tab.expect_download() as given: tab.get_by_role("button", name="Download the checkpoint").click()
    given.value.save_as(tmp_path/"my-gpt.zip")
    with zipfile.ZipFile(tmp_path/"my-gpt.zip") as packed:
        assert packed.testzip() is None
        packed.extractall(tmp_path)
    rest.write_text(german[int(len(german)*.9):], encoding="utf-8")
    (tmp_path/"all.txt").write_text(german, encoding="utf-8")
    model, symbols = load_checkpoint(home)
    assert abs(estimate_loss(model, torch.tensor(symbols.encode(rest.read_text(encoding="utf-8")))) - loss) < 1e-3
    code, said, _ = gpt_scratch("evaluate", "--checkpoint", home, "--input", rest)
    assert code == 0 and any(abs(float(number) - loss) < 1e-3 for number in re.findall(r"\d+\.\d+", said)), (said, loss)
    code, said, _ = gpt_scratch("generate", "--checkpoint", home, "--prompt", "Die ", "--max_new_tokens", 40)
    assert code == 0 and said.startswith("Die ") and len(said) > 44
    code, _, complaint = gpt_scratch("train", "--resume", home, "--input", tmp_path/"all.txt")
    assert code == 1 and "without its training state" in complaint and len(complaint.splitlines()) == 1
    code, _, complaint = gpt_scratch("finetune", "--checkpoint", home, "--input", tmp_path/"all.txt", "--out", tmp_path/"finer", "--max_iters", 2)
    assert code == 0, complaint
    assert load_checkpoint(tmp_path/"finer")[0].config.vocab_size == model.config.vocab_size
    code, _, complaint = gpt_scratch("export", home, "--html", tmp_path/"alone.html")
    assert code == 0, complaint
    alone = chromium.new_page()
    alone.goto((tmp_path/"alone.html").as_uri())
    alone.locator(".live-status", has_text="parameters").wait_for()
    alone.close()


STUDY = """async ([files, text]) => {
    const bytes = Uint8Array.from(atob(files["model.safetensors"]), c => c.charCodeAt(0)), thread = new Thread(new URL("../live/", document.baseURI), ["train", "study"]);
    const about = await thread.ask("study", {text, files: {config: atob(files["config.json"]), tokenizer: new TextDecoder().decode(Uint8Array.from(atob(files["tokenizer.json"]), c => c.charCodeAt(0))),
        weights: bytes.buffer}, settings: {rate: .001}});
    const losses = [];
    for (const most of [0, 3]) {
      if (most) await thread.ask("advance", {steps: most, milliseconds: 60000});
      let found;
      do found = await thread.ask("check"); while (found.done < 1);
      losses.push(found.loss);
    }
    return [about.parameters, ...losses];
}"""


@pytest.mark.parametrize("kind", SHAPES)
def test_checkpoint_goes_on(visit, folder, kind):
    "A checkpoint that Python wrote begins on the page at Python's loss, and learns from there; dropped on the page, it is what the run goes on with."
    torch.manual_seed(1)
    config, make = SHAPES[kind]
    symbols, text = CharTokenizer(map(chr, range(60, 60+config.vocab_size))), "ABCDEFGHIJKLMNOPQRSTUVWXYZ_abcdefgh"*80
    save_checkpoint(folder/f"on-{kind}", model := make(config), symbols)
    parameters, before, after = visit().evaluate(STUDY, [packed(folder/f"on-{kind}"), text])
    ids = torch.tensor(symbols.encode(text))
    assert parameters == sum(p.numel() for p in model.parameters())
    assert abs(before - estimate_loss(model.eval(), ids[int(.9*len(ids)):])) < 1e-3 and after < before - .01
    tab = visit()
    drop(tab, packed(folder/f"on-{kind}"))
    tab.get_by_text("It goes on with your files, on Shakespeare if there is no other text").wait_for()
    drop(tab, {"letters.txt": base64.b64encode(text.encode()).decode()})
    tab.get_by_text("The text: letters.txt, 2,800 characters.").wait_for()
    shorten(tab, seconds=.3)
    tab.get_by_role("combobox", name="For").select_option("10 seconds")
    tab.get_by_role("button", name="Learn it").click()
    assert float(status(tab, "nats per character on the whole part")[:6]) < before


def packed(folder): return {path.name: base64.b64encode(path.read_bytes()).decode() for path in folder.iterdir()}


def drop(tab, files):
    "Drop files, {name: base64 of its bytes}, on the page."
    tab.evaluate("""files => {
        const transfer = new DataTransfer();
        for (const [name, text] of Object.entries(files)) transfer.items.add(new File([Uint8Array.from(atob(text), c => c.charCodeAt(0))], name));
        document.querySelector(".tab").dispatchEvent(new DragEvent("drop", {dataTransfer: transfer, bubbles: true, cancelable: true}));
    }""", files)


def test_in_the_background(visit):
    "A tab out of sight tells its loss in its name; one that the browser froze goes on, for the time that was chosen, when it is looked at again."
    tab = visit()
    tab.get_by_label("Paste a text").fill(GERMAN*60)
    shorten(tab, seconds=6)
    tab.get_by_role("combobox", name="For").select_option("10 seconds")
    tab.get_by_role("button", name="Learn it").click()
    tab.wait_for_function("parseInt(document.querySelector('.tab-progress').textContent) >= 5")
    tab.evaluate("Object.defineProperty(document, 'hidden', {value: true, configurable: true})")
    tab.wait_for_function(r"/^\d\.\d\d nats: In the tab$/.test(document.title)")
    tab.evaluate("delete document.hidden; document.dispatchEvent(new Event('visibilitychange'))")
    assert tab.title() == "In the tab"
    devtools = tab.context.new_cdp_session(tab)
    devtools.send("Page.setWebLifecycleState", {"state": "frozen"})
    time.sleep(4)
    devtools.send("Page.setWebLifecycleState", {"state": "active"})
    told = status(tab, "nats per character on the whole part")
    assert 6 <= float(re.search(r"([\d.]+) of learning", told)[1]) < 8


REFUSED = {"short": ("a\nb"*100, "takes at least 2,000"), "binary": ("ab\0c"*1000, "isn't text"), "symbols": ("".join(map(chr, range(0x4e00, 0x4e00+4500))), "4,500 different characters"),
    "one window": ("ab"*300 + "\n"*1400, None)}


@pytest.mark.parametrize("text,reason", REFUSED.values(), ids=REFUSED)
def test_refused_texts(visit, tmp_path, text, reason):
    "One clear line, and the page is ready for another text."
    tab = visit()
    (tmp_path/"my text.txt").write_text(text, encoding="utf-8")
    tab.locator("input[type=file]").set_input_files(tmp_path/"my text.txt")
    tab.get_by_text("The text: my text.txt").wait_for()
    shorten(tab, seconds=.2)
    tab.get_by_role("combobox", name="For").select_option("10 seconds")
    tab.get_by_role("button", name="Learn it").click()
    status(tab, re.escape(reason) if reason else "nats per character on the whole part")
    assert tab.get_by_role("button", name="Learn it").is_enabled()


def test_refused_checkpoints(visit, folder):
    "Dropout, byte pairs, another kind of model, a file that is no checkpoint: each by name, and the page is ready for another."
    tab, chars = visit(), CharTokenizer(map(chr, range(40, 100)))
    config = GPTConfig(vocab_size=60, block_size=16, n_embd=16, n_head=2, n_layer=1, dropout=0.)
    save_checkpoint(folder/"good", GPTLanguageModel(config), chars)
    save_checkpoint(folder/"dropout", GPTLanguageModel(replace(config, dropout=.1)), chars)
    pairs = BPETokenizer.train("low lower lowest "*50, 260)
    save_checkpoint(folder/"pairs", GPTLanguageModel(replace(config, vocab_size=pairs.vocab_size)), pairs)
    other = packed(folder/"good") | {"config.json": base64.b64encode(b'{"variant": "newer"}').decode()}
    del other["manifest.json"]
    tab.get_by_label("Paste a text").fill("ABCDEFGH"*400)
    for files, reason in ((packed(folder/"dropout"), "trained with dropout 0.1"), (packed(folder/"pairs"), "reads byte pairs"), (other, 'the variant "newer"')):
        drop(tab, files)
        tab.get_by_text("It goes on with your files").wait_for()
        tab.get_by_role("button", name="Learn it").click()
        assert "\n" not in status(tab, reason)
        tab.get_by_role("button", name="Forget it").click()
    for name, data in {"junk.zip": b"PK\3\4 nothing", "model.safetensors": b"alone"}.items():
        drop(tab, {name: base64.b64encode(data).decode()})
        status(tab, "in this zip" if name.endswith("zip") else "there is no checkpoint among these files")
    shorten(tab, seconds=.2)
    tab.get_by_role("combobox", name="For").select_option("10 seconds")
    tab.get_by_role("button", name="Learn it").click()
    status(tab, "nats per character on the whole part")


def test_without_the_corpus(chromium, site, folder):
    "The page says how to get it."
    away = folder/"site/corpus"
    away.rename(folder/"site/away")
    try:
        tab = chromium.new_page()
        tab.goto(site)
        tab.get_by_role("button", name="Race").click()
        assert "gpt_scratch" in status(tab, "isn't among the files of this site")
        tab.close()
    finally: (folder/"site/away").rename(away)


@pytest.mark.parametrize("theme,width", [("light", 1280), ("dark", 1280), ("light", 390), ("dark", 390)])
def test_seen(visit, theme, width):
    "After a run nothing scrolls sideways, the theme is the system's, and axe finds nothing."
    tab = visit(theme, width)
    tab.get_by_label("Paste a text").fill(GERMAN*60)
    shorten(tab, seconds=.5)
    tab.get_by_role("combobox", name="For").select_option("10 seconds")
    tab.get_by_role("button", name="Learn it").click()
    status(tab, "nats per character on the whole part")
    tab.get_by_role("button", name="Look inside").click()
    tab.locator(".live-heads canvas").first.wait_for()
    assert tab.evaluate("document.documentElement.scrollWidth") <= width
    red = int(re.findall(r"\d+", tab.evaluate("getComputedStyle(document.body).backgroundColor"))[0])
    assert red > 200 if theme == "light" else red < 60
    if os.environ.get("PICTURES"): tab.screenshot(path=f"{os.environ['PICTURES']}/tab-{theme}-{width}.png", full_page=True)
    assert axe(tab) == []


# ---- the corpus among the site's files --------------------------------------------------------------------------------

def test_site_corpus(tmp_path):
    "Quarto's pre-render in a project's folder writes the corpus, byte for byte; without one the build goes on and says so."
    import yaml
    project = yaml.safe_load((ROOT/"_quarto.yml").read_text(encoding="utf-8"))["project"]
    script = (ROOT/"nbs"/project["pre-render"]).resolve()
    assert "corpus" in project["resources"] and script == ROOT/"tools/site_corpus.py"
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("GPT_SCRATCH_CORPUS", "QUARTO"))}
    subprocess.run([sys.executable, script], cwd=tmp_path, check=True, env=environment)
    assert (tmp_path/"corpus/tinyshakespeare.txt").read_bytes() == tinyshakespeare().encode()
    (tmp_path/"other.txt").write_text("not it", encoding="utf-8")
    environment |= {"GPT_SCRATCH_CACHE": str(tmp_path/"cache"), "GPT_SCRATCH_CORPUS": str(tmp_path/"other.txt"), "QUARTO_PROJECT_DIR": str(tmp_path/"away")}
    done = subprocess.run([sys.executable, script], cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert done.returncode == 0 and "without Shakespeare" in done.stderr and not (tmp_path/"away").exists()
    assert subprocess.run(["git", "check-ignore", "-q", "nbs/corpus/tinyshakespeare.txt"], cwd=ROOT).returncode in (0, 128)
