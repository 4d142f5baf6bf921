"""Everything that people do with a model goes on working when it has dendrites."""

import copy
import pickle
import runpy
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn
from torch.utils.checkpoint import checkpoint

from giantkiller.dendrites import (
    CorrelationRule,
    Errors,
    GradientRule,
    allocate,
    compact,
    counts,
    dendritic_layers,
    perforate,
)


class Block(nn.Module):
    """What a transformer's feed-forward part is."""

    def __init__(self, activation="tanh", dendrites=2):
        super().__init__()
        torch.manual_seed(0)
        self.up = nn.Linear(8, 16)
        self.down = nn.Linear(16, 8)
        self.norm = nn.LayerNorm(8)
        perforate(self, nn.Linear, activation=activation)
        for layer in dendritic_layers(self).values():
            layer.grow(dendrites)
            for tensor in (layer.dendrite_strength, layer.dendrite_cascade):
                if tensor is not None:
                    tensor.data.normal_(0, 0.3)

    def forward(self, x):
        return self.norm(x + self.down(torch.relu(self.up(x))))


X = torch.randn(2, 5, 8, generator=torch.Generator().manual_seed(1))


def sparse():
    model = Block()
    with torch.no_grad():
        for layer in dendritic_layers(model).values():
            layer.dendrite_strength *= torch.rand_like(layer.dendrite_strength) < 0.4
    compact(model)
    return model


def test_state_dict_and_safetensors(tmp_path):
    from safetensors.torch import load_file, save_file

    model, other = Block(), Block(dendrites=0)
    save_file(model.state_dict(), tmp_path / "model.safetensors")
    allocate(other, counts(model))
    other.load_state_dict(load_file(tmp_path / "model.safetensors"))
    assert torch.equal(other(X), model(X))


@pytest.mark.parametrize("make", [Block, sparse])
def test_copies_and_pickles_are_models_of_their_own(make):
    model = make()
    for twin in (copy.deepcopy(model), pickle.loads(pickle.dumps(model))):
        assert torch.equal(twin(X), model(X))
        twin.up.dendrite_strength.data.zero_()
        assert not torch.equal(twin(X), model(X))


@pytest.mark.slow
@pytest.mark.parametrize("make", [Block, sparse, lambda: Block("gelu", 1)])
@pytest.mark.parametrize("detached", [False, True])
def test_compiling_breaks_no_graph(make, detached):
    model = make()
    model.up.detached = detached
    torch._dynamo.reset()
    compiled = torch.compile(model, fullgraph=True, backend="aot_eager")
    x, twin = X.clone().requires_grad_(), X.clone().requires_grad_()
    torch.testing.assert_close(compiled(x), model(twin))
    compiled(x).square().sum().backward()
    model(twin).square().sum().backward()
    torch.testing.assert_close(x.grad, twin.grad)


@pytest.mark.parametrize("make", [Block, sparse])
def test_export_with_any_batch_and_length(make):
    model = make().eval()
    batch, length = torch.export.Dim("batch", min=2, max=64), torch.export.Dim("length", min=2, max=512)
    exported = torch.export.export(model, (X,), dynamic_shapes={"x": {0: batch, 1: length}})
    x = torch.randn(3, 9, 8)
    torch.testing.assert_close(exported.module()(x), model(x))


@pytest.mark.parametrize("make", [Block, sparse, lambda: Block("sigmoid", 1)])
def test_onnx_gives_the_same_outputs(make, tmp_path):
    onnxruntime = pytest.importorskip("onnxruntime")
    pytest.importorskip("onnx")
    model = make().eval()
    torch.onnx.export(
        model,
        (X,),
        tmp_path / "model.onnx",
        input_names=["x"],
        output_names=["y"],
        dynamic_axes={"x": {0: "batch", 1: "length"}},
        dynamo=False,
    )
    session = onnxruntime.InferenceSession(tmp_path / "model.onnx", providers=["CPUExecutionProvider"])
    x = torch.randn(3, 9, 8)
    (y,) = session.run(None, {"x": x.numpy()})
    np.testing.assert_allclose(y, model(x).detach().numpy(), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("make", [Block, sparse])
def test_autocast_keeps_the_type_a_plain_layer_gives(make):
    model = make()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert model.up(X).dtype == nn.Linear(8, 8)(X).dtype == torch.bfloat16
        y = model(X)
    torch.testing.assert_close(y.float(), model(X), rtol=0.1, atol=0.1)
    y.float().square().sum().backward()
    assert all(torch.isfinite(p.grad).all() for p in model.parameters() if p.requires_grad)


def test_a_half_precision_model_runs_and_grows():
    model = Block().bfloat16()
    x = X.bfloat16()
    y = model(x)
    GradientRule().grow(model, ["up", "down"])
    assert torch.equal(model(x), y)
    parts = Errors([x], lambda model, x: model(x)[..., 0].float().square().sum())
    growth = CorrelationRule(candidates=2, passes=2).grow(model, ["up", "down"], errors=parts)
    assert torch.equal(model(x), y)
    assert growth.grown == {"up": 4, "down": 4}
    assert model.up.dendrite_weight.dtype == torch.bfloat16


@pytest.mark.parametrize("reentrant", [False, True])
@pytest.mark.parametrize("detached", [False, True])
def test_gradient_checkpointing_gives_the_same_gradients(reentrant, detached):
    model = Block()
    for layer in dendritic_layers(model).values():
        layer.detached = detached
    twin = copy.deepcopy(model)
    x, y = X.clone().requires_grad_(), X.clone().requires_grad_()
    checkpoint(model, x, use_reentrant=reentrant).square().sum().backward()
    twin(y).square().sum().backward()
    torch.testing.assert_close(x.grad, y.grad)
    for one, other in zip(model.parameters(), twin.parameters(), strict=True):
        torch.testing.assert_close(one.grad, other.grad)


def test_correlation_sees_errors_through_gradient_checkpointing():
    class Saving(nn.Module):
        def __init__(self):
            super().__init__()
            self.block = Block()

        def forward(self, x):
            return checkpoint(self.block, x, use_reentrant=False)

    def loss(model, x):
        return model(x)[..., 0].square().sum()

    found = []
    for model in (Saving(), nn.Sequential(Block())):
        names = list(dendritic_layers(model))
        rule = CorrelationRule(candidates=1, passes=1)
        best = rule.best_candidates(model, names, errors=Errors([X], loss))
        found.append([each.correlation for each in best.values()])
    torch.testing.assert_close(*found)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_a_cuda_device_computes_and_grows_the_same():
    model = Block()
    twin = copy.deepcopy(model).cuda()
    torch.testing.assert_close(twin(X.cuda()).cpu(), model(X), rtol=1e-3, atol=1e-3)
    for one in (model, twin):
        x = X.to(one.norm.weight.device)
        parts = Errors([x], lambda model, x: model(x)[..., 0].square().sum())
        CorrelationRule(candidates=2, passes=2).grow(one, ["up"], errors=parts)
        before = one(x)
        GradientRule().grow(one, ["up"], seed=3)
        assert torch.equal(one(x), before)
    torch.testing.assert_close(twin.up.dendrite_weight.cpu(), model.up.dendrite_weight, rtol=0.02, atol=0.02)


@pytest.mark.slow
def test_two_processes_end_as_one_with_the_joint_batch(tmp_path):
    program = Path(__file__).with_name("two_processes.py")
    running = [
        subprocess.Popen([sys.executable, program, str(rank), tmp_path], stderr=subprocess.PIPE)
        for rank in (0, 1)
    ]
    for process in running:
        _, said = process.communicate(timeout=120)
        assert process.returncode == 0, said.decode()
    alone = runpy.run_path(str(program))
    ranks = [torch.load(tmp_path / f"rank{rank}.pt", weights_only=True) for rank in (0, 1)]
    for number, rule in enumerate(alone["RULES"]):
        model, ledger = alone["grown"](rule, slice(None))
        (first, told), (second, _) = ranks[0][number], ranks[1][number]
        assert told == ledger
        assert told[-1][2], "growth was kept"
        assert first.keys() == second.keys() == model.state_dict().keys()
        for name, tensor in model.state_dict().items():
            assert torch.equal(first[name], second[name])
            torch.testing.assert_close(first[name], tensor, rtol=1e-5, atol=1e-7)
