"""Recipes: TOML files that say everything about one training run."""

import dataclasses
import hashlib
import json
import re
import sys
import types
import typing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from giantkiller.attributes import ATTRIBUTES
from giantkiller.errors import UserError

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib


@dataclass(frozen=True)
class DataSettings:
    """What is trained on and what chooses."""

    train: list[str]
    """Labelled files, relative to the data folder."""
    validation: str | None = None
    """Labelled file that early stopping and growth choose by; None: a part of `train` is held out."""
    validation_fraction: float = 0.05
    """Share of the training texts held out when `validation` is not given."""
    holdout_fraction: float = 0.0
    """Share of the training texts kept out of training altogether, for judging attributes that the
    validation file lacks. Membership depends on the text alone, so every run agrees on it."""
    soft_labels: list[str] = field(default_factory=list)
    """Teacher logits (`giantkiller soft-labels`), relative to the data folder or else to the working
    folder; files that know one text are averaged. Texts that stand in them and in no training file are
    trained on by their soft labels alone."""
    attributes: list[str] = field(default_factory=lambda: list(ATTRIBUTES))
    """Attributes that train; the others are masked."""
    require: list[str] = field(default_factory=list)
    """Attributes that a training row must have a target for; other rows are left out."""
    identity_sentences: int = 0
    """Made-up sentences about identities to add, half of them hostile (`data.augment.templates`)."""
    harsh_sentences: int = 0
    """Made-up harmless sentences with harsh words about things to add."""
    made_up_weight: float = 1.0
    """Weight of the made-up sentences' targets."""
    mentions: float = 0.0
    """Copies with a neutral sentence about an identity added to draw, as a share of the training texts; they
    keep their texts' labels, for such a sentence makes no comment better or worse."""
    disguised: float = 0.0
    """Copies with misspelt or disguised words to add, as a share of the training texts
    (`giantkiller.data.augment.attacks`); they keep their texts' labels."""
    protocol: Literal["files", "published"] = "files"
    """`published` draws the published card's 5,000 / 1,000 / 1,000 comments from the one file in `train`."""
    limit: dict[str, int] = field(default_factory=dict)
    """Most rows to draw (seeded) from a file named in `train`."""
    max_length: int = 256
    """Tokens a comment, [CLS] and [SEP] included; what is longer is cut."""
    weak_weight: float = 0.5
    """Weight of rows whose `label_kind` is `weak`, 1 being a rated row's."""


@dataclass(frozen=True)
class ModelSettings:
    """Architecture and starting weights."""

    kind: Literal["dendritic-bert", "auto"] = "dendritic-bert"
    """`auto`: the architecture of `source`, with a new seven-label head (teachers)."""
    start: Literal["random", "weights", "project"] = "random"
    """`weights`: BERT weights of the same shape; `project`: a bigger BERT's embeddings, projected."""
    source: str | None = None
    """Hub name, local folder, or `package:NAME/FOLDER`, a folder inside an installed Python package."""
    average: list[str] = field(default_factory=list)
    """More weights of the same shape, from other runs, to average with those of `source`."""
    tokenizer: str | None = None
    """Where the tokenizer comes from, if not from `source`; `default` is the shipped bundle's."""
    hidden_size: int = 128
    layers: int = 2
    heads: int = 2
    intermediate_size: int = 512
    dropout: float = 0.1
    frozen: str | None = None
    """Regular expression over parameter names that stay as they start."""


@dataclass(frozen=True)
class OptimSettings:
    """AdamW with linear warm-up, then linear decay to zero."""

    epochs: float = 3.0
    """0 trains no base model: growth begins on the starting weights."""
    learning_rate: float = 3e-4
    strength_rate: float = 1.0
    """Learning rate of dendrites' strengths, which start at 0, as a multiple of `learning_rate`."""
    weight_decay: float = 0.01
    warmup_steps: int | None = None
    """Optimizer steps; None takes `warmup_fraction` of them all."""
    warmup_fraction: float = 0.06
    batch_size: int = 32
    """Comments a batch."""
    batch_tokens: int | None = None
    """Padded tokens a batch; takes the place of `batch_size`."""
    clip: float = 1.0
    """Largest gradient norm; 0 turns clipping off."""
    precision: Literal["auto", "fp32", "bf16"] = "auto"
    """`auto`: bf16 autocast on GPUs that have it, fp32 elsewhere."""
    evaluations: int = 1
    """Validations an epoch."""
    patience: int | None = None
    """Validations without a better score before training stops; None never stops early."""


@dataclass(frozen=True)
class LossSettings:
    """Masked binary cross-entropy, and what is mixed into it."""

    positive_weight: float = 1.0
    """Weight of a positive target against a negative one; fractions are weighted in between."""
    attribute_weights: dict[str, float] = field(default_factory=dict)
    """Weight of an attribute in the mean over attributes; 1 where not named."""
    soft_share: float = 0.7
    """Share of the soft-label loss where a text has soft labels and targets; the rest is targets."""
    soft_loss: Literal["mse", "bce"] = "mse"
    """Squared error between logits, or cross-entropy with the teacher's probabilities."""


@dataclass(frozen=True)
class GrowthSettings:
    """Dendrites: none are grown when `max_dendrites` is 0."""

    max_dendrites: int = 0
    """Most dendrites a neuron."""
    rule: Literal["gradient", "correlation"] = "gradient"
    where: str = r"encoder|pooler|classifier"
    """Regular expression over the names of the layers that grow."""
    activation: Literal["tanh", "sigmoid", "relu", "gelu"] = "tanh"
    epochs: float = 1.0
    """Epochs of training after each growth."""
    learning_rate: float = 1e-4
    freeze: bool = False
    """While dendrites learn, all other weights stay as they are."""
    min_gain: float = 0.0
    """Least gain in validation average precision for an attempt to be kept; negative: most it may lose."""
    tries: int = 1
    """Attempts that may fail before growth ends."""
    frozen_inputs: bool = True
    """Correlation rule: dendrites' input weights stay as the candidates learned them."""
    candidates: int = 4
    """Correlation rule: candidates a neuron."""
    passes: int = 20
    """Correlation rule: most passes over the data while candidates learn."""
    error_batches: int = 200
    """Correlation rule: batches a pass, the first ones of a shuffled epoch."""


@dataclass(frozen=True)
class Recipe:
    """Everything about one training run. Same recipe, same data, same machine: same model."""

    name: str
    data: DataSettings
    model: ModelSettings = field(default_factory=ModelSettings)
    optim: OptimSettings = field(default_factory=OptimSettings)
    loss: LossSettings = field(default_factory=LossSettings)
    growth: GrowthSettings = field(default_factory=GrowthSettings)
    seed: int = 0
    checkpoint_seconds: float = 120.0
    """Seconds between resumable checkpoints."""

    def digest(self) -> str:
        """SHA-256 of the settings; tells whether a checkpoint belongs to this recipe."""
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
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UserError(f"recipe {path} is not valid TOML: {error}") from None
    recipe = _build(Recipe, table, str(path), "")
    assert isinstance(recipe, Recipe)
    _check(recipe, path)
    return recipe


def _build(kind: type, table: dict[str, Any], path: str, prefix: str) -> Any:
    hints = typing.get_type_hints(kind)
    fields = {f.name: f for f in dataclasses.fields(kind)}
    for key in table:
        if key not in fields:
            raise UserError(
                f"recipe {path} has an unknown setting {prefix}{key}; known here: {', '.join(fields)}"
            )
    values = {}
    for key, spec in fields.items():
        if key not in table:
            if spec.default is dataclasses.MISSING and spec.default_factory is dataclasses.MISSING:
                raise UserError(f"recipe {path} lacks the setting {prefix}{key}; add it")
            continue
        value, hint = table[key], hints[key]
        if dataclasses.is_dataclass(hint) and isinstance(hint, type):
            if not isinstance(value, dict):
                raise UserError(f"recipe {path}: {prefix}{key} must be a table, [{key}]")
            values[key] = _build(hint, value, path, f"{prefix}{key}.")
        elif _fits(value, hint):
            values[key] = float(value) if hint is float else value
        else:
            raise UserError(f"recipe {path}: {prefix}{key} = {value!r} is not {_say(hint)}")
    return kind(**values)


def _fits(value: Any, hint: Any) -> bool:
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin is Literal:
        return value in arguments
    if origin is typing.Union or origin is types.UnionType:
        return any(_fits(value, option) for option in arguments)
    if origin is list:
        return isinstance(value, list) and all(_fits(item, arguments[0]) for item in value)
    if origin is dict:
        return isinstance(value, dict) and all(_fits(item, arguments[1]) for item in value.values())
    if isinstance(value, bool):
        return hint is bool
    if hint is float:
        return isinstance(value, int | float)
    return isinstance(value, hint)


def _say(hint: Any) -> str:
    if typing.get_origin(hint) is Literal:
        return "one of " + ", ".join(repr(option) for option in typing.get_args(hint))
    if isinstance(hint, type):
        return {"str": "a text", "int": "a whole number", "float": "a number"}.get(hint.__name__, str(hint))
    return str(hint).replace("typing.", "").replace(" | None", "")


def _check(recipe: Recipe, path: Path) -> None:
    def insist(fine: bool, what: str) -> None:
        if not fine:
            raise UserError(f"recipe {path}: {what}")

    data, optim = recipe.data, recipe.optim
    insist(bool(data.train or data.soft_labels), "data.train names no file")
    for name in [*data.attributes, *data.require, *recipe.loss.attribute_weights]:
        insist(name in ATTRIBUTES, f"{name!r} is not an attribute; they are {', '.join(ATTRIBUTES)}")
    insist(
        data.protocol == "files" or len(data.train) == 1,
        "data.protocol = 'published' draws from one train file",
    )
    for name in data.limit:
        insist(name in data.train, f"data.limit names {name!r}, which data.train does not")
    insist(0 < data.validation_fraction < 1, "data.validation_fraction must lie between 0 and 1")
    insist(0 <= data.holdout_fraction < 1, "data.holdout_fraction must be at least 0 and below 1")
    insist(0 <= data.disguised <= 1 and 0 <= data.mentions <= 1, "data.disguised and mentions lie in [0, 1]")
    insist(8 <= data.max_length <= 512, "data.max_length must lie between 8 and 512")
    insist(
        optim.epochs >= 0 and optim.learning_rate > 0,
        "optim.epochs must be at least 0, learning_rate above 0",
    )
    insist(
        optim.epochs > 0 or recipe.model.start == "weights", "optim.epochs = 0 needs model.start = 'weights'"
    )
    insist(optim.batch_size > 0 and (optim.batch_tokens or 1) > 0, "batches must hold at least one comment")
    insist(optim.evaluations >= 1, "optim.evaluations must be at least 1")
    insist(0 <= recipe.loss.soft_share <= 1, "loss.soft_share must lie in [0, 1]")
    model, growth = recipe.model, recipe.growth
    insist(recipe.seed >= 0, "seed must not be negative")
    insist(min(data.limit.values(), default=1) > 0, "data.limit must be above 0")
    insist(
        min(data.weak_weight, data.made_up_weight, data.identity_sentences, data.harsh_sentences) >= 0,
        "data has a negative setting",
    )
    insist(
        min(model.hidden_size, model.layers, model.heads, model.intermediate_size) > 0,
        "model sizes must be above 0",
    )
    insist(model.hidden_size % model.heads == 0, "model.hidden_size must be a multiple of model.heads")
    insist(0 <= model.dropout < 1, "model.dropout must be at least 0 and below 1")
    insist(
        0 <= optim.warmup_fraction <= 1 and (optim.warmup_steps or 0) >= 0, "optim's warm-up is out of range"
    )
    insist(
        min(optim.clip, optim.weight_decay, optim.strength_rate) >= 0,
        "optim.clip, weight_decay and strength_rate must not be negative",
    )
    insist(optim.patience is None or optim.patience >= 1, "optim.patience must be at least 1")
    insist(growth.max_dendrites >= 0, "growth.max_dendrites must not be negative")
    insist(growth.epochs > 0 and growth.learning_rate > 0, "growth.epochs and learning_rate must be above 0")
    insist(
        min(growth.tries, growth.candidates, growth.passes, growth.error_batches) >= 1,
        "growth.tries, candidates, passes and error_batches must be at least 1",
    )
    for name, pattern in (("model.frozen", model.frozen or ""), ("growth.where", growth.where)):
        try:
            re.compile(pattern)
        except re.error as error:
            raise UserError(f"recipe {path}: {name} is not a regular expression: {error}") from None
    insist(
        (recipe.model.start == "random" and recipe.model.kind == "dendritic-bert")
        or bool(recipe.model.source),
        "model.source must name the starting weights (a hub name, a folder, or package:NAME/FOLDER)",
    )
    insist(
        not recipe.model.average
        or (recipe.model.start == "weights" and recipe.model.kind == "dendritic-bert"),
        "model.average needs model.start = 'weights' and a dendritic-bert",
    )
    insist(
        recipe.model.kind == "dendritic-bert" or recipe.growth.max_dendrites == 0,
        "growth needs model.kind = 'dendritic-bert'",
    )
