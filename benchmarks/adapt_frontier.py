"""What each share of a change gains on the site and loses on real comments, and whether agreement tells it.

    python benchmarks/adapt.py frontier --data DIR -o frontier.jsonl
    python benchmarks/adapt.py frontier --data DIR -o frontier.jsonl --set rehearsal=5

By this the defaults of `giantkiller adapt` are chosen: on the tuning sites of adapt_promise.py, by civil_val
alone, half of which is guarded while the other half judges. Models are scored in float, before export. The
agreement is that of the site's own comments which judge where nothing labelled is guarded: average precision
of the new scores against the tenth that the old model scores highest. Runs resume.
"""

import argparse
import copy
import json
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import torch
from adapt_promise import GUARDS, TUNING, Ground, named, setting
from dendrite_study import read_rows
from scipy.stats import spearmanr
from sklearn.metrics import average_precision_score

from giantkiller.adapt import Delta, Settings
from giantkiller.adapt.compose import load_model
from giantkiller.adapt.delta import scaled
from giantkiller.adapt.guards import guard
from giantkiller.adapt.learning import learn
from giantkiller.adapt.rehearsal import unlabelled
from giantkiller.bundle import read_bundle
from giantkiller.encoding import Encoder
from giantkiller.models.inference import predict, tokenize

SHARES = (0.15, 0.3, 0.6, 1.0)
OWN = 1000
"""Undecided comments that tell the agreement; the others may rehearse."""


class Frontier:
    """The old model in float, and the ground."""

    def __init__(self, data: Path) -> None:
        self.ground = Ground(data, tuning=True)
        self.bundle = read_bundle()
        with tempfile.TemporaryDirectory() as folder:
            self.base = load_model(self.bundle, Path(folder) / "base")
        self.encoder = Encoder(self.bundle.tokenizer, self.bundle.max_length)

    def cells(self, source: str, seed: int, guards: str, options: dict[str, Any]) -> list[dict[str, Any]]:
        """Learn once, and judge every share of what was learned."""
        decisions, own, fresh, labels = self.ground.site(source, seed)
        settings = Settings(seed=seed, **options)
        guarded = guard(
            decisions,
            {"civil": self.ground.guarded} if guards in ("elsewhere", "both") else None,
            own[OWN:] if guards in ("unlabelled", "both") else (),
            rehearse=settings.method != "logistic",
        )
        site, _ = decisions.split(settings.held_out)
        learned = learn(copy.deepcopy(self.base), self.bundle, site, guarded.rehearsed, settings)
        texts, toxic, _ = self.ground.civil
        tokens = [tokenize(self.encoder, some, clean=True) for some in (fresh, texts, own[:OWN])]
        highest = unlabelled(own[:OWN]).labels(predict(self.base, tokens[2])[:, 0])
        truths = (labels, toxic, highest)

        def judged(model: Any) -> list[float]:
            return [
                float(average_precision_score(truth, predict(model, some)[:, 0]))
                for truth, some in zip(truths, tokens, strict=True)
            ]

        before, rows = judged(self.base), []
        for share in SHARES:
            model = copy.deepcopy(self.base)
            Delta(scaled(learned.tensors, share), ()).apply(model)
            gain, civil, agreement = (
                round(now - then, 4) for now, then in zip(judged(model), before, strict=True)
            )
            rows.append(
                {"site": source, "seed": seed, "guards": guards, "options": options, "share": share}
                | {"gain": gain, "civil": civil, "agreement": round(1 + agreement, 4)}
            )
        return rows


def run(options: argparse.Namespace) -> None:
    torch.set_num_threads(1)
    chosen = dict(options.set)
    done = [(row["site"], row["seed"], row["guards"], row["options"]) for row in read_rows(options.output)]
    frontier: Frontier | None = None
    for seed in range(1, options.seeds + 1):
        for source in TUNING:
            for guards in options.guards:
                if (source, seed, guards, chosen) not in done:
                    frontier = frontier or Frontier(options.data)
                    for row in frontier.cells(source, seed, guards, chosen):
                        with options.output.open("a") as file:
                            file.write(json.dumps(row) + "\n")
                        print(json.dumps(row), flush=True)
    report(read_rows(options.output))


def report(rows: list[dict[str, Any]]) -> None:
    """Print the means of each arm and share, and how the agreement goes with the loss."""
    cases: dict[tuple[str, str, float], list[dict[str, Any]]] = {}
    for row in rows:
        cases.setdefault((row["site"], named(row), row["share"]), []).append(row)
    heads = ("site", "guarded", "share", "seeds", "on the site", "on Civil", "agreement")
    print(f"\n| {' | '.join(heads)} |\n{'|---' * len(heads)}|")
    for (site, name, share), some in sorted(cases.items()):
        gain, civil, agreement = (
            float(np.mean([row[key] for row in some])) for key in ("gain", "civil", "agreement")
        )
        print(f"| {site} | {name} | {share} | {len(some)} | {gain:+.3f} | {civil:+.3f} | {agreement:.3f} |")
    changes, agreements = (np.array([row[key] for row in rows]) for key in ("civil", "agreement"))
    told = {
        limit: {
            "rows": int((agreements >= limit).sum()),
            "lost more than 0.005": int((changes[agreements >= limit] < -0.005).sum()),
            "largest loss": round(float(-changes[agreements >= limit].min(initial=0.0)), 4),
        }
        for limit in (0.99, 0.975, 0.95, 0.9, 0.0)
    }
    rank = round(float(spearmanr(changes, agreements).statistic), 3)
    print()
    print(json.dumps({"rank correlation with the change on Civil": rank, "agreement from": told}))


def add_to(commands: Any) -> None:
    """Add the command to a parser's."""
    parser = commands.add_parser("frontier", help="what each share of a change gains and loses")
    parser.add_argument("--data", type=Path, required=True, help="folder with hate_train and civil_val")
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--guards", nargs="+", choices=GUARDS, default=["nothing", "unlabelled", "elsewhere"])
    parser.add_argument("--set", nargs="+", type=setting, default=[], metavar="KEY=VALUE", help="of adapt")
    parser.add_argument("-o", "--output", type=Path, required=True)
    parser.set_defaults(do=run)
