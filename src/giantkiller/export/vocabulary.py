"""Which words a bundle keeps embeddings of, and how much of some comments they cover."""

import itertools
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tokenizers import Tokenizer
from tqdm import tqdm

from giantkiller.cleaning import clean_text
from giantkiller.errors import UserError
from giantkiller.export.tokens import CHUNK, encode


def unknown(tokenizer: Tokenizer) -> int:
    """Give the id of the token that stands for whatever the vocabulary lacks.

    Raises:
        UserError: the tokenizer has none.
    """
    token = getattr(tokenizer.model, "unk_token", None)
    found = tokenizer.token_to_id(token) if token else None
    if found is None:
        raise UserError("the tokenizer has no token for unknown words, so none can be dropped")
    return found


def count(rows: Iterable[Sequence[int]], size: int) -> NDArray[np.int64]:
    """Count how often each of `size` token ids comes in rows of them."""
    ids = np.fromiter(itertools.chain.from_iterable(rows), np.intp)
    return np.bincount(ids, minlength=size)[:size].astype(np.int64)


def choose(tokenizer: Tokenizer, counts: NDArray[np.int64], least: int = 1) -> NDArray[np.bool_]:
    """Choose the token ids to keep: used often enough, special, or a single character.

    Args:
        tokenizer: the bundle's.
        counts: how often each id was used in comments.
        least: how often is often enough.
    """
    kept: NDArray[np.bool_] = counts >= max(1, least)
    for token, place in tokenizer.get_vocab().items():
        if len(token.removeprefix("##")) == 1 and place < len(kept):
            kept[place] = True
    special = [*tokenizer.get_added_tokens_decoder(), *tokenizer.encode("").ids, unknown(tokenizer)]
    kept[[place for place in special if place < len(kept)]] = True
    return kept


def choose_by(
    words_of: Mapping[str, Sequence[str]], tokenizer: Tokenizer, size: int, least: int, length: int
) -> tuple[NDArray[np.bool_], dict[str, Any]]:
    """Choose the word embeddings that comments use.

    Args:
        words_of: comments by file name.
        tokenizer: the bundle's.
        size: number of token ids.
        least: how often they must use a token for it to stay.
        length: tokens read of a comment.

    Returns:
        whether each token id stays, and what to write down about it.
    """
    counts = np.zeros(size, np.int64)
    for file, texts in words_of.items():
        for begin in tqdm(range(0, len(texts), CHUNK), desc=file, delay=1, leave=False, disable=None):
            cleaned = [clean_text(text) for text in texts[begin : begin + CHUNK]]
            counts += count(encode(tokenizer, cleaned, length), size)
    kept = choose(tokenizer, counts, least)
    return kept, {
        "rows": int(kept.sum()),
        "of": size,
        "used_at_least": least,
        "files": {file: len(texts) for file, texts in words_of.items()},
    }


def coverage(rows: Sequence[Sequence[int]], kept: NDArray[np.bool_]) -> dict[str, Any]:
    """Tell how much of some comments a choice of token ids covers.

    Args:
        rows: the comments' token ids, as the model reads them, first and last one special.
        kept: one entry a token id.

    Returns:
        the number of comments, the share of their tokens that are kept, and the share of comments all of
        whose tokens are kept: their logits are what they would be with every row.
    """
    dropped = [int((~kept[np.asarray(row, np.intp)]).sum()) for row in rows]
    tokens = sum(len(row) - 2 for row in rows)
    return {
        "comments": len(rows),
        "tokens_kept": round(1 - sum(dropped) / max(1, tokens), 6),
        "comments_kept": round(1 - sum(map(bool, dropped)) / max(1, len(rows)), 6),
    }
