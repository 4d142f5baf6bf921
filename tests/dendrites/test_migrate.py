import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from torch import nn

from giantkiller.dendrites import DendriteError, DendriticLinear, counts, parameters
from giantkiller.dendrites.migrate import load_perforatedai

RECORDED = Path(__file__).with_name("perforatedai_3_0_7.safetensors")


def recorded(file=RECORDED):
    """A state that PerforatedAI wrote, and what its model gave for an input; recorded with 3.0.7."""
    state = load_file(file)
    return state, state.pop("recorded.input"), state.pop("recorded.output")


def plain():
    return nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 2))


def test_a_recorded_model_gives_the_outputs_it_gave():
    state, x, y = recorded()
    model = plain()
    assert load_perforatedai(model, state) == {"0": 2, "2": 2} == counts(model)
    torch.testing.assert_close(model(x), y, rtol=0, atol=1e-6)
    assert parameters(model).unused == 0


@pytest.mark.skipif(find_spec("perforatedai") is None, reason="PerforatedAI is not installed")
def test_a_model_that_is_grown_now_gives_the_same_outputs(tmp_path):
    program = RECORDED.with_name("record_perforatedai.py")
    calm = {**os.environ, "MPLBACKEND": "Agg"}
    subprocess.run(
        [sys.executable, program, "now.safetensors"],
        cwd=tmp_path,
        env=calm,
        stdin=subprocess.DEVNULL,
        check=True,
        capture_output=True,
    )
    state, x, y = recorded(tmp_path / "now.safetensors")
    model = plain()
    assert load_perforatedai(model, state) == {"0": 2, "2": 2}
    torch.testing.assert_close(model(x), y, rtol=0, atol=1e-6)


def test_the_last_dendrite_counts_and_so_does_the_cascade():
    state, x, y = recorded()
    for key in ("0.dendrites_to_top.1", "0.dendrite_module.dendrites_to_dendrites.1"):
        model = plain()
        load_perforatedai(model, {**state, key: torch.zeros_like(state[key])})
        assert (model(x) - y).abs().max() > 1e-3


def test_what_was_read_is_saved_and_loaded_like_any_other_model():
    state, x, y = recorded()
    model, other = plain(), plain()
    load_perforatedai(model, state)
    load_perforatedai(other, state)
    other.load_state_dict(model.state_dict())
    torch.testing.assert_close(other(x), y, rtol=0, atol=1e-6)


def test_layers_without_dendrites_are_read_as_well():
    state, x, _ = recorded()
    bare = {key: tensor for key, tensor in state.items() if "dendrite" not in key or not key.startswith("0.")}
    model = plain()
    assert load_perforatedai(model, bare) == {"0": 0, "2": 2}
    assert torch.equal(
        model[0](x), nn.functional.linear(x, state["0.main_module.weight"], state["0.main_module.bias"])
    )


def wider():
    return nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 3))


def changed(**changes):
    state = recorded()[0]
    for key, tensor in changes.items():
        if tensor is None:
            del state[key]
        else:
            state[key] = tensor
    return state


@pytest.mark.parametrize(
    ("make", "state", "sentence"),
    [
        (plain, plain().state_dict(), "no layer of this state was converted"),
        (lambda: nn.Sequential(nn.Linear(3, 4)), changed(), "converts '2', which is no plain linear"),
        (
            lambda: nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 3)),
            changed(),
            "'2.dendrite_module.*2, 4",
        ),
        (plain, changed(**{"0.dendrites_to_top.1": None}), "'0.dendrites_to_top.1' is missing"),
        (plain, changed(**{"0.dendrites_to_top.1": torch.zeros(1, 4)}), r"of shape \(1, 4\)"),
        (plain, changed(extra=torch.zeros(1)), "only the state has 'extra'"),
        (plain, changed(**{"0.main_module.bias": None}), "only the model has '0.bias'"),
    ],
)
def test_another_layout_is_said_in_a_sentence_and_changes_nothing(make, state, sentence):
    model = make()
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    with pytest.raises(DendriteError, match=sentence):
        load_perforatedai(model, state)
    assert not any(isinstance(module, DendriticLinear) for module in model.modules())
    assert all(torch.equal(before[name], tensor) for name, tensor in model.state_dict().items())


def test_an_unknown_activation_is_refused():
    with pytest.raises(DendriteError, match="unknown activation 'swish'"):
        load_perforatedai(plain(), recorded()[0], activation="swish")
