import pytest
from dendritic import ledger

from giantkiller.dendrites import DendriteError, Ledger
from giantkiller.dendrites.report import plot


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
