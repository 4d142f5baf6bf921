"""Any sequence classifier as a teacher: texts in, seven logits out."""

import logging
from collections.abc import Callable, Sequence

import numpy as np
import torch
from transformers import AutoModelForSequenceClassification, AutoTokenizer
from transformers.utils import logging as transformers_logging

import giantkiller.models  # noqa: F401  registers our own architecture
from giantkiller.attributes import ATTRIBUTES, OTHER_NAMES
from giantkiller.errors import UserError
from giantkiller.training.corpus import encode
from giantkiller.training.fit import predict, use_bf16
from giantkiller.training.warmstart import load_pretrained

log = logging.getLogger(__name__)

Teacher = Callable[[Sequence[str]], np.ndarray]


def load_teacher(source: str, max_length: int = 256, precision: str = "auto") -> Teacher:
    """Load a classifier whose labels are among our attributes, under our names or other systems'.

    Args:
        source: Checkpoint folder or hub name.
        max_length: Tokens a comment.
        precision: `auto` (bf16 on GPUs that have it), `fp32` or `bf16`.

    Returns:
        A function from texts to logits (n, 7) float32; NaN columns for attributes it does not know.

    Raises:
        UserError: If it cannot be loaded, or none of its labels is an attribute.
    """
    transformers_logging.set_verbosity_error()
    transformers_logging.disable_progress_bar()
    tokenizer = load_pretrained(AutoTokenizer, source)
    model = load_pretrained(AutoModelForSequenceClassification, source)
    labels = [model.config.id2label[i] for i in range(model.config.num_labels)]
    known = [OTHER_NAMES.get(str(label), str(label)) for label in labels]
    places = [(i, ATTRIBUTES.index(name)) for i, name in enumerate(known) if name in ATTRIBUTES]
    if not places:
        raise UserError(
            f"{source} predicts {', '.join(map(str, labels))}, none of which is an attribute; "
            f"set id2label in its config.json to names among {', '.join(ATTRIBUTES)}"
        )
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    model.to(device).eval()
    bf16 = use_bf16(precision, device)

    def logits(texts: Sequence[str]) -> np.ndarray:
        tokens = encode(tokenizer.backend_tokenizer, texts, max_length)
        with torch.autocast(device.type, torch.bfloat16, enabled=bf16):
            raw = predict(model, tokens, width=len(labels))
        result = np.full((len(texts), len(ATTRIBUTES)), np.nan, dtype=np.float32)
        for theirs, ours in places:
            result[:, ours] = raw[:, theirs]
        return result

    return logits


def word_vectors(source: str) -> tuple[np.ndarray, dict[str, int]]:
    """Word embeddings (v, d) of a classifier, and the row of each token.

    Raises:
        UserError: If it cannot be loaded.
    """
    weights = load_pretrained(AutoModelForSequenceClassification, source).get_input_embeddings().weight
    return weights.detach().numpy(), load_pretrained(AutoTokenizer, source).get_vocab()


def average(teachers: Sequence[Teacher]) -> Teacher:
    """Mean logits of several teachers, attribute by attribute, over those that know it."""

    def logits(texts: Sequence[str]) -> np.ndarray:
        every = np.stack([teacher(texts) for teacher in teachers])
        there = ~np.isnan(every)
        with np.errstate(invalid="ignore"):
            return np.asarray(np.where(there, every, 0).sum(0) / there.sum(0), dtype=np.float32)

    return logits
