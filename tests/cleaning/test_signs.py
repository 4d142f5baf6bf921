import subprocess
import sys

import pytest

from giantkiller.cleaning import clean_text
from giantkiller.cleaning.signs import LEET

# A word for each sign, disguised with it once.
WORDS = {
    "0": "idi0t", "1": "1diot", "3": "los3r", "4": "b4stard", "5": "5tupid", "6": "fa6got", "7": "idio7",
    "8": "8astard", "9": "fag9ot", "@": "b@stard", "$": "lo$er", "!": "id!ot", "|": "id|ot", "+": "s+upid",
    "£": "£oser",
}  # fmt: skip


def test_every_sign_of_the_table_has_a_word():
    assert WORDS.keys() == LEET.keys()


@pytest.mark.parametrize("sign", [*LEET])
def test_every_sign_of_the_table_is_read(sign):
    word = WORDS[sign]
    plain = [word.replace(sign, letter) for letter in LEET[sign]]
    assert clean_text(f"you {word}") in [f"you {each}" for each in plain]


def test_a_new_sign_is_read_wherever_it_stands():
    """One line in the table is all that it takes."""
    program = """
import importlib
import giantkiller.cleaning as cleaning
from giantkiller.cleaning import disguises, signs
before = cleaning.clean_text("you st\u20acal")
signs.LEET["\u20ac"] = "e"
for module in (signs, disguises, cleaning):
    if module is not signs:
        importlib.reload(module)
    else:
        signs.SIGNS = signs.re.escape("".join(signs.LEET))
for text in ("you st\u20acal", "los\u20acr", "l o s \u20ac r", "you st\u20acal and 1d10t"):
    print(cleaning.clean_text(text))
assert before == "you st\u20acal"
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == ["you steal", "loser", "loser", "you steal and idiot"]
