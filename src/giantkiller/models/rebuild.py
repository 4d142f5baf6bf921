"""A checkpoint that can be trained, rebuilt from a bundle.

A bundle holds its weights in eight bits and folds some of them together; what comes back computes the same
logits but for the rounding of activations, which only the bundle's graph does.
"""

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
    epsilon = {node.name: node for node in graph.node}
    if "words" not in stored or "embeddings" not in epsilon:
        raise UserError(f"the bundle {bundle.name} was not built by this package; train from its checkpoint")

    def matrix(name: str) -> Floats:
        """A linear layer's weight, (out, in)."""
        weight = stored[f"{name}_weight"].astype(np.float32)
        scale = stored.get(f"{name}_scale")
        if scale is not None:
            weight = (weight - stored[f"{name}_zero"].astype(np.float32)) * scale
        return np.ascontiguousarray(weight.T)

    tensors: dict[str, Floats] = {}

    def linear(source: str, target: str, factor: float = 1.0) -> None:
        tensors[f"{target}.weight"] = matrix(source) * np.float32(factor)
        tensors[f"{target}.bias"] = stored[f"{source}_bias"] * np.float32(factor)
        strengths: list[Floats] = []
        while f"{source}_strength{len(strengths)}" in stored:
            strengths.append(stored[f"{source}_strength{len(strengths)}"] * np.float32(factor))
        if len(strengths) > 1:
            raise UserError(
                f"the bundle {bundle.name} has several dendrites a neuron; train from its checkpoint"
            )
        if strengths:
            tensors[f"{target}.dendrite_weight"] = matrix(f"{source}_dendrite0")
            tensors[f"{target}.dendrite_bias"] = stored[f"{source}_dendrite0_bias"]
            tensors[f"{target}.dendrite_strength"] = strengths[0][None]

    words = stored["words"].astype(np.float32)
    if "word_scales" in stored:
        words = words * stored["word_scales"]
    if "word_rows" in stored:
        words = words[stored["word_rows"].astype(np.int64)]
    tensors["bert.embeddings.word_embeddings.weight"] = words
    tensors["bert.embeddings.position_embeddings.weight"] = stored["places"]
    hidden = words.shape[1]
    tensors["bert.embeddings.token_type_embeddings.weight"] = np.zeros((2, hidden), np.float32)
    for part in ("weight", "bias"):
        tensors[f"bert.embeddings.LayerNorm.{part}"] = stored[f"embedding_norm_{part}"]
    layers = sum(f"layer{index}_wide_weight" in stored for index in range(48))
    heads = stored[f"layer{layers - 1}_look"].shape[1] // hidden
    size = hidden // heads
    for index in range(layers):
        prefix = f"bert.encoder.layer.{index}"
        for target, source in _LINEAR.items():
            if index == layers - 1 and source in ("key", "value"):
                continue
            linear(f"layer{index}_{source}", f"{prefix}.{target}", size**0.5 if source == "query" else 1.0)
        for target, source in _NORMS.items():
            for part in ("weight", "bias"):
                tensors[f"{prefix}.{target}.{part}"] = stored[f"layer{index}_{source}_{part}"]
    last, prefix = f"layer{layers - 1}", f"bert.encoder.layer.{layers - 1}.attention.self"
    look, read = stored[f"{last}_look"], stored[f"{last}_read"]
    key, value = np.empty((hidden, hidden), np.float32), np.empty((hidden, hidden), np.float32)
    for head in range(heads):
        rows, columns = slice(head * size, (head + 1) * size), slice(head * hidden, (head + 1) * hidden)
        key[rows] = look[rows, columns]
        value[rows] = read[columns, rows].T
    tensors[f"{prefix}.key.weight"], tensors[f"{prefix}.value.weight"] = key, value
    tensors[f"{prefix}.key.bias"] = np.zeros(hidden, np.float32)
    tensors[f"{prefix}.value.bias"] = stored[f"{last}_value_bias"]
    linear("pooler", "bert.pooler.dense")
    linear("classifier", "classifier")
    return tensors, heads


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
