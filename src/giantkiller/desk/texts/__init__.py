"""What pages say, in several languages: English stands in the pages, a catalogue has what it is elsewhere."""

import json
from functools import cache
from pathlib import Path

LANGUAGES = {"en": "English", "de": "Deutsch"}

_FOLDER = Path(__file__).parent


@cache
def catalogue(language: str) -> dict[str, str]:
    """Return a language's texts by the English ones; English itself has but words for names in the code."""
    texts: dict[str, str] = json.loads((_FOLDER / f"{language}.json").read_text(encoding="utf-8"))
    return texts


def translate(language: str, text: str, **values: object) -> str:
    """Return a text in a language, its {names} filled in; the English one where there is no other."""
    found = catalogue(language).get(text, text) if language in LANGUAGES else text
    return found.format(**values) if values else found


def choose(wanted: str, default: str = "en") -> str:
    """Return the first of our languages in an Accept-Language header, or in a language tag."""
    for part in wanted[:200].split(","):
        language = part.split(";")[0].strip()[:2].lower()
        if language in LANGUAGES:
            return language
    return default
