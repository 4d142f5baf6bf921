"""A Hugging Face classifier, from a folder or from the hub, as a scoring function."""

import urllib.error
import urllib.request
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from giantkiller.attributes import ATTRIBUTES
from giantkiller.errors import MissingExtraError, UserError
from giantkiller.evaluation.opponents.scoring import ScoringModel
from giantkiller.models.labels import label_columns

BATCH_TOKENS = 4096
MAX_LENGTH = 512


def checkpoint(name: str, max_length: int | None) -> ScoringModel:
    """Load a classifier, cutting comments at `max_length` tokens or, if None, at its own limit.

    Raises:
        UserError: It can't be had, or none of its labels is an attribute.
        MissingExtraError: torch or transformers are not installed.
    """
    try:
        import torch
        import transformers
    except ImportError as error:
        raise MissingExtraError(error.name or "transformers", "train") from error
    import giantkiller.models  # noqa: F401  (registers the dendritic model)

    if not Path(name).is_dir():
        _reachable(name)
    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    try:
        tokenizer = transformers.AutoTokenizer.from_pretrained(name)
        model, loading = transformers.AutoModelForSequenceClassification.from_pretrained(
            name, output_loading_info=True
        )
    except (OSError, ValueError, KeyError, ImportError) as error:
        raise UserError(
            f"{name} can't be loaded as a text classifier ({type(error).__name__}): name a folder with "
            "config.json, weights and tokenizer, or a model that this machine can fetch from the hub"
        ) from error
    model.eval()
    config = model.config
    columns, softmax = label_columns(name, {int(k): str(v) for k, v in config.id2label.items()})
    positions = int(getattr(config, "max_position_embeddings", MAX_LENGTH))
    own_limit = min(positions, int(tokenizer.model_max_length), MAX_LENGTH)
    limit = min(max_length or own_limit, own_limit)
    clean = _cleaner(name, config.model_type)

    def score(texts: Sequence[str]) -> NDArray[Any]:
        prepared = [clean(text) for text in texts]
        result = np.full((len(prepared), len(ATTRIBUTES)), np.nan, dtype=np.float32)
        encoded = tokenizer(prepared, truncation=True, max_length=limit)["input_ids"] if prepared else []
        order = sorted(range(len(encoded)), key=lambda row: -len(encoded[row]))
        begin = 0
        while begin < len(order):
            longest = max(len(encoded[order[begin]]), 1)
            rows = order[begin : begin + max(1, BATCH_TOKENS // longest)]
            batch = tokenizer.pad({"input_ids": [encoded[row] for row in rows]}, return_tensors="pt")
            with torch.inference_mode():
                logits = model(input_ids=batch["input_ids"], attention_mask=batch["attention_mask"]).logits
            logits = logits.float()
            probabilities = torch.softmax(logits, dim=-1) if softmax else torch.sigmoid(logits)
            for attribute, column in columns.items():
                result[rows, ATTRIBUTES.index(attribute)] = probabilities[:, column].numpy()
            begin += len(rows)
        return result

    missing = sorted(loading.get("missing_keys", []))
    parameters = sum(p.numel() for p in model.parameters())
    return ScoringModel(
        name=name,
        kind="checkpoint",
        source=name,
        score=score,
        about={
            "max_length": limit,
            "parameters": int(parameters),
            "disk": _disk(name),
            # A head that was not in the file is random: its scores say nothing about the model.
            "fine_tuned": not any("classifier" in key or "score" in key for key in missing),
            "missing_weights": missing,
            "labels": list(config.id2label.values()),
        },
    )


def _reachable(name: str) -> None:
    """Refuse at once where a model is neither cached nor fetchable, instead of a minute of retries."""
    from huggingface_hub import constants, try_to_load_from_cache

    if isinstance(try_to_load_from_cache(name, "config.json"), str):
        return
    try:
        urllib.request.urlopen(constants.ENDPOINT, timeout=10).close()
    except urllib.error.HTTPError:
        return
    except (urllib.error.URLError, OSError) as error:
        raise UserError(
            f"there is no folder {name}, and the hub can't be reached from here: name a folder with the model"
        ) from error


def _disk(name: str) -> int | None:
    """Size of what a checkpoint loads; None for a hub model whose files are not in one folder."""
    folder = Path(name)
    if not folder.is_dir():
        try:
            from transformers.utils.hub import cached_file

            folder = Path(str(cached_file(name, "config.json"))).parent
        except (OSError, ValueError):
            return None
    found = [file for file in folder.iterdir() if file.is_file()]
    kept = {".safetensors", ".json", ".txt"}
    if not any(file.suffix == ".safetensors" for file in found):
        kept.add(".bin")
    return sum(file.stat().st_size for file in found if file.suffix in kept)


def _cleaner(name: str, model_type: str) -> Callable[[str], str]:
    # What `giantkiller train` wrote was trained on cleaned text; others get what their authors gave them.
    if model_type != "dendritic_bert" and not (Path(name) / "training" / "record.json").is_file():
        return str
    from giantkiller.cleaning import clean_text

    return clean_text
