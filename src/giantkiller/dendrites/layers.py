"""Dendrites on linear layers: the layer itself, and nothing but torch.

    a_d = f(V_d x + c_d + sum over e < d of U[d, e] * a_e)      d = 1..D, elementwise per neuron
    y   = W x + b + sum over d of s_d * a_d

A layer without dendrites is exactly the layer it extends, so plain checkpoints load straight in. The
dendrites' weights are stacked in one tensor. The forward pass takes one product a dendrite, on views of
it: one wider product would need the weights joined and its result cut into strided parts, and is no
faster (benchmarks/dendrite_cost.py). This file imports nothing but torch, so that a checkpoint that
carries it can be loaded alone.
"""

import math
from collections.abc import Callable, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn


def _tanh(net: Tensor) -> Tensor:
    """Hyperbolic tangent; overwrites its argument."""
    if net.dtype != torch.float32 or net.device.type != "cpu":
        return torch.tanh(net)
    # 2 sigmoid(2 v) - 1: on a CPU, PyTorch's own tanh takes as long as the product before it, its sigmoid
    # a fifth of that. The result is within 2e-7.
    return torch.rsub(torch.sigmoid(net.mul_(2.0)), -1.0, alpha=-2.0)


ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "tanh": _tanh,
    "sigmoid": torch.sigmoid,
    "relu": torch.relu,
    "gelu": F.gelu,
}
DENDRITE_TENSORS = ("dendrite_weight", "dendrite_bias", "dendrite_strength", "dendrite_cascade")


class DendriteError(ValueError):
    """Something about dendrites that the caller can mend, in one sentence."""


class Dendritic(nn.Module):
    """What dendritic layers of any kind share: the dendrites' tensors, growth, and the sum at the neuron.

    A mix-in, to stand before `nn.Linear` or `nn.Conv*d` in the bases. `neuron_axis` counts from the end.

    Attributes:
        dendrite_weight: (D * out, ...) stacked input weights V, or None without dendrites.
        dendrite_bias: (D * out,) stacked biases c, or None.
        dendrite_strength: (D, out) output weights s, or None.
        dendrite_cascade: (D * (D - 1) / 2, out) weights U of the pairs (d, e), e < d, in the order
            (1, 0), (2, 0), (2, 1), ...; None with fewer than two dendrites.
        activation: name of f, one of `ACTIVATIONS`.
        detached: True while no error may pass through the dendrites to earlier layers. It changes
            gradients only, never outputs, and is a matter of training: it is not saved.
    """

    neuron_axis = -1
    weight: Tensor
    bias: Any
    dendrite_weight: nn.Parameter | None
    dendrite_bias: nn.Parameter | None
    dendrite_strength: nn.Parameter | None
    dendrite_cascade: nn.Parameter | None
    activation: str
    detached: bool

    @property
    def dendrites(self) -> int:
        """Number of dendrites that each neuron of this layer has."""
        return 0 if self.dendrite_strength is None else self.dendrite_strength.shape[0]

    @property
    def neurons(self) -> int:
        """Number of neurons, that is, output features or channels."""
        return self.weight.shape[0]

    def start_bare(self, activation: str = "tanh") -> None:
        """Begin without dendrites.

        Raises:
            DendriteError: the activation is unknown.
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
            count: how many dendrites each neuron gets.
            weight: (count * out, ...) their input weights; by default drawn as `nn.Linear` draws its
                own, uniformly within 1 / sqrt(fan in), times `scale`.
            bias: (count * out,) their biases; by default drawn likewise.
            cascade: (new pairs, out) their cascade weights; zero by default.
            scale: factor on drawn weights and biases.
            generator: CPU generator of the random draws, so that every process can draw the same.

        Raises:
            DendriteError: `count` is negative, or a given tensor has the wrong shape.
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
        for name, given, shape in (
            ("weight", weight, weight_shape),
            ("bias", bias, weight_shape[:1]),
            ("cascade", cascade, (new_pairs, self.neurons)),
        ):
            if tuple(given.shape) != shape:
                raise DendriteError(
                    f"dendrite {name} has shape {tuple(given.shape)}, this layer needs {shape}"
                )
        self._append("dendrite_weight", weight)
        self._append("dendrite_bias", bias)
        self._append("dendrite_strength", self.weight.new_zeros(count, self.neurons))
        if after > 1:
            self._append("dendrite_cascade", cascade)

    def freeze_dendrites(self, frozen: bool) -> None:
        """Hold input and cascade weights and let no error pass through dendrites, or let all of it learn."""
        self.detached = frozen
        for tensor in (self.dendrite_weight, self.dendrite_bias, self.dendrite_cascade):
            if tensor is not None:
                tensor.requires_grad_(not frozen)

    def allocate(self, count: int) -> None:
        """Make room for exactly `count` dendrites whose weights arrive later, as a loaded state does.

        Until then they are fresh dendrites of strength 0. Dendrites that were there before are dropped.

        Raises:
            DendriteError: `count` is negative.
        """
        self.start_bare(self.activation)
        self.grow(count)

    def dendrite_activations(self, x: Tensor) -> list[Tensor]:
        """Activation of each dendrite for an input of this layer; each has the shape of the output."""
        if self.dendrite_weight is None or self.dendrite_bias is None:
            return []
        stacked, biases, cascade = self.dendrite_weight, self.dendrite_bias, self.dendrite_cascade
        if cascade is None:
            return [self.fire(x, stacked, biases, None, ())]
        fired: list[Tensor] = []
        for number in range(self.dendrites):
            rows = slice(number * self.neurons, (number + 1) * self.neurons)
            links = cascade[number * (number - 1) // 2 :][:number]
            fired.append(self.fire(x, stacked[rows], biases[rows], links, fired))
        return fired

    def fire(
        self, x: Tensor, weight: Tensor, bias: Tensor, links: Tensor | None, earlier: Sequence[Tensor]
    ) -> Tensor:
        """Activation of one dendrite a neuron.

        Args:
            x: input of the layer.
            weight: (out, ...) the dendrites' input weights.
            bias: (out,) their biases.
            links: (len(earlier), out) their cascade weights; None without earlier dendrites.
            earlier: activations of the earlier dendrites of the same neurons.
        """
        net = self._product(x, weight, bias)
        for row, activation in enumerate(earlier):
            assert links is not None
            net = torch.addcmul(net, self._along_neurons(links[row], net.dtype), activation)
        return ACTIVATIONS[self.activation](net)

    def dendrite_parameters(self) -> int:
        """Number of parameters that the dendrites of this layer have."""
        tensors = (getattr(self, name) for name in DENDRITE_TENSORS)
        return sum(tensor.numel() for tensor in tensors if tensor is not None)

    @torch.no_grad()
    def used(self) -> Tensor:
        """Tell which dendrites can change the output, as booleans (D, out).

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
        """Number of parameters of dendrites that cannot change the output (see `used`)."""
        used = self.used()
        fan_in = self.weight[0].numel()
        idle = sum(
            int((~used[dendrite]).sum()) * (fan_in + 2 + dendrite) for dendrite in range(self.dendrites)
        )
        # Links of an idle dendrite into one that has an effect: they are 0, and theirs.
        for later in range(self.dendrites):
            for earlier in range(later):
                idle += int((used[later] & ~used[earlier]).sum())
        return idle

    def extra_repr(self) -> str:
        """Tell the number of dendrites beside what the plain layer tells."""
        own = super().extra_repr()
        return f"{own}, dendrites={self.dendrites}, activation={self.activation}"

    def _product(self, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        """Apply the layer's linear map with other weights."""
        raise NotImplementedError

    def _branched(self, x: Tensor, y: Tensor) -> Tensor:
        """Add the dendrites' activations for input x to the plain output y, in place."""
        strength = self.dendrite_strength
        if strength is None:
            return y
        fired = self.dendrite_activations(x.detach() if self.detached else x)
        for row, activation in enumerate(fired):
            y = y.addcmul_(self._along_neurons(strength[row], y.dtype), activation)
        return y

    def _along_neurons(self, values: Tensor, dtype: torch.dtype) -> Tensor:
        """Shape one value a neuron so that it broadcasts over an output; autocast may ask another type."""
        values = values.to(dtype)
        return values if self.neuron_axis == -1 else values.reshape(-1, *(1,) * (-self.neuron_axis - 1))

    def draw(self, shape: tuple[int, ...], scale: float, generator: torch.Generator | None) -> Tensor:
        """Draw uniformly within scale / sqrt(fan in), as `nn.Linear` and `nn.Conv*d` do."""
        bound = scale / math.sqrt(max(1, self.weight[0].numel()))
        device = self.weight.device if generator is None else generator.device
        values = torch.empty(shape, dtype=self.weight.dtype, device=device)
        return values.uniform_(-bound, bound, generator=generator).to(self.weight.device)

    def _append(self, name: str, rows: Tensor) -> None:
        """Extend a stacked parameter; what was there keeps its values and whether it learns."""
        old: nn.Parameter | None = getattr(self, name)
        rows = rows.detach().to(self.weight)
        values = rows.clone() if old is None else torch.cat((old.detach(), rows))
        setattr(self, name, nn.Parameter(values, requires_grad=old is None or old.requires_grad))


class DendriticLinear(Dendritic, nn.Linear):
    """An `nn.Linear` whose neurons can have dendrites; neurons lie on the last axis, as always.

    Args:
        in_features: size of the input's last axis.
        out_features: size of the output's last axis, the number of neurons.
        bias: whether the plain part has a bias; dendrites always have one.
        device: where the parameters live.
        dtype: type of the parameters.
        dendrites: how many dendrites each neuron has from the start.
        activation: one of `ACTIVATIONS`.

    Raises:
        DendriteError: unknown activation or negative number of dendrites.
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
        activation: str = "tanh",
    ) -> None:
        super().__init__(in_features, out_features, bias=bias, device=device, dtype=dtype)
        self.start_bare(activation)
        self.grow(dendrites)

    def forward(self, input: Tensor) -> Tensor:
        """Map (..., in) to (..., out)."""
        if (
            self.activation == "tanh"
            and input.is_cpu
            and input.dtype is torch.float32
            and not torch.is_autocast_enabled("cpu")
            and not torch.compiler.is_compiling()
        ):
            return self._with_tanh(input)
        return self._branched(input, F.linear(input, self.weight, self.bias))

    def _with_tanh(self, input: Tensor) -> Tensor:
        """Add tanh dendrites in fewer passes over the output than the general sum takes, on a CPU.

        s tanh(v) = 2 s sigmoid(2 v) - s, and the constant joins the bias.
        """
        # nn.Module's own lookup of a parameter takes time that shows in a small model, so they are read from
        # the dictionary, where those with a parametrization are not to be found.
        own: dict[str, Any] = self._parameters
        try:
            weight, bias, strengths = own["weight"], own["bias"], own["dendrite_strength"]
            stacked, shifts, cascade = own["dendrite_weight"], own["dendrite_bias"], own["dendrite_cascade"]
        except KeyError:
            strengths = None
        if strengths is None:
            return self._branched(input, F.linear(input, self.weight, self.bias))
        total = strengths.squeeze(0) if cascade is None else strengths.sum(0)
        y = F.linear(input, weight, -total if bias is None else bias - total)
        x = input.detach() if self.detached else input
        if cascade is None:
            return y.addcmul_(total, F.linear(x, stacked, shifts).mul_(2).sigmoid_(), value=2)
        fired: list[Tensor] = []
        parts = zip(stacked.chunk(len(strengths)), shifts.chunk(len(strengths)), strengths, strict=True)
        for number, (weights, biases, strength) in enumerate(parts):
            net = F.linear(x, weights, biases)
            for earlier, activation in enumerate(fired):
                link = cascade[number * (number - 1) // 2 + earlier]
                net = torch.addcmul(net, link, 2 * activation - 1)
            fired.append(net.mul_(2).sigmoid_())
            y = y.addcmul_(strength, fired[number], value=2)
        return y

    def _product(self, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        return F.linear(x, weight, bias)
