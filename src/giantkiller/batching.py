"""Rows of tokens into batches: by length, under a budget of tokens."""

import itertools
from collections.abc import Sequence

BATCH_TOKENS = 1024
"""Tokens that a screener runs together: what fits the cache of one core beats larger batches."""

STEP = 4
"""A screener pads each row to a multiple of so many tokens, if the model heeds its mask.

That costs some hundredths of the time of a row alone or among thousands, and saves more where some dozens
wait together, for rows of as many lengths would be as many calls. It depends on the row alone, not on those
it runs with.
"""

PADDED_TOKENS = 4096
"""Tokens of a padded batch, where a model is measured and not yet served."""


def plan(lengths: Sequence[int], budget: int, *, padded: bool = False) -> list[list[int]]:
    """Group rows into batches by length, longest first.

    Args:
        lengths: Of the rows, or what each is padded to by itself.
        budget: Tokens of a batch, in the unit of `lengths`; only a single row may exceed it.
        padded: Let rows of several lengths share a batch, each counted as long as the longest. Without, a
            batch has one length.

    Returns:
        Lists of row indices; together each row once. Rows of one length keep their order.
    """
    order = sorted(range(len(lengths)), key=lengths.__getitem__, reverse=True)
    groups = [order] if padded else [list(g) for _, g in itertools.groupby(order, key=lengths.__getitem__)]
    batches = []
    for rows in groups:
        begin = 0
        while begin < len(rows):
            size = max(1, budget // max(1, lengths[rows[begin]]))
            batches.append(rows[begin : begin + size])
            begin += size
    return batches
