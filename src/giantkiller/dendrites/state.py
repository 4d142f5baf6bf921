"""Capture all that growth can change about a model, and restore it bit for bit."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from giantkiller.dendrites.exceptions import DendriteError
from giantkiller.dendrites.perforate import allocate, counts, dendritic_layers


@dataclass(frozen=True)
class State:
    """A model at one moment.

    Attributes:
        tensors: Parameters and buffers by name, on the CPU.
        dendrites: Number of dendrites of each layer, by name.
        detached: Names of the layers whose dendrites pass no error back.
        frozen: Names of the parameters that do not learn.
    """

    tensors: dict[str, Tensor]
    dendrites: dict[str, int]
    detached: tuple[str, ...]
    frozen: tuple[str, ...]


def capture(model: nn.Module) -> State:
    """Copy the state of a model."""
    tensors = {**dict(model.named_parameters()), **dict(model.named_buffers())}
    return State(
        tensors={name: _copy(tensor) for name, tensor in tensors.items()},
        dendrites=counts(model),
        detached=tuple(name for name, layer in dendritic_layers(model).items() if layer.detached),
        frozen=tuple(name for name, tensor in model.named_parameters() if not tensor.requires_grad),
    )


@torch.no_grad()
def restore(model: nn.Module, state: State) -> None:
    """Bring a model to a state that was captured from it, dendrites included.

    Raises:
        DendriteError: If the state is of another model.
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
    """Write a state as safetensors; the file appears whole or not at all.

    Args:
        state: The state.
        path: The file.
        note: Anything else to keep with it, in JSON types.
    """
    from safetensors.torch import save_file

    header = {"dendrites": state.dendrites, "detached": state.detached, "frozen": state.frozen, "note": note}
    partial = path.with_name(path.name + ".partial")
    save_file(state.tensors, partial, metadata={"giantkiller.dendrites": json.dumps(header)})
    partial.replace(path)


def load(path: Path) -> tuple[State, dict[str, Any]]:
    """Read the state and the note that `save` wrote.

    Raises:
        DendriteError: If the file is missing, damaged, or was not written by `save`.
    """
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="pt") as file:
            header = json.loads((file.metadata() or {})["giantkiller.dendrites"])
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - no mapping
        state = State(tensors, dict(header["dendrites"]), tuple(header["detached"]), tuple(header["frozen"]))
        return state, dict(header["note"])
    except (OSError, SafetensorError, KeyError, TypeError, ValueError) as error:
        raise DendriteError(f"{path} is no saved state of a growing model: {error}") from None


def _copy(tensor: Tensor) -> Tensor:
    return tensor.detach().to("cpu", copy=True).contiguous()
