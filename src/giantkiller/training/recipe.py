"""Recipes: TOML files that say everything about one training run."""

import dataclasses
import difflib
import hashlib
import json
import re
import sys
import typing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from giantkiller.errors import UserError
from giantkiller.training.settings import (
    DataSettings,
    GrowthSettings,
    LossSettings,
    ModelSettings,
    NonNegative,
    OptimSettings,
    PhraseSettings,
    ReadoutSettings,
)

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib


@dataclass(frozen=True)
class Recipe:
    """Everything about one training run. Same recipe, same data, same machine: same model."""

    name: str
    """Of the run, for its log and its messages."""
    data: DataSettings
    """What is trained on and what chooses."""
    model: ModelSettings = field(default_factory=ModelSettings)
    """Architecture and starting weights."""
    optim: OptimSettings = field(default_factory=OptimSettings)
    """AdamW and the batches."""
    loss: LossSettings = field(default_factory=LossSettings)
    """What is minimized."""
    growth: GrowthSettings = field(default_factory=GrowthSettings)
    """Whether and how dendrites grow."""
    phrases: PhraseSettings = field(default_factory=PhraseSettings)
    """Whether phrases of one to three tokens have their say beside the network."""
    readout: ReadoutSettings = field(default_factory=ReadoutSettings)
    """Whether the last layer is fitted once more, to comments that no run learned from."""
    seed: Annotated[int, Meta(ge=0, le=2**32 - 1)] = 0
    """Of everything drawn: starting weights, order of comments, dropout, rows held out."""
    checkpoint_seconds: NonNegative = 120.0
    """Seconds between resumable checkpoints."""

    def __post_init__(self) -> None:
        if not self.optim.epochs and self.model.start != "weights":
            raise ValueError("optim.epochs = 0 needs model.start = 'weights'")
        if self.growth.max_dendrites and self.model.kind != "dendritic-bert":
            raise ValueError("growth needs model.kind = 'dendritic-bert'")
        if self.phrases.rows and self.model.kind != "dendritic-bert":
            raise ValueError("phrases need model.kind = 'dendritic-bert'")
        if self.readout.sources:
            if self.model.kind != "dendritic-bert":
                raise ValueError("readout needs model.kind = 'dendritic-bert'")
            if self.data.protocol == "published" or "toxicity" not in self.data.attributes:
                raise ValueError("readout needs data.protocol = 'files' and toxicity among data.attributes")
            if self.model.frozen and re.search(self.model.frozen, "classifier.weight"):
                raise ValueError("readout changes the classifier, which model.frozen keeps as it starts")
            if not self.data.holdout_fraction:
                raise ValueError("readout needs data.holdout_fraction, the share that it learns from")
        if not self.phrases.apart and any(source.restrain for source in self.data.sources):
            raise ValueError("restrain holds back what phrases learn apart; set phrases.apart above 0")
        if self.loss.states and self.model.kind != "dendritic-bert":
            raise ValueError("loss.states needs model.kind = 'dendritic-bert'")

    def digest(self) -> str:
        """Return the SHA-256 of the settings, which tells whether a checkpoint belongs to this recipe."""
        return hashlib.sha256(json.dumps(dataclasses.asdict(self), sort_keys=True).encode()).hexdigest()


def read_recipe(path: str | Path) -> Recipe:
    """Read a recipe.

    Args:
        path: A TOML file.

    Returns:
        The recipe, every setting checked.

    Raises:
        UserError: If the file cannot be read, is not TOML, or a setting is unknown or of the wrong kind.
    """
    path = Path(path)
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UserError(f"recipe {path} cannot be read ({error.strerror}); name a TOML file") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, RecursionError) as error:
        raise UserError(f"recipe {path} is not valid TOML: {error}") from None
    _refuse_unknown(path, Recipe, table)
    try:
        return msgspec.convert(table, Recipe)
    except msgspec.ValidationError as error:
        raise UserError(f"recipe {path}: {_sentence(str(error))}") from None


def _refuse_unknown(path: Path, kind: Any, value: Any, prefix: str = "") -> None:
    """Refuse keys that no field has, at any depth; values are left to msgspec."""
    if typing.get_origin(kind) is list and isinstance(value, list):
        for i, item in enumerate(value):
            _refuse_unknown(path, typing.get_args(kind)[0], item, f"{prefix.rstrip('.')}[{i}].")
    if not dataclasses.is_dataclass(kind) or not isinstance(value, dict):
        return
    hints = typing.get_type_hints(kind)
    for key, inner in value.items():
        if key not in hints:
            close = difflib.get_close_matches(key, hints, 1)
            hint = f"did you mean {close[0]}?" if close else f"known here: {', '.join(hints)}"
            raise UserError(f"recipe {path} has an unknown setting {prefix}{key}; {hint}")
        _refuse_unknown(path, hints[key], inner, f"{prefix}{key}.")


_KINDS = {
    "str": "a text",
    "int": "a whole number",
    "float": "a number",
    "bool": "true or false",
    "array": "a list",
    "object": "a table",
}


def _sentence(message: str) -> str:
    """Turn msgspec's "Expected `int` >= 1 - at `$.optim.clip`" into "optim.clip: expected ..."."""
    message, _, place = message.partition(" - at ")
    message = re.sub(r"`(\w+)(?: \| null)?`", lambda match: _KINDS.get(match[1], match[1]), message)
    key = place.replace("`", "").replace("$.", "").replace("$", "").removeprefix("key in ")
    if message.startswith("Invalid enum value"):
        choices = _choices(Recipe, re.sub(r"\[.*?\]", "", key).split("."))
        message += f"; known here: {', '.join(choices)}"
    message = message[0].lower() + message[1:]
    return f"{key}: {message}" if key else message


def _choices(kind: Any, keys: list[str]) -> list[str]:
    """Return the literals that a setting may have."""
    for key in keys:
        kind = typing.get_type_hints(kind)[key]
        kind = next(iter(typing.get_args(kind)), kind) if typing.get_origin(kind) is list else kind
    found: list[str] = []
    waiting = [kind]
    while waiting:
        each = waiting.pop(0)
        if typing.get_origin(each) is Literal:
            found += typing.get_args(each)
        else:
            waiting += typing.get_args(each)
    return list(dict.fromkeys(found))
