"""Read models that were grown with PerforatedAI 3.x.

Written from the names and shapes that such a model's `state_dict()` shows, and from its outputs: each
converted layer holds the plain layer under `main_module`, the dendrites under `dendrite_module.layers`,
their cascade weights under `dendrite_module.dendrites_to_dendrites`, and under `dendrites_to_top` the
strengths, of which the last entry is in force. What else is in there is bookkeeping of its training.
"""

import re
from collections.abc import Mapping

import torch
from torch import Tensor, nn

from giantkiller.dendrites.layers import ACTIVATIONS, DendriteError, Dendritic
from giantkiller.dendrites.perforate import DENDRITIC, perforate

_CONVERTED = re.compile(r"(?:^|\.)main_module\.")
_BOOKKEEPING = re.compile(
    r"(?:^|\.)(?:tracker_string|this_node_index|this_output_dimensions|dendrites_to_top\.\d+|dendrite_module\..*)$"
)


@torch.no_grad()
def load_perforatedai(
    model: nn.Module, state: Mapping[str, Tensor], *, activation: str = "sigmoid"
) -> dict[str, int]:
    """Load a state of PerforatedAI into a plain model of the same shape, in place, dendrites and all.

    Args:
        model: the model as it was before PerforatedAI converted it, with plain layers.
        state: what `state_dict()` of the grown model gave; read it with `torch.load(...,
            weights_only=True)` or from safetensors.
        activation: the dendrites' activation; sigmoid unless that library's `pai_forward_function` was
            set to another one.

    Returns:
        How many dendrites each converted layer has, by name.

    Raises:
        DendriteError: the state is of another model or layout; the model is as it was.
    """
    if activation not in ACTIVATIONS:
        raise DendriteError(f"unknown activation {activation!r}: choose one of {', '.join(ACTIVATIONS)}")
    names = sorted({key[: found.start()] for key in state if (found := _CONVERTED.search(key))})
    if not names:
        raise DendriteError("no layer of this state was converted by PerforatedAI: load it as it is")
    modules = dict(model.named_modules())
    grown = {}
    for name in names:
        if name not in modules or type(modules[name]) not in DENDRITIC:
            raise DendriteError(
                f"the state converts {name!r}, which is no plain linear or convolution layer here"
            )
        grown[name] = _count(state, name, modules[name])
    plain = _plain_state(state)
    _check(model, plain)
    perforate(model, lambda name, module: name in grown, activation=activation)
    model.load_state_dict(plain)
    for name, count in grown.items():
        layer = model.get_submodule(name)
        assert isinstance(layer, Dendritic)
        _fill(layer, state, name, count)
    return grown


def _key(name: str, rest: str) -> str:
    return f"{name}.{rest}" if name else rest


def _plain_state(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Name the plain layers' tensors as the model names them, and leave the bookkeeping out."""
    return {
        re.sub(r"(^|\.)main_module\.", r"\1", key): tensor
        for key, tensor in state.items()
        if not _BOOKKEEPING.search(key)
    }


def _check(model: nn.Module, plain: Mapping[str, Tensor]) -> None:
    own = model.state_dict()
    for key in sorted(own.keys() ^ plain.keys()):
        whose = "the model" if key in own else "the state"
        raise DendriteError(f"the state is of another model: only {whose} has {key!r}")
    for key, tensor in own.items():
        if tensor.shape != plain[key].shape:
            shapes = f"{tuple(plain[key].shape)} there, {tuple(tensor.shape)} here"
            raise DendriteError(f"the state is of another model: {key!r} is {shapes}")


def _count(state: Mapping[str, Tensor], name: str, module: nn.Module) -> int:
    """Count a layer's dendrites, and make sure that all they need is there."""
    count = 0
    while _key(name, f"dendrite_module.layers.{count}.weight") in state:
        count += 1
    weight = module.get_parameter("weight")
    out = weight.shape[0]
    needed: dict[str, tuple[int, ...]] = {}
    for number in range(count):
        needed[f"dendrite_module.layers.{number}.weight"] = tuple(weight.shape)
        if module.bias is not None:
            needed[f"dendrite_module.layers.{number}.bias"] = (out,)
        if number:
            needed[f"dendrite_module.dendrites_to_dendrites.{number}"] = (number, out)
    if count:
        needed[f"dendrites_to_top.{count - 1}"] = (count, out)
    for rest, shape in needed.items():
        found = state.get(_key(name, rest))
        if found is None or tuple(found.shape) != shape:
            there = "missing" if found is None else f"of shape {tuple(found.shape)}"
            raise DendriteError(
                f"{_key(name, rest)!r} is {there}, but layer {name!r} needs it of shape {shape}"
            )
    return count


def _fill(layer: Dendritic, state: Mapping[str, Tensor], name: str, count: int) -> None:
    """Give a layer the dendrites of the state."""
    for number in range(count):
        part = f"dendrite_module.layers.{number}"
        bias = state.get(_key(name, f"{part}.bias"))
        links = state.get(_key(name, f"dendrite_module.dendrites_to_dendrites.{number}"))
        layer.grow(
            weight=state[_key(name, f"{part}.weight")],
            bias=bias if bias is not None else layer.weight.new_zeros(layer.neurons),
            cascade=links if number else None,
        )
    if layer.dendrite_strength is not None:
        layer.dendrite_strength.copy_(state[_key(name, f"dendrites_to_top.{count - 1}")])
