"The script for a GPU, at toy size on the CPU: it stops at its goal, and its parts make a checkpoint with the same loss."
import importlib.util, json
from pathlib import Path

import pytest, torch

from gpt_scratch.toolbox.checkpoint import load_checkpoint
from gpt_scratch.train import estimate_loss

SCRIPT = Path(__file__).parents[1]/"benchmarks"/"gpu.py"
TINY = "n_layer=2 n_embd=16 n_head=2 block_size=16 batch_size=4 eval_interval=5 max_iters=40 warmup_iters=5 dropout=0.0 learning_rate=0.02".split()


@pytest.mark.skipif(not SCRIPT.exists(), reason="not a checkout")
def test_to_the_goal_and_back(tmp_path, monkeypatch, capsys):
    spec = importlib.util.spec_from_file_location("gpu", SCRIPT)
    gpu = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(gpu)
    monkeypatch.setattr(gpu, "PART", 5000)
    text = "to be or not to be, that is the question: " * 60
    (tmp_path/"text.txt").write_text(text)
    gpu.main([str(tmp_path/"out"), "--seconds", "60", *TINY, "--input", str(tmp_path/"text.txt"), "--goal", "2.2", "--device", "cpu"])
    *history, result = map(json.loads, (tmp_path/"out"/"log.jsonl").read_text().splitlines())
    assert result["reached"] and result["val_loss"] <= 2.2 and 5 <= result["steps"] < 40 and result["tokens_per_second"] > 0
    assert history[-1]["val_loss"] == result["val_loss"] and len(list((tmp_path/"out").glob("part-*"))) > 2
    gpu.main([str(tmp_path/"out"), "--join", str(tmp_path/"joined")])
    model, tokenizer = load_checkpoint(tmp_path/"joined")
    ids = torch.tensor(tokenizer.encode(text))
    assert abs(estimate_loss(model, ids[int(len(ids)*.9):]) - result["val_loss"]) < .02
    assert str(tmp_path/"joined") in capsys.readouterr().out
