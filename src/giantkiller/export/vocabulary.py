"""Which words a bundle keeps embeddings of, and how much of some comments they cover."""

import itertools
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tokenizers import Tokenizer

from giantkiller.errors import UserError


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
