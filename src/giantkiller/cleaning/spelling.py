"""Mend misspelt words: letters swapped, missing or doubled, a blank inside, words run together.

Only a word that nobody knows is mended, and only into words of `giantkiller.cleaning.lexicon`. Each function
that yields, yields edits: (begin, end, replacement), in order, not overlapping.
"""

import re
from bisect import bisect_left
from collections.abc import Iterable, Iterator
from functools import cache, lru_cache

from giantkiller.cleaning import lexicon
from giantkiller.cleaning.disguises import Edit

# Words by themselves, no part of an address, a name with signs or a contraction.
_WORD = re.compile(r"(?<![\w@/\\.'’&?=~%-])[A-Za-z]{4,60}(?![\w@/\\=-]|['’](?!s(?!\w))|\.\w)")
_PIECE = re.compile(r"(?<![\w@#/\\.'’&?=~%-])[A-Za-z]{1,20}(?![\w@/\\=-]|['’](?!s(?!\w))|\.\w)")
_BEGIN = re.compile(r"[A-Za-z]+")
_END = re.compile(r"(?<![A-Za-z])[A-Za-z]+(?!.)")

_CAPITALS = re.compile(r"[A-Z]+")

# Letters in a row, but for what follows an apostrophe ("it's").
_LETTERS = re.compile(r"(?<![a-z'’])[a-z]+")

# Short words that may stand in a run of words; others of two or three letters cut too many names.
_FUNCTION_TEXT = (
    "a i to of is in it on at we he my be do go no so us up an as or by me if am all are was the and for "
    "you not his her she him our who why how can too any one two get got has had did say see let"
)
_FUNCTION = frozenset(_FUNCTION_TEXT.split())
_SHORT_TEXT = f"{_FUNCTION_TEXT} man men gay jew kid die"
_SHORT = frozenset(_SHORT_TEXT.split())
# Endings of one word that are words by themselves: "brutal i ties", "constitution a list".
_ENDINGS_TEXT = "a able ally an as at ding dies i less list lists on or pers ring ship ties tory"
_ENDINGS = frozenset(_ENDINGS_TEXT.split())
# What is left of "who're" and "men's" without their apostrophes.
_CONTRACTED_TEXT = "d ll m re s t ve"
_CONTRACTED = frozenset(_CONTRACTED_TEXT.split())
_UNCONTRACTED_TEXT = "a all and are as is my of the to you"
_UNCONTRACTED = frozenset(_UNCONTRACTED_TEXT.split())
_COMMON = 12_000
"""Ranks of words that are rather meant than ones that people disguise."""
_SHORTEST_RUN = 7
_MANY = 20
_LONGEST_WORD = 20


def well_spelt(text: str) -> bool:
    """Return whether all words of a text are known or spared: nothing here has anything to do."""
    return _listed().issuperset(_LETTERS.findall(_lower(text)))


def strange(text: str) -> list[int]:
    """Return where in a text the words begin that are neither known nor spared."""
    lower = _lower(text)
    words = set(_LETTERS.findall(lower)) - _listed()
    if len(words) > _MANY:
        return [match.start() for match in _LETTERS.finditer(lower) if match[0] in words]
    found = []
    for word in words:
        at = lower.find(word)
        while at >= 0:
            match = _LETTERS.match(lower, at)
            if match is not None and match[0] == word:
                found.append(at)
            at = lower.find(word, at + len(word))
    return sorted(found)


def mend_words(text: str, begins: Iterable[int]) -> Iterator[Edit]:
    """Spell misspelt words plainly, and put blanks between words run together, of those that begin there."""
    for begin in begins:
        match = _WORD.match(text, begin)
        if match is not None:
            yield from _changes(match[0], mend(match[0].lower()), begin)


def join_split(text: str, begins: Iterable[int]) -> Iterator[Edit]:
    """Drop the blank inside a word: of two pieces of which one begins there, where both make a known word."""
    done = 0
    for begin in begins:
        piece = _PIECE.match(text, begin)
        if piece is None or begin < done:
            continue
        before = _piece_before(text, begin)
        if before is not None and before.start() >= done and _belong(text, before, piece):
            yield before.end(), begin, ""
            done = piece.end()
        elif text[piece.end() : piece.end() + 1] == " ":
            after = _PIECE.match(text, piece.end() + 1)
            if after is not None and _belong(text, piece, after):
                yield piece.end(), after.start(), ""
                done = after.end()


def _belong(text: str, left: re.Match[str], right: re.Match[str]) -> bool:
    """Return whether two pieces are one word, and no initial, abbreviation or contraction beside a word."""
    one, other = left[0].lower(), right[0].lower()
    strange = [piece for piece in (one, other) if piece not in _listed()]
    if not _joins(one + other) or (other in _CONTRACTED and one not in strange):
        return False
    shouted = left[0].isupper() and right[0].isupper()
    if not shouted and right[0] != other:
        return False
    if left[0].isupper() and not shouted and one in strange and other not in strange:
        return False  # "grade C rap", but "F uck"
    if one in _CONTRACTED and other not in strange:  # "men s hit list", but "of s hit"
        before = _piece_before(text, left.start())
        if before is not None and before[0].lower() not in _UNCONTRACTED:
            return False
    if {one, other} & _FUNCTION:
        return len(strange[0]) > 2 and one + other in lexicon.disguised_words()
    return True


def _changes(word: str, meant: str, begin: int) -> Iterator[Edit]:
    """Yield the least edits that make a word, which begins there, what it was meant to be."""
    if " " in meant:
        end = 0
        for piece in meant.split(" ")[:-1]:
            end += len(piece)
            yield begin + end - 1, begin + end, f"{word[end - 1]} "
        return
    lower = word.lower()
    if meant == lower:
        return
    at = next(i for i, letter in enumerate(f"{lower} ") if i == len(meant) or meant[i] != letter)
    if len(meant) == len(word):
        yield begin + at, begin + at + 2, word[at + 1] + word[at]
    elif len(meant) < len(word):
        yield begin + at, begin + at + 1, ""
    else:
        missing = meant[at].upper() if word.isupper() else meant[at]
        yield begin + at - 1, begin + at, word[at - 1] + missing


def mended(text: str) -> str:
    """Return a text as `mend_words` edits it."""
    pieces: list[str] = []
    done = 0
    for begin, end, new in mend_words(text, strange(text)):
        pieces += (text[done:begin], new)
        done = end
    return "".join([*pieces, text[done:]])


def _lower(text: str) -> str:
    """Return a text with its ASCII letters in lower case, all others in their places."""
    return text.lower() if text.isascii() else _CAPITALS.sub(lambda match: match[0].lower(), text)


def _piece_before(text: str, begin: int) -> re.Match[str] | None:
    """Return the piece that ends one blank before a place in a text."""
    if begin < 2 or text[begin - 1] != " ":
        return None
    at = begin - 1
    while at and text[at - 1].isascii() and text[at - 1].isalpha():
        at -= 1
    match = _PIECE.match(text, at)
    return match if match is not None and match.end() == begin - 1 else None


def may_join(before: str, after: str) -> bool:
    """Return False where `join_split` has nothing to do at the blank between two chunks."""
    end, begin = _END.search(before), _BEGIN.match(after)
    return end is not None and begin is not None and _joins((end[0] + begin[0]).lower())


def may_be_piece(chunk: str) -> bool:
    """Return whether what stands between two blanks begins or ends with what `join_split` may join."""
    return any(
        (match.start() == 0 or match.end() == len(chunk)) and _is_piece(match[0].lower())
        for match in _PIECE.finditer(chunk)
    )


def _is_piece(word: str) -> bool:
    if word in _listed():
        return False
    begins, ends = _sorted()
    return _extends(begins, word) or _extends(ends, word[::-1])


@lru_cache(65_536)
def mend(word: str) -> str:
    """Return the word or words that a word in lower case was meant to be; itself where that is unclear.

    Tried in this order: two letters inside swapped, a letter doubled, a letter inside missing (of words of
    six letters, or of words that people disguise), words run together.
    """
    return word if word in _listed() else guess(word) or word


def guess(word: str) -> str | None:
    """Return what an unknown word was meant to be, words that only look misspelt not spared."""
    found = _best([word[:i] + word[i + 1] + word[i] + word[i + 2 :] for i in range(1, len(word) - 2)])
    if found is None:
        found = _best([word[:i] + word[i + 1 :] for i in range(1, len(word) - 1) if word[i] == word[i - 1]])
    if found is None:
        found = _best(_longer(word))
        if found is not None and len(found) < 6 and found not in lexicon.disguised_words():
            return None  # too short to tell, and a sign that no abuse is meant
    if found is None and len(word) >= _SHORTEST_RUN:
        found = _cut(word)
    return found


@cache
def _listed() -> frozenset[str]:
    return frozenset(lexicon.words()) | lexicon.spared() | {"a", "i"}


def _joins(word: str) -> bool:
    return word in (lexicon.words() if len(word) > 4 else lexicon.disguised_words())


def _best(candidates: list[str]) -> str | None:
    """Return what is meant of the known candidates of five letters and more.

    That is a common word, or one that people disguise where there is none, or the most common one.
    """
    known, disguised = lexicon.words(), lexicon.disguised_words()
    fitting = [word for word in candidates if word in known and len(word) > 4]
    common = any(known[word] < _COMMON for word in fitting if word not in disguised)
    return min(fitting, key=lambda word: ((word in disguised) == common, known[word]), default=None)


@cache
def _by_frame() -> dict[tuple[str, str, int], list[str]]:
    """Return the words that may lack a letter, by their first letter, last letter and length."""
    frames: dict[tuple[str, str, int], list[str]] = {}
    for word in lexicon.words():
        if len(word) > 4:
            frames.setdefault((word[0], word[-1], len(word)), []).append(word)
    return frames


def _longer(word: str) -> list[str]:
    """Return the words that are this one with a letter more inside."""
    framed = _by_frame().get((word[0], word[-1], len(word) + 1), ())
    second, rest = word[1], word[1:]
    return [each for each in framed if (each[1] == second or each[2:] == rest) and _lacks_one(each, word)]


def _lacks_one(whole: str, word: str) -> bool:
    """Return whether a word is another one without one of its letters."""
    at = 0
    while at < len(word) and whole[at] == word[at]:
        at += 1
    return whole[at + 1 :] == word[at:]


def _cut(word: str) -> str | None:
    """Cut words run together at their likeliest blanks (Viterbi); None unless all pieces are words."""
    known = lexicon.words()
    best: dict[int, tuple[float, int]] = {0: (0.0, 0)}
    for begin in range(len(word)):
        if begin not in best:
            continue
        for end in range(begin + 1, min(len(word), begin + _LONGEST_WORD) + 1):
            piece = word[begin:end]
            if end == len(word) and piece in _ENDINGS:
                continue
            if piece in _SHORT or (len(piece) > 3 and piece in known):
                cost = best[begin][0] + lexicon.price(piece)
                if end not in best or cost < best[end][0]:
                    best[end] = cost, begin
    if len(word) not in best:
        return None
    pieces: list[str] = []
    end = len(word)
    while end:
        begin = best[end][1]
        pieces.append(word[begin:end])
        end = begin
    return " ".join(reversed(pieces))


@cache
def _sorted() -> tuple[list[str], list[str]]:
    """Return the words in alphabetical order, and so their mirror images."""
    joined = [word for word in lexicon.words() if _joins(word)]
    return sorted(joined), sorted(word[::-1] for word in joined)


def _extends(words: list[str], beginning: str) -> bool:
    at = bisect_left(words, beginning)
    return at < len(words) and words[at].startswith(beginning)
