"""The catalogues: whatever pages say is there in every language."""

import ast
import re
import string
from pathlib import Path

import pytest

import giantkiller.desk
from giantkiller.attributes import ATTRIBUTES
from giantkiller.desk import figures, rules, views_lead, yearly
from giantkiller.desk.config import BOUNDS
from giantkiller.desk.errors import DeskError
from giantkiller.desk.policies import STATES
from giantkiller.desk.staff import ROLES
from giantkiller.desk.texts import LANGUAGES, catalogue, choose, translate
from giantkiller.policy import ACTIONS

ROOM = Path(giantkiller.desk.__file__).parent


def said():
    for path in (ROOM / "pages").glob("*.html"):
        for found in re.finditer(r"""_\((["'])(.+?)\1[,)]""", path.read_text("utf-8")):
            yield found[2]
    account = (ROOM / "views_account.py").read_text("utf-8")
    yield from re.findall(
        r"""(?:_me|_sign_in_form)\(visit, \d+, "([^"]+)"|DeskError\("([A-Z][^"]+)""", account
    )


def refused():
    """What the desk answers to what it refuses, where that is the same each time."""
    names = {kind.__name__ for kind in (DeskError, *DeskError.__subclasses__())}
    for path in ROOM.glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") in names:
                said = node.args[0]
                if isinstance(said, ast.Constant):
                    yield said.value


COLUMNS = """
    age waiting came decided attribute action allowed removed overturned rule open upheld reversed group pairs
    agreed alpha person decisions median_seconds right wrong index mean mean_before
"""
TEXTS = sorted({text if isinstance(text, str) else "".join(text) for text in said()})
NAMES = {
    *ATTRIBUTES,
    *ACTIONS,
    *STATES.values(),
    *ROLES,
    *BOUNDS,
    *views_lead.TITLES.values(),
    "approved",
    *COLUMNS.split(),
    *figures.AGES,
    *refused(),
} | {
    *yearly.LABELS.values(),
    *yearly.SECTIONS,
    *yearly.BY_HAND,
}


@pytest.mark.parametrize("language", sorted(set(LANGUAGES) - {"en"}))
def test_every_text_is_translated_with_its_places(language):
    texts = catalogue(language)
    wanted = {*TEXTS, *NAMES, *(r.title for r in rules.DEFAULT), *(r.text for r in rules.DEFAULT)}
    assert len(TEXTS) > 150
    assert sorted(wanted - set(texts)) == []
    for english, other in texts.items():
        places = [{name for _, name, _, _ in string.Formatter().parse(t) if name} for t in (english, other)]
        assert places[0] == places[1], english


def test_names_in_the_code_have_english_words():
    assert {name for name in {*ATTRIBUTES, *BOUNDS} if "_" in name} <= set(catalogue("en"))


def test_a_language_is_chosen():
    assert choose("fr-FR,de-DE;q=0.8,en;q=0.5") == "de"
    assert choose("") == choose("tlh" * 100) == "en"
    assert translate("xx", "Save") == "Save"
    assert translate("de", "version {n}", n="{0}") == "Fassung {0}"
    assert translate("de", "A text of people's {own}") == "A text of people's {own}"
