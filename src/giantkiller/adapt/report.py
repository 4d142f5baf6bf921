"""The report of an adaptation: a page for people, JSON for programs."""

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from giantkiller.adapt.dial import Tried
from giantkiller.adapt.judging import Flips, Group, Judged, signed
from giantkiller.adapt.settings import Settings
from giantkiller.atomic import replace_file
from giantkiller.evaluation.figures import Figure, to_json
from giantkiller.evaluation.rendering import read_templates

TEMPLATES = Path(__file__).parent


@dataclass(frozen=True)
class DecisionCounts:
    """How many decisions there were, and what became of them.

    Attributes:
        read: Rows of their file.
        different: Comments among them.
        toxic: Comments that were called so.
        contradicted: Comments that were decided both ways.
        learned_from: Comments that taught.
        judged_by: Comments that judged.
        split_by: How they were told apart: by "time", by "text", or "turns", in which each part judges once.
        unlabelled: The site's own comments without a decision that rehearsed, chose or judged.
    """

    read: int
    different: int
    toxic: int
    contradicted: int
    learned_from: int
    judged_by: int
    split_by: str
    unlabelled: int


@dataclass(frozen=True)
class LearnedSummary:
    """How much was learned, and how much of it is kept.

    Attributes:
        passes: Over the decisions.
        kept: The pass that was kept; 0 is the old model.
        share: Of the change, that is kept.
        tried: What the shares that were measured would do.
    """

    passes: int
    kept: int
    share: float
    tried: list[Tried]


@dataclass(frozen=True)
class AdaptationReport:
    """What was learned from what, and how it was judged.

    Attributes:
        base: Name and version of the bundle that was adapted.
        method: What learned.
        better: Whether the new bundle may take the old one's place.
        reasons: Why not; empty if it may.
        decisions: What there was to learn from.
        learned: How much of it was.
        judged: The two models on the decisions that judge ("site"; in turns the new one's place is taken by
            those that parts of the decisions teach), and on what is guarded, by name.
        flagged: Comments that go to review or removal now and did not before.
        passed: The other way.
        groups: Whose harmless mentions are flagged how often.
        settings: How it was done.
        seconds: It took.
        parameters: Numbers that the update holds.
    """

    base: str
    method: str
    better: bool
    reasons: list[str]
    decisions: DecisionCounts
    learned: LearnedSummary
    judged: dict[str, Judged]
    flagged: Flips
    passed: Flips
    groups: dict[str, Group]
    settings: Settings
    seconds: float
    parameters: int

    def to_json(self) -> str:
        """Return the report as one line of JSON."""
        return json.dumps(to_json(self), allow_nan=False)


def write_report(report: AdaptationReport, folder: str | Path) -> list[Path]:
    """Write report.html and report.json into a folder, which is made if it is missing.

    Args:
        report: The report.
        folder: The folder.

    Returns:
        The files written.

    Raises:
        UserError: The folder can't be written.
    """
    root = Path(folder)
    contents = {
        "report.json": json.dumps(to_json(report), indent=1, ensure_ascii=False, allow_nan=False) + "\n",
        "report.html": html(report),
    }
    for name, content in contents.items():
        with replace_file(root / name) as file:
            file.write_bytes(content.encode("utf-8", "replace"))
    return [root / name for name in contents]


def html(report: AdaptationReport) -> str:
    """Return the page: one file that loads nothing, comments escaped."""
    environment = read_templates(TEMPLATES, escape=True, extra="train")
    environment.filters |= {"figure": _figure, "change": _change, "percent": _percent}
    template = environment.get_template("report.html.j2")
    return str(template.render(about=report, site_rows=site_rows(report.decisions.split_by)))


def site_rows(split_by: str) -> str:
    """Name the decisions that judge, as `DecisionCounts.split_by` says how they were told apart."""
    return "decisions, in turns" if split_by == "turns" else "held-out decisions"


def _figure(figure: Figure) -> str:
    return "–" if np.isnan(figure.value) else f"{figure.value:.3f}"


def _percent(figure: Figure) -> str:
    return f"{figure.value:.1%} ({figure.low:.1%} to {figure.high:.1%})"


def _change(figure: Figure) -> str:
    return "–" if np.isnan(figure.value) else signed(figure)
