"""Which words a bundle keeps embeddings of, and how much of some comments they cover."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from tokenizers import Tokenizer
from tqdm import tqdm

from giantkiller.encoding import Encoder, unpack
from giantkiller.errors import UserError

CHUNK = 10_000  # texts tokenized between two steps of the progress bar


def unknown_id(tokenizer: Tokenizer) -> int:
    """Return the id of the token that stands for whatever the vocabulary lacks.

    Raises:
        UserError: The tokenizer has none.
    """
    token = getattr(tokenizer.model, "unk_token", None)
    found = tokenizer.token_to_id(token) if token else None
    if found is None:
        raise UserError("the tokenizer has no token for unknown words, so none can be dropped")
    return found


def used_words(
    words_of: Mapping[str, Sequence[str]], encoder: Encoder, tokenizer: Tokenizer, size: int, times: int = 1
) -> NDArray[np.bool_]:
    """Find the token ids to keep: used in comments, special, or a single character.

    Args:
        words_of: Comments by file name.
        encoder: The bundle's.
        tokenizer: The bundle's.
        size: Number of token ids.
        times: How often comments must use one, all files together.

    Returns:
        (size,) whether each stays.
    """
    counts = np.zeros(size, np.int64)
    for file, texts in words_of.items():
        for begin in tqdm(range(0, len(texts), CHUNK), desc=repr(file), delay=1, leave=False, disable=None):
            used = unpack(b"".join(encoder.encode(texts[begin : begin + CHUNK])))
            counts += np.bincount(used, minlength=size)
    kept = counts >= times
    single = [i for token, i in tokenizer.get_vocab().items() if len(token.removeprefix("##")) == 1]
    special = [*tokenizer.get_added_tokens_decoder(), *tokenizer.encode("").ids, unknown_id(tokenizer)]
    kept[[i for i in (*single, *special) if i < size]] = True
    return kept


@dataclass(frozen=True)
class Coverage:
    """How much of some comments a choice of words covers.

    Attributes:
        comments: Their number.
        tokens_kept: The share of their tokens that are kept.
        comments_kept: The share of comments all of whose tokens are kept: their logits are what they would
            be with every row.
    """

    comments: int
    tokens_kept: float
    comments_kept: float


@dataclass(frozen=True)
class KeptWords:
    """Which of a model's words a bundle keeps.

    Attributes:
        rows: How many.
        of: How many there were.
        times: How often comments use a word that is kept, at least.
        files: Comments by the name of the file whose words are kept.
        coverage: What that covers of the labelled comments, by file name.
    """

    rows: int
    of: int
    times: int
    files: dict[str, int]
    coverage: dict[str, Coverage]


def coverage(rows: Sequence[bytes], kept: NDArray[np.bool_]) -> Coverage:
    """Compute how much of some comments a choice of token ids covers.

    Args:
        rows: The comments' token ids, as the model reads them, first and last one special.
        kept: One entry a token id.
    """
    dropped = [int((~kept[unpack(row)]).sum()) for row in rows]
    tokens = sum(len(unpack(row)) - 2 for row in rows)
    return Coverage(
        comments=len(rows),
        tokens_kept=round(1 - sum(dropped) / max(1, tokens), 6),
        comments_kept=round(1 - sum(map(bool, dropped)) / max(1, len(rows)), 6),
    )
