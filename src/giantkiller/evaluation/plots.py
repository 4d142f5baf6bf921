"""The pictures of a report, drawn from report.json: axes labelled, colours safe for colour-blind eyes."""

import io
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from giantkiller.errors import MissingExtraError

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Okabe and Ito 2008.
BLUE, ORANGE, GREEN, RED, PURPLE, SKY, GREY = (
    "#0072B2", "#E69F00", "#009E73", "#D55E00", "#CC79A7", "#56B4E9", "#666666",
)  # fmt: skip
WIDTH = 4.4
"""Inches: at a phone's width letters of 10 points stay readable."""
DPI = 160


def draw(report: Mapping[str, Any]) -> dict[str, tuple[bytes, str]]:
    """Draw every picture that a report has the figures for.

    Args:
        report: what `assess` gives, with what the caller added (`suites`, `training`).

    Returns:
        file name to PNG and a description in words, in the order in which a reader wants them.

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
        for attribute, block in report["attributes"].items():
            short = "" if attribute == "toxicity" else f"-{attribute}"
            named = f"{attribute}, {block['rows']:,} rows, {block['positives']:,} positive"
            pictures[f"roc{short}.png"] = _roc(block), f"ROC curve with 95 % band: {named}"
            pictures[f"pr{short}.png"] = _pr(block), f"Precision-recall curve with 95 % band: {named}"
            if attribute != "toxicity":
                continue
            lines = report.get("policy", {}).get("thresholds", {}).get("toxicity", {})
            pictures["thresholds.png"] = _sweep(block, lines), "Precision, recall and F1 at every threshold"
            pictures["reliability.png"] = _reliability(block), "Reliability diagram: share toxic by score"
            pictures["histogram.png"] = _histogram(block), "Histogram of scores by class"
            label, at = deciding(block)
            pictures["confusion.png"] = _confusion(at), f"Confusion matrix at {at['threshold']:.3f} ({label})"
        if any("subgroup_auc" in each for each in _identities(report).values()):
            pictures["fairness.png"] = _fairness(report), "Bias AUCs by identity, with 95 % intervals"
        views = report.get("suites", {}).get("hatecheck", {}).get("by", {})
        for attribute, view in views.items():
            short = "" if attribute == "toxicity" else f"-{attribute}"
            words = f"HateCheck: share of cases passed by {attribute}, for each functionality"
            pictures[f"hatecheck{short}.png"] = _hatecheck(view), words
        attacks = report.get("suites", {}).get("spelling-attacks", {}).get("attacks")
        if attacks:
            pictures["attacks.png"] = _attacks(attacks), "Recall and false alarms under spelling attacks"
        if report.get("training", {}).get("log"):
            pictures["training.png"] = _training(report["training"]), "Validation score while training"
    return pictures


def deciding(block: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
    """Give name and figures of the threshold that decides: the model's or the validation's, else 0.5."""
    named: list[tuple[str, dict[str, Any]]] = list(block["at"].items())
    return named[min(1, len(named) - 1)]


def _axes(height: float = 3.4, width: float = WIDTH) -> tuple["Figure", "Axes"]:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained")
    return figure, figure.add_subplot()


def _png(figure: "Figure") -> bytes:
    stored = io.BytesIO()
    # No software version and no date inside: the same report gives the same bytes.
    figure.savefig(stored, format="png", dpi=DPI, metadata={"Software": None})
    return stored.getvalue()


def _identities(report: Mapping[str, Any]) -> dict[str, Any]:
    return dict(report.get("bias", {}).get("jigsaw", {}).get("identities", {}))


def _numbers(values: Any) -> "np.ndarray[Any, np.dtype[np.float64]]":
    return np.array([np.nan if value is None else value for value in values], dtype=np.float64)


def _curve(axes: "Axes", grid: Any, curve: Mapping[str, Any], colour: str, label: str) -> None:
    axes.plot(grid, _numbers(curve["value"]), color=colour, label=label)
    axes.fill_between(
        grid,
        _numbers(curve["low"]),
        _numbers(curve["high"]),
        color=colour,
        alpha=0.2,
        linewidth=0,
        label="95 %",
    )


def _unit(axes: "Axes", x: str, y: str) -> None:
    axes.set(xlabel=x, ylabel=y, xlim=(0, 1), ylim=(0, 1.02))
    axes.grid(alpha=0.25)


def _roc(block: Mapping[str, Any]) -> bytes:
    figure, axes = _axes()
    curves = block["curves"]
    _curve(axes, curves["grid"], curves["roc"], BLUE, f"AUC {block['roc_auc']['value']:.3f}")
    axes.plot([0, 1], [0, 1], color=GREY, linestyle=":", label="by chance")
    _unit(axes, "false-positive rate", "recall")
    axes.legend(loc="lower right")
    return _png(figure)


def _pr(block: Mapping[str, Any]) -> bytes:
    figure, axes = _axes()
    curves = block["curves"]
    precision = block["average_precision"]["value"]
    _curve(axes, curves["grid"], curves["pr"], BLUE, f"average precision {precision:.3f}")
    rate = block["positives"] / block["rows"]
    axes.axhline(rate, color=GREY, linestyle=":", label=f"by chance ({rate:.1%} positive)")
    _unit(axes, "recall", "precision")
    axes.legend(loc="best")
    return _png(figure)


def _sweep(block: Mapping[str, Any], lines: Mapping[str, float]) -> bytes:
    figure, axes = _axes()
    sweep = block["sweep"]
    for name, colour, dash in (("precision", BLUE, "-"), ("recall", ORANGE, "--"), ("f1", GREEN, "-.")):
        axes.plot(sweep["threshold"], _numbers(sweep[name]), color=colour, linestyle=dash, label=name)
    cuts = [0.0] + [lines[name] for name in ("monitor", "review", "remove") if name in lines] + [1.0]
    names = ["allow"] + [name for name in ("monitor", "review", "remove") if name in lines]
    if lines:
        for place, name in enumerate(names):
            axes.axvspan(cuts[place], cuts[place + 1], color=GREY, alpha=0.07 * place, linewidth=0)
            if cuts[place + 1] - cuts[place] > 0.08:
                axes.text((cuts[place] + cuts[place + 1]) / 2, 1.03, name, ha="center", fontsize=8)
    _unit(axes, "threshold", "share")
    axes.legend(loc="lower center", ncols=3, fontsize=8)
    return _png(figure)


def _reliability(block: Mapping[str, Any]) -> bytes:
    figure, axes = _axes()
    bars = block["reliability"]
    scores = [bar["score"] for bar in bars]
    rates = np.array([bar["rate"] for bar in bars])
    reach = np.array([[bar["rate"] - bar["low"], bar["high"] - bar["rate"]] for bar in bars]).T
    axes.plot([0, 1], [0, 1], color=GREY, linestyle=":", label="as it should be")
    axes.errorbar(
        scores, rates, yerr=np.maximum(reach, 0), color=BLUE, marker="o", markersize=4, capsize=2,
        label=f"ECE {block['ece']['value']:.3f}",
    )  # fmt: skip
    _unit(axes, "mean score", "share positive")
    axes.legend(loc="upper left")
    return _png(figure)


def _histogram(block: Mapping[str, Any]) -> bytes:
    figure, axes = _axes()
    counts = block["histogram"]
    edges = np.linspace(0, 1, len(counts["positive"]) + 1)
    axes.stairs(counts["negative"], edges, color=BLUE, fill=True, alpha=0.35, label="other")
    axes.stairs(counts["positive"], edges, color=RED, linewidth=1.5, label="positive")
    axes.set(xlabel="score", ylabel="comments (log scale)", yscale="log", xlim=(0, 1))
    axes.legend(loc="upper right")
    return _png(figure)


def _confusion(at: Mapping[str, Any]) -> bytes:
    figure, axes = _axes(height=3.0)
    table = np.array([[at["tn"]["value"], at["fp"]["value"]], [at["fn"]["value"], at["tp"]["value"]]])
    share = table / table.sum(axis=1, keepdims=True)
    axes.imshow(share, cmap="Blues", vmin=0, vmax=1, aspect="auto")
    names = [["tn", "fp"], ["fn", "tp"]]
    for row in range(2):
        for column in range(2):
            cell = at[names[row][column]]
            text = f"{cell['value']:,.0f}"
            if cell["low"] is not None:
                text += f"\n[{cell['low']:,.0f}, {cell['high']:,.0f}]"
            dark = share[row, column] > 0.55
            axes.text(column, row, text, ha="center", va="center", color="white" if dark else "black")
    axes.set(xticks=[0, 1], yticks=[0, 1], xlabel=f"called, at {at['threshold']:.3f}", ylabel="labelled")
    axes.set_xticklabels(["other", "toxic"])
    axes.set_yticklabels(["other", "toxic"])
    axes.spines[:].set_visible(False)
    return _png(figure)


def _fairness(report: Mapping[str, Any]) -> bytes:
    kinds = ("subgroup_auc", "bpsn_auc", "bnsp_auc")
    rows = {name: each for name, each in _identities(report).items() if "subgroup_auc" in each}
    figure, axes = _axes(height=0.9 + 0.42 * len(rows))
    table = np.array([[each[kind]["value"] for kind in kinds] for each in rows.values()])
    picture = axes.imshow(table, cmap="cividis", vmin=0.5, vmax=1, aspect="auto")
    for row, each in enumerate(rows.values()):
        for column, kind in enumerate(kinds):
            cell = each[kind]
            text = f"{cell['value']:.2f}"
            if cell["low"] is not None:
                text += f"\n{cell['low']:.2f} to {cell['high']:.2f}"
            light = cell["value"] > 0.78
            axes.text(
                column, row, text, ha="center", va="center", fontsize=7, color="black" if light else "white"
            )
    axes.set_xticks(range(3), ["subgroup", "BPSN", "BNSP"])
    axes.set_yticks(
        range(len(rows)), [f"{name}\n({each['rows']:,})" for name, each in rows.items()], fontsize=8
    )
    axes.set(xlabel="AUC", ylabel="identity (comments)")
    figure.colorbar(picture, ax=axes, label="AUC")
    return _png(figure)


def _hatecheck(view: Mapping[str, Any]) -> bytes:
    cases = view["functionalities"]
    figure, axes = _axes(height=0.9 + 0.24 * len(cases))
    places = np.arange(len(cases))[::-1]
    values = np.array([each["accuracy"]["value"] for each in cases.values()])
    reach = np.array(
        [[v["accuracy"]["value"] - v["accuracy"]["low"], v["accuracy"]["high"] - v["accuracy"]["value"]]
         for v in cases.values()]
    ).T  # fmt: skip
    hateful = np.array([each["hateful"] for each in cases.values()])
    for kind, colour, label in ((True, RED, "hateful"), (False, BLUE, "not hateful")):
        kept = hateful == kind
        axes.barh(
            places[kept], values[kept], xerr=np.maximum(reach[:, kept], 0), color=colour, alpha=0.8,
            error_kw={"elinewidth": 0.8}, label=label,
        )  # fmt: skip
    axes.set_yticks(places, list(cases), fontsize=8)
    axes.set(xlabel=f"share passed, threshold {view['threshold']:.3f}", ylabel="functionality", xlim=(0, 1))
    axes.grid(axis="x", alpha=0.25)
    figure.legend(loc="outside upper center", ncols=2, fontsize=8)
    return _png(figure)


def _attacks(attacks: Mapping[str, Any]) -> bytes:
    figure, axes = _axes(height=0.9 + 0.34 * len(attacks))
    places = np.arange(len(attacks))[::-1]
    for shift, name, colour, label in (
        (0.17, "recall", BLUE, "recall"),
        (-0.17, "false_positive_rate", ORANGE, "false-positive rate"),
    ):
        cells = [each[name] for each in attacks.values()]
        values = np.array([cell["value"] for cell in cells])
        reach = np.array([[cell["value"] - cell["low"], cell["high"] - cell["value"]] for cell in cells]).T
        axes.barh(
            places + shift, values, height=0.32, xerr=np.maximum(reach, 0), color=colour,
            error_kw={"elinewidth": 0.8}, label=label,
        )  # fmt: skip
    axes.set_yticks(places, list(attacks), fontsize=8)
    axes.set(xlabel="share called toxic", ylabel="attack", xlim=(0, 1))
    figure.legend(loc="outside upper center", ncols=2, fontsize=8)
    return _png(figure)


def _training(training: Mapping[str, Any]) -> bytes:
    figure, axes = _axes()
    log = training["log"]
    phases = list(dict.fromkeys(str(record["phase"]) for record in log))
    begin = 0.0
    for place, phase in enumerate(phases):
        records = [record for record in log if str(record["phase"]) == phase]
        seconds = [begin + float(record["seconds"]) for record in records]
        colour = (BLUE, ORANGE, GREEN, PURPLE, SKY)[place % 5]
        axes.plot(seconds, [r["score"] for r in records], color=colour, marker="o", markersize=3, label=phase)
        begin = seconds[-1]
    axes.set(xlabel="seconds of training", ylabel=f"validation {training['score']}")
    axes.grid(alpha=0.25)
    axes.legend(fontsize=8)
    return _png(figure)
