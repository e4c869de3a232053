"The chapters' tests are tested: each kills the wrong implementations in the zoo and passes right ones; and `gpt_scratch check` on files that no test has seen."
import json, os, subprocess, sys, time
from pathlib import Path

import pytest

from gpt_scratch.toolbox import cli
from gpt_scratch.toolbox.check import passed
from gpt_scratch.toolbox.zoo import RIGHT, ZOO, kills, run_members

ROOT = Path(__file__).parents[1]
FATES = {}

ATTENTION = """
import torch, torch.nn as nn

class MultiHeadAttention(nn.Module):
    def __init__(self, n_embd, n_head, dropout=0.):
        super().__init__()
        self.H, self.dropout = n_head, nn.Dropout(dropout)
        self.qkv, self.proj = nn.Linear(n_embd, 3*n_embd, bias=False), nn.Linear(n_embd, n_embd)

    def split(self, x):
        B, T, C = x.shape
        return [part.reshape(B, T, self.H, C//self.H).transpose(1, 2) for part in self.qkv(x).chunk(3, -1)]

    def weights(self, x):
        q, k, _ = self.split(x)
        scores = torch.einsum("bhtd,bhsd->bhts", q, k) / (x.shape[-1]//self.H)**0.5
        visible = torch.ones_like(scores).tril() > 0
        return torch.where(visible, scores, torch.tensor(float("-inf"))).softmax(-1)

    def merge(self, heads): return self.dropout(self.proj(heads.transpose(1, 2).flatten(2)))

    def forward(self, x):
        dropped = nn.functional.dropout(self.weights(x), self.dropout.p, self.training)
        return self.merge(dropped @ self.split(x)[2])
"""
SPLIT = "def split(ids, val_fraction=.1):\n    if not 0 < val_fraction < 1: raise ValueError('between 0 and 1')\n    n = int(len(ids)*(1-val_fraction))\n    {}\n    return ids[:n], ids[n:]\n"


def name(member): return f"{member.chapter}-{member.name}-{member.does}"


def fate(member):
    "What the chapter's tests say to it; one run for the whole chapter."
    if member.chapter not in FATES: FATES[member.chapter] = run_members(member.chapter)
    return FATES[member.chapter][member]


@pytest.mark.parametrize("wrong", ZOO, ids=name)
def test_wrong_code_fails(wrong): assert kills(fate(wrong)), fate(wrong)


@pytest.mark.parametrize("right", RIGHT, ids=name)
def test_right_code_passes(right): assert passed(right, fate(right)), fate(right)


@pytest.mark.skipif(not (ROOT/"nbs").exists(), reason="the page is only in the repository")
def test_the_page_shows_the_whole_zoo():
    saved = json.dumps(json.loads((ROOT/"nbs/toolbox/zoo.ipynb").read_text(encoding="utf-8")), ensure_ascii=False)
    tables = saved.split("the mistake |")[1]
    assert [member for member in (*ZOO, *RIGHT) if f"| {member.chapter} | `{member.name}` | {member.does} |" not in tables] == []


@pytest.fixture
def check(tmp_path, capsys):
    "Run the command on a file with this content: its exit code and what it prints."
    def check(chapter, content, *options, file="mine.py"):
        if content is not None: (tmp_path/file).write_text(content, encoding="utf-8")
        code = cli.main(["check", chapter, str(tmp_path/file), *options])
        return code, "".join(capsys.readouterr())
    return check


@pytest.mark.skipif(not Path("/proc").is_dir(), reason="looks into /proc")
def test_a_killed_check_leaves_nothing_behind():
    program = "from gpt_scratch.toolbox.slicer import Change, run_chapter; run_chapter('data', [Change(('split',), 'n =', 'while True: pass\\n    n =')])"
    def running():
        found = {}
        for entry in Path("/proc").glob("[0-9]*"):
            try: found[int(entry.name)] = (entry/"cmdline").read_bytes(), int((entry/"stat").read_text().rpartition(")")[2].split()[1])
            except OSError: pass # has ended meanwhile
        return found
    def until(found, seconds=60):
        for _ in range(10*seconds):
            if result := found(): return result
            time.sleep(.1)
        pytest.fail(f"nothing of the kind in {seconds} seconds")
    with subprocess.Popen([sys.executable, "-c", program]) as parent:
        server = until(lambda: [pid for pid, (line, above) in running().items() if above == parent.pid and b"serve(" in line])[0]
        parent.kill()
    until(lambda: b"serve(" not in running().get(server, (b"",))[0], 10)


def test_right(check):
    code, said = check("attention", ATTENTION)
    assert code == 0 and "right  your MultiHeadAttention: " in said and "wrong" not in said, said


@pytest.mark.parametrize("old,new,says", [
    ("(x.shape[-1]//self.H)**0.5", "x.shape[-1]**0.5", "scaling by √n_embd"),
    ("heads.transpose(1, 2).flatten(2)", "heads.reshape(len(heads), heads.shape[2], -1)", "reshaping without the transpose"),
    ("self.training)", "True)", "assert_close(noisy(x), noisy(x))"), # random numbers are nobody's signature
    (" / (x.shape[-1]//self.H)**0.5", "", "leaving the scores unscaled"),
])
def test_wrong(check, old, new, says):
    code, said = check("03", ATTENTION.replace(old, new))
    assert code == 1 and "wrong  your MultiHeadAttention" in said and says in said, said


def test_other_names_ask_for_adapters(check):
    "A part by another name is no mistake, and no mistake is guessed; with `adapters` the tests go on, and find a real one."
    other = ATTENTION.replace("self.qkv", "self.c_attn")
    code, said = check("03", other)
    assert code == 1 and "say in `adapters`" in said and "MultiHeadAttention.load_state_dict" in said and "this is what" not in said, said
    adapters = '''
def load(mine): return lambda theirs: nn.Module.load_state_dict(mine, {name.replace("qkv", "c_attn"): value for name, value in theirs.items()})
adapters = {"MultiHeadAttention": {"load_state_dict": load}}
'''
    assert check("03", other + adapters)[0] == 0
    code, said = check("03", other.replace(" / (x.shape[-1]//self.H)**0.5", "") + adapters)
    assert code == 1 and "this is what leaving the scores unscaled gives" in said, said


def test_tests_of_ones_own(check):
    code, said = check("data", "def test_length():\n    train, val = split(list(range(50)))\n    assert len(val)==5 and val[0]==45\n", "--tests", "--json")
    row = json.loads(said)
    assert code == 0 and row["wronged"] == [] or "wronged 1" in row["badge"], said
    assert "validating on the beginning" in row["caught"] and "losing the first validation id" in row["caught"], said
    code, said = check("data", "def test_all(): assert len(split(list(range(50)))[1])==6\n", "--tests")
    assert code == 1 and said.count("\n") == 1 and "fails on the chapter's own code" in said, said


def test_a_notebook(check):
    "A notebook with a patched method, a magic, and an experiment that must not run."
    cells = ["%matplotlib inline\nfrom fastcore.basics import patch\nfrom gpt_scratch.tokenizer import CharTokenizer",
        "@patch\ndef decode(self:CharTokenizer, ids):\n    return ''.join(self.itos[int(i)] for i in ids)", "raise SystemExit('an experiment')", "while True: pass"]
    code, said = check("tokenizer", json.dumps({"cells": [dict(cell_type="code", source=cell) for cell in cells]}), file="mine.ipynb")
    assert code == 1 and "this is what letting negative ids count from the end gives; the chapter refuses ids outside 0…V-1" in said, said


@pytest.mark.parametrize("content,options,says", [
    (SPLIT.format("import os; os._exit(0)"), (), "mine.py left Python (exit code 0) in a test of split that begins with"),
    (SPLIT.format("import ctypes; ctypes.string_at(0)"), (), "mine.py crashed (SIGSEGV) in a test of split"),
    (SPLIT.format("while True: pass"), ("--seconds", "5"), "took more than 5 seconds in a test of split"),
    ("import sys\nsplit = sys.exit()", (), "mine.py can't be loaded: SystemExit"),
    ("import os\nclass split: os._exit(0)", (), "mine.py can't be loaded: left Python (exit code 0)"),
    (SPLIT.replace("{}", "}"), (), "mine.py, line 4: unmatched '}'"),
    ("split_all = 1", (), "mine.py defines nothing that chapter data defines: split"),
    (None, (), "doesn't exist"),
    ("", (), "is empty"),
], ids=["exit", "crash", "loop", "exit-at-once", "exit-in-class", "syntax", "nothing", "missing", "empty"])
def test_one_line_each(check, content, options, says):
    if os.name != "posix" and "crash" in says: pytest.skip("signals of POSIX")
    code, said = check("data", content, *options)
    assert code == 1 and says in said and said.count("\n") == 1, said


def test_an_exit_inside_a_test_is_a_failure(check):
    code, said = check("data", SPLIT.format("raise SystemExit(0)"))
    assert code == 1 and "wrong  your split" in said and "SystemExit: 0" in said and "mine.py, line 4" in said


def test_an_unknown_chapter(check):
    code, said = check("atention", "x = 1")
    assert (code, said.count("\n")) == (1, 1) and "choose from tokenizer, data, embedding, attention, block, model, train, generate" in said
