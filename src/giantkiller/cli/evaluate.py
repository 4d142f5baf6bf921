"""`giantkiller evaluate`: judge a model on labelled comments."""

import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from giantkiller.cli._extras import need_extra
from giantkiller.errors import UserError
from giantkiller.evaluation import opponents

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from giantkiller.bundle import Bundle
    from giantkiller.data.sources import Labelled
    from giantkiller.evaluation.assess import Wishes

MAIN = ("roc_auc", "average_precision", "best_f1", "best_f1_threshold", "recall_at_fpr_1", "recall_at_fpr_5",
        "brier", "ece")  # fmt: skip
AT = ("accuracy", "precision", "recall", "f1", "f1_macro", "f1_weighted")


@click.command(
    name="evaluate",
    epilog=opponents.HELP
    + """

Examples:

\b
  giantkiller evaluate default --data comments.csv
  giantkiller evaluate default --data test.csv --validation val.csv --choose precision=0.9 -o report
  giantkiller evaluate default --data folder --suite hatecheck --suite madlibs
  giantkiller evaluate column:their_score --data comments.csv --json
""",
)
@click.argument("model")
@click.option("--data", "data_path", type=click.Path(path_type=Path), required=True,
              help="Labelled comments; with --suite also the folder of the suites' files.")  # fmt: skip
@click.option("--text-column", help="The column with the comments, if its name is unusual.")
@click.option("--suite", "names", multiple=True, metavar="NAME",
              help="Judge by a public suite, too: civil, wiki, hatecheck, madlibs, paradetox, "
              "spelling-attacks or all. May be repeated.")  # fmt: skip
@click.option("--output", "-o", type=click.Path(path_type=Path),
              help="Write report.html, report.json, PNGs and a model card into this folder.")  # fmt: skip
@click.option("--validation", type=click.Path(path_type=Path),
              help="Fit calibration, thresholds and policy on these comments, not on --data.")  # fmt: skip
@click.option("--choose", multiple=True, metavar="WISH",
              help="One more threshold, chosen on --validation: precision=0.9, recall=0.9, cost=5 (a missed "
              "comment costs five false alarms), capacity=0.02 (200 of 10,000 can be read). "
              "May be repeated.")  # fmt: skip
@click.option("--beside", metavar="GIANT", help="Compare toxicity with another model on the same rows.")
@click.option("--base-rate", type=click.FloatRange(0, 1, min_open=True, max_open=True),
              help="Share of toxic comments at your site, for the counts per 10,000.")  # fmt: skip
@click.option("--training", type=click.Path(path_type=Path),
              help="Folder of the training log, for the report. [default: the checkpoint's own]")  # fmt: skip
@click.option("--write-card", is_flag=True, help="Make the model card the card of the judged bundle.")
@click.option("--errors", type=click.IntRange(0, 1000), default=10, show_default=True,
              help="Hardest errors of each kind in the report; 0 for one without comments.")  # fmt: skip
@click.option("--swaps/--no-swaps", default=True, show_default=True,
              help="Score comments again with identities swapped (in the report).")  # fmt: skip
@click.option("--max-length", type=click.IntRange(min=8), help="Cut comments here (checkpoints only).")
@click.option("--samples", type=click.IntRange(0, 100_000), default=1000, show_default=True,
              help="Bootstrap samples; 0 for values without intervals.")  # fmt: skip
@click.option("--seed", type=int, default=0, show_default=True, help="Of every random draw.")
@click.option("--json", "as_json", is_flag=True, help="Print the report as JSON.")
def command(
    model: str,
    data_path: Path,
    text_column: str | None,
    names: tuple[str, ...],
    output: Path | None,
    validation: Path | None,
    choose: tuple[str, ...],
    beside: str | None,
    base_rate: float | None,
    training: Path | None,
    write_card: bool,
    errors: int,
    swaps: bool,
    max_length: int | None,
    samples: int,
    seed: int,
    as_json: bool,
) -> None:
    """Judge MODEL on labelled comments: every figure with its 95 % interval."""
    need_extra("judge", "pyarrow")
    if output:
        need_extra("judge", "matplotlib", "jinja2", "sklearn")
    from giantkiller.data.sources import read_labelled
    from giantkiller.evaluation import assess, metrics, report, suites

    if choose and not validation:
        raise click.UsageError(
            "--choose needs --validation FILE: thresholds are not chosen on what is reported"
        )
    if write_card and not output:
        raise click.UsageError("--write-card needs -o DIR: the card is part of the report")
    if data_path.is_dir() and not names:
        raise UserError(f"{data_path} is a folder: name a file in it, or a suite with --suite")
    wanted = tuple(suites.SUITES) if "all" in names else names
    for name in wanted:
        suites.find(name, data_path if data_path.is_dir() else data_path.parent)
    data = None if data_path.is_dir() else read_labelled(data_path, text_column=text_column)
    loaded = opponents.load(model, data, max_length=max_length)
    if write_card and (loaded.bundle is None or validation):
        raise UserError("only a bundle, judged as it is, has a card to write: leave --write-card out")
    if wanted and loaded.kind == "scores":
        raise UserError(f"{model} holds stored scores, which no suite can ask for more: leave --suite out")

    def say(step: str) -> None:
        if sys.stderr.isatty():
            click.echo(f"\r\033[K{step}", nl=False, err=True)

    fitted: dict[str, Any] = {}
    if validation:
        rows = read_labelled(validation, text_column=text_column)
        judge = opponents.load(model, rows, max_length=max_length) if loaded.kind == "scores" else loaded
        fitted = assess.fit(judge.scores(rows.texts), rows.targets, choose)
        plain = loaded.score
        loaded.score = lambda texts: assess.recalibrated(plain(texts), fitted["lines"])
    thresholds = fitted.get("thresholds") or ({loaded.kind: loaded.thresholds} if loaded.thresholds else {})
    wishes = assess.Wishes(
        thresholds=thresholds,
        policy=fitted.get("policy", loaded.policy),
        base_rate=base_rate,
        samples=samples,
        seed=seed,
        errors=errors,
    )
    result: dict[str, Any] = {"model": {"name": loaded.name, "kind": loaded.kind, "about": loaded.about}}
    if data is not None:
        scores = loaded.scores(data.texts)
        result["data"] = {"file": data_path.name, "rows": len(data)}
        if output:
            result |= assess.assess(
                data.texts,
                data.targets,
                scores,
                wishes,
                columns=data.extra,
                scorer=loaded.scores if swaps and loaded.kind != "scores" else None,
                explain=None if fitted else loaded.explain,
                progress=say,
            )
        else:
            result |= metrics.judge(
                scores, data.targets, thresholds=thresholds, samples=samples, seed=seed, progress=say
            )
        if beside:
            giant = opponents.load(beside, data, max_length=max_length)
            say(f"comparing with {giant.name}")
            result["comparison"] = _beside(result["model"]["name"], scores, giant, data, wishes)
    if fitted:
        result["validation"] = {"file": validation.name if validation else "", "rows": len(rows)} | fitted
    result |= _suites(wanted, data_path, loaded, wishes, say)
    say("")
    log = _training(training or Path(model) / "training", required=training is not None)
    if log:
        result["training"] = log
    result = metrics.as_json(result)
    if output and data is not None:
        for path in report.write(result, output):
            if path.suffix in (".html", ".json"):
                click.echo(f"wrote {path}", err=True)
        if write_card and loaded.bundle:
            _write_card(loaded.bundle, result, report.card(result))
            click.echo(f"wrote {loaded.bundle.folder / 'README.md'}", err=True)
    elif output:
        raise UserError(f"a report needs a labelled file, and {data_path} is a folder: name one with --data")
    if as_json:
        click.echo(json.dumps(result, indent=2))
    else:
        _print(result)


def _beside(
    name: str, scores: "NDArray[Any]", giant: opponents.Model, data: "Labelled", wishes: "Wishes"
) -> dict[str, Any]:
    from giantkiller.evaluation import compare

    cuts = (wishes.decision, giant.thresholds.get("toxicity", 0.5))
    report = compare.paired(
        scores[:, 0],
        giant.scores(data.texts)[:, 0],
        data.targets[:, 0],
        thresholds=cuts,
        samples=wishes.samples,
        seed=wishes.seed,
    )
    tuned = giant.about.get("fine_tuned")
    verdict = compare.verdict(report, name, giant.name, fine_tuned=tuned)
    return {"second": giant.name, "thresholds": list(cuts), "verdict": verdict} | report


def _write_card(bundle: "Bundle", result: dict[str, Any], card: str) -> None:
    """Write a bundle again with a new card, and with the figures on it in its manifest."""
    from giantkiller.bundle import CARD, MODEL, TOKENIZER, write_bundle

    kept = ("rows", "positives", "roc_auc", "average_precision", "best_f1", "ece")
    figures = {
        attribute: {name: block[name] for name in kept} for attribute, block in result["attributes"].items()
    }
    test = {"file": result["data"]["file"], "attributes": figures}
    judged = replace(bundle, figures={**bundle.figures, "test": test})
    write_bundle(
        bundle.folder, judged, {MODEL: bundle.model, TOKENIZER: bundle.tokenizer, CARD: card.encode()}
    )


def _suites(
    names: tuple[str, ...], data: Path, model: opponents.Model, wishes: "Wishes", say: Any
) -> dict[str, Any]:
    from giantkiller.evaluation import suites

    folder = data if data.is_dir() else data.parent
    cut = next(iter(wishes.thresholds.values()), {})
    settings = suites.Settings(threshold=cut, samples=wishes.samples, seed=wishes.seed)
    found = {}
    for name in names:
        say(f"suite {name}")
        found[name] = suites.run(name, folder, model.scores, settings)
    return {"suites": found} if found else {}


def _training(folder: Path, *, required: bool) -> dict[str, Any] | None:
    """Read a training log (log.jsonl) and the ledger of growth, where there are some."""
    log = folder / "log.jsonl"
    if not log.is_file():
        if required:
            raise UserError(f"{folder} has no log.jsonl: name the training folder of a checkpoint")
        return None
    records = []
    try:
        for line in log.read_text(encoding="utf-8").splitlines():
            record = json.loads(line)
            score = record.get("ap_toxicity") if isinstance(record, dict) else None
            if score is not None:
                keys = ("phase", "step", "seconds", "loss")
                records.append({key: record.get(key) for key in keys} | {"score": float(score)})
        found = sorted(folder.rglob("ledger.json"))
        ledger = json.loads(found[-1].read_text(encoding="utf-8"))["attempts"] if found else []
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UserError(f"the training log in {folder} is damaged ({type(error).__name__})") from error
    return {"log": records, "score": "average precision", "ledger": ledger}


def _print(report: dict[str, Any]) -> None:
    if "data" in report:
        click.echo(f"{report['model']['name']} on {report['data']['file']}: {report['rows']:,} rows")
        _print_attributes(report)
    if "comparison" in report:
        click.echo(f"\n{report['comparison']['verdict']}")
    for name, suite in report.get("suites", {}).items():
        click.echo(f"\n{name} ({suite['file']}, {suite['rows']:,} rows)")
        _print_suite(name, suite)


def _print_attributes(report: dict[str, Any]) -> None:
    for attribute, block in report["attributes"].items():
        click.echo(f"\n{attribute}: {block['rows']:,} labelled, {block['positives']:,} positive")
        for name in MAIN:
            click.echo(f"  {name.replace('_', ' '):<22}{_figure(block[name])}")
        for label, at in block["at"].items():
            named = "" if label == f"{at['threshold']:g}" else f" ({label})"
            click.echo(f"  at threshold {at['threshold']:.4g}{named}")
            for name in AT:
                click.echo(f"    {name.replace('_', ' '):<20}{_figure(at[name])}")
            cells = "  ".join(f"{name} {_count(at[name])}" for name in ("tn", "fp", "fn", "tp"))
            click.echo(f"    {'confusion':<20}{cells}")
    if report["skipped"]:
        click.echo("\nnot judged:")
    for attribute, reason in report["skipped"].items():
        click.echo(f"  {attribute:<18}{reason}")


def _print_suite(name: str, suite: dict[str, Any]) -> None:
    if name == "hatecheck":
        for attribute, view in suite["by"].items():
            passed = f"{_figure(view['accuracy'])} passed at {view['threshold']:.3f}"
            click.echo(f"  by {attribute}: {passed}, ROC-AUC {_figure(view['roc_auc'])}")
            for case, cell in view["functionalities"].items():
                click.echo(f"    {case:<22}{_figure(cell['accuracy'])}")
    elif name == "madlibs":
        click.echo(
            f"  ROC-AUC {_figure(suite['roc_auc'])}, FPED {suite['fped']:.3f}, FNED {suite['fned']:.3f}"
        )
        if suite["pairs"]["templates"]:
            click.echo(f"  score moves within a template: {suite['pairs']['spread']:.4f} on average")
    elif name == "paradetox":
        click.echo(f"  pairs ranked rightly: {_figure(suite['ranked_rightly'])}")
        click.echo(f"  rewrites called toxic: {_figure(suite['rewrites_called_toxic'])}")
    elif name == "spelling-attacks":
        for attack, cell in suite["attacks"].items():
            kept, recall = cell["average_precision_kept"], _figure(cell["recall"])
            false = _figure(cell["false_positive_rate"])
            click.echo(
                f"  {attack:<22}average precision kept {kept:6.1%}  recall {recall}  false positives {false}"
            )
    else:
        for attribute, block in suite["attributes"].items():
            auc, precision = _figure(block["roc_auc"]), _figure(block["average_precision"])
            click.echo(f"  {attribute:<18}ROC-AUC {auc}  average precision {precision}")


def _figure(cell: dict[str, Any]) -> str:
    """Write a figure with its interval."""
    if cell["value"] is None:
        return "-"
    text = f"{cell['value']:.4f}"
    return text if cell["low"] is None else f"{text}  [{cell['low']:.4f}, {cell['high']:.4f}]"


def _count(cell: dict[str, Any]) -> str:
    """Write a count with its interval."""
    text = f"{cell['value']:,.0f}"
    return text if cell["low"] is None else f"{text} [{cell['low']:,.0f}, {cell['high']:,.0f}]"
