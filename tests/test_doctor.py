"The loss doctor on runs that it never saw; `tools/doctor_runs.py FOLDER count` does the same with many seeds."
import pytest

from gpt_scratch.toolbox.cli import main
from gpt_scratch.toolbox.corpus import tinyshakespeare
from gpt_scratch.toolbox.doctor import diagnose, fingerprints
from gpt_scratch.toolbox.run import train


def test_info_says_that_a_right_run_is_normal(tmp_path, capsys):
    train(tinyshakespeare(), tmp_path/"run", preset="tiny", device="cpu", seed=2718, progress=False)
    capsys.readouterr()
    assert main(["info", str(tmp_path/"run")]) == 0
    assert "the loss doctor: normal" in capsys.readouterr().out


@pytest.mark.parametrize("options,says", [(dict(learning_rate=3e-4), "a rate ten times too low"), (dict(weight_decay=10.), "a weight decay a hundred times too strong")])
def test_a_broken_run_is_named(options, says):
    rows = train(tinyshakespeare(), preset="tiny", device="cpu", seed=314, progress=False, **options).history
    assert says in diagnose(rows, "tiny").likely, diagnose(rows, "tiny")
    half = [row for row in rows if row["step"] <= 150]
    assert says in diagnose(half, "tiny").likely, diagnose(half, "tiny") # while it runs, too


def test_a_crooked_history_gets_no_diagnosis():
    flat = [dict(step=n, loss=1e3, grad_norm=1e9) for n in range(1, 301)]
    found = diagnose(flat, "tiny")
    assert "at step 10" in found.words and "too high" in found.words and "can't tell why" in found.words
    assert set(fingerprints()) == {"tiny", "speedrun"}
