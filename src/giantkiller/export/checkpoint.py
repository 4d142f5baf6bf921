"""Reading a checkpoint for export: weights as arrays, the tokenizer, and what training recorded."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from tokenizers import Tokenizer

from giantkiller import __version__
from giantkiller.attributes import ATTRIBUTES
from giantkiller.errors import MissingExtraError, UserError
from giantkiller.export.weights import Floats, Weights


@dataclass
class Checkpoint:
    """A checkpoint, read.

    Attributes:
        name: What its bundle is called if nobody says otherwise.
        where: What `from_pretrained` takes for it.
        model: The torch model, in evaluation mode.
        tokenizer: The tokenizer, without padding or truncation.
        weights: What the graph is built from.
        max_length: Tokens a comment that it was trained with, special ones included.
        record: What training wrote down about itself; empty where it didn't.
    """

    name: str
    where: str
    model: Any
    tokenizer: Tokenizer
    weights: Weights
    max_length: int
    record: dict[str, Any]


def read_checkpoint(checkpoint: str | Path) -> Checkpoint:
    """Read a checkpoint.

    Args:
        checkpoint: What `giantkiller.models.loading.resolve` understands.

    Raises:
        UserError: There is none, it is damaged, or its labels are not our seven attributes.
        MissingExtraError: torch or transformers is not installed.
    """
    try:
        from transformers import AutoConfig
    except ImportError as error:
        raise MissingExtraError(error.name or "transformers", "train") from error
    from giantkiller.models import DendriticBertConfig, DendriticBertForSequenceClassification
    from giantkiller.models.loading import load_pretrained, load_tokenizer, resolve

    name = str(checkpoint)
    where = resolve(name)
    config = load_pretrained(AutoConfig, name)
    if config.model_type not in ("bert", "dendritic_bert"):
        raise UserError(f"{name} holds a {config.model_type} model; only BERT can be exported")
    if config.model_type == "bert":
        config = DendriticBertConfig(**config.to_dict())
    model, loaded = load_pretrained(
        DendriticBertForSequenceClassification, name, config=config, output_loading_info=True
    )
    if missing := sorted(loaded["missing_keys"]):
        raise UserError(f"the checkpoint {name} lacks weights: {', '.join(missing[:3])}")
    if tuple(config.attributes) != ATTRIBUTES:
        raise UserError(
            f"the checkpoint {name} has the labels {', '.join(map(str, config.attributes))[:200]}; "
            f"a bundle needs {', '.join(ATTRIBUTES)}, in this order"
        )
    tokenizer = load_tokenizer(name)
    backend = tokenizer.backend_tokenizer
    backend.no_truncation()
    backend.no_padding()
    return Checkpoint(
        name=Path(name).resolve().name if Path(name).is_dir() else Path(name.partition("@")[0]).name,
        where=where,
        model=model.eval(),
        tokenizer=backend,
        weights=_weights(name, model),
        max_length=int(min(tokenizer.model_max_length, config.max_position_embeddings)),
        record=_record(Path(where) / "training" / "record.json"),
    )


def _weights(name: str, model: Any) -> Weights:
    import torch

    from giantkiller.dendrites import expand

    expand(model)  # the graph knows dense dendrites only
    tensors: dict[str, Floats] = {
        key: value.to(torch.float32).numpy() for key, value in model.state_dict().items()
    }
    if not all(np.isfinite(value).all() for value in tensors.values()):
        raise UserError(f"the checkpoint {name} holds weights that are no numbers")
    config = model.config
    return Weights(
        tensors,
        layers=config.num_hidden_layers,
        heads=config.num_attention_heads,
        epsilon=config.layer_norm_eps,
        activation=config.dendrite_activation,
        hidden_activation=config.hidden_act,
    )


def _record(path: Path) -> dict[str, Any]:
    if not path.is_file():
        return {}
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise UserError(f"{path} is damaged: not valid JSON") from error
    return record if isinstance(record, dict) else {}


def provenance_of(source: Checkpoint, quantize: str) -> dict[str, Any]:
    """Describe where the weights come from, by what training recorded."""
    counts = {name: count for name, count in source.model.config.dendrites.items() if count}
    known = ("recipe", "data", "texts", "seconds", "device", "versions", "growth")
    return {
        "exported_by": f"giantkiller {__version__}",
        "quantization": quantize,
        "parameters": int(sum(p.numel() for p in source.model.parameters())),
        "dendrites": counts,
        "pairs": source.model.config.pairs,
        "phrases": source.model.config.phrases,
        "dendrite_activation": source.model.config.dendrite_activation,
        "training": {key: source.record[key] for key in known if key in source.record},
    }
