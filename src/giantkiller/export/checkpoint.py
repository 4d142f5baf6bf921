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
from giantkiller.export.onnx import Floats, Weights


@dataclass
class Checkpoint:
    """A Hugging Face folder, read.

    Attributes:
        model: the torch model, in evaluation mode.
        tokenizer: the tokenizer, without padding or truncation.
        weights: what the graph is built from.
        max_length: tokens a comment that it was trained with, special ones included.
        record: what training wrote down about itself; empty where it didn't.
    """

    folder: Path
    model: Any
    tokenizer: Tokenizer
    weights: Weights
    max_length: int
    record: dict[str, Any]


def read_checkpoint(folder: str | Path) -> Checkpoint:
    """Read a checkpoint.

    Raises:
        UserError: there is none, it is damaged, or its labels are not our seven attributes.
        MissingExtraError: torch or transformers is not installed.
    """
    folder = Path(folder)
    if not (folder / "config.json").is_file():
        if (folder / "bundle.json").is_file():
            raise UserError(f"{folder} is a bundle already; export takes the checkpoint it was made from")
        raise UserError(
            f"{folder} is no checkpoint: it has no config.json; name the folder that training wrote"
        )
    try:
        import torch
        from transformers import AutoConfig, AutoTokenizer
        from transformers import logging as transformers_logging
    except ImportError as error:
        raise MissingExtraError(error.name or "transformers", "train") from error
    from giantkiller.dendrites import expand
    from giantkiller.models import DendriticBertConfig, DendriticBertForSequenceClassification

    transformers_logging.set_verbosity_error()
    transformers_logging.disable_progress_bar()
    try:
        config = AutoConfig.from_pretrained(folder)
        if config.model_type not in ("bert", "dendritic_bert"):
            raise UserError(f"{folder} holds a {config.model_type} model; only BERT can be exported")
        if config.model_type == "bert":
            config = DendriticBertConfig(**config.to_dict())
        loading: Any = DendriticBertForSequenceClassification.from_pretrained(
            folder, config=config, output_loading_info=True
        )
        model, loaded = loading
        tokenizer = AutoTokenizer.from_pretrained(folder)
    except UserError:
        raise
    except Exception as error:  # safetensors, transformers and json raise their own kinds
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise UserError(f"the checkpoint {folder} can't be read: {reason[:200]}") from error
    if missing := sorted(loaded["missing_keys"]):
        raise UserError(f"the checkpoint {folder} lacks weights: {', '.join(missing[:3])}")
    if tuple(config.attributes) != ATTRIBUTES:
        raise UserError(
            f"the checkpoint {folder} has the labels {', '.join(map(str, config.attributes))[:200]}; "
            f"a bundle needs {', '.join(ATTRIBUTES)}, in this order"
        )
    backend = getattr(tokenizer, "backend_tokenizer", None)
    if backend is None:
        raise UserError(f"the checkpoint {folder} has no fast tokenizer (tokenizer.json)")
    backend.no_truncation()
    backend.no_padding()
    expand(model)  # the graph knows dense dendrites only
    tensors: dict[str, Floats] = {
        name: value.to(torch.float32).numpy() for name, value in model.state_dict().items()
    }
    if not all(np.isfinite(value).all() for value in tensors.values()):
        raise UserError(f"the checkpoint {folder} holds weights that are no numbers")
    return Checkpoint(
        folder=folder,
        model=model.eval(),
        tokenizer=backend,
        weights=Weights(
            tensors,
            layers=config.num_hidden_layers,
            heads=config.num_attention_heads,
            epsilon=config.layer_norm_eps,
            activation=config.dendrite_activation,
            hidden_activation=config.hidden_act,
        ),
        max_length=int(min(tokenizer.model_max_length, config.max_position_embeddings)),
        record=_record(folder / "training" / "record.json"),
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
    """Say where the weights come from, from what training recorded."""
    counts = {name: count for name, count in source.model.config.dendrites.items() if count}
    known = ("recipe", "data", "texts", "seconds", "device", "versions", "growth")
    return {
        "exported_by": f"giantkiller {__version__}",
        "quantization": quantize,
        "parameters": int(sum(p.numel() for p in source.model.parameters())),
        "dendrites": counts,
        "dendrite_activation": source.model.config.dendrite_activation,
        "training": {key: source.record[key] for key in known if key in source.record},
    }
