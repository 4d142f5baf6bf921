"""Whether `giantkiller adapt` keeps its promise: better on the site, nothing lost on real comments elsewhere.

    python benchmarks/adapt.py promise --data DIR -o promise.jsonl
    python benchmarks/adapt.py promise --data DIR -o tuning.jsonl --tuning --set rehearsal=3

What a user runs, with its defaults: 500 decisions of a site, or `--decisions` N; `--elsewhere` is civil_val,
or `--unlabelled` are 2,000 other comments of the site. The judge of `adapt` says whether the candidate is
better; this judges the candidate again, as it was exported, whether it was promoted or not: on 1,500 more
comments of the site, and on civil_test, by which nothing is chosen. Runs resume.

With --tuning, which defaults are chosen by: two other sites, of which every tenth comment is an attack on a
group as on the sites reported, and civil_val only: half of it is guarded, the other half judges.
"""

import argparse
import json
import tempfile
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.compute as pc
import pyarrow.parquet as pq
import torch
from dendrite_study import interval, read_rows
from sklearn.metrics import average_precision_score

from giantkiller import Screener
from giantkiller.adapt import Adapter, Decisions, Settings
from giantkiller.adapt.decisions import decisions_of, words_key
from giantkiller.attributes import ATTRIBUTES
from giantkiller.data.holdout import is_held_out
from giantkiller.data.labelled import read_labelled
from giantkiller.evaluation.figures import to_json

SITES = ("gab_hate", "cad", "stormfront")
TUNING = ("implicit_hate", "hatexplain")
OWN, FRESH = 2000, 1500
RATE = 0.1
"""Share of a tuning site's comments that attack a group."""
GUARDS = ("elsewhere", "unlabelled", "both", "nothing")


class Ground:
    """The old model, the comments of all sites, and what is guarded and judged elsewhere."""

    def __init__(self, data: Path, tuning: bool) -> None:
        table = pq.read_table(data / "hate_train.parquet", columns=["text", "identity_attack", "source"])
        self.table = table.filter(pc.is_valid(pc.if_else(pc.is_nan(table["identity_attack"]), None, 1)))
        self.tuning = tuning
        self.screener = Screener(threads=1)
        civil = decisions_of(read_labelled(data / "civil_val.parquet"), name="civil")
        if tuning:
            held = np.array([is_held_out(words_key(text), 0.5) for text in civil.texts])
            self.guarded, judging = (civil.take(np.flatnonzero(part)) for part in (~held, held))
        else:
            seen = set(map(words_key, civil.texts))
            judging = decisions_of(read_labelled(data / "civil_test.parquet"), name="civil")
            fresh = [row for row, text in enumerate(judging.texts) if words_key(text) not in seen]
            self.guarded, judging = civil, judging.take(np.array(fresh))
        self.civil = judging.texts, judging.positive, self.scores(self.screener, judging.texts)

    def scores(self, screener: Screener, texts: list[str]) -> np.ndarray:
        return screener.scores(texts)[:, 0]

    def site(
        self, source: str, seed: int, count: int = 500
    ) -> tuple[Decisions, list[str], list[str], np.ndarray]:
        """Draw decisions, undecided comments, and comments that judge, with their labels."""
        rows = self.table.filter(pc.equal(self.table["source"], source))
        rng = np.random.default_rng([seed, len(source)])
        labels = rows["identity_attack"].to_numpy() >= 0.5
        kept = np.arange(len(labels))
        if self.tuning:
            clean, toxic = np.flatnonzero(~labels), np.flatnonzero(labels)
            few = rng.permutation(toxic)[: int(RATE / (1 - RATE) * len(clean))]
            kept = np.concatenate([clean, few])
        drawn = rng.permutation(kept)[: count + OWN + FRESH]
        texts, labels = rows["text"].take(drawn).to_pylist(), labels[drawn]
        targets = np.full((count, len(ATTRIBUTES)), np.nan, np.float32)
        targets[:, 0] = labels[:count]
        decisions = Decisions(
            texts[:count], targets, np.ones(count), np.arange(count), None, count, 0, source
        )
        own, fresh = texts[count : count + OWN], texts[count + OWN :]
        return decisions, own, fresh, labels[count + OWN :]


def cell(
    ground: Ground, source: str, count: int, seed: int, guards: str, options: dict[str, Any]
) -> dict[str, Any]:
    """Adapt to one site, and judge what came of it."""
    decisions, own, fresh, labels = ground.site(source, seed, count)
    settings = Settings(seed=seed, **options)
    found = Adapter(settings=settings).adapt(
        decisions,
        elsewhere={"civil": ground.guarded} if guards in ("elsewhere", "both") else None,
        unlabelled=own if guards in ("unlabelled", "both") else (),
    )
    with tempfile.TemporaryDirectory() as folder:
        new = Screener(found.write(Path(folder) / "new").folder, threads=1)
        site = [
            average_precision_score(labels, ground.scores(each, fresh)) for each in (ground.screener, new)
        ]
        texts, toxic, before = ground.civil
        civil = [average_precision_score(toxic, each) for each in (before, ground.scores(new, texts))]
    return {
        "site": source,
        "decisions": count,
        "seed": seed,
        "guards": guards,
        "options": options,
        "better": found.better,
        "share": found.report.learned.share,
        "before": round(site[0], 4),
        "gain": round(site[1] - site[0], 4),
        "civil before": round(civil[0], 4),
        "civil": round(civil[1] - civil[0], 4),
        "judged": {
            name: part.average_precision.difference.value for name, part in found.report.judged.items()
        },
        "site interval": to_json(found.report.judged["site"].average_precision.difference),
        "tried": to_json(found.report.learned.tried),
        "seconds": found.report.seconds,
    }


def run(options: argparse.Namespace) -> None:
    torch.set_num_threads(options.threads)
    sites = options.sites or (TUNING if options.tuning else SITES)
    keys = ("site", "decisions", "seed", "guards", "options")
    done = [tuple(row.get(key, 500) for key in keys) for row in read_rows(options.output)]
    ground: Ground | None = None
    for seed in range(1, options.seeds + 1):
        for source in sites:
            for guards in options.guards:
                if (source, options.decisions, seed, guards, options.set) in done:
                    continue
                ground = ground or Ground(options.data, options.tuning)
                row = cell(ground, source, options.decisions, seed, guards, options.set)
                with options.output.open("a") as file:
                    file.write(json.dumps(row) + "\n")
                print(json.dumps(row), flush=True)
    report(read_rows(options.output))


def report(rows: list[dict[str, Any]]) -> None:
    """Print a table of means over seeds with 95 % intervals, and the same as JSON."""
    cases: dict[tuple[str, int, str], list[dict[str, Any]]] = {}
    for row in rows:
        cases.setdefault((named(row), row.get("decisions", 500), row["site"]), []).append(row)
    heads = (
        "guarded",
        "decisions",
        "site",
        "seeds",
        "promoted",
        "share kept",
        "AP before",
        "on the site",
        "on Civil",
    )
    print(f"\n| {' | '.join(heads)} |\n{'|---' * len(heads)}|")
    told = []
    for (name, count, site), some in sorted(cases.items()):
        means = {key: interval(np.array([row[key] for row in some])) for key in ("gain", "civil")}
        share, before = (float(np.mean([row[key] for row in some])) for key in ("share", "before"))
        promoted = sum(row["better"] for row in some)
        texts = [
            f"{mean:+.3f}" + ("" if np.isnan(low) else f" ({low:+.3f} to {high:+.3f})")
            for mean, low, high in means.values()
        ]
        figures = f"{len(some)} | {promoted} | {share:.2f} | {before:.3f} | {' | '.join(texts)}"
        print(f"| {name} | {count} | {site} | {figures} |")
        found = {key: [round(float(each), 4) for each in mean] for key, mean in means.items()}
        case = {"guards": name, "decisions": count, "site": site, "seeds": len(some), "promoted": promoted}
        told.append(case | found)
    print()
    print(json.dumps({"promise": told}).replace("NaN", "null"))


def named(row: dict[str, Any]) -> str:
    """Say what was guarded in a row, and with which settings."""
    return " ".join([row["guards"], *(f"{key}={value}" for key, value in row["options"].items())])


def setting(text: str) -> tuple[str, Any]:
    """Read KEY=VALUE as a setting of `adapt`."""
    name, _, value = text.partition("=")
    kinds = {field.name: type(field.default) for field in fields(Settings)}
    if name not in kinds:
        raise argparse.ArgumentTypeError(f"{name!r} is no setting; one of {', '.join(kinds)}")
    kind = float if name == "learning_rate" else kinds[name]
    return name, kind(value)


def add_to(commands: Any) -> None:
    """Add the command to a parser's."""
    parser = commands.add_parser("promise", help="whether adapt keeps its promise")
    parser.add_argument(
        "--data", type=Path, required=True, help="folder with hate_train, civil_val, civil_test"
    )
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--decisions", type=int, default=500)
    parser.add_argument("--sites", nargs="+")
    parser.add_argument("--guards", nargs="+", choices=GUARDS, default=["elsewhere"])
    parser.add_argument("--tuning", action="store_true", help="two other sites, civil_val only")
    parser.add_argument(
        "--set", nargs="+", type=setting, default=[], metavar="KEY=VALUE", help="settings of adapt"
    )
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("-o", "--output", type=Path, required=True)
    parser.set_defaults(do=lambda options: run(_with_settings(options)))


def _with_settings(options: argparse.Namespace) -> argparse.Namespace:
    options.set = dict(options.set)
    return options
