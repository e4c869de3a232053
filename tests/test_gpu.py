"What only a GPU can show, skipped by name without one; and, on any machine, that no tensor stays on the CPU when the model is elsewhere."
import pytest, torch

from gpt_scratch.model import GPTConfig, GPTLanguageModel
from gpt_scratch.tokenizer import CharTokenizer
from gpt_scratch.toolbox.checkpoint import load_checkpoint
from gpt_scratch.toolbox.faults import OutOfMemory, is_out_of_memory
from gpt_scratch.toolbox.run import fill_optimizer, train
from gpt_scratch.train import TrainConfig, Trainer, configure_optimizer, estimate_loss, train_step
from test_training import RECIPE, TEXT, story

gpu = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU with CUDA")
ON_GPU = {**RECIPE, "device": "cuda"}


def stop(run):
    if run.step == 13: raise KeyboardInterrupt


@gpu
@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_train_save_resume_on_a_gpu(tmp_path, dtype):
    "A run that was killed goes on to the same bits, dropout included."
    straight = train(TEXT, tmp_path/"straight", dtype=dtype, **ON_GPU)
    with pytest.raises(KeyboardInterrupt): train(TEXT, tmp_path/"parts", dtype=dtype, callback=stop, **ON_GPU)
    again = train(TEXT, resume=tmp_path/"parts", device="cuda", progress=False)
    assert all(a.is_cuda and torch.equal(a, b) for a, b in zip(straight.model.parameters(), again.model.parameters()))
    assert story(straight.history) == story(again.history) and straight.history[-1]["val_loss"] < straight.history[0]["val_loss"]


@gpu
def test_a_run_moves_between_gpu_and_cpu(tmp_path):
    with pytest.raises(KeyboardInterrupt): train(TEXT, tmp_path/"run", callback=stop, **ON_GPU)
    with pytest.warns(UserWarning, match="device was cuda and is cpu"): assert train(TEXT, resume=tmp_path/"run", device="cpu", progress=False).step == 24
    with pytest.warns(UserWarning, match="device was cpu and is cuda"): assert train(TEXT, resume=tmp_path/"run", device="cuda", max_iters=26, progress=False).step == 26


@gpu
def test_generate_on_a_gpu():
    "A prompt on the CPU is moved; the most likely text is the CPU's."
    model, tokenizer = load_checkpoint("shakespeare-char")
    idx = torch.tensor([tokenizer.encode("ROMEO:")])
    on_cpu = model.generate(idx, 40, temperature=0)
    on_gpu = model.cuda().generate(idx, 40, temperature=0)
    assert on_gpu.is_cuda and tokenizer.decode(on_gpu[0].tolist()) == tokenizer.decode(on_cpu[0].tolist())


@gpu
def test_out_of_memory_on_a_gpu():
    with pytest.raises(OutOfMemory, match="the same step in smaller parts fits|no batch of this model fits"):
        train(TEXT*40, **{**ON_GPU, "block_size": 1024, "n_embd": 1024, "n_head": 16, "n_layer": 24, "batch_size": 8192})
    try: torch.empty(2**50, device="cuda")
    except RuntimeError as e: assert is_out_of_memory(e)


# Without a GPU: the meta device takes its place. It computes shapes only, and refuses a tensor of the CPU as any other device does.

@pytest.fixture
def elsewhere():
    tokenizer = CharTokenizer(TEXT)
    return GPTLanguageModel(GPTConfig(vocab_size=tokenizer.vocab_size, block_size=16, n_embd=16, n_head=2, n_layer=2)).to("meta"), torch.tensor(tokenizer.encode(TEXT))


def test_meta_refuses_what_stayed_behind(elsewhere):
    with pytest.raises(RuntimeError, match="device"): elsewhere[0].embedding.token.weight + torch.ones(1, 16)


def test_batches_go_where_the_model_is(elsewhere):
    trainer = Trainer(*elsewhere, TrainConfig(batch_size=4, gradient_accumulation_steps=2))
    for x, y in trainer.batches():
        assert x.device.type == y.device.type == "meta"
        assert trainer.model(x, y)[1].device.type == "meta"


def test_a_step_stays_there(elsewhere, monkeypatch):
    "Forward, backward, clipping and AdamW; only the numbers of the report come back, three times at most."
    model, ids = elsewhere
    trainer, came_back = Trainer(model, ids, TrainConfig(batch_size=4, gradient_accumulation_steps=2)), []
    monkeypatch.setattr("gpt_scratch.train.float", lambda value: came_back.append(value.device.type) or 1., raising=False)
    optimizer = torch.optim.AdamW(model.parameters())
    train_step(model, optimizer, trainer.batches(), grad_clip=1.)
    kept = [value for state in optimizer.state.values() for key, value in state.items() if key != "step"]
    assert kept and all(value.device.type == "meta" for value in kept) and len(came_back) <= 3


def test_evaluation_moves_its_windows(elsewhere, monkeypatch):
    monkeypatch.setattr(torch.Tensor, "item", lambda self: 1.)
    assert estimate_loss(*elsewhere) == 1.


def test_a_resumed_optimizer_is_where_the_model_is(elsewhere):
    "With fused AdamW, the count of steps must be there too."
    model = elsewhere[0]
    optimizer = configure_optimizer(model, TrainConfig())
    saved = {f"{kind}.{name}": torch.zeros(p.shape if kind != "step" else ()) for name, p in model.named_parameters() for kind in ("step", "exp_avg", "exp_avg_sq")}
    fill_optimizer(optimizer, model, saved)
    assert {value.device.type for state in optimizer.state.values() for value in state.values()} == {"meta"} and len(optimizer.state) == len([*model.parameters()])
