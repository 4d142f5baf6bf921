"""Undo disguises of words: look-alike letters, spaced letters, leetspeak, masks, drawn-out letters.

Each function takes a text and yields edits: (begin, end, replacement), in order, not overlapping.
"""

import itertools
import re
import string
import unicodedata
from collections.abc import Iterator

from giantkiller.cleaning import lexicon
from giantkiller.cleaning.glyphs import LOOK_ALIKES
from giantkiller.cleaning.signs import CURRENCY, MASKS, SIGNS
from giantkiller.cleaning.signs import LEET as READINGS

Edit = tuple[int, int, str]

_WORD = re.compile(r"\w+")
_LATIN = re.compile("[A-Za-z]")

_L = f"[A-Za-z{SIGNS}]"

# One letter, a separator, one letter, the same separator, and so on; three letters at least.
_SPACED = re.compile(
    rf"(?<![\w@$'’])(?=\S?\S?\W{{0,8}}[A-Za-z\d{SIGNS}])"
    rf"{_L}(?:(?P<gap>\s{{1,4}}|\s?[.\-_*~,/·]\s?){_L}(?:(?P=gap){_L})+)(?![\w@$'’])"
)

# Whether a text needs a step at all; each begins with few characters, to which the search skips quickly.
LEET = re.compile(rf"[{SIGNS}](?:[A-Za-z]|(?<=[A-Za-z].))")
MASKED = re.compile(rf"[{MASKS}](?<=[A-Za-z].)")
DRAWN = re.compile(r"([A-Za-z])\1\1|([^\w\s])\2{5}")

# A run of letters and signs with at least one sign.
_LEET_TOKEN = re.compile(rf"(?<![A-Za-z{SIGNS}])[A-Za-z]*[{SIGNS}][A-Za-z{SIGNS}]*")

_MASKED_TOKEN = re.compile(rf"(?<![\w*@#./])[A-Za-z]{{1,12}}[{MASKS}]{{1,5}}[A-Za-z]{{0,12}}(?![\w{MASKS}@])")

_DRAWN_WORD = re.compile(r"(?<![\w./@])[A-Za-z]*([A-Za-z])\1\1[A-Za-z]*(?![\w/@])")
_RUN = re.compile(r"([A-Za-z])\1\1+")
_SIGN_RUN = re.compile(r"([^\w\s])\1{5,}")
_ROMAN = re.compile("[IVXLCM]+")


def fold_look_alikes(text: str) -> Iterator[Edit]:
    """Turn look-alike letters into Latin ones, in words that mix them with Latin letters.

    A word wholly of foreign look-alikes counts too when the text is otherwise Latin and the folded word is
    known; a word with any other foreign letter is a foreign word.
    """
    found = [match for match in _WORD.finditer(text) if not match[0].isascii()]
    latin = len(_LATIN.findall(text))
    foreign = sum(c.isalpha() and not c.isascii() and not _latin(c) for c in text)
    for match in found:
        word = match[0]
        strange = [c for c in word if c not in LOOK_ALIKES and not c.isascii()]
        if not all(map(_latin, strange)):
            continue
        folded = "".join(LOOK_ALIKES.get(c, c) for c in word)
        if folded == word:
            continue
        mixed = any(map(_latin, word))
        lower = folded.lower()
        known = lower in lexicon.words() or lower in ("a", "i")
        if mixed or (known and latin > 2 * foreign):
            for i, c in enumerate(word, match.start()):
                if c in LOOK_ALIKES:
                    yield i, i + 1, LOOK_ALIKES[c]


def join_spaced(text: str) -> Iterator[Edit]:
    """Join letters standing alone in a row: into known words at blanks, into one word at dots and dashes."""
    for match in _SPACED.finditer(text):
        run, gap = match[0], match["gap"]
        while run and run[-1] in "!|+":  # closing punctuation is no letter
            run = run[:-1].rstrip()
        step = len(gap) + 1
        signs = run[::step]
        letters = len(_LATIN.findall(signs))
        if len(signs) < 3 or 5 * letters < 3 * len(signs) or (letters < len(signs) < 4):
            continue
        blank = gap.isspace()
        for chunk in range(0, len(signs), 400):
            yield from _join(signs[chunk : chunk + 400], match.start() + chunk * step, step, blank)


def _join(signs: str, start: int, step: int, blank: bool) -> Iterator[Edit]:
    """Edit one run: drop the gaps inside words, leave one between them, read digits as letters."""
    pieces: list[str] | None = None
    for reading in _readings(signs):
        if reading in lexicon.disguised_words() or (
            not blank and len(signs) > 3 and reading in lexicon.words()
        ):
            pieces = [reading]
            break
        # Two letters and a blank are "I a m" as often as a disguise, so a long word is asked for.
        if blank and pieces is None:
            pieces = lexicon.split(reading)
            if pieces is not None and (len(pieces) == len(signs) or max(map(len, pieces)) < 3):
                pieces = None
    if pieces is None:
        return
    done = 0
    for piece in pieces:
        for i, letter in enumerate(piece):
            begin = start + (done + i) * step
            if signs[done + i].lower() != letter:
                yield begin, begin + 1, letter.upper() if signs.isupper() else letter
            if done + i + 1 < len(signs):
                yield begin + 1, begin + step, "" if i + 1 < len(piece) else " "
        done += len(piece)


def undo_leet(text: str) -> Iterator[Edit]:
    """Read digits and signs as letters where that makes a known word.

    Left alone: ordinals, model numbers, addresses, names, trailing digits. Once one word of a text is
    surely disguised, short common words ("4re", "th3") are read the same way.
    """
    tokens = [
        match for match in _LEET_TOKEN.finditer(text) if _stands_alone(text, match.start(), match.end())
    ]
    readings: dict[int, tuple[int, int, str]] = {}
    doubtful = []
    for match in tokens:
        begin, end = _core(match[0], match.start())
        core = text[begin:end]
        if not 2 <= len(core) <= 40 or core.isalpha() or not _LATIN.search(core):
            continue
        word = _read(core)
        if word is not None:
            readings[begin] = (begin, end, word)
        else:
            doubtful.append((begin, end))
    if readings:
        for begin, end in doubtful:
            short = next((w for w in _readings(text[begin:end]) if w in lexicon.common()), None)
            if short is not None:
                readings[begin] = (begin, end, short)
    for begin in sorted(readings):
        begin, end, word = readings[begin]
        upper = text[begin:end].isupper()
        for i, letter in enumerate(word, begin):
            if not text[i].isalpha():
                yield i, i + 1, letter.upper() if upper else letter


def _stands_alone(text: str, begin: int, end: int) -> bool:
    """Return whether a token is a word by itself, no part of an address, a path, a tag or a number."""
    if begin and (text[begin - 1].isalnum() or text[begin - 1] in "./:@_#&=\\~%"):
        return False
    if end == len(text):
        return True
    after = text[end]
    if after.isalnum() or after in "/@_=\\&#%":
        return False
    return not (after in ".:" and end + 1 < len(text) and text[end + 1].isalnum())


def _core(token: str, begin: int) -> tuple[int, int]:
    """Cut the punctuation from a token's ends."""
    left = len(token) - len(token.lstrip("!|+"))
    right = len(token.rstrip("!|+£"))
    return begin + left, begin + max(left, right)


def _readings(signs: str) -> Iterator[str]:
    """Spell signs as lower-case letters; at most four of them are tried two ways."""
    options = []
    double = 0
    for c in signs.lower():
        letters = READINGS.get(c, c)
        if len(letters) > 1:
            double += 1
            letters = letters if double <= 4 else letters[0]
        options.append(letters)
    return map("".join, itertools.product(*options))


def _read(core: str) -> str | None:
    """Return the word that a token disguises, if that is beyond doubt."""
    spelled = list(_readings(core))
    known = lexicon.disguised_words()
    abusive = min((w for w in spelled if w in known), key=known.__getitem__, default=None)
    digits = re.match(r"\d+", core)
    if core[0] in CURRENCY and core[1].isdigit():
        return None
    if (
        abusive is not None
        and len(core) >= 3
        and not (digits and len(digits[0]) > 1 and core[len(digits[0]) :].isalpha())
    ):
        return abusive
    inside = core[1:-1]
    if len(core) < 4 or core[0] in "@" + CURRENCY or inside.isalpha() or (digits and len(digits[0]) > 1):
        return None
    return next((w for w in spelled if w in lexicon.words()), None)


def unmask(text: str) -> Iterator[Edit]:
    """Fill in masked letters: where an abusive word fits (f**k, sh*t), a lone star by any known word."""
    for match in _MASKED_TOKEN.finditer(text):
        masked = match[0].lower()
        if not masked[-1].isalpha() and not (masked.endswith("**") and len(masked) < 5):
            continue
        pattern = re.compile(re.sub(f"[{MASKS}]", "[a-z]", masked))
        fitting = [word for word in lexicon.disguised_words() if pattern.fullmatch(word)]
        shown = sum(c.isalpha() for c in masked)
        if fitting and (len(fitting) == 1 or 2 * shown >= len(masked) or masked == "a**"):
            word = fitting[0]
        elif shown > 2 and masked.count("*") == len(masked) - shown == 1:
            known = lexicon.words()
            filled = (masked.replace("*", c) for c in string.ascii_lowercase)
            word = min((w for w in filled if w in known), key=known.__getitem__, default="")
        else:
            continue
        if not word:
            continue
        filled_in = word.upper() if match[0].isupper() else word
        for i, c in enumerate(masked):
            if not c.isalpha():
                yield match.start() + i, match.start() + i + 1, filled_in[i]


def shorten_drawn(text: str) -> Iterator[Edit]:
    """Shorten letters drawn out ("goooood", "stuuupid") to a known word or to two, six signs to three."""
    edits: list[Edit] = []
    for match in _DRAWN_WORD.finditer(text):
        word = match[0]
        runs = list(_RUN.finditer(word))
        if _ROMAN.fullmatch(word) or word.lower() == "www":
            continue
        if len(runs) == 1 and runs[0].end() - runs[0].start() == len(word):
            lengths: tuple[int, ...] = (3,)  # "aaaah" has a body, "hmmm" too; "zzzz" and "KKK" are all run
        else:
            lengths = _lengths(word, runs)
        for run, length in zip(runs, lengths, strict=False):
            begin = match.start() + run.start() + length
            if begin < match.start() + run.end():
                edits.append((begin, match.start() + run.end(), ""))
    edits += [(match.start() + 3, match.end(), "") for match in _SIGN_RUN.finditer(text)]
    yield from sorted(edits)


def _lengths(word: str, runs: list[re.Match[str]]) -> tuple[int, ...]:
    """Choose how long each drawn-out run may stay: what makes a known word, else two."""
    for lengths in itertools.product((2, 1), repeat=min(len(runs), 4)):
        shorter, end = "", 0
        for run, length in itertools.zip_longest(runs, lengths, fillvalue=2):
            assert isinstance(run, re.Match)
            shorter += word[end : run.start()] + run[1] * int(str(length))
            end = run.end()
        if (shorter + word[end:]).lower() in lexicon.words():
            return lengths
    return (2,) * len(runs)


def _latin(c: str) -> bool:
    return "LATIN" in unicodedata.name(c, "")
