"""Comments cut into sentences, as further texts for a teacher to label."""

import re

_END = re.compile(r"(?<=[.!?])[\"')\]]*\s+|\s*[\r\n]+\s*")
WORDS = 3
"""Fewer words than these make no sentence of their own."""


def split_sentences(text: str) -> list[str]:
    """Cut a comment after full stops, exclamation and question marks, and at line breaks.

    Abbreviations cut too: the pieces need not be perfect to be learned from.

    Returns:
        The sentences of at least `WORDS` words; none where the comment is a single sentence.
    """
    parts = [part.strip() for part in _END.split(text)]
    if sum(map(bool, parts)) < 2:
        return []
    return [part for part in parts if len(part.split()) >= WORDS]
