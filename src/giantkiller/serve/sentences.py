"""Where the sentences of a comment are."""

import re

MOST = 128
"""Spans that a comment is cut into at most; beyond that, neighbours share one."""

# After the marks that end a sentence and the quotes and brackets that close with it, where white space
# follows (not needed after full-width marks); and at line breaks. Each position is looked at once.
_END = re.compile(r"""(?<=[.!?…])["'”’)\]]*(?=\s)|(?<=[。！？])["'”’」』）)\]]*|[\r\n\u2028\u2029]+""")


def sentences(text: str) -> list[tuple[int, int]]:
    """Return the spans [begin, end) of a text's sentences, in characters; the whole text if there is one."""
    spans = []
    begin = 0
    for match in _END.finditer(text):
        spans += _trimmed(text, begin, match.end())
        begin = match.end()
    spans += _trimmed(text, begin, len(text))
    if len(spans) < 2:
        return [(0, len(text))]
    together = -(-len(spans) // MOST)
    return [
        (spans[i][0], spans[min(i + together, len(spans)) - 1][1]) for i in range(0, len(spans), together)
    ]


def _trimmed(text: str, begin: int, end: int) -> list[tuple[int, int]]:
    part = text[begin:end]
    inner = part.strip()
    if not inner:
        return []
    begin += len(part) - len(part.lstrip())
    return [(begin, begin + len(inner))]
