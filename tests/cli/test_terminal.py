import pytest

from giantkiller.cli.terminal import printable, shorten, table


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("ordinary é 漢字 😀", "ordinary é 漢字 😀"),
        ("a\nb\x1b[2J\x07", r"a\nb\x1b[2J\x07"),
        ("\u202egnp.exe\u200b", r"\u202egnp.exe\u200b"),
        ("\ud800", r"\ud800"),
    ],
)
def test_what_a_terminal_would_obey_is_escaped(text, shown):
    assert printable(text) == shown


def test_texts_are_cut_to_cells():
    assert shorten("short", 10) == "short"
    assert shorten("x" * 10, 10) == "x" * 10
    assert shorten("x" * 11, 10) == "x" * 9 + "…"
    assert shorten("x" * 10_000, 10) == "x" * 9 + "…"
    assert shorten("漢" * 5, 10) == "漢" * 5
    assert shorten("漢" * 6, 10) == "漢" * 4 + "…"
    assert shorten("漢" * 6, 10, pad=True) == "漢" * 4 + "… "
    assert shorten("\x1b" * 4, 10) == r"\x1b\x1b\…"
    assert shorten("ab", 4, pad=True) == "ab  "


def test_a_table_aligns_and_escapes():
    laid = table([["a\x1b", "1.5"], ["long name", "10"]], ["model", "ms"])
    assert laid.splitlines() == [
        "model       ms",
        r"a\x1b      1.5",
        "long name   10",
    ]
    assert table([["1", "x"]], left=(1,)) == "1  x"
