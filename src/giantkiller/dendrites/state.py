"""Take all that growth can change about a model, and put it back bit for bit."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from giantkiller.dendrites.layers import DendriteError
from giantkiller.dendrites.perforate import allocate, counts, dendritic_layers


@dataclass(frozen=True)
class State:
    """A model at one moment.

    Attributes:
        tensors: parameters and buffers by name, on the CPU.
        dendrites: how many dendrites each layer has, by name.
        detached: names of the layers whose dendrites pass no error back.
        frozen: names of the parameters that do not learn.
    """

    tensors: dict[str, Tensor]
    dendrites: dict[str, int]
    detached: tuple[str, ...]
    frozen: tuple[str, ...]


def take(model: nn.Module) -> State:
    """Copy the state of a model."""
    tensors = {**dict(model.named_parameters()), **dict(model.named_buffers())}
    return State(
        tensors={name: _copied(tensor) for name, tensor in tensors.items()},
        dendrites=counts(model),
        detached=tuple(name for name, layer in dendritic_layers(model).items() if layer.detached),
        frozen=tuple(name for name, tensor in model.named_parameters() if not tensor.requires_grad),
    )


@torch.no_grad()
def put(model: nn.Module, state: State) -> None:
    """Bring a model to a state that was taken from it, dendrites included.

    Raises:
        DendriteError: the state is of another model.
    """
    allocate(model, state.dendrites)
    tensors = {**dict(model.named_parameters()), **dict(model.named_buffers())}
    for name in sorted(tensors.keys() ^ state.tensors.keys()):
        whose = "the model" if name in tensors else "the saved state"
        raise DendriteError(f"the saved state is of another model: only {whose} has {name!r}")
    for name, tensor in tensors.items():
        if tensor.shape != state.tensors[name].shape:
            shapes = f"{tuple(state.tensors[name].shape)} there, {tuple(tensor.shape)} here"
            raise DendriteError(f"the saved state is of another model: {name!r} is {shapes}")
    for name, tensor in tensors.items():
        tensor.copy_(state.tensors[name])
    frozen = set(state.frozen)
    for name, parameter in model.named_parameters():
        parameter.requires_grad_(name not in frozen)
        parameter.grad = None
    for name, layer in dendritic_layers(model).items():
        layer.detached = name in state.detached


def save(state: State, path: Path, note: Mapping[str, Any]) -> None:
    """Write a state as safetensors, with a note in JSON types; the file appears whole or not at all."""
    from safetensors.torch import save_file

    told = {"dendrites": state.dendrites, "detached": state.detached, "frozen": state.frozen, "note": note}
    partial = path.with_name(path.name + ".partial")
    save_file(state.tensors, partial, metadata={"giantkiller.dendrites": json.dumps(told)})
    partial.replace(path)


def load(path: Path) -> tuple[State, dict[str, Any]]:
    """Read what `save` wrote, the state and the note.

    Raises:
        DendriteError: the file is missing, damaged, or was not written by `save`.
    """
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="pt") as file:
            told = json.loads((file.metadata() or {})["giantkiller.dendrites"])
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - no mapping
        state = State(tensors, dict(told["dendrites"]), tuple(told["detached"]), tuple(told["frozen"]))
        return state, dict(told["note"])
    except (OSError, SafetensorError, KeyError, TypeError, ValueError) as error:
        raise DendriteError(f"{path} is no saved state of a growing model: {error}") from None


def _copied(tensor: Tensor) -> Tensor:
    return tensor.detach().to("cpu", copy=True).contiguous()
