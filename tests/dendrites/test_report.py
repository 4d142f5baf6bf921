import pytest

from giantkiller.dendrites import Attempt, DendriteError, Ledger
from giantkiller.dendrites.report import plot


def ledger():
    first = Attempt(0, {}, None, 0.5, True, 100, 0, 0.0, 2.0, curve=[(1.0, 0.4), (2.0, 0.5)])
    kept = Attempt(
        1, {"a": 1, "b": 1}, 0.5, 0.625, True, 140, 40, 1.0, 2.0, {"a": 0.25, "b": 0.5}, [(1.5, 0.6)]
    )
    lost = Attempt(2, {"a": 2, "b": 2}, 0.625, 0.5, False, 180, 80, 1.0, 2.5, {"a": 0.1, "b": 0.2})
    return Ledger({"rule": "some"}, [first, kept, lost], "1 attempts in a row did not add 0 to the score")


@pytest.mark.parametrize("suffix", ["png", "svg"])
def test_the_plot_is_drawn(tmp_path, suffix):
    pytest.importorskip("matplotlib")
    path = tmp_path / f"growth.{suffix}"
    plot(ledger(), path)
    drawn = path.read_bytes()
    assert drawn.startswith(b"\x89PNG" if suffix == "png" else b"<?xml")
    if suffix == "svg":
        record = ledger()
        plot(Ledger({}, record.attempts[:1]), path)
        assert len(path.read_bytes()) < len(drawn), "without |S| there is one panel"


def test_bad_plots_are_said_in_a_sentence(tmp_path):
    with pytest.raises(DendriteError, match="no finished attempt"):
        plot(Ledger(), tmp_path / "growth.png")
    with pytest.raises(DendriteError, match="cannot draw"):
        plot(ledger(), tmp_path / "growth.docx")
