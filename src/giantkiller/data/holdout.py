"""Which texts are kept out of training, decided by the text alone."""

import hashlib

from giantkiller.cleaning import clean_text


def fold(cleaned: str) -> str:
    """Fold case and white space of a cleaned text: texts with one key count as one comment."""
    return " ".join(cleaned.lower().split())


def merge_key(text: str) -> str:
    """Clean a text and fold it."""
    return fold(clean_text(text))


def is_held_out(key: str, fraction: float) -> bool:
    """Return whether a text belongs to the held-out share.

    A hash of the key decides, so every file, order and run agrees on it.

    Args:
        key: The text's `merge_key`.
        fraction: Share held out, in [0, 1].
    """
    digest = hashlib.sha256(key.encode("utf-8", "replace")).digest()
    return int.from_bytes(digest[:8], "big") < fraction * 2**64
