"""Choose the layers of a model that may carry dendrites, and count what they have."""

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from torch import nn

from giantkiller.dendrites.exceptions import DendriteError
from giantkiller.dendrites.layers import (
    ACTIVATIONS,
    Dendritic,
    DendriticConv1d,
    DendriticConv2d,
    DendriticLinear,
)

Where = str | type[nn.Module] | tuple[type[nn.Module], ...] | Callable[[str, nn.Module], bool]

# Exact types only: a subclass may read `weight` on its own and so walk past the dendrites.
DENDRITIC: dict[type[nn.Module], type[Dendritic]] = {
    nn.Linear: DendriticLinear,
    nn.Conv1d: DendriticConv1d,
    nn.Conv2d: DendriticConv2d,
}


def perforate(model: nn.Module, where: Where = nn.Linear, *, activation: str = "relu") -> list[str]:
    """Turn layers into dendritic ones, in place and without dendrites yet: nothing else changes.

    The modules and their parameters stay the same objects, so optimizers, hooks and other references
    to them remain valid. The model is left as it was if anything is refused.

    Args:
        model: Any module that holds the layers.
        where: A regular expression searched for in the layers' names, a layer type (or a tuple of
            them), or a predicate of name and module.
        activation: Activation function of the dendrites, one of `ACTIVATIONS`.

    Returns:
        Names of the layers, in the order of `model.named_modules()`.

    Raises:
        DendriteError: If no layer fits, or one of them is dendritic already, shares its weight with another
            module, has a replaced `forward`, or is of a kind whose neurons have no axis of their own.
    """
    if activation not in ACTIVATIONS:
        raise DendriteError(f"unknown activation {activation!r}: choose one of {', '.join(ACTIVATIONS)}")
    matches = _matcher(where)
    chosen: dict[str, nn.Module] = {}
    already: list[str] = []
    refused: list[str] = []
    for name, module in model.named_modules(remove_duplicate=False):
        if not name or not matches(name, module):
            continue
        if isinstance(module, Dendritic) or any(key.startswith("dendrite_") for key in module._parameters):
            already.append(name)
        elif type(module) in DENDRITIC:
            chosen[name] = module
        elif next(module.children(), None) is None and next(module.parameters(), None) is not None:
            refused.append(f"{name} ({type(module).__name__})")
    if already:
        raise DendriteError(
            f"layer {already[0]!r} is dendritic already: choose layers that are not, or grow it as it is"
        )
    if refused and not isinstance(where, str):
        raise DendriteError(
            f"layer {refused[0]} cannot carry dendrites: only {_kinds()} have neurons on an axis of their own"
        )
    if not chosen:
        capable = [
            name
            for name, module in model.named_modules()
            if type(module) in DENDRITIC or isinstance(module, Dendritic)
        ]
        unfit = f"; {', '.join(refused[:5])} cannot carry dendrites" if refused else ""
        raise DendriteError(f"no layer fits {where!r}{unfit}: this model has {_listed(capable)}")
    _refuse_shared(model, chosen)
    for name, module in chosen.items():
        if "forward" in vars(module):
            raise DendriteError(f"layer {name!r} has a forward of its own: remove what wrapped it first")
    for module in chosen.values():
        kind = DENDRITIC[type(module)]
        # In place, so that everything that refers to the module goes on doing so.
        module.__class__ = kind
        assert isinstance(module, Dendritic)
        module.clear_dendrites(activation)
    _disable_fast_path(model)
    return list(chosen)


def dendritic_layers(model: nn.Module) -> dict[str, Dendritic]:
    """Return the dendritic layers of a model by name, in the order of `model.named_modules()`."""
    return {name: module for name, module in model.named_modules() if isinstance(module, Dendritic)}


def named_layers(model: nn.Module, names: Iterable[str]) -> dict[str, Dendritic]:
    """Return some dendritic layers of a model by name.

    Raises:
        DendriteError: If a name is no dendritic layer of this model.
    """
    layers = dendritic_layers(model)
    for name in names:
        if name not in layers:
            raise DendriteError(f"no dendritic layer {name!r}: this model has {_listed(list(layers))}")
    return {name: layers[name] for name in names}


def counts(model: nn.Module) -> dict[str, int]:
    """Return the number of dendrites of each layer that has any, by name."""
    return {name: layer.dendrites for name, layer in dendritic_layers(model).items() if layer.dendrites}


def allocate(model: nn.Module, dendrites: Mapping[str, int]) -> None:
    """Make room for dendrites whose weights arrive later, so that a grown state can be loaded.

    Args:
        model: A model, perforated at least at the layers of `dendrites`.
        dendrites: Number of dendrites of each layer by name, as `counts` returns it; the others get none.

    Raises:
        DendriteError: If a name is no dendritic layer of this model, or a number is negative.
    """
    layers = dendritic_layers(model)
    named_layers(model, dendrites)
    for name, count in dendrites.items():
        if count < 0:
            raise DendriteError(f"layer {name!r} cannot have {count} dendrites")
    for name, layer in layers.items():
        if layer.dendrites != dendrites.get(name, 0):
            layer.allocate(dendrites.get(name, 0))


@dataclass(frozen=True)
class Parameters:
    """Number of parameters of a model.

    Attributes:
        plain: All that are not a dendrite's.
        dendrites: The dendrites' weights, biases, strengths and cascade weights.
        unused: Those among `dendrites` that cannot change any output: all that belongs to a dendrite
            whose strength is 0 and that feeds no used dendrite.
    """

    plain: int
    dendrites: int
    unused: int

    @property
    def total(self) -> int:
        """Plain and dendrites together."""
        return self.plain + self.dendrites


def parameters(model: nn.Module) -> Parameters:
    """Count the parameters of a model; one that several modules share counts once."""
    total = sum(p.numel() for p in model.parameters())
    dendrites = sum(
        parameter.numel()
        for name, parameter in model.named_parameters()
        if name.rpartition(".")[2].startswith("dendrite_")
    )
    unused = sum(layer.unused_parameters() for layer in dendritic_layers(model).values())
    return Parameters(total - dendrites, dendrites, unused)


def _matcher(where: Where) -> Callable[[str, nn.Module], bool]:
    """Turn any way of choosing layers into a predicate of name and module."""
    if isinstance(where, str):
        try:
            pattern = re.compile(where)
        except re.error as error:
            raise DendriteError(f"{where!r} is not a regular expression: {error}") from None
        return lambda name, module: pattern.search(name) is not None
    if isinstance(where, type | tuple):
        return lambda name, module: isinstance(module, where)
    return where


def _refuse_shared(model: nn.Module, chosen: Mapping[str, nn.Module]) -> None:
    """Refuse a layer that is registered twice or whose weight another module uses as well."""
    owners: dict[int, list[str]] = {}
    for name, parameter in model.named_parameters(remove_duplicate=False):
        owners.setdefault(id(parameter), []).append(name)
    for name, module in chosen.items():
        for parameter in module.parameters(recurse=False):
            names = owners[id(parameter)]
            if len(names) > 1:
                raise DendriteError(
                    f"layer {name!r} shares its weights ({' and '.join(names)}): "
                    "dendrites would grow on only one of them; leave it out or untie it"
                )


def _disable_fast_path(model: nn.Module) -> None:
    """Keep PyTorch's fused transformer inference, which reads plain weights, off dendritic layers."""
    for module in model.modules():
        if any(isinstance(child, Dendritic) for child in module.modules()):
            if isinstance(module, nn.TransformerEncoderLayer):
                module.activation_relu_or_gelu = 0
            elif isinstance(module, nn.TransformerEncoder):
                module.use_nested_tensor = False


def _kinds() -> str:
    return ", ".join(f"nn.{kind.__name__}" for kind in DENDRITIC)


def _listed(names: list[str]) -> str:
    if not names:
        return "none"
    return ", ".join(names[:20]) + (f" and {len(names) - 20} more" if len(names) > 20 else "")
