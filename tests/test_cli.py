"The command as a user meets it: in real processes, on odd terminals, and with fifty wrong lines."
import os, re, shutil, signal, subprocess, sys, time
from hashlib import sha256
from importlib.metadata import entry_points
from pathlib import Path

import pytest

from gpt_scratch.toolbox import cli

SONNET = "Shall I compare thee to a summer's day?\nThou art more lovely and more temperate:\n" * 4
SMALL = "--preset tiny --n_layer 1 --n_embd 8 --n_head 2 --block_size 16 --max_iters 6 --eval_interval 3 --device cpu".split()
COMMAND = [sys.executable, "-c", "import sys; from gpt_scratch.toolbox.cli import main; sys.exit(main())"]


@pytest.fixture(scope="module", autouse=True)
def place(tmp_path_factory):
    "A folder with texts, good and bad, and one finished run; the tests run inside it."
    here,there = os.getcwd(),tmp_path_factory.mktemp("place")
    os.chdir(there)
    Path("sonnet.txt").write_text(SONNET)
    Path("other.txt").write_text(SONNET[::-1])
    Path("empty.txt").write_bytes(b"")
    Path("picture.png").write_bytes(b"\x89PNG\r\n\x1a\n\0\0\0")
    Path("latin.txt").write_bytes("Soll ich dich einem Sommertag vergleichen, schöner\n".encode("latin-1"))
    Path("short.txt").write_text("Brevity")
    Path("letter.txt").write_text("S")
    Path("french.txt").write_text("Dois-je te comparer à une journée d'été ? " * 9, encoding="utf-8")
    Path("greek.txt").write_text("λόγος", encoding="utf-8")
    Path("hollow").mkdir()
    assert cli.main(["train", "--input", "sonnet.txt", "--out", "run", *SMALL]) == 0
    shutil.copytree("run", "hurt")
    for weights in Path("hurt").glob("step-*/model.safetensors"):
        data = bytearray(weights.read_bytes())
        data[-5] ^= 1
        weights.write_bytes(data)
    yield there
    os.chdir(here)


def ours(*argv, **kwargs):
    "Run the command in a process of its own."
    return subprocess.run([*COMMAND, *argv], capture_output=True, timeout=120, **kwargs)


def contents(): return {str(p): sha256(p.read_bytes()).hexdigest() if p.is_file() else "folder" for p in Path().rglob("*")}


# Real processes

def test_installed_as_a_command():
    command, = (e for e in entry_points(group="console_scripts") if e.name == "gpt_scratch")
    assert command.value == "gpt_scratch.toolbox.cli:main" and command.load() is cli.main


def test_help_is_quick():
    fastest = 9
    for _ in range(5):
        start = time.perf_counter()
        done = ours("train", "--help")
        fastest = min(fastest, time.perf_counter() - start)
        assert done.returncode == 0 and b"--max_iters" in done.stdout
        if fastest < 0.5: break
    assert fastest < 0.5


def test_help_loads_nothing_large():
    code = "import sys; from gpt_scratch.toolbox.cli import main; main(['train', '--help']); print([m for m in sys.modules if m in ('torch', 'numpy', 'matplotlib', 'fastcore', 'gpt_scratch.train')])"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout.endswith("[]\n")


def test_a_life(tmp_path):
    "Train, write, measure, describe and go on, each in a process of its own, as a shell would print it."
    (tmp_path/"sonnet.txt").write_text(SONNET)
    go = lambda *argv: ours(*argv, cwd=tmp_path, text=True, encoding="utf-8")
    trained = go("train", "--input", "sonnet.txt", *SMALL)
    assert (trained.returncode, trained.stderr) == (0, "")
    assert re.search(r"step +6 +train \d\.\d{4} +val \d\.\d{4}  [\d,]+ tokens/s\n", trained.stdout)
    assert re.search(r"step +3 .*tokens/s  00:00 left\n", trained.stdout)
    commands = [line.split(": ")[1].split() for line in trained.stdout.splitlines() if "gpt_scratch " in line]
    assert [c[1] for c in commands] == ["generate", "train"] # what it recommends
    written = go(*commands[0][1:], "--max_new_tokens", "30", "--seed", "1")
    assert (written.returncode, len(written.stdout)) == (0, 31), written.stderr
    again = go(*commands[1][1:])
    assert again.returncode == 0 and "step     12" in again.stdout, again.stderr
    assert "\nloss " in go("evaluate", "--checkpoint", "runs/sonnet-tiny", "--input", "sonnet.txt").stdout
    assert "step 12 of 12" in go("info", "--checkpoint", "runs/sonnet-tiny").stdout
    assert {p.name for p in tmp_path.iterdir()} == {"sonnet.txt", "runs"}


def test_utf8_whatever_the_locale():
    "A text with accents, on a terminal that claims to be ASCII."
    assert cli.main(["train", "--input", "french.txt", "--out", "french", *SMALL]) == 0
    env = {**os.environ, "PYTHONIOENCODING":"ascii", "PYTHONUTF8":"1"} # the second for the prompt's way in
    done = ours("generate", "--checkpoint", "french", "--prompt", "été à", "--max_new_tokens", "0", env=env)
    assert (done.returncode, done.stdout.decode()) == (0, "été à" + os.linesep)
    done = ours("generate", "--checkpoint", "french", "--prompt", "ß", env=env)
    assert done.returncode == 1 and "unknown character 'ß'" in done.stderr.decode()


@pytest.mark.skipif(os.name != "posix", reason="pipes and signals of POSIX")
def test_a_reader_that_leaves():
    "As in `gpt_scratch generate | head -c 10`."
    running = subprocess.Popen([*COMMAND, *"generate --checkpoint run --max_new_tokens 100000 --seed 1".split()], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert len(running.stdout.read(10)) == 10 # it comes as it is written
    running.stdout.close()
    assert (running.wait(60), running.stderr.read()) == (141, b"")
    running.stderr.close()


@pytest.mark.skipif(os.name != "posix", reason="pipes and signals of POSIX")
def test_ctrl_c():
    running = subprocess.Popen([*COMMAND, *"generate --checkpoint run --max_new_tokens 100000".split()], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    running.stdout.read(10)
    running.send_signal(signal.SIGINT)
    written,errors = running.communicate(timeout=60)
    assert (running.returncode, errors) == (130, b"gpt_scratch: error: interrupted\n")
    assert written.endswith(b"\n") # the message has a line of its own


@pytest.mark.skipif(os.name != "posix", reason="pipes and signals of POSIX")
@pytest.mark.parametrize("name,code", [("SIGINT", 130), ("SIGTERM", 143)])
def test_a_stopped_training_says_how_to_go_on(tmp_path, name, code):
    (tmp_path/"sonnet.txt").write_text(SONNET)
    line = [*"train --input sonnet.txt --out run".split(), *SMALL, "--max_iters", "100000", "--eval_interval", "50"]
    running = subprocess.Popen([*COMMAND, *line], cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert [running.stdout.readline().split()[0] for _ in range(2)] == ["training", "step"] # it has begun
    running.send_signal(getattr(signal, name))
    _,errors = running.communicate(timeout=60)
    stopped,hint = errors.splitlines()
    assert running.returncode == code and stopped.startswith(f"stopped by {name} after step ") and "saved in run" in stopped
    assert hint == "to go on: gpt_scratch train --resume run" and "train(" not in stopped
    step = int(stopped.split("step ")[1].split(";")[0])
    again = ours(*hint.split()[4:], "--max_iters", str(step + 2), cwd=tmp_path, text=True)
    assert again.returncode == 0 and f"step {step + 2:>6}" in again.stdout, again.stderr


# In this process

def test_no_words_at_all_is_a_question(capsys):
    assert cli.main([]) == 0
    out = capsys.readouterr().out
    assert all(verb in out for verb in ("train", "generate", "evaluate", "info"))


@pytest.mark.parametrize("verb", [*cli.COMMANDS])
def test_every_option_is_explained(verb, capsys):
    assert cli.main([verb, "--help"]) == 0
    out = capsys.readouterr().out
    for name,(_,text,*_) in cli.COMMANDS[verb][1].items(): assert (name if name.isupper() else f"--{name}") in out and len(text) > 10


def test_options_are_the_fields_of_the_configs():
    from dataclasses import fields
    from gpt_scratch.model import GPTConfig
    from gpt_scratch.toolbox.run import PRESETS
    from gpt_scratch.train import TrainConfig
    table = {name: kind.__name__ if isinstance(kind, type) else kind for name,(kind,_) in {**cli.MODEL_OPTIONS, **cli.TRAINING_OPTIONS}.items()}
    kinds = {f.name: f.metadata["allowed"] if f.type == "str" else f.type.split("|")[0].strip() for cls in (GPTConfig, TrainConfig) for f in fields(cls)}
    kinds.pop("vocab_size")
    assert table == kinds
    assert cli.COMMANDS["train"][1]["preset"][0] == (*PRESETS,)


def test_every_option_arrives(monkeypatch, capsys):
    "Each option of `train` reaches the function of the same name, as the right type, and nothing else does."
    from gpt_scratch.toolbox import run as module
    got = {}
    class Stop(ValueError): pass
    def train(text, **kwargs):
        got.update(kwargs, text=text)
        raise Stop("far enough")
    monkeypatch.setattr(module, "train", train)
    values = {name: kind[-1] if isinstance(kind, tuple) else kind(3) for name,(kind,_) in {**cli.MODEL_OPTIONS, **cli.TRAINING_OPTIONS}.items()}
    line = [word for name,value in values.items() for word in (f"--{name}", str(value))]
    assert cli.main(["train", "--input", "sonnet.txt", "--preset", "cpu", "--out", "new", "--device", "cpu", *line]) == 1
    assert got == {**values, "text":Path("sonnet.txt"), "preset":"cpu", "out":Path("new"), "device":"cpu", "resume":None}
    assert capsys.readouterr().err == "gpt_scratch: error: far enough\n"
    got.clear()
    cli.main(["train", "--resume", "run", "--input", "sonnet.txt", "--max_iters", "9"])
    assert got == {"text":Path("sonnet.txt"), "resume":"run", "max_iters":9, "device":"auto"}


def test_the_course_text_is_the_default(monkeypatch, capsys):
    from gpt_scratch.toolbox import corpus
    monkeypatch.setattr(corpus, "tinyshakespeare", lambda: SONNET)
    assert cli.main(["train", "--out", "course", *SMALL]) == 0
    assert "--resume course --max_iters 12" in capsys.readouterr().out
    assert cli.main(["evaluate", "--checkpoint", "course"]) == 0
    assert f"course on {len(SONNET) - int(len(SONNET)*.9)} characters of tinyshakespeare, the last tenth" in capsys.readouterr().out
    shutil.rmtree("course")


def test_a_run_remembers_its_text(capsys, tmp_path):
    "Resuming needs no --input while the file is where it was; what is exported doesn't tell the place."
    secret = tmp_path/"my private place"
    secret.mkdir()
    (secret/"a text.txt").write_text(SONNET)
    assert cli.main(["train", "--input", str(secret/"a text.txt"), "--out", "known", *SMALL]) == 0
    go = lambda *more: (cli.main(["train", "--resume", "known", *more]), capsys.readouterr())
    code,said = go("--max_iters", "7")
    assert code == 0 and "step      7" in said.out, said.err
    assert cli.main(["train", "--resume", "known/step-000007", "--max_iters", "8"]) == 0
    assert cli.main(["export", "known", "--html", "known.html", "--input", "sonnet.txt"]) == 0
    assert cli.main(["export", "known", "--hf", "known-hf"]) == 0
    shipped = [p for p in (*Path("known").glob("step-*/*"), *Path("known-hf").iterdir(), Path("known.html")) if b"private" in p.read_bytes()]
    assert shipped == [] and b"private" in Path("known/ids.json").read_bytes()
    (secret/"a text.txt").rename(secret/"moved.txt")
    code,said = go("--max_iters", "9")
    assert code == 1 and "a text.txt, which can't be read now: say where its text is, with --input" in said.err
    code,said = go("--max_iters", "9", "--input", str(secret/"moved.txt"))
    assert code == 0, said.err
    assert go("--max_iters", "10")[0] == 0 # it knows the new place
    (secret/"moved.txt").write_text(SONNET[::-1])
    code,said = go("--max_iters", "11")
    assert code == 1 and "moved.txt, which has changed" in said.err
    for left in ("known", "known-hf"): shutil.rmtree(left)
    Path("known.html").unlink()


def test_new_symbols(capsys, tmp_path):
    "A text with umlauts and digits is learned by a model that knew neither; the run writes them, resumes and is exported."
    (tmp_path/"new.txt").write_text("Größe 12, Höhe 345. " * 30, encoding="utf-8")
    quick = "--max_iters 20 --eval_interval 10 --batch_size 4 --learning_rate 0.03 --device cpu".split()
    line = ["finetune", "--checkpoint", "run", "--input", str(tmp_path/"new.txt"), "--old", "sonnet.txt", "--out", "wide", *quick]
    assert cli.main(line) == 1 and not Path("wide").exists()
    assert cli.main([*line, "--add_symbols"]) == 0
    assert cli.main("train --resume wide --max_iters 21".split()) == 0
    capsys.readouterr()
    assert cli.main(["generate", "--checkpoint", "wide", "--prompt", "Größe 1", "--max_new_tokens", "300", "--seed", "1"]) == 0
    written = capsys.readouterr().out
    assert written.startswith("Größe 1") and set("öß12345") & set(written[7:])
    shutil.rmtree("wide")


def test_runs_side_by_side(capsys):
    assert cli.main(["info", "run", "run", "--plot", "both.svg"]) == 0
    head,*rows,last = capsys.readouterr().out.splitlines()
    assert head.split()[:2] == ["run", "parameters"] and rows[0] == rows[1] and rows[0].startswith("run ") and last == "the curves: both.svg"
    assert "</svg>" in Path("both.svg").read_text()
    Path("both.svg").unlink()


def test_samples_and_curve(capsys):
    assert cli.main(["train", "--input", "sonnet.txt", "--out", "seen", "--sample", *SMALL]) == 0
    lines = capsys.readouterr().out.splitlines()
    at = [i for i,line in enumerate(lines) if line.startswith("step ")]
    assert len(at) == 3 and all(lines[i + 1].startswith("    | ") for i in at)
    picture = Path("seen/loss.svg").read_text()
    assert all(name in picture for name in ("validation text", "unigram", "trigram"))
    assert lines[-3].endswith("the curve: seen/loss.svg")
    shutil.rmtree("seen")


def test_writing_needs_little_more_than_torch(tmp_path):
    "From the start to the first character at most half a second of the processor's work beyond torch's own import; nothing that draws is loaded."
    ours = "import sys, time, torch; start = time.process_time(); from gpt_scratch.toolbox.cli import main; main('generate --max_new_tokens 1 --seed 1'.split()); print(time.process_time() - start, [m for m in ('matplotlib', 'IPython', 'nbdev') if m in sys.modules])"
    env = {**os.environ, "PYTHONDONTWRITEBYTECODE": "", "PYTHONPYCACHEPREFIX": str(tmp_path)} # compiled once, as after an installation
    tries = [subprocess.run([sys.executable, "-c", ours], capture_output=True, text=True, env=env, timeout=120).stdout.split()[-2:] for _ in range(6)]
    assert all(drawn == "[]" for _, drawn in tries)
    assert min(float(seconds) for seconds, _ in tries) <= .5


def test_names_that_a_shell_would_split(capsys):
    Path("my texts").mkdir()
    Path("my texts/a sonnet.txt").write_text(SONNET)
    assert cli.main(["train", "--input", "my texts/a sonnet.txt", "--out", "my run", *SMALL]) == 0
    assert "--resume 'my run' --max_iters" in capsys.readouterr().out
    for name in ("my texts", "my run"): shutil.rmtree(name)


def test_seeds_and_greed(capsys):
    def written(*options):
        assert cli.main(["generate", "--checkpoint", "run", "--max_new_tokens", "40", *options]) == 0
        return capsys.readouterr().out
    assert written("--seed", "1") == written("--seed", "1") != written("--seed", "2")
    assert written("--temperature", "0") == written("--top_k", "1") == written("--top_p", "1e-9")
    assert written("--prompt", "Zhall", "--errors", "skip", "--temperature", "0") == written("--prompt", "hall", "--temperature", "0")


def test_stops_and_windows(capsys):
    def written(*options):
        assert cli.main(["generate", "--checkpoint", "run", "--max_new_tokens", "60", "--seed", "3", *options]) == 0
        return capsys.readouterr().out
    whole = written()
    stop = whole[40:43]
    assert written("--stop", stop) == whole.split(stop)[0] + "\n" and written("--stop", "never this") == whole == written("--window", "full")
    assert written("--window", "rolling")[:15] == whole[:15] and written("--window", "rolling") != whole  # a context of 16, prompt included


def test_the_shipped_model_is_the_default(capsys):
    "Like `gpt_scratch generate` with nothing at all."
    from gpt_scratch.toolbox.checkpoint import shipped_models
    if cli.MODEL not in shipped_models(): pytest.skip("this checkout has no weights")
    assert cli.main(["generate", "--max_new_tokens", "5"]) == 0
    assert len(capsys.readouterr().out) == 6
    assert cli.main(["info"]) == 0
    assert capsys.readouterr().out.startswith("shakespeare-char\n")


def test_evaluate_counts_what_it_knows(capsys):
    for more,characters in ((["sonnet.txt"], len(SONNET)), (["french.txt", "--errors", "skip"], None)):
        assert cli.main(["evaluate", "--checkpoint", "run", "--input", *more]) == 0
        out = capsys.readouterr().out
        nats,bits,perplexity = map(float, re.findall(r"\d+\.\d+", out[out.index("\nloss "):]))
        if characters: assert f"on {characters:,} characters" in out and "left out" not in out
        else: assert re.search(r"left out    \d+ characters \([\d.]+%\) that the model doesn't know: 'é' ×27, ", out), out
        assert abs(nats/0.693147 - bits) < 2e-4 and abs(2.718281828**nats - perplexity) < 2e-3 * perplexity


@pytest.mark.parametrize("errors", ["strict", "skip"])
def test_evaluate_holds_a_piece_at_a_time(monkeypatch, errors):
    "Of a large file, never all at once; and the result is that of the whole text, to the bit."
    import torch
    from gpt_scratch.tokenizer import CharTokenizer
    from gpt_scratch.toolbox.checkpoint import load_checkpoint
    from gpt_scratch.toolbox.files import take_text
    from gpt_scratch.train import estimate_loss
    text, encode, sizes = (SONNET + "é"*(errors == "skip"))*4000, CharTokenizer.encode, []
    Path("large.txt").write_text(text, encoding="utf-8")
    model, tokenizer = load_checkpoint("run")
    expected = estimate_loss(model, torch.tensor(encode(tokenizer, text, errors)))
    monkeypatch.setattr("gpt_scratch.toolbox.files.LARGE", 2**20)
    monkeypatch.setattr("gpt_scratch.toolbox.files.read_text", None)
    monkeypatch.setattr(CharTokenizer, "encode", lambda self, text, *args, **named: sizes.append(len(text)) or encode(self, text, *args, **named))
    measured = cli._losses(model, tokenizer, take_text(Path("large.txt")), errors)
    assert measured["nats"] == expected and measured["characters"] == len(SONNET)*4000
    assert max(sizes) <= 2**20 and sum(sizes) == len(text)
    Path("large.txt").unlink()


def test_a_warning_is_one_line(capsys):
    "The best checkpoint is damaged: the newest valid one is taken, and we say so."
    shutil.copytree("run", "half")
    from gpt_scratch.toolbox.checkpoint import read_best
    best = Path("half")/read_best("half")["checkpoint"]
    (best/"config.json").write_text("{}")
    code = cli.main(["info", "--checkpoint", "half"])
    out,err = capsys.readouterr()
    assert all(line.startswith("gpt_scratch: ") for line in err.splitlines()) and "gpt_scratch: warning: " in err
    assert code == 0 and "half" in out
    shutil.rmtree("half")


def test_a_bug_keeps_its_traceback(monkeypatch):
    def broken(args): raise KeyError("ours")
    monkeypatch.setitem(cli.COMMANDS, "info", (broken, {}))
    with pytest.raises(KeyError): cli.main(["info"])


TRAIN = "train --device cpu --input sonnet.txt --out new --preset tiny "
WRONG_LINES = [ # exit code, command line, part of the message
    (2, "trian", "there is no command 'trian': did you mean train?"), (2, "generat", "did you mean generate?"), (2, "sample", "did you mean generate?"), (2, "xyzzy", "see gpt_scratch --help"),
    (2, "--prompt ROMEO:", "invalid choice: 'ROMEO:'"), (2, "train --lr 1e-3", "did you mean --learning_rate?"), (2, "play run --no_browser", "did you mean --no-browser?"),
    (2, "--verbose", "required: COMMAND"),
    (2, "train --preset huge", "invalid choice: 'huge'"),
    (2, "train --n_embd big", "--n_embd: invalid int value: 'big'"),
    (2, "train --learning_rate fast", "--learning_rate: invalid float value: 'fast'"),
    (2, "train --max-iters 5", "train has no option --max-iters: did you mean --max_iters?"),
    (2, "train --n_emb=5", "did you mean --n_embd?"),
    (1, "train --vocab_size 65", "with --tokenizer bpe only"), (1, "train --tokenizer bpe --vocab_size 99", "from 256"), (2, "train --tokenizer word", "invalid choice"),
    (2, "train --schedule linear", "invalid choice: 'linear'"),
    (2, "train --dtype float8", "invalid choice: 'float8'"),
    (2, "train --resume run --preset tiny", "--resume goes on in the run's folder with its options: leave out --preset and --out"),
    (2, "train --resume run --out new", "leave out --preset and --out"),
    (2, "generate --prompt", "--prompt: expected one argument"),
    (2, "generate --window wide", "invalid choice: 'wide'"),
    (2, "generate ROMEO:", "generate has no option ROMEO:"),
    (2, "evaluate --errors ignore", "invalid choice: 'ignore'"),
    (2, "info --device cpu", "info has no option --device"), (2, "info run run --plot curves.gif", "must end in .svg or .png"),
    (2, "generate --interactive --prompt O", "leave out --prompt and --n"), (1, "generate --checkpoint run --n 0", "n is 0; it must be"), (1, "generate --checkpoint run --threads 0", "threads is 0; it must be"),
    (1, TRAIN + "--threads -1", "threads is -1; it must be"), (1, TRAIN + "--learning_rate 1e9", "learning_rate is 1000000000.0"),
    (1, "train --out new --input no-such.txt", "no-such.txt doesn't exist: name a UTF-8 text file"),
    (1, "train --out new --input hollow", "hollow is a folder: name one text file in it"),
    (1, "train --out new --input empty.txt", "empty"),
    (1, "train --out new --input picture.png", "picture.png looks binary (a zero byte at position 8)"),
    (1, "train --out new --input latin.txt", "latin.txt is not UTF-8: byte 0xf6 at position 46, line 1"),
    (1, "train --out new --input short.txt", "the text has 7 tokens; block_size 256 needs at least 286"),
    (1, TRAIN + "--n_embd 7 --n_head 2", "n_embd 7 is not a multiple of n_head 2"),
    (1, TRAIN + "--n_layer 0", "n_layer is 0; it must be"),
    (1, TRAIN + "--block_size -8", "block_size is -8; it must be"),
    (1, TRAIN + "--dropout 1.5", "dropout is 1.5; it must be"),
    (1, TRAIN + "--learning_rate -1", "learning_rate is -1.0; it must be"),
    (1, TRAIN + "--learning_rate nan", "learning_rate is nan; it must be"),
    (1, TRAIN + "--max_iters 0", "max_iters is 0; it must be"),
    (1, TRAIN + "--batch_size 0", "batch_size is 0; it must be"),
    (1, TRAIN + "--val_fraction 1", "val_fraction is 1.0; it must be"),
    (1, TRAIN + "--seed -1", "seed is -1; it must be"),
    (1, TRAIN + "--device tpu", "device 'tpu' is not available here"), (2, TRAIN + "--device=--", "--device=--: -- is no value"), (2, "generate --prompt=--", "-- is no value"),
    (1, "train --input sonnet.txt --preset tiny --out run", "to continue that run say --resume run, to start another name a new folder with --out"),
    (1, "train --input sonnet.txt --preset tiny --out sonnet.txt", "sonnet.txt is a file: name a folder for the run with --out"),
    (1, "train --input sonnet.txt --preset tiny --out sonnet.txt/run", "sonnet.txt"),
    (1, "train --input sonnet.txt --resume nowhere", "nowhere holds no checkpoint"),
    (1, "train --input sonnet.txt --resume run --n_layer 2", "n_layer is 1 in the checkpoint, 2 was asked for"),
    (1, "train --input sonnet.txt --resume hurt", "hurt holds no checkpoint to resume from"),
    (1, "train --input other.txt --resume run", "resume with the same text, with --input"),
    (1, "generate --checkpoint nowhere", "there is no checkpoint 'nowhere'"),
    (1, "generate --checkpoint hollow", "hollow holds no valid checkpoint"),
    (1, "generate --checkpoint hurt", "hurt holds no valid checkpoint"),
    (1, "generate --checkpoint hurt/step-000006", "model.safetensors is damaged"),
    (1, "generate --checkpoint run --prompt Señor", "unknown character 'ñ' (U+00F1) at position 2"), (1, "generate --checkpoint run --prompt Señor", "--errors skip"),
    (1, "generate --checkpoint run --temperature -1", "temperature is -1.0; it must be"),
    (1, "generate --checkpoint run --top_k 0", "top_k is 0; it must be"),
    (1, "generate --checkpoint run --top_p 2", "top_p is 2.0; it must be"),
    (1, "generate --checkpoint run --seed -1", "seed is -1; it must be"),
    (1, "generate --checkpoint run --seed 9223372036854775808", "below 2**63"), (1, TRAIN + "--seed 9223372036854775808", "seed is 9223372036854775808; it must be"),
    (1, "generate --checkpoint run --stop=", "a stop is empty; it must have"),
    (1, "generate --checkpoint run --max_new_tokens -1", "max_new_tokens is -1; it must be"),
    (1, "evaluate --checkpoint run --input french.txt", "unknown character"),
    (1, "evaluate --checkpoint run --input greek.txt --errors skip", "the text has 0 ids"),
    (1, "evaluate --checkpoint run --input letter.txt", "the text has 1 ids"),
    (1, "info --checkpoint sonnet.txt", "there is no checkpoint 'sonnet.txt'"),
    (2, "train --log paper", "invalid choice: 'paper'"),
    (2, "finetune", "--input is missing: name the text to learn from"),
    (2, "finetune --input sonnet.txt --n_layer 2", "finetune has no option --n_layer"),
    (1, "finetune --checkpoint run --input other.txt --old sonnet.txt --out run", "run holds something already"),
    (1, "finetune --checkpoint run --input french.txt --old sonnet.txt --out new", "let it learn them with --add_symbols, leave them out with --errors skip"),
    (1, "finetune --checkpoint run --input greek.txt --old sonnet.txt --out new --errors skip", "the text has 0 tokens; block_size 16 needs at least 20"),
    (1, "finetune --checkpoint run --input latin.txt --old sonnet.txt --out new", "latin.txt is not UTF-8"),
    (1, "finetune --checkpoint run --input no-such.txt --old sonnet.txt --out new", "no-such.txt doesn't exist"),
    (1, "finetune --checkpoint run --input other.txt --old no-such.txt --out new", "no-such.txt doesn't exist"),
    (1, "finetune --checkpoint hurt --input other.txt --old sonnet.txt --out new", "hurt holds no valid checkpoint"),
    (1, "finetune --checkpoint run --input other.txt --old sonnet.txt --out new --learning_rate 0", "learning_rate is 0.0; it must be"),
]


@pytest.mark.parametrize("code, line, message", WRONG_LINES)
def test_wrong_lines(capsys, code, line, message):
    "One line on stderr that ends in what to do, the right exit code, and no file touched or left behind."
    before = contents()
    assert cli.main(line.split()) == code
    out,err = capsys.readouterr()
    *warned,error = err.splitlines()
    assert error.startswith("gpt_scratch: error: ") and message in error, err
    assert all(w.startswith("gpt_scratch: warning: ") for w in warned)
    assert contents() == before
