"Wrong calls from Python: each is refused in one line that names the thing and the remedy, and no file is touched. The command's wrong lines are in test_cli."
import shutil

import pytest, torch

from gpt_scratch.beyond.finetune import finetune
from gpt_scratch.beyond.scale import train_parallel
from gpt_scratch.model import GPTConfig
from gpt_scratch.toolbox.checkpoint import load_checkpoint, prune_checkpoints
from gpt_scratch.toolbox.log import plot_run, read_history
from gpt_scratch.toolbox.run import train
from gpt_scratch.train import TrainConfig, estimate_loss

TEXT = "To be, or not to be, that is the question:\nWhether 'tis nobler in the mind to suffer\n"*4
SMALL = dict(preset="tiny", n_layer=1, n_embd=8, n_head=2, block_size=16, max_iters=4, eval_interval=2, device="cpu", progress=False)


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    "A finished run, a damaged one, an empty folder and some files."
    folder = tmp_path_factory.mktemp("place")
    train(TEXT, folder/"run", **SMALL)
    for p in shutil.copytree(folder/"run", folder/"hurt").glob("step-*/trainer.safetensors"): p.write_bytes(p.read_bytes()[:-1])
    shutil.copytree(folder/"run", folder/"weights")
    for p in (folder/"weights").glob("step-*"): shutil.rmtree(p)
    (folder/"hollow").mkdir()
    (folder/"text.txt").write_text(TEXT)
    (folder/"empty.txt").write_text(" \n")
    (folder/"latin.txt").write_bytes(TEXT.encode() + b"\xe9t\xe9")
    return folder


def contents(folder): return {str(p.relative_to(folder)): p.read_bytes() if p.is_file() else None for p in folder.rglob("*")}


CALLS = [ # what is called with the folder above, and part of the message
    (lambda p: train(TEXT, p/"new", **{**SMALL, "preset": "huge"}), "preset is 'huge'; choose from tiny, speedrun, cpu, default, gpt2"),
    (lambda p: train(TEXT, p/"new", **{**SMALL, "device": "tpu"}), "device 'tpu' is not available here; choose from"),
    (lambda p: train(TEXT, p/"new", **SMALL, n_layers=2), "n_layers is no option; did you mean n_layer?"),
    (lambda p: train(TEXT, p/"new", **SMALL, lr=1e-3), "lr is no option; did you mean learning_rate?"),
    (lambda p: load_checkpoint(p/"run")[0]("to be"), "the ids are of type str; give torch.tensor([tokenizer.encode(text)])"),
    (lambda p: load_checkpoint(p/"run")[0](torch.tensor([1, 2])), "the ids have shape (2,); they must be (B,T)"),
    (lambda p: load_checkpoint(p/"run")[0](torch.tensor([[0, 99]])), "the ids go from 0 to 99; they must be 0 to "),
    (lambda p: load_checkpoint(p/"run")[0].generate("to be", 5), "the prompt is 'to be'"),
    (lambda p: train(TEXT, p/"new", **SMALL, vocab_size=65), "vocab_size is 65, but it follows from the text"),
    (lambda p: train(TEXT, p/"new", **SMALL, tokenizer="bpe", vocab_size=99), "vocab_size is 99; it must be a whole number from 256"),
    (lambda p: train(TEXT, p/"new", **SMALL, tokenizer="word"), "tokenizer is 'word'; it must be"),
    (lambda p: train(TEXT, p/"new", **{**SMALL, "n_head": 3}), "n_embd 8 is not a multiple of n_head 3"),
    (lambda p: train(TEXT, p/"new", **{**SMALL, "max_iters": 2.5}), "max_iters is 2.5; it must be a whole number from 1"),
    (lambda p: train(TEXT, p/"new", **SMALL, batch_size=True), "batch_size is True; it must be a whole number from 1"),
    (lambda p: train(TEXT, p/"new", **SMALL, learning_rate="fast"), "learning_rate is 'fast'; it must be a number from 1e-08 to 100"),
    (lambda p: train(TEXT, p/"new", **SMALL, schedule="linear"), 'schedule is \'linear\'; it must be "constant" or "cosine"'),
    (lambda p: train(TEXT, p/"new", **SMALL, dropout=1.0), "dropout is 1.0; it must be a number from 0 to 0.99"),
    (lambda p: train(TEXT, p/"new", **SMALL, loggers=["paper"]), "there is no logger 'paper'; choose from tensorboard, wandb"),
    (lambda p: train(TEXT, **SMALL, loggers=["wandb"]), "wandb needs a folder: give the run one with out"),
    (lambda p: train("To be", p/"new", **SMALL), "the text has 5 tokens; block_size 16 needs at least 20"),
    (lambda p: train("", p/"new", **SMALL), "empty"),
    (lambda p: train("text.txt", p/"new", **SMALL), "for a file, pass a Path"),
    (lambda p: train(p/"none.txt", p/"new", **SMALL), "none.txt doesn't exist: name a UTF-8 text file"),
    (lambda p: train(p/"hollow", p/"new", **SMALL), "hollow is a folder: name one text file in it"),
    (lambda p: train(p/"empty.txt", p/"new", **SMALL), "empty.txt is empty: name a file with some text in it"),
    (lambda p: train(p/"latin.txt", p/"new", **SMALL), "latin.txt is not UTF-8: byte 0xe9"),
    (lambda p: train(TEXT, p/"run", **SMALL), "run already holds something; choose another folder, or resume the run in it"),
    (lambda p: train(TEXT, p/"text.txt", **SMALL), "text.txt already holds something"),
    (lambda p: train(TEXT, p/"new", resume=p/"run"), "leave out the option out"),
    (lambda p: train(TEXT, resume=p/"hollow"), "hollow holds no checkpoint to resume from"),
    (lambda p: train(TEXT, resume=p/"hurt"), "hurt holds no checkpoint to resume from"),
    (lambda p: train(TEXT, resume=p/"hurt"/"step-000004"), "trainer.safetensors is damaged"),
    (lambda p: train(TEXT, resume=p/"run", n_embd=16), "n_embd is 8 in the checkpoint, 16 was asked for; batch_size, max_iters, learning_rate and dropout may change"),
    (lambda p: train(TEXT, resume=p/"run", max_iters=0), "max_iters is 0; it must be"),
    (lambda p: train(TEXT, resume=p/"run", val_fraction=.2), "val_fraction is 0.1 in the checkpoint, 0.2 was asked for; start a new run"),
    (lambda p: train(TEXT, resume=p/"run", seed=1), "seed is 1337 in the checkpoint, 1 was asked for; start a new run"),
    (lambda p: train("", resume=p/"run"), "the text is empty"),
    (lambda p: train(TEXT, p/"new", **{**SMALL, "n_embd": 65536, "n_head": 1}), "out of memory: a step needs about"),
    (lambda p: train(TEXT, p/"new", **SMALL, batch_size=999_999_999_989), "batch_size is 999999999989; it must be a whole number from 1 to 65,536"),
    (lambda p: train(TEXT, p/"new", **SMALL, gradient_accumulation_steps=10**9), "gradient_accumulation_steps is 1000000000; it must be"),
    (lambda p: train(TEXT, p/"new", **{**SMALL, "batch_size": 65536}, gradient_accumulation_steps=65536), "tokens in a step; at most"),
    (lambda p: train(TEXT[1:], resume=p/"run"), "the text is not the one that"),
    (lambda p: train("ÄÖÜ"*100, resume=p/"run"), "the text is not the one that"),
    (lambda p: finetune(TEXT, p/"hollow"), "hollow holds no valid checkpoint"),
    (lambda p: finetune("½"*99, p/"run"), "the model doesn't know 1 of the characters in this text: '½' ×99"),
    (lambda p: finetune("½"*99, p/"run", errors="skip"), "the text has 0 tokens"),
    (lambda p: finetune(TEXT, p/"run", errors="ignore"), 'errors is \'ignore\'; allowed are "strict" and "skip"'),
    (lambda p: finetune(TEXT, p/"run", p/"run"), "run already holds something"),
    (lambda p: finetune(TEXT, p/"run", block_size=8), "block_size is 16 in the checkpoint, 8 was asked for"),
    (lambda p: train_parallel(TEXT, p/"new"), "start your script with torchrun"),
    (lambda p: read_history(p/"hollow"), "history.jsonl doesn't exist: name the folder of a run"),
    (lambda p: plot_run(p/"nowhere"), "nowhere doesn't exist: name the folder of a run"),
    (lambda p: load_checkpoint(p/"weights"), "weights holds no valid checkpoint"),
    (lambda p: prune_checkpoints(p/"run", keep=0), "keep is 0: at least 1 checkpoint has to stay"),
    (lambda p: estimate_loss(load_checkpoint(p/"run")[0], torch.tensor([1])), "the text has 1 ids; at least 2 needed"),
    (lambda p: TrainConfig(val_fraction=1), "val_fraction is 1; it must be a number from 0.001 to 0.9"),
    (lambda p: GPTConfig(n_layer=10**9), "n_layer is 1000000000; it must be a whole number from 1 to 1,024"),
]


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("call, words", CALLS, ids=[words[:50] for _, words in CALLS])
def test_refused_in_one_line(place, call, words):
    before = contents(place)
    with pytest.raises(ValueError) as error: call(place)
    assert words in str(error.value) and "\n" not in str(error.value)
    assert contents(place) == before
