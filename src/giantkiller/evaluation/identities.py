"""Which comments mention whom: by the data's own columns, or by a word list where it has none.

A word list is a poor annotator: it misses names, slurs and context. What it found is reported as such.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from giantkiller.attributes import POSITIVE
from giantkiller.errors import UserError

Mask = NDArray[np.bool_]

WORDS = {
    # "black" and "white" are colours more often than people: a few fixed phrases are taken out.
    "male": r"m[ae]n|males?|boys?|guys?|gentlem[ae]n|husbands?|fathers?|brothers?|sons?",
    "female": r"wom[ae]n|females?|girls?|lad(?:y|ies)|wi(?:fe|ves)|mothers?|sisters?|daughters?|feminists?",
    "LGBTQ": (
        r"lgbt\w*|gays?|lesbians?|bisexuals?|homosexual(?:s|ity)?|transgender(?:s|ed)?|trans|transsexuals?"
        r"|queers?|nonbinary|non-binary"
    ),
    "christian": r"christian(?:s|ity)?|catholic(?:s|ism)?|protestants?|evangelicals?|baptists?|mormons?",
    "jewish": r"jew(?:s|ish)?|judaism|hebrews?|zionists?",
    "muslim": r"muslims?|moslems?|islam(?:ic|ists?)?",
    "other_religions": r"hindu(?:s|ism)?|buddhis(?:ts?|m)|sikhs?|atheis(?:ts?|m)|taoists?|pagans?",
    "black": r"blacks?(?! (?:and white|friday|market|box|hole|list|mail|sea|ice))|african[ -]americans?",
    "white": r"(?<!black and )whites?(?! (?:house|papers?|noise|wine|space|water|collar))|caucasians?",
    "asian": r"asians?|chinese|japanese|koreans?|vietnamese|filipinos?",
    "latino": r"latin[oax]s?|hispanics?|mexicans?",
    "disability": r"disabled|disabilit(?:y|ies)|blind|deaf|autis(?:m|tic)|wheelchairs?|paraly[sz]ed",
    "mental_illness": r"mentally ill|mental illness(?:es)?|depression|schizophreni(?:a|cs?)|bipolar",
}
"""Identity to the words that stand for it: regular expressions of whole words, any case."""

WILDS = ("male", "female", "LGBTQ", "christian", "muslim", "other_religions", "black", "white")
"""The eight identities of the WILDS version of Civil Comments (Koh et al. 2021, appendix E.7)."""

COLUMNS = (
    "male", "female", "transgender", "other_gender", "heterosexual", "homosexual_gay_or_lesbian", "bisexual",
    "other_sexual_orientation", "christian", "jewish", "muslim", "hindu", "buddhist", "atheist",
    "other_religion", "black", "white", "asian", "latino", "other_race_or_ethnicity", "physical_disability",
    "intellectual_or_learning_disability", "psychiatric_or_mental_illness", "other_disability", "LGBTQ",
    "other_religions",
)  # fmt: skip
"""Identity columns of the Jigsaw 2019 and WILDS files: fractions of raters who saw the identity mentioned."""

_UNIONS = {
    "LGBTQ": ("transgender", "homosexual_gay_or_lesbian", "bisexual", "other_sexual_orientation"),
    "other_religions": ("jewish", "hindu", "buddhist", "atheist", "other_religion"),
}


@dataclass(frozen=True)
class Identities:
    """Which rows mention which identity.

    Attributes:
        masks: identity to (n,) True where it is mentioned.
        known: (n,) False where nobody was asked; such rows belong to no group and to no background.
        source: "columns" or "word list".
    """

    masks: dict[str, Mask]
    known: Mask
    source: str


def find(texts: Sequence[str], columns: Mapping[str, NDArray[Any]] | None = None) -> Identities:
    """Find identity mentions in the columns where they have some, otherwise by words.

    Args:
        texts: the comments.
        columns: other columns of the file; those named in COLUMNS hold fractions of raters, NaN = not asked.

    Raises:
        UserError: an identity column holds words, or numbers outside [0, 1].
    """
    given = [name for name in COLUMNS if columns is not None and name in columns]
    if not given:
        return Identities(by_words(texts), np.ones(len(texts), dtype=bool), "word list")
    assert columns is not None
    values = {name: _fractions(name, columns[name]) for name in given}
    for union, parts in _UNIONS.items():
        have = [values[part] for part in parts if part in values]
        if union not in values and have:
            values[union] = np.fmax.reduce(have)
    known: Mask = np.asarray(~np.isnan(np.stack(list(values.values()))).all(axis=0))
    return Identities(
        {name: np.nan_to_num(column) >= POSITIVE for name, column in values.items()}, known, "columns"
    )


def _fractions(name: str, column: NDArray[Any]) -> NDArray[np.float64]:
    if np.asarray(column).dtype == object:
        raise UserError(f"the identity column {name!r} holds words: give fractions of raters, or 0 and 1")
    fractions = np.asarray(column, dtype=np.float64)
    low, high = (float(each) for each in (np.nanmin(fractions, initial=0), np.nanmax(fractions, initial=0)))
    if low < 0 or high > 1:
        raise UserError(
            f"the identity column {name!r} reaches from {low:g} to {high:g}: it must lie in 0 to 1"
        )
    return fractions


def by_words(texts: Sequence[str]) -> dict[str, Mask]:
    """Find identity mentions by WORDS."""
    patterns = {name: re.compile(rf"\b(?:{words})\b") for name, words in WORDS.items()}
    # Lower-casing once is half the work of ignoring case thirteen times.
    lowered = [text.lower() for text in texts]
    masks = {
        name: np.fromiter((bool(pattern.search(text)) for text in lowered), dtype=bool, count=len(texts))
        for name, pattern in patterns.items()
    }
    # As in the columns, where WILDS counts Judaism among the other religions.
    masks["other_religions"] |= masks["jewish"]
    return masks


SWAPS = {
    "muslim to christian": {"muslim": "christian", "muslims": "christians", "islam": "christianity"},
    "christian to muslim": {"christian": "muslim", "christians": "muslims", "christianity": "islam"},
    "jewish to christian": {"jewish": "christian", "jews": "christians", "jew": "christian"},
    "black to white": {"black": "white", "blacks": "whites"},
    "white to black": {"white": "black", "whites": "blacks"},
    "gay to straight": {"gay": "straight", "gays": "straights", "homosexual": "heterosexual"},
    "woman to man": {"woman": "man", "women": "men", "female": "male", "girl": "boy", "girls": "boys"},
    "man to woman": {"man": "woman", "men": "women", "male": "female", "boy": "girl", "boys": "girls"},
    "mexican to canadian": {"mexican": "canadian", "mexicans": "canadians", "mexico": "canada"},
}
"""Counterfactual pairs: what is replaced, whole words of any case, and by what."""


def swap(text: str, words: Mapping[str, str]) -> str:
    """Replace whole words, keeping capitals: "Muslims" becomes "Christians", "MUSLIM" "CHRISTIAN"."""

    def other(match: re.Match[str]) -> str:
        found = match.group()
        new = words[found.lower()]
        if found.isupper() and len(found) > 1:
            return new.upper()
        return new.capitalize() if found[0].isupper() else new

    alternatives = "|".join(sorted(map(re.escape, words), key=len, reverse=True))
    return re.sub(rf"\b(?:{alternatives})\b", other, text, flags=re.IGNORECASE)
