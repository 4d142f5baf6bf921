"""Dynamic 8-bit quantization of dendritic layers, by PyTorch's own means."""

from typing import Any

import torch
from torch import Tensor, nn
from torch.ao.nn.quantized import dynamic
from torch.ao.quantization import QConfig, default_dynamic_qconfig, quantize_dynamic
from torch.ao.quantization.quantization_mappings import get_default_dynamic_quant_module_mappings

from giantkiller.dendrites.layers import ACTIVATIONS, DendriticLinear


class QuantizedDendriticLinear(nn.Module):
    """A `DendriticLinear` whose products take 8-bit weights; strengths and cascade stay as they are.

    Attributes:
        soma: the plain layer.
        branches: all dendrites' input weights, stacked; None without dendrites.
    """

    strength: Tensor
    cascade: Tensor

    def __init__(self, layer: DendriticLinear, soma: nn.Module, branches: nn.Module | None) -> None:
        super().__init__()
        self.activation = layer.activation
        self.neurons = layer.neurons
        self.soma = soma
        self.branches = branches
        none = layer.weight.new_zeros(0, layer.neurons)
        for name in ("strength", "cascade"):
            values: Tensor | None = getattr(layer, f"dendrite_{name}")
            self.register_buffer(name, none if values is None else values.detach().clone())

    @classmethod
    def from_float(
        cls, mod: DendriticLinear, use_precomputed_fake_quant: bool = False
    ) -> "QuantizedDendriticLinear":
        """Quantize a layer; PyTorch's conversion calls this."""
        plain = _plain(mod, mod.weight, mod.bias)
        if mod.dendrite_weight is None or mod.dendrite_bias is None:
            return cls(mod, dynamic.Linear.from_float(plain), None)
        stacked = _plain(mod, mod.dendrite_weight, mod.dendrite_bias)
        return cls(mod, dynamic.Linear.from_float(plain), dynamic.Linear.from_float(stacked))

    def forward(self, input: Tensor) -> Tensor:
        """Map (..., in) to (..., out)."""
        y: Tensor = self.soma(input)
        if self.branches is None:
            return y
        fired: list[Tensor] = []
        pair = 0
        for number, net in enumerate(self.branches(input).split(self.neurons, -1)):
            for earlier in fired:
                net = torch.addcmul(net, self.cascade[pair], earlier)
                pair += 1
            fired.append(ACTIVATIONS[self.activation](net.clone()))
            y = torch.addcmul(y, self.strength[number], fired[-1])
        return y


def quantize(model: nn.Module, qconfig: QConfig = default_dynamic_qconfig) -> nn.Module:
    """Copy a model with 8-bit linear layers, dendritic ones included; the original stays as it is.

    Args:
        model: with plain and dendritic linear layers; other layers stay in floating point.
        qconfig: how to quantize, one of PyTorch's dynamic configurations.
    """
    mapping: dict[Any, Any] = get_default_dynamic_quant_module_mappings()
    mapping = {nn.Linear: mapping[nn.Linear], DendriticLinear: QuantizedDendriticLinear}
    spec = dict.fromkeys(mapping, qconfig)
    copied: nn.Module = quantize_dynamic(model, spec, mapping=mapping)
    return copied


def _plain(layer: DendriticLinear, weight: Tensor, bias: Tensor | None) -> nn.Linear:
    """Build the linear layer of some of a layer's weights, with its way of quantizing."""
    plain = nn.Linear(weight.shape[1], weight.shape[0], bias=bias is not None)
    plain.weight = nn.Parameter(weight.detach())
    if bias is not None:
        plain.bias = nn.Parameter(bias.detach())
    plain.qconfig = layer.qconfig
    return plain
