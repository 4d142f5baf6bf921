"""Which texts are kept out of training, decided by the text alone."""

import hashlib

from giantkiller.cleaning import clean_text


def merge_key(text: str) -> str:
    """Fold case and white space of a cleaned text: texts with one key count as one comment."""
    return " ".join(clean_text(text).lower().split())


def is_held_out(text: str, fraction: float) -> bool:
    """Tell whether a text belongs to the held-out share.

    A hash of the folded text decides, so every file, order and run agrees on it.

    Args:
        text: The comment.
        fraction: Share held out, in [0, 1].
    """
    digest = hashlib.sha256(merge_key(text).encode("utf-8", "replace")).digest()
    return int.from_bytes(digest[:8], "big") < fraction * 2**64
