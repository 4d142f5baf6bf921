"""Digits and signs that stand for letters. Everything that looks for leetspeak is derived from this table."""

import re

LEET = {
    "0": "o", "1": "il", "3": "e", "4": "a", "5": "s", "6": "g", "7": "t", "8": "b", "9": "g",
    "@": "a", "$": "s", "!": "il", "|": "il", "+": "t", "£": "l",
}  # fmt: skip
"""A sign and the letters that it may be read as; each of several is tried."""

CURRENCY = "$£"
"""Signs that are money before a number."""

MASKS = "*#%"
"""What letters are masked with."""

SIGNS = re.escape("".join(LEET))
"""The signs of `LEET`, for a character class."""
