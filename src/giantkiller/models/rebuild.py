"""A checkpoint that can be trained, rebuilt from a bundle.

A bundle holds its weights in eight bits and folds some of them together; what comes back computes the same
logits but for the rounding of activations, and GELU's form by tanh, which only the bundle's graph has.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from giantkiller.attributes import ATTRIBUTES
from giantkiller.bundle import Bundle
from giantkiller.errors import UserError

Floats = np.ndarray[Any, np.dtype[np.float32]]

_LINEAR = {
    "attention.self.query": "query",
    "attention.self.key": "key",
    "attention.self.value": "value",
    "attention.output.dense": "project",
    "intermediate.dense": "wide",
    "output.dense": "narrow",
}
_NORMS = {"attention.output.LayerNorm": "attended_norm", "output.LayerNorm": "out_norm"}


def rebuild_tensors(bundle: Bundle) -> tuple[dict[str, Floats], int]:
    """Return the weights behind a bundle's graph by their state-dict names, and the number of heads.

    Words that the bundle dropped get the unknown token's embedding, positions hold the token type's.
    The key's bias of the last layer, which shifts all scores of a query alike, comes back as zero.

    Raises:
        UserError: the graph is not one that `giantkiller.export` builds.
    """
    import onnx
    from onnx import numpy_helper

    graph = onnx.load(str(bundle.model)).graph
    stored = {tensor.name: numpy_helper.to_array(tensor) for tensor in graph.initializer}
    if "words" not in stored or all(node.name != "embeddings" for node in graph.node):
        raise UserError(f"the bundle {bundle.name} was not built by this package; train from its checkpoint")
    if "phrases" in stored and "phrases_checks" not in stored and stored["phrases"].dtype != np.int16:
        raise UserError(
            f"the bundle {bundle.name} {bundle.version} has phrases as giantkiller 0.8.0 made them; "
            "train from its checkpoint, or rebuild it with that version"
        )
    tensors = _embeddings(stored)
    hidden = tensors["bert.embeddings.word_embeddings.weight"].shape[1]
    layers = sum(f"layer{index}_wide_weight" in stored for index in range(48))
    look = stored[f"layer{layers - 1}_look"]
    heads = len(look) if look.ndim == 4 else look.shape[1] // hidden
    linears = []
    for index in range(layers):
        prefix = f"bert.encoder.layer.{index}"
        for target, source in _LINEAR.items():
            if index < layers - 1 or source not in ("key", "value"):
                factor = (hidden // heads) ** 0.5 if source == "query" else 1.0
                linears.append((f"layer{index}_{source}", f"{prefix}.{target}", factor))
        for target, source in _NORMS.items():
            for part in ("weight", "bias"):
                tensors[f"{prefix}.{target}.{part}"] = stored[f"layer{index}_{source}_{part}"]
    linears += [("pooler", "bert.pooler.dense", 1.0), ("classifier", "classifier", 1.0)]
    for source, target, factor in linears:
        tensors |= _linear(stored, source, target, factor, bundle.name)
    return tensors | _last_attention(stored, layers - 1, hidden, heads), heads


def _embeddings(stored: Mapping[str, Any]) -> dict[str, Floats]:
    words = stored["words"].astype(np.float32)
    if "word_scales" in stored:
        words = words * stored["word_scales"]
    if "word_rows" in stored:
        words = words[stored["word_rows"].astype(np.int64)]
    hashed = {}
    if "pairs" in stored:
        hashed["bert.pairs.weight"] = stored["pairs"].astype(np.float32) * stored.get("pair_scales", 1)
    if "phrases" in stored:
        values, checks = stored["phrases"], stored.get("phrases_checks")
        if checks is None:  # a value in the high byte, a check in the low one
            checks = (values & 255).astype(np.uint8)
            values = (values >> 8).astype(np.float32) * stored["phrases_step"] * 256
        hashed["bert.phrases.weight"], hashed["bert.phrases.checks"] = values, checks
        hashed["bert.phrases.direction"] = stored["phrase_direction"]
    return hashed | {
        "bert.embeddings.word_embeddings.weight": words,
        "bert.embeddings.position_embeddings.weight": stored["places"],
        "bert.embeddings.token_type_embeddings.weight": np.zeros((2, words.shape[1]), np.float32),
        "bert.embeddings.LayerNorm.weight": stored["embedding_norm_weight"],
        "bert.embeddings.LayerNorm.bias": stored["embedding_norm_bias"],
    }


def _linear(
    stored: Mapping[str, Any], source: str, target: str, factor: float, bundle: str
) -> dict[str, Floats]:
    """Return a linear layer's tensors, its dendrites' too; a factor was folded into what it adds up."""
    scale = np.float32(factor)
    tensors = {
        f"{target}.weight": _matrix(stored, source) * scale,
        f"{target}.bias": stored[f"{source}_bias"] * scale,
    }
    if f"{source}_strength1" in stored:
        raise UserError(f"the bundle {bundle} has several dendrites a neuron; train from its checkpoint")
    if f"{source}_strength0" in stored:
        tensors[f"{target}.dendrite_weight"] = _matrix(stored, f"{source}_dendrite0")
        tensors[f"{target}.dendrite_bias"] = stored[f"{source}_dendrite0_bias"]
        tensors[f"{target}.dendrite_strength"] = (stored[f"{source}_strength0"] * scale)[None]
    return tensors


def _matrix(stored: Mapping[str, Any], name: str) -> Floats:
    """Return a linear layer's weight, (out, in)."""
    weight = stored[f"{name}_weight"].astype(np.float32)
    scale = stored.get(f"{name}_scale")
    if scale is not None:
        weight = (weight - stored[f"{name}_zero"].astype(np.float32)) * scale
    return np.ascontiguousarray(weight.T)


def _last_attention(stored: Mapping[str, Any], layer: int, hidden: int, heads: int) -> dict[str, Floats]:
    """Return keys and values of the last layer, which the graph keeps joined, a block a head."""
    look, read = stored[f"layer{layer}_look"], stored[f"layer{layer}_read"]
    key, value = np.empty((hidden, hidden), np.float32), np.empty((hidden, hidden), np.float32)
    size = hidden // heads
    for head in range(heads):
        rows, columns = slice(head * size, (head + 1) * size), slice(head * hidden, (head + 1) * hidden)
        if look.ndim == 4:
            key[rows], value[rows] = look[head, :, 0], read[head, :, 0].T
        else:  # with their zeros, as bundles had them up to 0.8.0
            key[rows], value[rows] = look[rows, columns], read[columns, rows].T
    prefix = f"bert.encoder.layer.{layer}.attention.self"
    return {
        f"{prefix}.key.weight": key,
        f"{prefix}.value.weight": value,
        f"{prefix}.key.bias": np.zeros(hidden, np.float32),
        f"{prefix}.value.bias": stored[f"layer{layer}_value_bias"],
    }


def rebuild_checkpoint(bundle: Bundle, folder: str | Path) -> Path:
    """Write the checkpoint behind a bundle: config.json, model.safetensors, tokenizer files.

    Args:
        bundle: one that `giantkiller.export` built, with at most one dendrite a neuron.
        folder: where to write; made if missing.

    Returns:
        The folder, which `AutoModelForSequenceClassification.from_pretrained` reads.

    Raises:
        UserError: the graph is not one that can be taken apart.
    """
    import torch
    from transformers import PreTrainedTokenizerFast

    from giantkiller.models import DendriticBertConfig, DendriticBertForSequenceClassification

    tensors, heads = rebuild_tensors(bundle)
    words, hidden = tensors["bert.embeddings.word_embeddings.weight"].shape
    dendrites = {
        name.removeprefix("bert.").removesuffix(".dendrite_strength"): len(tensor)
        for name, tensor in tensors.items()
        if name.endswith(".dendrite_strength")
    }
    config = DendriticBertConfig(
        dendrites=dendrites,
        attributes=list(ATTRIBUTES),
        vocab_size=words,
        hidden_size=hidden,
        num_hidden_layers=sum(name.endswith("intermediate.dense.weight") for name in tensors),
        num_attention_heads=heads,
        intermediate_size=len(tensors["bert.encoder.layer.0.intermediate.dense.bias"]),
        max_position_embeddings=len(tensors["bert.embeddings.position_embeddings.weight"]),
        pairs=len(tensors.get("bert.pairs.weight", ())),
        phrases=len(tensors.get("bert.phrases.weight", ())),
        hidden_dropout_prob=0.0,
        attention_probs_dropout_prob=0.0,
    )
    model = DendriticBertForSequenceClassification(config)
    model.load_state_dict({name: torch.from_numpy(tensor.copy()) for name, tensor in tensors.items()})
    model.save_pretrained(folder)
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_file=str(bundle.tokenizer),
        model_max_length=bundle.max_length,
        unk_token="[UNK]",
        sep_token="[SEP]",
        pad_token="[PAD]",
        cls_token="[CLS]",
        mask_token="[MASK]",
    )
    tokenizer.save_pretrained(folder)
    return Path(folder)
