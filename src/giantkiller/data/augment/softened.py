"""The same comment in softer words: pairs of which the rude one should score higher.

A model that learns to forgive swearing in joy may come to rank a rude comment below its polite rewrite. Words
are replaced one by one, whatever they mean there, so that little else differs (the idea of counterfactual
pairs, Kaushik et al. 2020, "Learning the difference that makes a difference with counterfactually-augmented
data").
"""

import re

SOFTER = {
    r"fuck(?:ing|in|ed|ers?|s)?": "",
    r"motherfuckers?": "person",
    r"bull ?shit": "nonsense",
    r"shit(?:ty|s)?": "stuff",
    r"(?:ass|dumbass|asshole)(?:es|s)?": "person",
    r"bitch(?:es|ing)?|whores?": "woman",
    r"damn(?:ed)?|hell": "",
    r"crap(?:py)?": "stuff",
    r"cunts?|bastards?": "person",
    r"idiots?|morons?|losers?": "person",
    r"retard(?:ed|s)?": "person",
    r"stupid": "not smart",
    r"idiotic": "not good",
    r"dumb": "not wise",
    r"piss(?:ed)?": "upset",
}
"""Patterns of rude words, whatever their case, and what stands in their place."""
FEWEST = 3
"""Words that must be left."""
_RUDE = re.compile(r"\b(?:" + "|".join(f"({each})" for each in SOFTER) + r")\b", re.IGNORECASE)
_SOFT = tuple(SOFTER.values())
_AN = re.compile(r"\b([Aa])n (?=person|woman|nonsense|stuff|not )")


def softened(text: str) -> str | None:
    """Return a text with its rude words softened; None if it has none, or too little would be left."""
    soft, count = _RUDE.subn(lambda match: _SOFT[(match.lastindex or 1) - 1], text)
    soft = _AN.sub(r"\1 ", " ".join(soft.split()))
    words = sum(any(letter.isalpha() for letter in word) for word in soft.split())
    return soft if count and words >= FEWEST else None
