"""Which language a comment is in, said only where it can be told.

CLD2 (Apache-2.0, the detector that Chromium used) beat the other libraries that we measured on size, speed
and errors on short comments: `benchmarks/language.py`. What it says counts only for texts with enough
letters, mentions and links left out; everything else is undetermined ("und"), and is scored.
"""

import re
from dataclasses import dataclass

UNDETERMINED = "und"
"""The BCP 47 tag for a language that nobody could tell."""

FEWEST_LETTERS = 20
"""Letters below which a text in Latin script is not told apart."""

_ENGLISH_SHARE = 20  # percent of a text from which on it counts as English, too
_MOST_CHARS = 2000  # of a text that are looked at
_NOISE = re.compile(r"@\w+|https?://\S+|&#?\w+;|#\w+")
_NO_LETTERS = re.compile(r"[\W\d_]+")
_ENOUGH_LETTERS = re.compile(rf"(?:[\W\d_]*[^\W\d_]){{{FEWEST_LETTERS}}}")
_UNREADABLE = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff\ufdd0-\ufdef\ufffe\uffff]")
_SAME = {"iw": "he", "jw": "jv", "in": "id", "mo": "ro"}  # names that CLD2 has kept from long ago
_NO_LANGUAGE = {"un", "sco"}  # unknown; and Scots, which is what it calls much slang


@dataclass(frozen=True, slots=True)
class Detected:
    """Languages by share of the text, largest first; `english` is False only with confidence."""

    languages: tuple[str, ...]
    english: bool


_UNKNOWN = Detected((UNDETERMINED,), True)
_ENGLISH = Detected(("en",), True)

try:
    import pycld2
except ImportError:  # no wheel for this Python or machine: nothing is detected, everything is scored
    pycld2 = None


def available() -> bool:
    """Return whether a detector is installed."""
    return pycld2 is not None


def detect(text: str) -> Detected:
    """Detect the languages of a text."""
    if pycld2 is None:
        return _UNKNOWN
    clean = text[:_MOST_CHARS]
    if "@" in clean or "#" in clean or "&" in clean or "://" in clean:  # what noise has, each in its way
        clean = _NOISE.sub(" ", clean)
    if not clean.isascii() or not clean.isprintable():
        clean = _UNREADABLE.sub(" ", clean)
    if not _ENOUGH_LETTERS.match(clean):
        letters = _NO_LETTERS.sub("", clean)
        if not letters or _mostly_latin(letters):
            return _UNKNOWN
    try:
        reliable, _, details = pycld2.detect(clean)
    except (pycld2.error, ValueError):  # characters that it refuses
        return _UNKNOWN
    if not reliable:
        return _UNKNOWN
    shares = {_SAME.get(tag, tag): share for _, tag, share, _ in details if share}
    told = {tag: share for tag, share in shares.items() if tag not in _NO_LANGUAGE and "-Q" not in tag}
    if not told:
        return _UNKNOWN
    english = told.get("en", 0) >= _ENGLISH_SHARE or next(iter(shares)) not in told
    if english and len(told) == 1 and "en" in told:
        return _ENGLISH
    return Detected(tuple(told), english)


def _mostly_latin(letters: str) -> bool:
    if letters.isascii():
        return True
    # Latin letters with marks end at U+024F, and come again at U+1E00 to U+1EFF.
    latin = sum(c < "\u0250" or "\u1e00" <= c <= "\u1eff" for c in letters)
    return latin * 2 > len(letters)


_TAG = re.compile(r"[A-Za-z]{2,8}(?:[-_][A-Za-z0-9]{1,8}){0,8}")


def is_tag(value: str) -> bool:
    """Return whether a text has the form of a language tag (BCP 47)."""
    return _TAG.fullmatch(value) is not None


def is_english(tag: str) -> bool:
    """Return whether a language tag names English: "en", "en-GB"."""
    return tag[:2].lower() == "en" and (len(tag) == 2 or tag[2] in "-_")
