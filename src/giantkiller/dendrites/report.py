"""A plot of a growth."""

from pathlib import Path
from typing import Any

from giantkiller.dendrites.exceptions import DendriteError
from giantkiller.dendrites.ledger import Attempt, Ledger


def plot(ledger: Ledger, path: Path) -> None:
    """Plot the score over time and |S| by layer.

    Phases are shaded in turn; a filled dot is an attempt that was kept, a cross one that was undone.
    The second panel is drawn if the rule measured |S|.

    Args:
        ledger: The ledger of a growth with at least one attempt.
        path: The image file; its suffix decides the format.

    Raises:
        DendriteError: If there is nothing to plot, matplotlib is missing, or it does not know the format.
    """
    if not ledger.attempts:
        raise DendriteError("the ledger has no finished attempt yet: nothing to draw")
    try:
        from matplotlib.figure import Figure
    except ImportError:
        raise DendriteError("drawing needs matplotlib: pip install matplotlib") from None
    measured = [attempt for attempt in ledger.attempts if attempt.correlations]
    figure = Figure(figsize=(9, 7 if measured else 4), layout="constrained")
    axes = figure.subplots(2 if measured else 1, 1, squeeze=False)[:, 0]
    _draw_scores(axes[0], ledger)
    if measured:
        _draw_correlations(axes[1], measured)
    try:
        figure.savefig(path)
    except ValueError as error:
        raise DendriteError(f"cannot draw {path}: {error}") from None


def _draw_scores(axes: Any, ledger: Ledger) -> None:
    began = 0.0
    for attempt in ledger.attempts:
        ended = began + attempt.seconds
        axes.axvspan(began, ended, color="0.93" if attempt.number % 2 else "1.0", zorder=0)
        axes.text(
            (began + ended) / 2, 1.01, str(attempt.number), transform=axes.get_xaxis_transform(), ha="center"
        )
        curve = [(began + attempt.grow_seconds + seconds, score) for seconds, score in attempt.curve]
        if curve:
            axes.plot(*zip(*curve, strict=True), color="tab:blue", linewidth=1)
        marker = (
            {"marker": "o", "color": "tab:green"} if attempt.kept else {"marker": "x", "color": "tab:red"}
        )
        axes.scatter([ended], [attempt.score], zorder=3, **marker)
        began = ended
    axes.set_xlabel("seconds")
    axes.set_ylabel("score (filled: kept, cross: undone)")


def _draw_correlations(axes: Any, measured: list[Attempt]) -> None:
    names = list(dict.fromkeys(name for attempt in measured for name in attempt.correlations))
    for name in names:
        points = [(a.number, a.correlations[name]) for a in measured if name in a.correlations]
        axes.plot(*zip(*points, strict=True), marker=".", label=name)
    axes.set_xticks([attempt.number for attempt in measured])
    axes.set_xlabel("attempt")
    axes.set_ylabel("mean |S| of the layer")
    axes.legend(fontsize="x-small", ncols=2)
