"A GPT that learns in the browser: what nbs/live/train.js computes in Chromium, beside what torch computes from the same weights and batches."
import base64, shutil, threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

import numpy as np, pytest, torch

from gpt_scratch.beyond.speedrun import Speedrun, SpeedrunConfig, ngram_rows
from gpt_scratch.model import GPTConfig, GPTLanguageModel
from gpt_scratch.tokenizer import CharTokenizer
from gpt_scratch.toolbox.checkpoint import save_checkpoint
from gpt_scratch.toolbox.html import live_file
from gpt_scratch.toolbox.run import CAREFUL
from gpt_scratch.train import TrainConfig, configure_optimizer, estimate_loss, learning_rate_at, train_step

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
SHAPES = {"speedrun": (SpeedrunConfig(), Speedrun), "plain": (GPTConfig(vocab_size=60, block_size=33, n_embd=48, n_head=4, n_layer=3, dropout=0.), GPTLanguageModel)}
STEPS = dict(max_iters=10, batch_size=6, learning_rate=.016, warmup_iters=3)


class Server(SimpleHTTPRequestHandler):
    def log_message(self, *args): pass


@pytest.fixture(scope="module")
def chromium():
    playwright = pytest.importorskip("playwright.sync_api", reason="this test needs: pip install playwright")
    if CHROMIUM is None: pytest.skip("this test needs Chromium")
    with playwright.sync_playwright() as p:
        browser = p.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def folder(tmp_path_factory): return tmp_path_factory.mktemp("tab")


@pytest.fixture(scope="module")
def page(chromium, folder):
    "An empty page with the engine, and `learner(NAME, settings)` for a checkpoint in `folder`."
    scripts = ("read.js", "gpt.js", "work.js", "train.js")
    for name in scripts: (folder/name).write_text(live_file(name), encoding="utf-8")
    (folder/"index.html").write_text("<!doctype html><meta charset=utf-8>" + "".join(f'<script src="{name}"></script>' for name in scripts) + """<script>
        const get = async (path, kind) => (await fetch(path))[kind]();
        const learner = async (name, settings) => {
          const found = readCheckpoint({config: await get(name + "/config.json", "text"), tokenizer: await get(name + "/tokenizer.json", "text"),
            weights: await get(name + "/model.safetensors", "arrayBuffer")});
          return new Learner(found.config, settings, found.tensors);
        };
        const pack = a => { const b = new Uint8Array(a.buffer, a.byteOffset, a.byteLength); let s = "";
          for (let i = 0; i < b.length; i += 30000) s += String.fromCharCode(...b.subarray(i, i + 30000)); return btoa(s); };
        </script>""", encoding="utf-8")
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Server, directory=str(folder)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    tab = chromium.new_page()
    tab.goto(f"http://127.0.0.1:{server.server_port}/")
    yield tab
    server.shutdown()


def unpack(text, like): return torch.from_numpy(np.frombuffer(base64.b64decode(text), np.float32).copy()).reshape(like.shape)


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
    gaps = {name: ((unpack(found[name], p) - p.grad).abs().max()/p.grad.abs().max()).item() for name, p in model.named_parameters()}
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


def test_fresh_weights(page):
    "Drawn as chapter 05 draws them: matrices from N(0, 0.02²), the speedrun's tables and all biases zero, the norms' scales one."
    found = page.evaluate("config => Object.fromEntries([...new Learner(config).tensors].map(([name, {values}]) => [name, pack(values)]))", vars(SHAPES["speedrun"][0]))
    for name, theirs in Speedrun(SpeedrunConfig()).state_dict().items():
        ours = unpack(found[name], theirs)
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
