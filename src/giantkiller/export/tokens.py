"""Comments as token ids, and the tokenizer as a bundle keeps it."""

import json
import logging
from collections.abc import Sequence

import numpy as np
from tokenizers import Tokenizer

log = logging.getLogger(__name__)

CHUNK = 10_000  # texts tokenized at once
STAND_IN_TEXTS = 256


def encode(tokenizer: Tokenizer, texts: Sequence[str], max_length: int) -> list[list[int]]:
    """Tokenize cleaned texts, cut to a number of tokens, special ones included."""
    tokenizer.enable_truncation(max_length)
    try:
        # "[SEP]" in a comment is six characters that somebody typed, not the end of it.
        tokenizer.encode_special_tokens = True
        # A chunk at a time: encodings are much larger than the ids in them.
        parts = (texts[begin : begin + CHUNK] for begin in range(0, len(texts), CHUNK))
        return [encoding.ids for part in parts for encoding in tokenizer.encode_batch_fast(list(part))]
    finally:
        tokenizer.encode_special_tokens = False
        tokenizer.no_truncation()


def compact_tokenizer(tokenizer: Tokenizer) -> bytes:
    """Give a tokenizer's JSON without the blanks."""
    return json.dumps(json.loads(tokenizer.to_str()), ensure_ascii=False, separators=(",", ":")).encode()


def stand_in_rows(tokenizer: Tokenizer, max_length: int) -> list[list[int]]:
    """Random words of the vocabulary: what activations are observed on when nobody gave real comments."""
    log.warning(
        "no validation data: activation ranges are taken from random words, scores are not calibrated"
    )
    words = sorted(word for word in tokenizer.get_vocab() if word.isalpha() and word.isascii())
    rng = np.random.default_rng(0)
    lengths = rng.integers(1, max_length, STAND_IN_TEXTS)
    return encode(tokenizer, [" ".join(rng.choice(words, size)) for size in lengths], max_length)
