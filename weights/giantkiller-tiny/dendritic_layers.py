"""Linear and convolution layers whose neurons can have dendrites, and the formula that they compute.

    a_d = f(V_d x + c_d + sum over e < d of U[d, e] * a_e)      d = 1..D, elementwise per neuron
    y   = W x + b + sum over d of s_d * a_d

A layer without dendrites is exactly the layer it extends, so plain checkpoints load straight in. The
dendrites' weights are stacked in one tensor. The forward pass takes one product a dendrite, on views of
it: one wider product would need the weights joined and its result cut into strided parts, and is no
faster (benchmarks/dendrite_cost.py). Together with exceptions.py this file can be carried by a checkpoint.
"""

import math
from collections.abc import Callable, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .dendritic_exceptions import DendriteError


def _tanh(net: Tensor) -> Tensor:
    """Compute the hyperbolic tangent in place."""
    if net.dtype != torch.float32 or net.device.type != "cpu":
        return torch.tanh(net)
    # 2 sigmoid(2 v) - 1: on a CPU, PyTorch's own tanh takes as long as the product before it, its sigmoid
    # a fifth of that. The result is within 2e-7.
    return torch.rsub(torch.sigmoid(net.mul_(2.0)), -1.0, alpha=-2.0)


# Each may overwrite its argument.
ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "relu": torch.relu_,
    "tanh": _tanh,
    "sigmoid": torch.sigmoid_,
    "gelu": F.gelu,
}
"""What a dendrite's activation may be, by name; each works in place."""
DENDRITE_TENSORS = ("dendrite_weight", "dendrite_bias", "dendrite_strength", "dendrite_cascade")


class DendriteFormula(nn.Module):
    """The formula of a layer with dendrites, however it stores them.

    A mix-in, to stand before `nn.Linear` or `nn.Conv*d` in the bases.

    Attributes:
        neuron_axis: The axis of the output on which the neurons lie, counted from the end.
        activation: Name of f, one of `ACTIVATIONS`.
        detached: Whether no error may pass through the dendrites to earlier layers. It changes gradients
            only, never outputs, and concerns training alone: it is not saved.
    """

    neuron_axis = -1
    weight: Tensor
    bias: Any
    activation: str
    detached: bool

    def activate(
        self, x: Tensor, weight: Tensor, bias: Tensor, links: Sequence[Any], earlier: Sequence[Tensor]
    ) -> Tensor:
        """Compute the activations of the dendrites of one depth.

        Args:
            x: Input of the layer.
            weight: (dendrites, ...) their input weights.
            bias: (dendrites,) their biases.
            links: Their cascade weights from each earlier depth, as the layer stores them.
            earlier: Activations of the dendrites of each earlier depth.
        """
        net = self._product(x, weight, bias)
        for depth, activation in enumerate(earlier):
            net = self._add_link(net, links[depth], activation)
        return ACTIVATIONS[self.activation](net)

    def _add_dendrites(self, x: Tensor, y: Tensor) -> Tensor:
        """Add the dendrites' activations for input x to the plain output y, which may be overwritten."""
        x = x.detach() if self.detached else x
        activations: list[Tensor] = []
        for weight, bias, links, strength in self._depths():
            activations.append(self.activate(x, weight, bias, links, activations))
            y = self._add_activation(y, strength, activations[-1])
        return y

    def _along_neurons(self, values: Tensor, dtype: torch.dtype) -> Tensor:
        """Shape one value a neuron so that it broadcasts over an output; autocast may ask another type."""
        if values.dtype is not dtype:
            values = values.to(dtype)
        return values if self.neuron_axis == -1 else values.reshape(-1, *(1,) * (-self.neuron_axis - 1))

    def forward(self, input: Tensor) -> Tensor:
        """Compute the layer's output, (..., in) to (..., out) with the neurons on `neuron_axis`."""
        return self._add_dendrites(input, self._product(input, self.weight, self.bias))

    def _product(self, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        """Apply the layer's linear map with other weights."""
        raise NotImplementedError

    def _depths(self) -> Sequence[tuple[Tensor, Tensor, Sequence[Any], Any]]:
        """Return input weights, biases, cascade weights and strengths, depth by depth."""
        raise NotImplementedError

    def _add_link(self, net: Tensor, link: Any, activation: Tensor) -> Tensor:
        """Add an earlier depth's activations, times their cascade weights, to a depth's net input."""
        raise NotImplementedError

    def _add_activation(self, y: Tensor, strength: Any, activation: Tensor) -> Tensor:
        """Add a depth's activations, times their strengths, to the layer's output."""
        raise NotImplementedError


class LinearFormula(DendriteFormula):
    """The formula on an `nn.Linear`."""

    def _product(self, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        return F.linear(x, weight, bias)


class Conv1dFormula(DendriteFormula):
    """The formula on an `nn.Conv1d`: (..., in channels, length) to (..., out channels, length)."""

    neuron_axis = -2

    def _product(self, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        y: Tensor = self._conv_forward(x, weight, bias)  # type: ignore[operator]
        return y


class Conv2dFormula(Conv1dFormula):
    """The formula on an `nn.Conv2d`: (..., in channels, h, w) to (..., out channels, h, w)."""

    neuron_axis = -3


class Dendritic(DendriteFormula):
    """A layer on which each neuron has the same number of dendrites: their tensors and their growth.

    Attributes:
        dendrite_weight: (D * out, ...) stacked input weights V, or None without dendrites.
        dendrite_bias: (D * out,) stacked biases c, or None.
        dendrite_strength: (D, out) output weights s, or None.
        dendrite_cascade: (D * (D - 1) / 2, out) weights U of the pairs (d, e), e < d, in the order
            (1, 0), (2, 0), (2, 1), ...; None with fewer than two dendrites.
    """

    dendrite_weight: nn.Parameter | None
    dendrite_bias: nn.Parameter | None
    dendrite_strength: nn.Parameter | None
    dendrite_cascade: nn.Parameter | None

    @property
    def dendrites(self) -> int:
        """Number of dendrites that each neuron of this layer has."""
        return 0 if self.dendrite_strength is None else self.dendrite_strength.shape[0]

    @property
    def neurons(self) -> int:
        """Number of neurons, that is, output features or channels."""
        return self.weight.shape[0]

    def clear_dendrites(self, activation: str = "relu") -> None:
        """Remove all dendrites and set the activation of those to come.

        Raises:
            DendriteError: If the activation is unknown.
        """
        if activation not in ACTIVATIONS:
            raise DendriteError(f"unknown activation {activation!r}: choose one of {', '.join(ACTIVATIONS)}")
        self.activation = activation
        self.detached = False
        for name in DENDRITE_TENSORS:
            self.register_parameter(name, None)

    @torch.no_grad()
    def grow(
        self,
        count: int = 1,
        *,
        weight: Tensor | None = None,
        bias: Tensor | None = None,
        cascade: Tensor | None = None,
        scale: float = 1.0,
        generator: torch.Generator | None = None,
    ) -> None:
        """Add dendrites to every neuron, with strength 0: the outputs do not change.

        The dendrite tensors become new parameters, so optimizers must be built anew afterwards. New
        cascade weights start at 0.

        Args:
            count: Number of dendrites that each neuron gets.
            weight: (count * out, ...) their input weights; by default drawn as `nn.Linear` draws its
                own, uniformly within 1 / sqrt(fan in), times `scale`.
            bias: (count * out,) their biases; by default drawn likewise.
            cascade: (new pairs, out) their cascade weights; zero by default.
            scale: Factor on drawn weights and biases.
            generator: CPU generator of the random draws, so that every process can draw the same.

        Raises:
            DendriteError: If `count` is negative, or a given tensor has the wrong shape.
        """
        if count < 0:
            raise DendriteError(f"cannot grow {count} dendrites: the number must not be negative")
        if count == 0:
            return
        before = self.dendrites
        after = before + count
        new_pairs = after * (after - 1) // 2 - before * (before - 1) // 2
        weight_shape = (count * self.neurons, *self.weight.shape[1:])
        if weight is None:
            weight = self.draw(weight_shape, scale, generator)
        if bias is None:
            bias = self.draw((count * self.neurons,), scale, generator)
        if cascade is None:
            cascade = self.weight.new_zeros(new_pairs, self.neurons)
        for name, tensor, shape in (
            ("weight", weight, weight_shape),
            ("bias", bias, weight_shape[:1]),
            ("cascade", cascade, (new_pairs, self.neurons)),
        ):
            if tuple(tensor.shape) != shape:
                raise DendriteError(
                    f"dendrite {name} has shape {tuple(tensor.shape)}, this layer needs {shape}"
                )
        self._append("dendrite_weight", weight)
        self._append("dendrite_bias", bias)
        self._append("dendrite_strength", self.weight.new_zeros(count, self.neurons))
        if after > 1:
            self._append("dendrite_cascade", cascade)

    def freeze_dendrites(self, frozen: bool) -> None:
        """Freeze input and cascade weights and let no error pass through dendrites, or let all of it learn.

        Args:
            frozen: Whether to freeze.
        """
        self.detached = frozen
        for tensor in (self.dendrite_weight, self.dendrite_bias, self.dendrite_cascade):
            if tensor is not None:
                tensor.requires_grad_(not frozen)

    def allocate(self, count: int) -> None:
        """Make room for exactly `count` dendrites whose weights arrive later, as a loaded state does.

        Until then they are fresh dendrites of strength 0. Earlier dendrites are dropped.

        Raises:
            DendriteError: If `count` is negative.
        """
        self.clear_dendrites(self.activation)
        self.grow(count)

    def dendrite_activations(self, x: Tensor) -> list[Tensor]:
        """Compute the activation of each dendrite for an input x; each has the shape of the output."""
        activations: list[Tensor] = []
        for weight, bias, links, _ in self._depths():
            activations.append(self.activate(x, weight, bias, links, activations))
        return activations

    def dendrite_parameters(self) -> int:
        """Return the number of parameters that the dendrites of this layer have."""
        tensors = (getattr(self, name) for name in DENDRITE_TENSORS)
        return sum(tensor.numel() for tensor in tensors if tensor is not None)

    @torch.no_grad()
    def used(self) -> Tensor:
        """Return which dendrites can change the output, as booleans (D, out).

        Those are the ones whose strength is not 0, and those that feed such a one through the cascade.
        """
        if self.dendrite_strength is None:
            return self.weight.new_zeros((0, self.neurons), dtype=torch.bool)
        used = self.dendrite_strength != 0
        pairs = [(later, earlier) for later in range(self.dendrites) for earlier in range(later)]
        for pair, (later, earlier) in reversed(list(enumerate(pairs))):
            assert self.dendrite_cascade is not None
            used[earlier] |= used[later] & (self.dendrite_cascade[pair] != 0)
        return used

    def unused_parameters(self) -> int:
        """Return the number of parameters of dendrites that cannot change the output (see `used`)."""
        used = self.used()
        fan_in = self.weight[0].numel()
        unused = sum(int((~used[depth]).sum()) * (fan_in + 2 + depth) for depth in range(self.dendrites))
        # Links of an unused dendrite into a used one: they are 0, and count with the unused one.
        for later in range(self.dendrites):
            for earlier in range(later):
                unused += int((used[later] & ~used[earlier]).sum())
        return unused

    def extra_repr(self) -> str:
        """Return what the plain layer's does, and the number of dendrites."""
        own = super().extra_repr()
        return f"{own}, dendrites={self.dendrites}, activation={self.activation}"

    def draw(self, shape: tuple[int, ...], scale: float, generator: torch.Generator | None) -> Tensor:
        """Draw uniformly within scale / sqrt(fan in), as `nn.Linear` and `nn.Conv*d` do."""
        bound = scale / math.sqrt(max(1, self.weight[0].numel()))
        device = self.weight.device if generator is None else generator.device
        values = torch.empty(shape, dtype=self.weight.dtype, device=device)
        return values.uniform_(-bound, bound, generator=generator).to(self.weight.device)

    def _depths(self) -> Sequence[tuple[Tensor, Tensor, Sequence[Any], Any]]:
        weight, bias, strength = self.dendrite_weight, self.dendrite_bias, self.dendrite_strength
        if weight is None or bias is None or strength is None:
            return ()
        cascade = self.dendrite_cascade
        if cascade is None:  # the common case, without any slicing
            return ((weight, bias, (), strength[0]),)
        size, links = self.neurons, cascade.unbind()
        return [
            (
                weight[depth * size : (depth + 1) * size],
                bias[depth * size : (depth + 1) * size],
                links[depth * (depth - 1) // 2 : depth * (depth + 1) // 2],
                strength[depth],
            )
            for depth in range(self.dendrites)
        ]

    def _add_link(self, net: Tensor, link: Any, activation: Tensor) -> Tensor:
        return torch.addcmul(net, self._along_neurons(link, net.dtype), activation)

    def _add_activation(self, y: Tensor, strength: Any, activation: Tensor) -> Tensor:
        return y.addcmul_(self._along_neurons(strength, y.dtype), activation)

    def _append(self, name: str, rows: Tensor) -> None:
        """Extend a stacked parameter; what was there keeps its values and whether it learns."""
        old: nn.Parameter | None = getattr(self, name)
        rows = rows.detach().to(self.weight)
        values = rows.clone() if old is None else torch.cat((old.detach(), rows))
        setattr(self, name, nn.Parameter(values, requires_grad=old is None or old.requires_grad))


class DendriticLinear(LinearFormula, Dendritic, nn.Linear):
    """An `nn.Linear` whose neurons can have dendrites; neurons lie on the last axis, as always.

    Args:
        in_features: Size of the input's last axis.
        out_features: Size of the output's last axis, the number of neurons.
        bias: Whether the plain part has a bias; dendrites always have one.
        device: Where the parameters live.
        dtype: Type of the parameters.
        dendrites: Number of dendrites that each neuron has from the start.
        activation: One of `ACTIVATIONS`.

    Raises:
        DendriteError: If the activation is unknown or the number of dendrites negative.
    """

    def __init__(
        self,
        in_features: int,
        out_features: int,
        bias: bool = True,
        device: Any = None,
        dtype: Any = None,
        *,
        dendrites: int = 0,
        activation: str = "relu",
    ) -> None:
        super().__init__(in_features, out_features, bias=bias, device=device, dtype=dtype)
        self.clear_dendrites(activation)
        self.grow(dendrites)


class DendriticConv1d(Conv1dFormula, Dendritic, nn.Conv1d):
    """An `nn.Conv1d` whose channels can have dendrites, at every position alike; made by `perforate`."""


class DendriticConv2d(Conv2dFormula, Dendritic, nn.Conv2d):
    """An `nn.Conv2d` whose channels can have dendrites, at every position alike; made by `perforate`."""
