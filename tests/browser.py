"What the tests in a browser share, beside the fixture `chromium`: a server for a folder, and the way numbers come back from a page."
import base64, threading
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np, pytest, torch

FETCH_AND_PACK = """<script>
    const get = async (path, kind) => (await fetch(path))[kind]();
    const read = async name => readCheckpoint({config: await get(name + "/config.json", "text"), tokenizer: await get(name + "/tokenizer.json", "text"),
      weights: await get(name + "/model.safetensors", "arrayBuffer")});
    const pack = a => { const b = new Uint8Array(a.buffer, a.byteOffset, a.byteLength); let s = "";
      for (let i = 0; i < b.length; i += 30000) s += String.fromCharCode(...b.subarray(i, i + 30000)); return btoa(s); };
    </script>"""


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *args): pass


@contextmanager
def serve(folder, handler=Quiet):
    "The address of a server for a folder."
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(handler, directory=str(folder))) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def unpack(text, *shape):
    "What `pack` of a page sent: float32 numbers."
    return torch.from_numpy(np.frombuffer(base64.b64decode(text), np.float32).copy()).reshape(*shape)


def axe(tab):
    "What axe holds against a page."
    module = pytest.importorskip("axe_playwright_python", reason="this test needs: pip install axe-playwright-python")
    found = tab.evaluate((Path(module.__file__).parent/"axe.min.js").read_text(encoding="utf-8") + "; axe.run(document, {runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa']})")
    return [f"{v['id']}: {v['nodes'][0]['html'][:120]} {v['nodes'][0]['failureSummary']}" for v in found["violations"]]
