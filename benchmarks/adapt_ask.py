"""Which decisions a second person should look at: the ones that teach most, against any.

    python benchmarks/adapt.py ask --data DIR -o ask.jsonl

A site's 500 decisions have every tenth or fifth label wrong. A second person, as often wrong, looks at a
tenth of them, chosen by

- random: what the desk does by default;
- uncertainty: how near the old score is to a half;
- surprise: how far the decision is from the old score;
- committee: how five logistic regressions on frozen pooled features, of bootstrap samples, differ;
- novelty: how far the pooled features are from those of the nearest other decision.

Where two differ, a third settles it, as at the desk. `giantkiller.adapt` reads the file that the desk would
write and learns by a low-rank update, all of the change kept. Printed are the labels that were mended and
the average precision on 1,500 other comments of the site, less that of random looks, paired by seed. No
second looks and no wrong labels are the ends of the scale. Runs resume.
"""

import argparse
import copy
import json
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import torch
from adapt_promise import SITES, TUNING, Ground
from dendrite_study import interval, p_value, read_rows, shown
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import average_precision_score

from giantkiller.adapt import Settings, read_decisions
from giantkiller.adapt.compose import load_model
from giantkiller.adapt.learning import learn
from giantkiller.adapt.regression import pooled
from giantkiller.adapt.rehearsal import to_learn
from giantkiller.bundle import read_bundle
from giantkiller.encoding import Encoder
from giantkiller.models.inference import predict, tokenize

SHARE = 0.1
"""Of the decisions that get a second look; the desk's default is 0.05."""
NOISE = (0.1, 0.2)
WAYS = ("random", "uncertainty", "surprise", "committee", "novelty")
ENDS = ("none", "no errors")
COMMITTEE = 5


class Desk:
    """The old model in float, what rehearses, and the ground."""

    def __init__(self, data: Path, tuning: bool) -> None:
        self.ground = Ground(data, tuning)
        self.bundle = read_bundle()
        with tempfile.TemporaryDirectory() as folder:
            self.base = load_model(self.bundle, Path(folder) / "base")
        self.encoder = Encoder(self.bundle.tokenizer, self.bundle.max_length)
        self.rehearsal = to_learn()

    def cells(self, source: str, seed: int, noise: float) -> list[dict[str, Any]]:
        """Choose in each way, learn, and judge."""
        decisions, _, fresh, labels = self.ground.site(source, seed)
        truth = decisions.positive
        rng = np.random.default_rng([seed, len(source), int(100 * noise)])
        first, second, third = (truth ^ (rng.random(len(truth)) < noise) for _ in range(3))
        old = self.ground.scores(self.ground.screener, decisions.texts)
        doubts = self.doubts(decisions.texts, first, old, rng)
        judging = tokenize(self.encoder, fresh, clean=True)
        before = average_precision_score(labels, predict(self.base, judging)[:, 0])
        rows = []
        for way in (*WAYS, *ENDS):
            asked = np.zeros(len(truth), bool)
            if way in doubts:
                asked[np.argsort(-doubts[way], kind="stable")[: round(SHARE * len(truth))]] = True
            told = truth if way == "no errors" else first
            final = np.where(asked & (second != told), third, told)
            lines = desk_lines(decisions.texts, told, np.where(asked, second, told), asked, third)
            model = self.learned(lines, seed)
            gain = average_precision_score(labels, predict(model, judging)[:, 0]) - before
            rows.append(
                {"site": source, "seed": seed, "noise": noise, "way": way, "asked": int(asked.sum())}
                | {"wrong": int((told != truth).sum()), "wrong after": int((final != truth).sum())}
                | {"before": round(float(before), 4), "gain": round(float(gain), 4)}
            )
        return rows

    def doubts(
        self, texts: list[str], first: np.ndarray, old: np.ndarray, rng: np.random.Generator
    ) -> dict[str, np.ndarray]:
        """Return for each way a number a decision; the largest are looked at again."""
        features = pooled(self.base, tokenize(self.encoder, texts, clean=True))
        members = []
        for _ in range(COMMITTEE):
            rows = rng.integers(len(texts), size=len(texts))
            while len(set(first[rows])) < 2:
                rows = rng.integers(len(texts), size=len(texts))
            member = LogisticRegression(C=0.1, max_iter=500).fit(features[rows], first[rows])
            members.append(member.predict_proba(features)[:, 1])
        units = features / np.linalg.norm(features, axis=1, keepdims=True)
        near = units @ units.T
        np.fill_diagonal(near, -1)
        return {
            "random": rng.random(len(texts)),
            "uncertainty": -np.abs(old - 0.5),
            "surprise": np.abs(first - old),
            "committee": np.std(members, axis=0),
            "novelty": -near.max(axis=1),
        }

    def learned(self, lines: list[str], seed: int) -> Any:
        """Adapt to the desk's export, and return the model."""
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "decisions.jsonl"
            path.write_text("\n".join(lines) + "\n", encoding="utf-8")
            decisions = read_decisions(path)
        model = copy.deepcopy(self.base)
        learn(model, self.bundle, decisions, self.rehearsal, Settings(method="low-rank", seed=seed))
        return model


def desk_lines(
    texts: list[str], first: np.ndarray, second: np.ndarray, asked: np.ndarray, third: np.ndarray
) -> list[str]:
    """Return the lines of the desk's export: each decision of its own kind."""
    lines = []
    for row, text in enumerate(texts):
        told = [("first", first[row])]
        if asked[row]:
            told.append(("second", second[row]))
            if first[row] != second[row]:
                told.append(("final", third[row]))
        lines += [
            json.dumps({"text": text, "toxicity": int(label), "decided_by": kind}) for kind, label in told
        ]
    return lines


def run(options: argparse.Namespace) -> None:
    torch.set_num_threads(1)
    done = [(row["site"], row["seed"], row["noise"]) for row in read_rows(options.output)]
    desk: Desk | None = None
    for seed in range(1, options.seeds + 1):
        for noise in options.noise:
            for source in options.sites or (TUNING if options.tuning else SITES):
                if (source, seed, noise) not in done:
                    desk = desk or Desk(options.data, options.tuning)
                    with options.output.open("a") as file:
                        file.writelines(json.dumps(row) + "\n" for row in desk.cells(source, seed, noise))
                    print(source, seed, noise, flush=True)
    report(read_rows(options.output))


def report(rows: list[dict[str, Any]]) -> None:
    """Print means over sites and seeds, each way paired with random looks, and the same as JSON."""
    print("\n| wrong | looked at by | cells | wrong after | gain on the site | more than random |")
    print("|---|---|---|---|---|---|")
    told = []
    for noise in sorted({row["noise"] for row in rows}):
        cells = {
            way: {
                (row["site"], row["seed"]): row for row in rows if (row["noise"], row["way"]) == (noise, way)
            }
            for way in (*ENDS[:1], *WAYS, *ENDS[1:])
        }
        for way, some in cells.items():
            gaps = np.array([row["gain"] - cells["random"][key]["gain"] for key, row in some.items()])
            mean, low, high = interval(gaps)
            gain, wrong, after = (
                float(np.mean([row[key] for row in some.values()]))
                for key in ("gain", "wrong", "wrong after")
            )
            p = p_value(gaps) if len(gaps) > 1 else float("nan")
            more = "" if way == "random" else f"{mean:+.4f} ({low:+.4f} to {high:+.4f}), p {shown(p)}"
            print(f"| {wrong:.1f} | {way} | {len(some)} | {after:.1f} | {gain:+.4f} | {more} |")
            found = {"gain": gain, "more": mean, "low": low, "high": high, "wrong": wrong, "after": after}
            told.append({"noise": noise, "way": way} | {key: round(value, 4) for key, value in found.items()})
    print()
    print(json.dumps({"ask": told}).replace("NaN", "null"))


def add_to(commands: Any) -> None:
    """Add the command to a parser's."""
    parser = commands.add_parser("ask", help="which decisions a second person should look at")
    parser.add_argument("--data", type=Path, required=True, help="folder with hate_train and civil_test")
    parser.add_argument("--seeds", type=int, default=8)
    parser.add_argument("--sites", nargs="+")
    parser.add_argument("--noise", nargs="+", type=float, default=list(NOISE))
    parser.add_argument("--tuning", action="store_true", help="two other sites")
    parser.add_argument("-o", "--output", type=Path, required=True)
    parser.set_defaults(do=run)
