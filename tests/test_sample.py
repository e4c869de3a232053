"The sample: long enough, and made by the command that samples/README.md names."
import re, shlex
from pathlib import Path

import pytest

from gpt_scratch.toolbox.cli import main

SAMPLES = Path(__file__).parents[1]/"samples"
if not SAMPLES.is_dir(): pytest.skip("the samples are in the repository only", allow_module_level=True)
NOVEL = (SAMPLES/"generated_novel.txt").read_text(encoding="utf-8")


def test_length(): assert len(NOVEL.split()) >= 10_000


def test_the_command_makes_it(capsys):
    "The same command, cut short: the beginning, far beyond the model's context of 128 characters."
    command = re.search(r"^    gpt_scratch (.*) > samples/generated_novel.txt$", (SAMPLES/"README.md").read_text(encoding="utf-8"), re.M)[1]
    assert f"gpt_scratch {command} >" in (SAMPLES.parent/"nbs/beyond/copying.ipynb").read_text(encoding="utf-8").replace('\\"', '"')
    words = shlex.split(command)
    assert len(NOVEL) == len("ROMEO:") + int(words[words.index("--max_new_tokens") + 1]) + 1
    words[words.index("--max_new_tokens") + 1] = "600"
    assert main(words) == 0
    said = capsys.readouterr().out
    assert len(said) == 607 and NOVEL.startswith(said[:-1])
