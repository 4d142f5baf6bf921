"""What a comment goes through before the tokenizer: disguises undone, innocent text untouched.

The same function serves training and scoring. Every step keeps, for each character, where in the
original it came from, so that explanations can point at what the author wrote.
"""

import re
import unicodedata
from collections.abc import Callable, Iterable, Sequence
from functools import cache
from typing import TYPE_CHECKING, NamedTuple

from giantkiller.cleaning.signs import MASKS, SIGNS

if TYPE_CHECKING:
    from giantkiller.cleaning.disguises import Edit

MAX_CHARS = 10_000
"""Characters read of one comment. 256 tokens never reach that far into ordinary text."""


class Cleaned(NamedTuple):
    """A cleaned text, and for each of its characters the index in the original it came from."""

    text: str
    offsets: Sequence[int]

    def original_span(self, begin: int, end: int) -> tuple[int, int]:
        """Return the span of the original from which the cleaned span [begin, end) came."""
        if begin >= end:
            empty = self.offsets[begin] if begin < len(self.offsets) else 0
            return empty, empty
        return self.offsets[begin], self.offsets[end - 1] + 1


def clean_text(text: str, *, max_chars: int = MAX_CHARS) -> str:
    """Undo disguises in a comment.

    Zero-width, control and bidirectional characters go; compatibility forms are normalised (NFKC);
    look-alike letters inside Latin words, spaced-out letters, leetspeak, masked and drawn-out words are
    spelled plainly where that gives a known word, and so are unknown words with two letters swapped, a
    letter doubled or missing, a blank inside or none where it belongs; white space is folded.

    Args:
        text: Any str, lone surrogates included.
        max_chars: Characters read of it.
    """
    return _run(text[:max_chars], None)[0]


def clean(text: str, *, max_chars: int = MAX_CHARS) -> Cleaned:
    """Clean a comment as `clean_text` does and keep the way back to the original.

    The end of an original span is one past the origin of its last character: `Cleaned.original_span`.
    """
    cut = text[:max_chars]
    cleaned, offsets = _run(cut, range(len(cut)))
    assert offsets is not None
    return Cleaned(cleaned, offsets)


def _remove_invisible(text: str) -> "Iterable[Edit]":
    from giantkiller.cleaning.glyphs import INVISIBLE

    return ((match.start(), match.end(), "") for match in INVISIBLE.finditer(text))


def _normalise(text: str) -> "Iterable[Edit]":
    from giantkiller.cleaning.glyphs import CLUSTER, compose

    for match in CLUSTER.finditer(text):
        composed = compose(match[0])
        if composed != match[0]:
            yield match.start(), match.end(), composed


def _unpile(text: str) -> "Iterable[Edit]":
    from giantkiller.cleaning.glyphs import PILED_MARKS

    return ((match.start(), match.end(), "") for match in PILED_MARKS.finditer(text))


_BLANKS = re.compile(r"\s+")


def _fold_blanks(text: str) -> "Iterable[Edit]":
    for match in _BLANKS.finditer(text):
        edge = match.start() == 0 or match.end() == len(text)
        if edge or match[0] != " ":
            yield match.start(), match.end(), "" if edge else " "


def _abnormal(text: str) -> bool:
    from giantkiller.cleaning.glyphs import BADGE

    return not unicodedata.is_normalized("NFKC", text) or BADGE.search(text) is not None


# Three quick searches clear most comments of every disguise: of masks and leetspeak, of drawn-out letters
# and repeated signs, of spaced letters. Each begins with few characters, to which the search skips quickly.
_DISGUISING = re.compile(rf"[{SIGNS}{MASKS}](?:(?<=[A-Za-z].)|(?=[A-Za-z]))")
_TRIPLE = re.compile(r"([^. ])\1\1|\.{6}")
_LONE = f"[A-Za-z{SIGNS}]"
SPACED = re.compile(rf"[ \n\r\t.\-_*~,/·]{_LONE}[ \n\r\t.\-_*~,/·]+{_LONE}(?!\w)")
"""Where letters may be spaced out: the only disguise that reaches over blanks."""

Step = tuple[Callable[[str], object], Callable[[str], "Iterable[Edit]"]]


@cache
def _for_unicode() -> tuple[Step, ...]:
    """Return the steps beyond ASCII: (does the text need it?, its edits)."""
    from giantkiller.cleaning import disguises, glyphs

    return (
        (glyphs.INVISIBLE.search, _remove_invisible),
        (glyphs.PILED_MARKS.search, _unpile),
        (_abnormal, _normalise),
        (glyphs.INVISIBLE.search, _remove_invisible),  # what normalisation has uncovered
        (glyphs.FOREIGN.search, disguises.fold_look_alikes),
    )


@cache
def _for_disguises() -> tuple[Step, ...]:
    """Return the steps for any text."""
    from giantkiller.cleaning import disguises

    return (
        (disguises.MASKED.search, disguises.unmask),
        (SPACED.search, disguises.join_spaced),
        (disguises.LEET.search, disguises.undo_leet),
        (disguises.DRAWN.search, disguises.shorten_drawn),
    )


def undisguised(text: str) -> bool:
    """Return whether cleaning an ASCII text would only fold blanks, join spaced letters and mend words."""
    return text.isprintable() and not (_DISGUISING.search(text) or _TRIPLE.search(text))


def _run(text: str, offsets: Sequence[int] | None) -> tuple[str, Sequence[int] | None]:
    printable = text.isprintable()
    if not text.isascii():
        for needed, edits in _for_unicode():
            if needed(text):
                text, offsets = _apply(text, offsets, edits(text))
    elif not printable:
        text, offsets = _apply(text, offsets, _remove_invisible(text))
    if _DISGUISING.search(text) or _TRIPLE.search(text) or SPACED.search(text):
        for needed, edits in _for_disguises():
            if needed(text):
                text, offsets = _apply(text, offsets, edits(text))
    if not (printable and "  " not in text and text[:1] != " " != text[-1:]):
        if offsets is None:
            text = " ".join(text.split())
        else:
            text, offsets = _apply(text, offsets, _fold_blanks(text))
    from giantkiller.cleaning import spelling

    strange = spelling.strange(text)
    if strange:
        joined, offsets = _apply(text, offsets, spelling.join_split(text, strange))
        if joined != text:
            text, strange = joined, spelling.strange(joined)
        text, offsets = _apply(text, offsets, spelling.mend_words(text, strange))
    return text, offsets


def _apply(
    text: str, offsets: Sequence[int] | None, edits: "Iterable[Edit]"
) -> tuple[str, Sequence[int] | None]:
    """Carry out edits on a text and, where they are kept, on its offsets."""
    pieces: list[str] = []
    origins: list[int] = []
    done = 0
    for begin, end, new in edits:
        pieces += (text[done:begin], new)
        if offsets is not None:
            origins.extend(offsets[done:begin])
            # A replacement spreads over what it replaces; an insertion can't happen.
            origins.extend(offsets[begin + i * (end - begin) // len(new)] for i in range(len(new)))
        done = end
    if not done:
        return text, offsets
    pieces.append(text[done:])
    if offsets is not None:
        origins.extend(offsets[done:])
    return "".join(pieces), None if offsets is None else origins
