"""Write src/tables.js: what the browser needs to know of the Python sources, so that the two cannot drift.

    python web/generate.py

Words, look-alike letters, signs and every regular expression of the cleaning rooms come from their modules.
Sets of characters come from Python's Unicode database (letters called Latin) and from asking the `tokenizers`
package about every character, because its tables are older than a browser's.
"""

import inspect
import json
import re
import sys
import unicodedata
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

from tokenizers import normalizers, pre_tokenizers

from giantkiller import attributes, cleaning, explain, policy
from giantkiller.cleaning import disguises, glyphs, lexicon, signs, spelling
from giantkiller.files import columns

if sys.version_info >= (3, 11):
    from re import _parser as parser
else:
    import sre_parse as parser

TABLES = Path(__file__).parent / "src" / "tables.js"
SCALARS = [chr(code) for code in range(sys.maxunicode + 1) if not 0xD800 <= code < 0xE000]
BLOCKS = ["".join(SCALARS[start : start + 256]) for start in range(0, len(SCALARS), 256)]

# What the classes of Python's `re` mean, as the inside of a character class with the flag `u`.
_SPACE = r"\t-\r\x1c-\x20\x85\xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000"
_CLASSES = {
    "CATEGORY_SPACE": ("", _SPACE),
    "CATEGORY_NOT_SPACE": ("^", _SPACE),
    "CATEGORY_WORD": ("", r"\p{L}\p{N}_"),
    "CATEGORY_NOT_WORD": ("^", r"\p{L}\p{N}_"),
    "CATEGORY_DIGIT": ("", r"\p{Nd}"),
    "CATEGORY_NOT_DIGIT": ("^", r"\p{Nd}"),
}


def tables() -> dict[str, Any]:
    """Collect the tables, by their names in JavaScript."""
    known = list(lexicon.words())
    assert lexicon.common() == set(known[:2000])
    return {
        "ATTRIBUTES": attributes.ATTRIBUTES,
        "DEFINITIONS": attributes.DEFINITIONS,
        "ACTIONS": policy.ACTIONS,
        "TEXT_COLUMNS": columns.TEXT_NAMES,
        "MAX_CHARS": cleaning.MAX_CHARS,
        "LONGEST_WORD": inspect.signature(lexicon.split).parameters["longest"].default,
        "COMMON": 2000,
        "DISGUISED_WORDS": " ".join(lexicon.disguised_words()),
        "WORDS": " ".join(known),
        "SPARED": " ".join(sorted(lexicon.spared())),
        "FUNCTION": spelling._FUNCTION_TEXT,
        "CONTRACTED": spelling._CONTRACTED_TEXT,
        "UNCONTRACTED": spelling._UNCONTRACTED_TEXT,
        "RATHER": spelling._COMMON,
        "SHORT": spelling._SHORT_TEXT,
        "ENDINGS": spelling._ENDINGS_TEXT,
        "SHORTEST_RUN": spelling._SHORTEST_RUN,
        "READINGS": signs.LEET,
        "CURRENCY": signs.CURRENCY,
        "LOOK_ALIKES": glyphs.LOOK_ALIKES,
        "BADGES": glyphs.BADGES,
        "ACUTE": glyphs._ACUTE,
        "ALONE": "".join(sorted(glyphs._ALONE)),
        "LATIN": ranges(c for c in SCALARS if "LATIN" in unicodedata.name(c, "")),
        "MASKS": translate(re.compile(f"[{signs.MASKS}]")),
        "PATTERNS": {
            f"{room}.{name}": translate(pattern)
            for room, module in (
                ("cleaning", cleaning), ("glyphs", glyphs), ("disguises", disguises),
                ("spelling", spelling),
                ("explain", sys.modules["giantkiller.explain"]),
            )
            for name, pattern in patterns(module)
        },
        "BERT": bert(),
    }  # fmt: skip


def patterns(module: ModuleType) -> list[tuple[str, re.Pattern[str]]]:
    """Return a module's regular expressions by name."""
    return [(name, value) for name, value in vars(module).items() if isinstance(value, re.Pattern)]


def bert() -> dict[str, str]:
    """Ask the tokenizers package what it does with each character; return sets as insides of classes."""

    def changed(**on: bool) -> list[tuple[str, str]]:
        off = {"clean_text": False, "handle_chinese_chars": False, "strip_accents": False, "lowercase": False}
        return list(_changed(normalizers.BertNormalizer(**{**off, **on}).normalize_str))

    clean = changed(clean_text=True)
    cut = pre_tokenizers.BertPreTokenizer().pre_tokenize_str
    cutting = [c for block in BLOCKS if len(cut("a".join(["", *block, ""]))) > 1 for c in block]
    return {
        "removed": ranges(c for c, done in clean if done == ""),
        "blank": ranges(sorted([" ", *(c for c, done in clean if done == " ")])),
        "ideograph": ranges(c for c, _ in changed(handle_chinese_chars=True)),
        "mark": ranges(c for c, done in changed(strip_accents=True) if done == ""),
        "punctuation": ranges(c for c in cutting if len(cut(f"a{c}b")) == 3),
    }


def _changed(normalize: Callable[[str], str]) -> Iterator[tuple[str, str]]:
    """Yield each character that changes and what it becomes, by blocks: a million calls take seconds."""
    for block in BLOCKS:
        if normalize(block) != block:  # a bar stays as it is, and parts the others
            parts = map(normalize, block) if "|" in block else normalize("|".join(block)).split("|")
            yield from ((c, done) for c, done in zip(block, parts, strict=True) if done != c)


def ranges(characters: Iterable[str]) -> str:
    """Write a set of characters, in order, as the inside of a character class."""
    runs: list[list[int]] = []
    for code in map(ord, characters):
        if runs and runs[-1][1] == code - 1:
            runs[-1][1] = code
        else:
            runs.append([code, code])
    return "".join(_range(first, last) for first, last in runs)


def translate(pattern: re.Pattern[str]) -> str:
    """Write a regular expression of Python as the source of one of JavaScript that has the flag `u`."""
    assert pattern.flags == re.UNICODE, pattern
    return _sequence(parser.parse(pattern.pattern))


def _sequence(parsed: Any) -> str:
    return "".join(_part(str(operation), value) for operation, value in parsed)


def _part(operation: str, value: Any) -> str:
    if operation == "LITERAL":
        return _character(value)
    if operation == "NOT_LITERAL":
        return f"[^{_character(value)}]"
    if operation == "ANY":
        return r"[^\n]"
    if operation == "IN":
        return _class(value)
    if operation == "BRANCH":
        return f"(?:{'|'.join(map(_sequence, value[1]))})"
    if operation == "SUBPATTERN":
        group, on, off, inside = value
        if on or off:
            raise NotImplementedError("flags inside a regular expression")
        return f"({'' if group else '?:'}{_sequence(inside)})"
    if operation in ("ASSERT", "ASSERT_NOT"):
        direction, inside = value
        return f"(?{'<' if direction < 0 else ''}{'=' if operation == 'ASSERT' else '!'}{_sequence(inside)})"
    if operation == "GROUPREF":
        return rf"(?:\{value})"
    if operation in ("MAX_REPEAT", "MIN_REPEAT"):
        least, most, inside = value
        upper = "" if most == parser.MAXREPEAT else int(most)
        return f"(?:{_sequence(inside)}){{{least},{upper}}}{'?' if operation == 'MIN_REPEAT' else ''}"
    raise NotImplementedError(f"{operation} of a regular expression")


def _class(items: Any) -> str:
    negated, parts, excluded = "", [], []
    for operation, value in items:
        name = str(operation)
        if name == "NEGATE":
            negated = "^"
        elif name == "LITERAL":
            parts.append(_character(value))
        elif name == "RANGE":
            parts.append(_range(*value))
        elif name == "CATEGORY":
            minus, inside = _CLASSES[str(value)]
            (excluded if minus else parts).append(inside)
        else:
            raise NotImplementedError(f"{name} in a class of a regular expression")
    if excluded:
        if negated or parts or len(excluded) > 1:
            raise NotImplementedError("a class that is left out, beside others, in a regular expression")
        return f"[^{excluded[0]}]"
    return f"[{negated}{''.join(parts)}]"


def _range(first: int, last: int) -> str:
    return _character(first) if first == last else f"{_character(first)}-{_character(last)}"


def _character(code: int) -> str:
    c = chr(code)
    if (c.isascii() and c.isalnum()) or c == "_":
        return c
    return rf"\x{code:02x}" if code < 0x100 else rf"\u{code:04x}" if code < 0x10000 else rf"\u{{{code:x}}}"


def render() -> str:
    """Return the text of tables.js."""
    head = (
        "// Written by web/generate.py out of the Python sources: change those, not this.\n"
        f"// Unicode {unicodedata.unidata_version} where Python's database is asked.\n"
    )
    return head + "".join(
        f"export const {name} = {json.dumps(value, indent=1 if isinstance(value, dict) else None)};\n"
        for name, value in tables().items()
    )


if __name__ == "__main__":
    assert explain  # the module of that name is asked for its pattern, the package only knows the function
    TABLES.write_text(render(), encoding="ascii")
