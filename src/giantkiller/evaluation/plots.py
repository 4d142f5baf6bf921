"""The pictures of a report: axes labelled, colours safe for colour-blind eyes."""

import io
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from giantkiller.errors import MissingExtraError
from giantkiller.evaluation.curves import Band, Curves, EvenSweep, Histogram
from giantkiller.evaluation.figures import Figure
from giantkiller.evaluation.identity_aucs import KINDS
from giantkiller.evaluation.metrics import ThresholdFigures
from giantkiller.evaluation.reliability import ReliabilityBin
from giantkiller.evaluation.report import AttributeReport, Report
from giantkiller.evaluation.suites import BarChart
from giantkiller.policy import ACTIONS

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure as Picture

# Okabe and Ito 2008.
BLUE, ORANGE, GREEN, RED, GREY = "#0072B2", "#E69F00", "#009E73", "#D55E00", "#666666"
WIDTH = 4.4
"""Inches: at a phone's width letters of 10 points stay readable."""
DPI = 160


def draw(report: Report) -> dict[str, tuple[bytes, str]]:
    """Draw every picture that a report has the figures for.

    Returns:
        File name to PNG and a description in words, in the order in which a reader wants them.

    Raises:
        MissingExtraError: matplotlib is not installed.
    """
    try:
        import matplotlib
    except ImportError as error:
        raise MissingExtraError("matplotlib", "judge") from error
    style: dict[Any, Any] = {
        "font.size": 10,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "legend.frameon": False,
    }
    pictures: dict[str, tuple[bytes, str]] = {}
    with matplotlib.rc_context(style):
        for attribute, block in report.attributes.items():
            pictures |= _draw_attribute(attribute, block, report)
        if report.bias and any(cell.subgroup_auc for cell in report.bias.jigsaw.identities.values()):
            pictures["fairness.png"] = _fairness(report), "Bias AUCs by identity, with 95 % intervals"
        for suite in report.suites.values():
            for chart in suite.charts():
                pictures[f"{chart.name}.png"] = _bars(chart), chart.caption
    return pictures


def _draw_attribute(attribute: str, block: AttributeReport, report: Report) -> dict[str, tuple[bytes, str]]:
    if block.curves is None or block.sweep is None or block.histogram is None:
        return {}
    short = "" if attribute == "toxicity" else f"-{attribute}"
    named = f"{attribute}, {block.rows:,} rows, {block.positives:,} positive"
    pictures = {
        f"roc{short}.png": (_roc(block, block.curves), f"ROC curve with 95 % band: {named}"),
        f"pr{short}.png": (_pr(block, block.curves), f"Precision-recall curve with 95 % band: {named}"),
    }
    if attribute == "toxicity":
        steps = report.policy.thresholds.get("toxicity", {}) if report.policy else {}
        label, at = block.decided_at
        pictures |= {
            "thresholds.png": (_sweep(block.sweep, steps), "Precision, recall and F1 at every threshold"),
            "reliability.png": (
                _reliability(block.reliability, block.ece),
                "Reliability diagram: share toxic by score",
            ),
            "histogram.png": (_histogram(block.histogram), "Histogram of scores by class"),
            "confusion.png": (_confusion(at), f"Confusion matrix at {at.threshold:.3f} ({label})"),
        }
    return pictures


def _axes(height: float = 3.4, width: float = WIDTH) -> tuple["Picture", "Axes"]:
    from matplotlib.figure import Figure as Picture

    figure = Picture(figsize=(width, height), layout="constrained")
    return figure, figure.add_subplot()


def _png(figure: "Picture") -> bytes:
    stored = io.BytesIO()
    # No software version and no date inside: the same report gives the same bytes.
    figure.savefig(stored, format="png", dpi=DPI, metadata={"Software": None})
    return stored.getvalue()


def _reach(figures: Sequence[Figure]) -> NDArray[np.float64]:
    """Return how far the intervals reach below and above their values, (2, n); 0 without an interval."""
    reach = np.array([(figure.value - figure.low, figure.high - figure.value) for figure in figures])
    return np.asarray(np.maximum(np.nan_to_num(reach.reshape(-1, 2).T), 0))


def _curve(axes: "Axes", grid: NDArray[np.float64], curve: Band, colour: str, label: str) -> None:
    axes.plot(grid, curve.value, color=colour, label=label)
    axes.fill_between(grid, curve.low, curve.high, color=colour, alpha=0.2, linewidth=0, label="95 %")


def _unit(axes: "Axes", x: str, y: str) -> None:
    axes.set(xlabel=x, ylabel=y, xlim=(0, 1), ylim=(0, 1.02))
    axes.grid(alpha=0.25)


def _roc(block: AttributeReport, curves: Curves) -> bytes:
    figure, axes = _axes()
    _curve(axes, curves.grid, curves.roc, BLUE, f"AUC {block.roc_auc.value:.3f}")
    axes.plot([0, 1], [0, 1], color=GREY, linestyle=":", label="by chance")
    _unit(axes, "false-positive rate", "recall")
    axes.legend(loc="lower right")
    return _png(figure)


def _pr(block: AttributeReport, curves: Curves) -> bytes:
    figure, axes = _axes()
    label = f"average precision {block.average_precision.value:.3f}"
    _curve(axes, curves.grid, curves.pr, BLUE, label)
    rate = block.positives / block.rows
    axes.axhline(rate, color=GREY, linestyle=":", label=f"by chance ({rate:.1%} positive)")
    _unit(axes, "recall", "precision")
    axes.legend(loc="best")
    return _png(figure)


def _sweep(sweep: EvenSweep, steps: Mapping[str, float]) -> bytes:
    figure, axes = _axes()
    for values, name, colour, dash in (
        (sweep.precision, "precision", BLUE, "-"),
        (sweep.recall, "recall", ORANGE, "--"),
        (sweep.f1, "f1", GREEN, "-."),
    ):
        axes.plot(sweep.threshold, values, color=colour, linestyle=dash, label=name)
    names = [ACTIONS[0], *(action for action in ACTIONS[1:] if action in steps)]
    edges = [0.0, *(steps[action] for action in names[1:]), 1.0]
    if steps:
        for index, name in enumerate(names):
            begin, end = edges[index], edges[index + 1]
            axes.axvspan(begin, end, color=GREY, alpha=0.07 * index, linewidth=0)
            if end - begin > 0.08:
                axes.text((begin + end) / 2, 1.03, name, ha="center", fontsize=8)
    _unit(axes, "threshold", "share")
    axes.legend(loc="lower center", ncols=3, fontsize=8)
    return _png(figure)


def _reliability(bins: Sequence[ReliabilityBin], ece: Figure) -> bytes:
    figure, axes = _axes()
    rates = [each.rate for each in bins]
    axes.plot([0, 1], [0, 1], color=GREY, linestyle=":", label="as it should be")
    axes.errorbar(
        [each.score for each in bins], [rate.value for rate in rates], yerr=_reach(rates), color=BLUE,
        marker="o", markersize=4, capsize=2, label=f"ECE {ece.value:.3f}",
    )  # fmt: skip
    _unit(axes, "mean score", "share positive")
    axes.legend(loc="upper left")
    return _png(figure)


def _histogram(counts: Histogram) -> bytes:
    figure, axes = _axes()
    edges = np.linspace(0, 1, len(counts.positive) + 1)
    axes.stairs(counts.negative, edges, color=BLUE, fill=True, alpha=0.35, label="other")
    axes.stairs(counts.positive, edges, color=RED, linewidth=1.5, label="positive")
    axes.set(xlabel="score", ylabel="comments (log scale)", yscale="log", xlim=(0, 1))
    axes.legend(loc="upper right")
    return _png(figure)


def _confusion(at: ThresholdFigures) -> bytes:
    figure, axes = _axes(height=3.0)
    cells = ((at.tn, at.fp), (at.fn, at.tp))
    table = np.array([[cell.value for cell in row] for row in cells])
    share = table / table.sum(axis=1, keepdims=True)
    axes.imshow(share, cmap="Blues", vmin=0, vmax=1, aspect="auto")
    for row in range(2):
        for column in range(2):
            cell = cells[row][column]
            text = f"{cell.value:,.0f}"
            if not np.isnan(cell.low):
                text += f"\n[{cell.low:,.0f}, {cell.high:,.0f}]"
            dark = share[row, column] > 0.55
            axes.text(column, row, text, ha="center", va="center", color="white" if dark else "black")
    axes.set(xticks=[0, 1], yticks=[0, 1], xlabel=f"called, at {at.threshold:.3f}", ylabel="labelled")
    axes.set_xticklabels(["other", "toxic"])
    axes.set_yticklabels(["other", "toxic"])
    axes.spines[:].set_visible(False)
    return _png(figure)


def _fairness(report: Report) -> bytes:
    identities = report.bias.jigsaw.identities if report.bias else {}
    cells = {name: each for name, each in identities.items() if each.subgroup_auc}
    table = [[getattr(each, kind) for kind in KINDS] for each in cells.values()]
    figure, axes = _axes(height=0.9 + 0.42 * len(cells))
    values = np.array([[cell.value for cell in row] for row in table])
    picture = axes.imshow(values, cmap="cividis", vmin=0.5, vmax=1, aspect="auto")
    for row, line in enumerate(table):
        for column, cell in enumerate(line):
            text = f"{cell.value:.2f}"
            if not np.isnan(cell.low):
                text += f"\n{cell.low:.2f} to {cell.high:.2f}"
            colour = "black" if cell.value > 0.78 else "white"
            axes.text(column, row, text, ha="center", va="center", fontsize=7, color=colour)
    axes.set_xticks(range(3), ["subgroup", "BPSN", "BNSP"])
    axes.set_yticks(
        range(len(cells)), [f"{name}\n({each.rows:,})" for name, each in cells.items()], fontsize=8
    )
    axes.set(xlabel="AUC", ylabel="identity (comments)")
    figure.colorbar(picture, ax=axes, label="AUC")
    return _png(figure)


def _bars(chart: BarChart) -> bytes:
    """Draw horizontal bars: series that share a label stand beneath each other, others in one line."""
    together = any(
        sum(series.figures[row] is not None for series in chart.series) > 1
        for row in range(len(chart.labels))
    )
    height = 0.8 / (len(chart.series) if together else 1)
    figure, axes = _axes(height=0.9 + (0.34 if together else 0.24) * len(chart.labels))
    line = np.arange(len(chart.labels))[::-1].astype(np.float64)
    for index, series in enumerate(chart.series):
        kept = [row for row, cell in enumerate(series.figures) if cell is not None]
        cells = [cell for cell in series.figures if cell is not None]
        shift = (0.4 - height * (index + 0.5)) if together else 0.0
        axes.barh(
            line[kept] + shift, [cell.value for cell in cells], height=0.94 * height, xerr=_reach(cells),
            color=(RED, BLUE)[index % 2], alpha=0.8, error_kw={"elinewidth": 0.8}, label=series.name,
        )  # fmt: skip
    axes.set_yticks(line, chart.labels, fontsize=8)
    axes.set(xlabel=chart.axis, xlim=(0, 1))
    axes.grid(axis="x", alpha=0.25)
    figure.legend(loc="outside upper center", ncols=2, fontsize=8)
    return _png(figure)
