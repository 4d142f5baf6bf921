"""A delta: what a site's decisions changed about a model, apart from it, small and removable."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from giantkiller.atomic import replace_file
from giantkiller.bundle import Bundle
from giantkiller.dendrites import Dendritic, perforate
from giantkiller.errors import UserError

FORMAT = 1
KEY = "giantkiller.delta"
LINEAGE = "lineage"
"""Where a bundle's provenance says, under `adapted`, which bundle and which deltas it was made of."""
MOST_BYTES = 64 << 20

ADDED, DOWN, UP = ".add", ".down", ".up"
GROWN = (".dendrite_weight", ".dendrite_bias", ".dendrite_strength")


@dataclass(frozen=True)
class Delta:
    """What is added to a model.

    Attributes:
        tensors: By the name of what they change: `NAME.add` is added to a parameter, so is the product of
            `NAME.up` and `NAME.down`; `LAYER.dendrite_weight`, `_bias` and `_strength` are one dendrite more
            on each neuron of a layer.
        base: What it was learned on: the digest of a bundle, then those of the deltas merged into it.
        about: Free-form: how it was learned and judged.
    """

    tensors: Mapping[str, Tensor]
    base: tuple[str, ...]
    about: Mapping[str, Any] = field(default_factory=dict)

    @property
    def digest(self) -> str:
        """SHA-256 of what it changes, and of what."""
        digest = hashlib.sha256(json.dumps(self.base).encode())
        for name, tensor in sorted(self.tensors.items()):
            digest.update(f"{name} {tuple(tensor.shape)} ".encode())
            digest.update(tensor.contiguous().numpy().tobytes())
        return digest.hexdigest()

    @property
    def parameters(self) -> int:
        """How many numbers it holds."""
        return sum(tensor.numel() for tensor in self.tensors.values())

    def save(self, path: str | Path) -> None:
        """Write it as safetensors: whole or not at all.

        Raises:
            UserError: The place can't be written.
        """
        with replace_file(path) as file:
            file.write_bytes(self.content())

    def content(self) -> bytes:
        """Return what its file holds."""
        from safetensors.torch import save

        header = {"format": FORMAT, "base": self.base, "about": self.about}
        metadata = {KEY: json.dumps(header, allow_nan=False)}
        return save({name: tensor.contiguous() for name, tensor in self.tensors.items()}, metadata)

    def check_base(self, lineage: tuple[str, ...], name: str) -> None:
        """Refuse to be added to another model than the one it was learned on.

        Args:
            lineage: The model's, as `lineage_of` tells.
            name: The model's.

        Raises:
            UserError: It is another model.
        """
        if self.base != lineage:
            raise UserError(
                f"the delta was learned on another model ({self.base[-1][:12]}) than {name} "
                f"({lineage[-1][:12]}); name the bundle that it was made from, and earlier deltas first"
            )

    def apply(self, model: nn.Module) -> None:
        """Add it to a model, in place.

        Raises:
            UserError: A tensor doesn't fit the model.
        """
        grown: dict[str, dict[str, Tensor]] = {}
        parameters = dict(model.named_parameters())
        with torch.no_grad():
            for name, tensor in self.tensors.items():
                for part in GROWN:
                    if name.endswith(part):
                        grown.setdefault(name.removesuffix(part), {})[part] = tensor
                if name.endswith(ADDED):
                    _add(parameters, name.removesuffix(ADDED), tensor)
                if name.endswith(UP):
                    stem = name.removesuffix(UP)
                    _add(parameters, stem, tensor @ self.tensors[stem + DOWN])
            for layer, parts in grown.items():
                _grow(model, layer, parts)


def scaled(tensors: Mapping[str, Tensor], share: float) -> dict[str, Tensor]:
    """Return what a delta holds that changes a model by a share of what another one does.

    Of a product one factor is scaled, of a dendrite its strength: its output.

    Args:
        tensors: A delta's.
        share: Of the change.
    """
    linear = (ADDED, UP, GROWN[2])
    return {name: share * tensor if name.endswith(linear) else tensor for name, tensor in tensors.items()}


def lineage_of(bundle: Bundle) -> tuple[str, ...]:
    """Return what a bundle was made of: its digest, or an earlier bundle's and those of the deltas since."""
    adapted = bundle.provenance.get("adapted")
    lineage = adapted.get(LINEAGE) if isinstance(adapted, dict) else None
    if isinstance(lineage, list) and lineage and all(isinstance(each, str) for each in lineage):
        return tuple(lineage)
    return (bundle.digest,)


def read_delta(path: str | Path) -> Delta:
    """Read a delta; nothing in it is run.

    Raises:
        UserError: There is none, or it is damaged.
    """
    from safetensors import SafetensorError, safe_open

    path = Path(path)
    try:
        if path.stat().st_size > MOST_BYTES:
            raise UserError(f"{path} is no delta: it has more than {MOST_BYTES >> 20} MB")
        with safe_open(path, framework="pt") as file:
            header = json.loads((file.metadata() or {})[KEY])
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - no mapping
        if header["format"] != FORMAT:
            raise UserError(f"{path} has format {header['format']!r}, which this giantkiller doesn't read")
        delta = Delta(tensors, tuple(map(str, header["base"])), dict(header["about"]))
    except OSError as error:
        raise UserError(f"can't read {path}: {error.strerror or error}") from error
    except (SafetensorError, KeyError, TypeError, ValueError) as error:
        raise UserError(f"{path} is no delta, or damaged; get it again") from error
    known = (ADDED, UP, DOWN, *GROWN)
    for name, tensor in tensors.items():
        whole = name.endswith(known) and (not name.endswith(UP) or name.removesuffix(UP) + DOWN in tensors)
        if not (whole and tensor.dtype == torch.float32 and bool(torch.isfinite(tensor).all())):
            raise UserError(f"{path} is damaged: {name[:80]!r} is nothing that can be added; get it again")
    if not delta.base or not tensors:
        raise UserError(f"{path} is no delta, or damaged; get it again")
    return delta


def _add(parameters: Mapping[str, nn.Parameter], name: str, change: Tensor) -> None:
    if name not in parameters or parameters[name].shape != change.shape:
        raise UserError(f"the delta doesn't fit the model: it changes {name[:80]!r}")
    parameters[name].add_(change)


def _grow(model: nn.Module, name: str, parts: Mapping[str, Tensor]) -> None:
    try:
        layer = model.get_submodule(name)
        if type(layer) is nn.Linear:
            perforate(model, lambda each, _: each == name, activation=_activation(model))
        assert isinstance(layer, Dendritic)
        weight, bias, strength = (parts[part] for part in GROWN)
        layer.grow(weight=weight, bias=bias)
        assert layer.dendrite_strength is not None
        layer.dendrite_strength[-1] = strength
    except (AssertionError, AttributeError, KeyError, RuntimeError, ValueError) as error:
        raise UserError(f"the delta doesn't fit the model: it grows on {name[:80]!r}") from error


def _activation(model: nn.Module) -> str:
    return str(getattr(model.config, "dendrite_activation", "tanh"))
