"""Any sequence classifier as a teacher: texts in, seven logits out."""

from collections.abc import Callable, Sequence

import numpy as np
import torch

from giantkiller.attributes import ATTRIBUTES
from giantkiller.errors import UserError
from giantkiller.models.loading import Classifier

Teacher = Callable[[Sequence[str]], np.ndarray]


def as_teacher(classifier: Classifier, max_length: int = 256, precision: str = "auto") -> Teacher:
    """Make a classifier a teacher, if its labels are among our attributes, under our names or others'.

    Args:
        classifier: What `giantkiller.models.loading.load_checkpoint` returns.
        max_length: Tokens a comment.
        precision: `auto` (bf16 on GPUs that have it), `fp32` or `bf16`.

    Returns:
        A function from texts to logits (n, 7) float32; NaN columns for attributes it does not know.

    Raises:
        UserError: If none of its labels is an attribute, or it was not trained to classify.
    """
    columns, softmax = classifier.columns
    if any("classifier" in name or "score" in name for name in classifier.missing):
        raise UserError(f"{classifier.name} has no trained classifier; name a fine-tuned model")
    device = "cuda" if torch.cuda.is_available() else "cpu"
    logits_of = classifier.logits_function(max_length, precision, device)

    def logits(texts: Sequence[str]) -> np.ndarray:
        raw = logits_of(texts)
        result = np.full((len(texts), len(ATTRIBUTES)), np.nan, dtype=np.float32)
        for attribute, column in columns.items():
            # Of two outputs that exclude each other, the difference is the logit of a sigmoid.
            result[:, ATTRIBUTES.index(attribute)] = raw[:, column] - (raw[:, 1 - column] if softmax else 0)
        return result

    return logits


def word_vectors(classifier: Classifier) -> tuple[np.ndarray, dict[str, int]]:
    """Return the word embeddings (v, d) of a classifier, and the row of each token."""
    weights = classifier.model.get_input_embeddings().weight.detach().float().cpu().numpy()
    return weights, classifier.tokenizer.get_vocab()


def average(teachers: Sequence[Teacher]) -> Teacher:
    """Average the logits of several teachers, attribute by attribute, over those that know it."""

    def logits(texts: Sequence[str]) -> np.ndarray:
        every = np.stack([teacher(texts) for teacher in teachers])
        there = ~np.isnan(every)
        with np.errstate(invalid="ignore"):
            return np.asarray(np.where(there, every, 0).sum(0) / there.sum(0), dtype=np.float32)

    return logits
