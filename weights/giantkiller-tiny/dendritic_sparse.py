"""Layers on which only some neurons have dendrites, and nothing is stored or computed for the others."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .dendritic_exceptions import DendriteError
from .dendritic_layers import (
    ACTIVATIONS,
    DENDRITE_TENSORS,
    Conv1dFormula,
    Conv2dFormula,
    DendriteFormula,
    Dendritic,
    DendriticConv1d,
    DendriticConv2d,
    DendriticLinear,
    LinearFormula,
)

SPARSE_TENSORS = ("dendrite_weight", "dendrite_bias", "dendrite_strength", "dendrite_link")


class SparseDendritic(DendriteFormula):
    """A layer on which only some neurons have dendrites; made by `compact`.

    Dendrites are rows, ordered by their depth d in the cascade, then by neuron.

    Attributes:
        dendrite_weight: (rows, ...) input weights V.
        dendrite_bias: (rows,) biases c.
        dendrite_strength: (rows,) output weights s.
        dendrite_link: (links,) cascade weights U, ordered by their pair of depths.
        dendrite_neuron: (rows,) the neuron of each dendrite.
        dendrite_ends: (2, links) the later and the earlier dendrite, each counted within its depth.
        rows: Number of dendrites at each depth.
        links: Number of links of each pair of depths: (1, 0), (2, 0), (2, 1), ...
    """

    dendrite_weight: nn.Parameter
    dendrite_bias: nn.Parameter
    dendrite_strength: nn.Parameter
    dendrite_link: nn.Parameter
    dendrite_neuron: Tensor
    dendrite_ends: Tensor
    rows: tuple[int, ...]
    links: tuple[int, ...]

    def allocate(self, rows: Sequence[int], links: Sequence[int]) -> None:
        """Make room for dendrites whose values arrive later, as a loaded state does.

        Args:
            rows: Number of dendrites at each depth.
            links: Number of links of each pair of depths.

        Raises:
            DendriteError: If the numbers do not fit a layer of this size.
        """
        neurons = self.weight.shape[0]
        fits = len(links) == len(rows) * (len(rows) - 1) // 2 and all(1 <= count <= neurons for count in rows)
        if not fits or any(not 0 <= count <= neurons for count in links):
            raise DendriteError(
                f"rows {list(rows)} and links {list(links)} cannot be those of {neurons} neurons"
            )
        self.rows, self.links = tuple(rows), tuple(links)
        shapes = {
            "dendrite_weight": (sum(rows), *self.weight.shape[1:]),
            "dendrite_bias": (sum(rows),),
            "dendrite_strength": (sum(rows),),
            "dendrite_link": (sum(links),),
        }
        for name, shape in shapes.items():
            self.register_parameter(name, nn.Parameter(self.weight.new_zeros(shape)))
        device = self.weight.device
        self.register_buffer("dendrite_neuron", torch.zeros(sum(rows), dtype=torch.int64, device=device))
        self.register_buffer("dendrite_ends", torch.zeros(2, sum(links), dtype=torch.int64, device=device))

    def extra_repr(self) -> str:
        """Return what the plain layer's does, and the number of dendrites."""
        return f"{super().extra_repr()}, sparse dendrites={sum(self.rows)}, activation={self.activation}"

    def _depths(self) -> Sequence[tuple[Tensor, Tensor, Sequence[Any], Any]]:
        depths = []
        row = link = pair = 0
        for depth, rows in enumerate(self.rows):
            here = slice(row, row + rows)
            links = []
            for count in self.links[pair : pair + depth]:
                ends = self.dendrite_ends[:, link : link + count]
                links.append((ends[0], ends[1], self.dendrite_link[link : link + count]))
                link += count
            strength = (self.dendrite_neuron[here], self.dendrite_strength[here])
            depths.append((self.dendrite_weight[here], self.dendrite_bias[here], links, strength))
            row, pair = row + rows, pair + depth
        return depths

    def _add_link(self, net: Tensor, link: Any, activation: Tensor) -> Tensor:
        later, earlier, weight = link
        if not len(weight):
            return net
        activation = activation.index_select(self.neuron_axis, earlier)
        return self._scatter_add(net, later, activation * self._along_neurons(weight, net.dtype))

    def _add_activation(self, y: Tensor, strength: Any, activation: Tensor) -> Tensor:
        neuron, weight = strength
        return self._scatter_add(y, neuron, activation * self._along_neurons(weight, y.dtype))

    def _scatter_add(self, y: Tensor, index: Tensor, values: Tensor) -> Tensor:
        """Add values at an index of the neuron axis."""
        axis = self.neuron_axis
        if torch.onnx.is_in_onnx_export():
            # index_add exports with fixed sizes only.
            one_hot = F.one_hot(index, y.shape[axis]).to(values.dtype)
            return y + (values.movedim(axis, -1) @ one_hot).movedim(-1, axis)
        return y.index_add(axis, index, values)


class SparseDendriticLinear(LinearFormula, SparseDendritic, nn.Linear):
    """An `nn.Linear` on which some neurons have dendrites."""


class SparseDendriticConv1d(Conv1dFormula, SparseDendritic, nn.Conv1d):
    """An `nn.Conv1d` on which some channels have dendrites."""


class SparseDendriticConv2d(Conv2dFormula, SparseDendritic, nn.Conv2d):
    """An `nn.Conv2d` on which some channels have dendrites."""


SPARSE: dict[type[nn.Module], type[SparseDendritic]] = {
    nn.Linear: SparseDendriticLinear,
    nn.Conv1d: SparseDendriticConv1d,
    nn.Conv2d: SparseDendriticConv2d,
    DendriticLinear: SparseDendriticLinear,
    DendriticConv1d: SparseDendriticConv1d,
    DendriticConv2d: SparseDendriticConv2d,
}


@torch.no_grad()
def compact(model: nn.Module) -> None:
    """Drop, in place, every dendrite that cannot change an output, and the memory it takes.

    Outputs stay the same up to rounding. A layer on which all dendrites have an effect stays dense, and
    so does a grouped convolution that keeps any; a layer without such dendrites becomes bare. Parameters
    are renewed, so optimizers must be built anew.
    """
    for module in list(model.modules()):
        if not isinstance(module, Dendritic) or type(module) not in SPARSE:
            continue
        used = module.used()
        if not used.any():
            module.allocate(0)
        elif not used.all() and getattr(module, "groups", 1) == 1:
            _compact_layer(module, used)


@torch.no_grad()
def expand(model: nn.Module) -> None:
    """Undo `compact`, in place: sparse layers become dense, with strength 0 where there was no dendrite.

    Outputs stay the same up to rounding. Parameters are renewed, so optimizers must be built anew.
    """
    for layer in sparse_layers(model).values():
        _expand_layer(layer)


def sparse_layers(model: nn.Module) -> dict[str, SparseDendritic]:
    """Return the sparse dendritic layers of a model by name, in the order of `model.named_modules()`."""
    return {name: module for name, module in model.named_modules() if isinstance(module, SparseDendritic)}


def sparse_layout(model: nn.Module) -> dict[str, dict[str, Any]]:
    """Return the shape of each sparse layer in JSON types, as `allocate_sparse` needs it to load a state."""
    return {
        name: {"rows": list(layer.rows), "links": list(layer.links), "activation": layer.activation}
        for name, layer in sparse_layers(model).items()
    }


def allocate_sparse(model: nn.Module, layout: Mapping[str, Mapping[str, Any]]) -> None:
    """Turn plain or dendritic layers into sparse ones whose values arrive with a loaded state.

    Raises:
        DendriteError: If a name, a kind of layer, an activation or a number does not fit the model.
    """
    modules = dict(model.named_modules())
    for name, shape in layout.items():
        module = modules.get(name)
        if module is None or type(module) not in SPARSE:
            raise DendriteError(f"there is no layer {name!r} that can carry sparse dendrites")
        if shape["activation"] not in ACTIVATIONS:
            raise DendriteError(f"unknown activation {shape['activation']!r} of layer {name!r}")
        _become_sparse(module, shape["activation"], shape["rows"], shape["links"])


def _expand_layer(layer: SparseDendritic) -> None:
    """Turn the rows of a sparse layer into (D, out), in the dense layer's own order."""
    depths, neurons = len(layer.rows), layer.weight.shape[0]
    depth = torch.arange(depths).repeat_interleave(torch.tensor(layer.rows, dtype=torch.int64))
    neuron = layer.dendrite_neuron
    depth = depth.to(neuron.device)
    kept = {name: getattr(layer, name).detach() for name in SPARSE_TENSORS}
    ends, links = layer.dendrite_ends, layer.links
    for name in (*SPARSE_TENSORS, "dendrite_neuron", "dendrite_ends"):
        delattr(layer, name)
    dense: Any = layer  # from here on of another class
    dense.__class__ = {sparse: kind for kind, sparse in SPARSE.items() if issubclass(kind, Dendritic)}[
        type(layer)
    ]
    for name in DENDRITE_TENSORS:
        dense.register_parameter(name, None)
    dense.allocate(depths)
    for name in DENDRITE_TENSORS:
        if getattr(dense, name) is not None:
            getattr(dense, name).zero_()
    dense.dendrite_weight[depth * neurons + neuron] = kept["dendrite_weight"]
    dense.dendrite_bias[depth * neurons + neuron] = kept["dendrite_bias"]
    dense.dendrite_strength[depth, neuron] = kept["dendrite_strength"]
    start = 0
    for pair, count in enumerate(links):
        later = next(d for d in range(depths) if d * (d + 1) // 2 > pair)
        into = neuron[depth == later][ends[0, start : start + count]]
        dense.dendrite_cascade[pair, into] = kept["dendrite_link"][start : start + count]
        start += count


def _become_sparse(
    module: nn.Module, activation: str, rows: Sequence[int], links: Sequence[int]
) -> SparseDendritic:
    for name in DENDRITE_TENSORS:
        module._parameters.pop(name, None)
    module.__class__ = SPARSE[type(module)]
    assert isinstance(module, SparseDendritic)
    module.activation = activation
    module.detached = getattr(module, "detached", False)
    module.allocate(rows, links)
    return module


def _compact_layer(layer: Dendritic, used: Tensor) -> None:
    """Keep the used dendrites (D, out) of a dense layer, and the links between them.

    A depth at which no dendrite is used goes as well.
    """
    weight, bias, strength = layer.dendrite_weight, layer.dendrite_bias, layer.dendrite_strength
    if weight is None or bias is None or strength is None:
        return
    cascade = layer.dendrite_cascade
    neurons = used.shape[1]
    flat = used.reshape(-1)
    # Index of each kept dendrite among the kept ones of its depth.
    index = used.cumsum(1) - 1
    links: list[int] = []
    ends: list[Tensor] = []
    values: list[Tensor] = []
    pair = 0
    for later in range(used.shape[0]):
        for earlier in range(later):
            assert cascade is not None
            both = (used[later] & used[earlier] & (cascade[pair] != 0)).nonzero().squeeze(1)
            ends.append(torch.stack((index[later, both], index[earlier, both])))
            values.append(cascade[pair, both])
            if used[later].any() and used[earlier].any():
                links.append(len(both))
            pair += 1
    kept = {
        "dendrite_weight": weight[flat],
        "dendrite_bias": bias[flat],
        "dendrite_strength": strength[used],
        "dendrite_link": torch.cat(values) if values else weight.new_zeros(0),
    }
    requires_grad = {
        "dendrite_weight": weight.requires_grad,
        "dendrite_bias": bias.requires_grad,
        "dendrite_strength": strength.requires_grad,
        "dendrite_link": cascade is None or cascade.requires_grad,
    }
    rows = [count for count in used.sum(1).tolist() if count]
    sparse = _become_sparse(layer, layer.activation, rows, links)
    for name, tensor in kept.items():
        parameter = getattr(sparse, name)
        parameter.copy_(tensor)
        parameter.requires_grad_(requires_grad[name])
    sparse.dendrite_neuron.copy_(torch.arange(neurons, device=flat.device).repeat(used.shape[0])[flat])
    if ends:
        sparse.dendrite_ends.copy_(torch.cat(ends, 1))
