"""The error that remains at each neuron of a network that is not training: dL/dz of its pre-activation."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

from giantkiller.dendrites.exceptions import DendriteError
from giantkiller.dendrites.layers import Dendritic


@dataclass(frozen=True)
class Errors:
    """Data and loss from which a rule computes the error at each neuron.

    Attributes:
        batches: The data, in the same order every time; an iterable that can be iterated again (a list, a
            DataLoader), or a function that makes one.
        loss: Returns the training loss of a batch, a scalar that depends on the model's output.
        mask: Returns which positions of a batch count: a boolean tensor of the shape that a layer's output
            has without its neuron axis, such as (batch, tokens). None if all do. Layers that have one
            position a sample, such as a pooler, count every sample.
        averaged: Whether the loss is a mean over the batch, not a sum; the errors of a small last batch are
            then scaled to the size of the others'.
    """

    batches: Iterable[Any] | Callable[[], Iterable[Any]]
    loss: Callable[[nn.Module, Any], Tensor]
    mask: Callable[[Any], Tensor] | None = None
    averaged: bool = True

    def passes(self) -> Iterable[Any]:
        """Return the batches of one pass over the data.

        Raises:
            DendriteError: If the data can be iterated only once.
        """
        if callable(self.batches):
            return self.batches()
        if isinstance(self.batches, Iterator):
            raise DendriteError("batches can be iterated only once: pass a list or a function")
        return self.batches


@dataclass(frozen=True)
class Observation:
    """Input of a layer and error at its neurons, for one batch.

    Attributes:
        x: The layer's input; (positions, in) for a linear layer.
        error: (positions, neurons) delta = dL/dz of the positions that count.
        keep: (all positions,) booleans still to be applied to outputs for `x`; None if `x` is masked already.
    """

    x: Tensor
    error: Tensor
    keep: Tensor | None

    def rows(self, layer: Dendritic, output: Tensor) -> Tensor:
        """Reshape the layer's output for `x` to the shape of `error`."""
        flat = output.movedim(layer.neuron_axis, -1).reshape(-1, layer.neurons).to(self.error.dtype)
        return flat if self.keep is None else flat[self.keep]


def watch(
    model: nn.Module, layers: Mapping[str, Dendritic], errors: Errors
) -> Iterator[dict[str, Observation]]:
    """Iterate over the data once and yield input and error of each layer, batch by batch.

    The model does not change: it runs in evaluation mode, no gradient is stored in any parameter.

    Raises:
        DendriteError: If there are no batches, the loss is no scalar or does not depend on a layer, an
            error is not finite, or the mask does not fit a layer's positions.
    """
    number = -1
    for number, batch in enumerate(errors.passes()):
        with _evaluating(model), _recording(layers) as calls, torch.enable_grad():
            loss = errors.loss(model, batch)
            recorded = {name: list(pairs) for name, pairs in calls.items()}
            _check_loss(loss)
            outputs = [z for pairs in recorded.values() for _, z in pairs]
            deltas = list(torch.autograd.grad(loss, outputs, allow_unused=True)) if outputs else []
        mask = None if errors.mask is None else errors.mask(batch)
        observations = {}
        for name, layer in layers.items():
            parts = []
            for x, z in recorded[name]:
                delta = deltas.pop(0)
                if delta is not None:
                    parts.append(_observation(name, layer, x, z, delta, mask, errors.averaged))
            if not parts:
                raise DendriteError(f"the loss does not depend on layer {name!r}: leave it out of the growth")
            observations[name] = parts[0] if len(parts) == 1 else _concatenate(name, parts)
            if not torch.isfinite(observations[name].error).all():
                raise DendriteError(
                    f"the error at layer {name!r} has values that are not finite in batch {number}: "
                    "look for a loss that overflows or targets that are NaN"
                )
        yield observations
    if number < 0:
        raise DendriteError("there are no batches: no error can be computed")


def _observation(
    name: str, layer: Dendritic, x: Tensor, z: Tensor, delta: Tensor, mask: Tensor | None, averaged: bool
) -> Observation:
    """Drop positions that do not count, and flatten the error to rows of neurons."""
    delta = delta.movedim(layer.neuron_axis, -1)
    positions = delta.shape[:-1]
    size = positions[0] if averaged and positions else 1
    # Moments of half-precision rows would be mostly rounding.
    kind = torch.promote_types(layer.weight.dtype, torch.float32)
    error = (delta.to(kind) * size).reshape(-1, layer.neurons)
    x = x.detach().to(layer.weight.dtype)
    keep = None
    if mask is not None:
        if mask.shape == positions:
            keep = mask.to(device=delta.device, dtype=torch.bool).reshape(-1)
            error = error[keep]
        elif len(positions) != 1:
            raise DendriteError(
                f"the mask has shape {tuple(mask.shape)}, but layer {name!r} has positions of shape "
                f"{tuple(positions)}: make them agree, or leave the layer out of the growth"
            )
    if layer.neuron_axis == -1:
        x = x.reshape(-1, x.shape[-1])
        return Observation(x if keep is None else x[keep], error, None)
    return Observation(x, error, keep)


def _concatenate(name: str, parts: Sequence[Observation]) -> Observation:
    """Concatenate the calls of a layer that ran several times in one forward pass."""
    if any(part.keep is not None for part in parts) or len({part.x.shape[1:] for part in parts}) > 1:
        raise DendriteError(f"layer {name!r} runs several times on inputs that do not match: leave it out")
    return Observation(torch.cat([part.x for part in parts]), torch.cat([part.error for part in parts]), None)


def _check_loss(loss: Any) -> None:
    if not isinstance(loss, Tensor) or loss.numel() != 1:
        raise DendriteError("the loss must be one number, a tensor that depends on the model's output")
    if not loss.requires_grad:
        raise DendriteError("the loss does not depend on any dendritic layer: nothing to learn from")


@contextmanager
def _evaluating(model: nn.Module) -> Iterator[None]:
    """Put a model into evaluation mode for a while; every module gets its own mode back."""
    modes = [(module, module.training) for module in model.modules()]
    model.eval()
    try:
        yield
    finally:
        for module, training in modes:
            module.training = training


@contextmanager
def _recording(layers: Mapping[str, Dendritic]) -> Iterator[dict[str, list[tuple[Tensor, Tensor]]]]:
    """Record inputs and outputs of the layers, whatever else is frozen."""
    calls: dict[str, list[tuple[Tensor, Tensor]]] = {name: [] for name in layers}
    handles: list[RemovableHandle] = []

    def hook(name: str) -> Callable[..., Tensor]:
        def record(module: nn.Module, args: Any, kwargs: Any, z: Tensor) -> Tensor:
            if not z.requires_grad:
                z.requires_grad_()
            calls[name].append((args[0] if args else kwargs["input"], z))
            # What follows may work in place; z itself must stay the pre-activation.
            return z.clone()

        return record

    try:
        for name, layer in layers.items():
            handles.append(layer.register_forward_hook(hook(name), with_kwargs=True))
        yield calls
    finally:
        for handle in handles:
            handle.remove()
