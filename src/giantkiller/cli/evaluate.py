"""`giantkiller evaluate`: judge a model on labelled comments."""

import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from giantkiller.cli._extras import need_extra
from giantkiller.cli.grouped import GroupedCommand
from giantkiller.cli.options import PATH, json_option, policy_option
from giantkiller.cli.terminal import printable, table
from giantkiller.evaluation import opponents

if TYPE_CHECKING:
    from giantkiller.bundle import Bundle
    from giantkiller.evaluation.config import EvaluationConfig
    from giantkiller.evaluation.report import AttributeReport, Report, Validation
    from giantkiller.evaluation.suites import SuiteReport
    from giantkiller.policy import Policy

FREE = ("roc_auc", "average_precision", "best_f1", "best_f1_threshold", "recall_at_fpr_1", "recall_at_fpr_5",
        "brier", "ece")  # fmt: skip
DECIDED = ("accuracy", "precision", "recall", "f1", "f1_macro", "f1_weighted")
COUNTS = ("tn", "fp", "fn", "tp")
EXAMPLES = """

Examples:

\b
  giantkiller evaluate default --data comments.csv
  giantkiller evaluate default --data test.csv --validation val.csv --choose precision=0.9 -o report
  giantkiller evaluate default --data folder --suite hatecheck --suite madlibs
  giantkiller evaluate column:their_score --data comments.csv --json
"""
GROUPS = {
    "What is judged": ("data", "text_column", "suite", "split", "max_length"),
    "Thresholds and policy": ("validation", "choose", "policy", "base_rate"),
    "Figures": ("samples", "seed"),
    "Output": ("output", "errors", "update_card", "as_json"),
}


@click.command(name="evaluate", cls=GroupedCommand, groups=GROUPS, epilog=opponents.HELP + EXAMPLES)
@click.argument("model")
@click.option("--data", "-d", type=PATH,
              help="Labelled comments; with --suite also the folder of the suites' files.")  # fmt: skip
@click.option("--text-column", help="The column with the comments, if its name is unusual.")
@click.option("--suite", multiple=True, metavar="NAME",
              help="Judge by a test suite, too: civil, wiki, hatecheck, madlibs, paradetox, "
              "spelling-attacks, situations (comes with the package) or all. May be repeated.")  # fmt: skip
@click.option("--split", default="test", show_default=True,
              help="Rows that count of a suite that has splits.")  # fmt: skip
@click.option("--max-length", type=click.IntRange(min=8), help="Cut comments here (checkpoints only).")
@click.option("--validation", type=PATH,
              help="Fit calibration, thresholds and policy (by aims, not presets) on these comments, not on "
              "--data.")  # fmt: skip
@click.option("--choose", multiple=True, metavar="AIM",
              help="One more threshold, chosen on --validation: precision=0.9, recall=0.9, cost=5 (a missed "
              "comment costs five false alarms), capacity=0.02 (200 of 10,000 can be read). "
              "May be repeated.")  # fmt: skip
@policy_option
@click.option("--base-rate", type=click.FloatRange(0, 1, min_open=True, max_open=True),
              help="Share of toxic comments at your site, for the counts per 10,000.")  # fmt: skip
@click.option("--samples", type=click.IntRange(0, 100_000), default=1000, show_default=True,
              help="Bootstrap samples; 0 for values without intervals.")  # fmt: skip
@click.option("--seed", type=click.IntRange(0, 2**63 - 1), default=0, show_default=True,
              help="Of every random draw.")  # fmt: skip
@click.option("--output", "-o", type=PATH,
              help="Write report.html, report.json and PNGs into this folder.")  # fmt: skip
@click.option("--errors", type=click.IntRange(0, 1000), default=10, show_default=True,
              help="Hardest errors of each kind in the report; 0 for one without comments.")  # fmt: skip
@click.option("--update-card", is_flag=True,
              help="Put the figures on the card of the judged bundle, and into its manifest.")  # fmt: skip
@json_option("Print the report as JSON.")
def command(
    model: str,
    data: Path | None,
    text_column: str | None,
    suite: tuple[str, ...],
    split: str,
    max_length: int | None,
    validation: Path | None,
    choose: tuple[str, ...],
    policy: "Policy | str | None",
    base_rate: float | None,
    samples: int,
    seed: int,
    output: Path | None,
    errors: int,
    update_card: bool,
    as_json: bool,
) -> None:
    """Judge MODEL on labelled comments: every figure with its 95 % interval."""
    need_extra(
        "judge",
        "pyarrow",
        *(("matplotlib",) if output else ()),
        *(("jinja2",) if output or update_card else ()),
    )
    from giantkiller.data.labelled import read_labelled
    from giantkiller.evaluation.config import EvaluationConfig
    from giantkiller.evaluation.page import write_report
    from giantkiller.evaluation.run import evaluate_model
    from giantkiller.evaluation.suites import SUITES

    if choose and not validation:
        raise click.UsageError("--choose needs --validation: thresholds are not chosen on what is reported")
    file = data if data and not data.is_dir() else None
    if not file and (output or not suite):
        raise click.UsageError("name a labelled file with --data, or a suite with --suite and no report")
    rows = read_labelled(file, text_column=text_column) if file else None
    loaded = opponents.load(model, rows, max_length=max_length)
    if update_card and (not file or validation or policy or loaded.bundle is None):
        raise click.UsageError("--update-card needs a bundle, as it is (no --policy), and a labelled file")
    fitted = _fit(model, loaded, validation, text_column, choose, seed) if validation else None
    settings = EvaluationConfig({}, {}, base_rate, samples, seed, errors, split)
    report = evaluate_model(
        loaded,
        _with_policy(settings, loaded, policy),
        data=rows,
        file=file.name if file else "",
        suites=tuple(SUITES) if "all" in suite else suite,
        folder=file.parent if file else data,
        validation=fitted,
        in_full=output is not None or update_card,
        progress=_progress,
    )
    _progress("")
    for path in write_report(report, output) if output else ():
        if path.suffix in (".html", ".json"):
            click.echo(printable(f"wrote {path}"), err=True)
    if update_card and loaded.bundle:
        _update_card(loaded.bundle, report)
    click.echo(report.json() if as_json else _as_text(report))


def _with_policy(
    settings: "EvaluationConfig", model: opponents.ScoringModel, chosen: "Policy | str | None"
) -> "EvaluationConfig":
    """Add the policy that was chosen by name or from a file, if one was."""
    if not isinstance(chosen, str):
        return replace(settings, policy=chosen or {})
    if model.bundle is None:
        raise click.UsageError(f"--policy {chosen} is a name, which only a bundle knows; name a file")
    policy = model.bundle.choose_policy(chosen)
    return replace(settings, policy=policy, policy_source=f"the model's {chosen!r}")


def _update_card(bundle: "Bundle", report: "Report") -> None:
    from giantkiller.export import card

    written = card.update_card(card.with_figures(bundle, report))
    click.echo(f"wrote {printable(str(written.folder / 'README.md'))}", err=True)


def _fit(
    name: str,
    loaded: opponents.ScoringModel,
    path: Path,
    text_column: str | None,
    choose: tuple[str, ...],
    seed: int,
) -> "Validation":
    """Fit calibration, thresholds and policy on a validation file."""
    need_extra("judge", "sklearn")
    from giantkiller.data.labelled import read_labelled
    from giantkiller.evaluation.report import fit_validation

    rows = read_labelled(path, text_column=text_column)
    model = opponents.load(name, rows) if loaded.kind == "scores" else loaded
    return fit_validation(model.scores(rows.texts), rows.targets, choose, file=path.name, seed=seed)


def _progress(step: str) -> None:
    if sys.stderr.isatty():
        click.echo(f"\r\033[K{printable(step)}", nl=False, err=True)


def _as_text(report: "Report") -> str:
    parts = []
    if report.data:
        head = f"{report.model.name} on {report.data.file}: {report.data.rows:,} rows"
        parts.append(printable(head))
    parts += [_attribute(name, block) for name, block in report.attributes.items()]
    if report.skipped:
        parts.append("not judged:\n" + table(list(report.skipped.items()), left=(0, 1)))
    parts += [_suite(name, suite) for name, suite in report.suites.items()]
    return "\n\n".join(parts)


def _attribute(name: str, block: "AttributeReport") -> str:
    from giantkiller.evaluation.figures import show
    from giantkiller.evaluation.metrics import NAMES

    free = [(NAMES[figure], show(getattr(block, figure), 4)) for figure in FREE]
    headings = ["at threshold"]
    for label, at in block.at.items():
        number = f"{at.threshold:.4g}"
        headings.append(number if label == number else f"{number} ({label})")
    decided = [
        (NAMES[figure], *(show(getattr(at, figure), digits) for at in block.at.values()))
        for figures, digits in ((DECIDED, 4), (COUNTS, 0))
        for figure in figures
    ]
    return "\n".join(
        (
            f"{name}: {block.rows:,} labelled, {block.positives:,} positive",
            table(free),
            table(decided, headings),
        )
    )


def _suite(name: str, suite: "SuiteReport") -> str:
    lines = [f"{name} ({printable(suite.file)}, {suite.rows:,} rows): {printable(suite.summary())}"]
    for each in suite.tables():
        lines += [printable(each.title), table(each.rows, each.columns)]
    return "\n".join(lines)
