"""A dendritic BERT's weights as arrays, by the names that its checkpoint gives them."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

Floats = np.ndarray[Any, np.dtype[np.float32]]
Bytes = np.ndarray[Any, np.dtype[np.uint8]]
WORDS = "bert.embeddings.word_embeddings.weight"


@dataclass(frozen=True)
class Layer:
    """One linear layer with D dendrites; shapes as in `giantkiller.dendrites.DendriticLinear`."""

    weight: Floats  # (out, in)
    bias: Floats  # (out)
    dendrite_weight: Floats  # (D * out, in)
    dendrite_bias: Floats  # (D * out)
    strength: Floats  # (D, out)
    cascade: Floats  # (D * (D - 1) / 2, out)
    activation: str = "tanh"

    @property
    def out(self) -> int:
        """Number of neurons."""
        return int(self.weight.shape[0])

    @property
    def dendrites(self) -> int:
        """Number of dendrites a neuron."""
        return int(self.strength.shape[0])

    def scaled(self, factor: float) -> "Layer":
        """Return the same layer with its output multiplied by a factor."""
        f = np.float32(factor)
        return Layer(
            self.weight * f,
            self.bias * f,
            self.dendrite_weight,
            self.dendrite_bias,
            self.strength * f,
            self.cascade,
            self.activation,
        )

    def without_soma(self) -> "Layer":
        """Return only what the dendrites add: no plain columns, no bias."""
        return Layer(
            np.zeros((0, self.weight.shape[1]), np.float32),
            np.zeros(0, np.float32),
            self.dendrite_weight,
            self.dendrite_bias,
            self.strength,
            self.cascade,
            self.activation,
        )


@dataclass(frozen=True)
class Weights:
    """A dendritic BERT's weights by their state-dict names, and the few numbers its graph depends on."""

    tensors: Mapping[str, Floats]
    layers: int
    heads: int
    epsilon: float
    activation: str = "tanh"  # the dendrites'
    hidden_activation: str = "gelu"
    word_rows: np.ndarray[Any, np.dtype[np.intp]] | None = None  # of each token id, where some were dropped

    def with_words(self, kept: np.ndarray[Any, np.dtype[np.bool_]], unknown: int) -> "Weights":
        """Drop the word embeddings that are not kept.

        Args:
            kept: One entry a token id; the unknown token's must be True.
            unknown: The token id whose embedding all dropped ones get.
        """
        rows = np.cumsum(kept) - 1
        rows[~kept] = rows[unknown]
        return replace(self, tensors={**self.tensors, WORDS: self.tensors[WORDS][kept]}, word_rows=rows)

    def linear(self, name: str) -> Layer:
        """Collect the tensors of one linear layer; dendrites whose strengths are all zero are left out."""
        weight = self.tensors[f"{name}.weight"]
        out, inputs = weight.shape
        nothing = np.zeros((0, out), np.float32)
        strength = self.tensors.get(f"{name}.dendrite_strength", nothing)
        if not strength.any():
            empty = np.zeros((0, inputs), np.float32)
            zero = np.zeros(0, np.float32)
            return Layer(weight, self.tensors[f"{name}.bias"], empty, zero, nothing, nothing, self.activation)
        return Layer(
            weight,
            self.tensors[f"{name}.bias"],
            self.tensors[f"{name}.dendrite_weight"],
            self.tensors[f"{name}.dendrite_bias"],
            strength,
            self.tensors.get(f"{name}.dendrite_cascade", nothing),
            self.activation,
        )
