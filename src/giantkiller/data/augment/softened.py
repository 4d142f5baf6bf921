"""The same comment in softer words: pairs of which the rude one should score higher.

A model that learns to forgive swearing in joy may come to rank a rude comment below its polite rewrite. Words
are replaced one by one, so that nothing else differs (the idea of counterfactual pairs, Kaushik et al. 2020,
"Learning the difference that makes a difference with counterfactually-augmented data").
"""

import re

SOFTER = {
    r"fuck(?:ing|in|ed|ers?|s)?": "",
    r"motherfuck\w*": "person",
    r"bull ?shit": "nonsense",
    r"shit(?:ty|s)?": "stuff",
    r"ass(?:es)?": "self",
    r"(?:ass|dumbass)(?:holes?|es)?": "person",
    r"bitch(?:es|ing)?": "woman",
    r"damn(?:ed)?|hell": "",
    r"crap(?:py)?": "stuff",
    r"dicks?|cunts?|bastards?": "person",
    r"pussy": "coward",
    r"stupid": "not smart",
    r"idiots?|morons?|losers?": "person",
    r"idiotic": "not good",
    r"dumb": "not wise",
    r"suck(?:s|ed)?": "is bad",
    r"piss(?:ed)?": "upset",
    r"retard(?:ed|s)?": "person",
    r"whores?": "woman",
    r"trash|garbage": "bad",
}
"""Patterns of rude words, whatever their case, and what stands in their place."""
FEWEST = 3
"""Words that must be left."""
_RUDE = re.compile(r"\b(?:" + "|".join(f"({each})" for each in SOFTER) + r")\b", re.IGNORECASE)
_SOFT = tuple(SOFTER.values())


def softened(text: str) -> str | None:
    """Return a text with its rude words softened; None if it has none, or too little would be left."""
    soft, count = _RUDE.subn(lambda match: _SOFT[(match.lastindex or 1) - 1], text)
    soft = " ".join(soft.split())
    return soft if count and len(soft.split()) >= FEWEST else None
