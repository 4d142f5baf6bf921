"""What a site's decisions teach the shipped model, by what learns: a study of simulated sites.

    python benchmarks/adapt.py run --data DIR -o tuning.jsonl --tuning
    python benchmarks/adapt.py run --data DIR -o results.jsonl --tuned tuning.jsonl
    python benchmarks/adapt.py run --data DIR -o results.jsonl --tuned tuning.jsonl --noise 0.1 0.2 --seeds 3
    python benchmarks/adapt.py run --data DIR -o results.jsonl --tuned tuning.jsonl --updates 5 --seeds 3
    python benchmarks/adapt.py run --data DIR -o results.jsonl --tuned tuning.jsonl --guarded both
    python benchmarks/adapt.py report results.jsonl

A site is one source of hate_train.parquet with a rule of its own. Texts that the shipped model's teachers
labelled are left out (recipes/situations-labels*.npz hold their hashes). Of a site some comments are
decisions and 1,000 others, labels as they are, judge. A hash of the words lets 60 % of civil_val rehearse
with the old model's scores as targets; the others choose how much of what was learned is kept, as in
`giantkiller adapt`. civil_test and situations of the validation split judge what is lost; nothing is chosen
by them.

All arms have the same steps, rehearsal, choice of the pass and dial, except the two that fit no network:
Platt's line, which keeps the order, and logistic regression on the frozen pooled features in place of the
head's row. `--tuning` runs two learning rates and two weights of the rehearsal on two other sites, of which
every tenth comment is an attack on a group; what gains most there at the dial's choice is used.
"""

import argparse
import copy
import functools
import hashlib
import itertools
import json
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.compute as pc
import pyarrow.parquet as pq
import torch
from adapt_arms import ABLATION, ARMS, learn, settings_of, size
from adapt_tables import guarded_of, report
from dendrite_study import read_rows
from sklearn.metrics import average_precision_score

from giantkiller.adapt import Decisions, Delta, Settings
from giantkiller.adapt.compose import load_model
from giantkiller.adapt.decisions import decisions_of, words_key
from giantkiller.adapt.dial import dial
from giantkiller.adapt.learning import chosen_of, make_part
from giantkiller.adapt.rehearsal import Rehearsal, to_choose, to_judge, to_learn
from giantkiller.attributes import ATTRIBUTES
from giantkiller.bundle import read_bundle
from giantkiller.cleaning import clean_text
from giantkiller.data.holdout import is_held_out
from giantkiller.data.labelled import read_labelled
from giantkiller.encoding import Encoder
from giantkiller.models.inference import Tokens, predict, tokenize

SITES = {"gab_hate": "identity_attack", "stormfront": "identity_attack", "sbic": "toxicity"}
"""Sources, and the label that is the site's rule."""
TUNING = {"implicit_hate": "identity_attack", "hatexplain": "identity_attack"}
RATE = 0.1
"""Share of a tuning site's comments that break its rule; of the others it is the source's own."""
JUDGING, SITUATIONS = 1000, 600
FACTORS, REHEARSALS = (1.0, 3.0), (1.0, 4.0)
"""Of the learning rates, and of the rehearsal's weight, for tuning."""
CHOOSING = 0.4
"""Share of civil_val that chooses."""


class Bench:
    """The shipped model, the sites' comments, and what is judged elsewhere."""

    def __init__(self, data: Path, guarded: str) -> None:
        self.bundle = read_bundle()
        with tempfile.TemporaryDirectory() as folder:
            self.model = load_model(self.bundle, Path(folder) / "base")
        self.encoder = Encoder(self.bundle.tokenizer, self.bundle.max_length)
        columns = ["text", "identity_attack", "toxicity", "source"]
        self.table = pq.read_table(data / "hate_train.parquet", columns=columns)
        self.comments = functools.cache(self._comments)
        civil = decisions_of(read_labelled(data / "civil_val.parquet"), name="civil")
        chooses = np.array([is_held_out(words_key(text), CHOOSING) for text in civil.texts])
        rehearses, choosing = (civil.take(np.flatnonzero(part)) for part in (~chooses, chooses))
        self.rehearsal = to_learn(rehearses.texts)
        self.choosing = {"civil": Rehearsal(choosing.texts, choosing.targets)}
        if guarded == "both":
            self.choosing |= to_choose()
        test = decisions_of(read_labelled(data / "civil_test.parquet"), name="civil")
        situations = to_judge()["situations"]
        drawn = np.random.default_rng(0).permutation(len(situations))[:SITUATIONS]
        some = [situations.texts[row] for row in drawn], situations.targets[drawn, 0] >= 0.5
        self.elsewhere = {"civil": (test.texts, test.positive), "situations": some}
        self.judged = {name: (self.tokens(texts), labels) for name, (texts, labels) in self.elsewhere.items()}
        self.before = {name: self.precision(self.model, name) for name in self.judged}

    def tokens(self, texts: list[str]) -> Tokens:
        return tokenize(self.encoder, texts, clean=True)

    def precision(self, model: Any, name: str) -> float:
        tokens, labels = self.judged[name]
        return float(average_precision_score(labels, predict(model, tokens)[:, 0]))

    def _comments(self, source: str) -> tuple[list[str], np.ndarray]:
        """Return a site's comments that no teacher of the shipped model labelled, and who breaks its rule."""
        rows = self.table.filter(pc.equal(self.table["source"], source))
        texts, labels = rows["text"].to_pylist(), rows[(SITES | TUNING)[source]].to_numpy()
        kept = [
            row
            for row, text in enumerate(texts)
            if not np.isnan(labels[row]) and text_hash(clean_text(text)) not in labelled_before()
        ]
        return [texts[row] for row in kept], labels[kept] >= 0.5

    def site(self, source: str, count: int, noise: float, seed: int) -> tuple[Decisions, float]:
        """Draw a site's decisions, and the comments that judge, which share no text with them.

        Returns:
            The decisions, and the old model's average precision on the others.
        """
        texts, labels = self.comments(source)
        rng = np.random.default_rng([seed, len(source)])
        drawn = rng.permutation(len(texts))
        if source in TUNING:
            toxic = labels[drawn]
            few = np.flatnonzero(toxic)[: int(RATE / (1 - RATE) * np.count_nonzero(~toxic))]
            drawn = rng.permutation(np.concatenate([drawn[~toxic], drawn[few]]))
        judging, decided = drawn[:JUDGING], drawn[JUDGING : JUDGING + count]
        self.judged["site"] = self.tokens([texts[row] for row in judging]), labels[judging]
        targets = np.full((count, len(ATTRIBUTES)), np.nan, np.float32)
        targets[:, 0] = labels[decided] ^ (rng.random(count) < noise)
        units = np.arange(count)
        decisions = Decisions(
            [texts[row] for row in decided], targets, np.ones(count), units, None, count, 0, source
        )
        return decisions, self.precision(self.model, "site")

    def rehearsed(self, model: Any) -> Any:
        return make_part(model, self.bundle, self.rehearsal.texts, self.rehearsal.targets, share=0.5)

    @functools.cached_property
    def rehearsed_at_first(self) -> Any:
        return self.rehearsed(self.model)


@functools.cache
def labelled_before() -> frozenset[int]:
    """Return the hashes of the texts that teachers of the shipped model labelled."""
    found: set[int] = set()
    for path in (Path(__file__).parent.parent / "recipes").glob("situations-labels*.npz"):
        with np.load(path, allow_pickle=False) as file:
            found.update(file["texts"].tolist())
    return frozenset(found)


def text_hash(text: str) -> int:
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big")


KEYS = ("arm", "site", "decisions", "noise", "updates", "seed", "factor", "rehearsal")
GUARDED = ("civil", "both")
"""What the dial watches: civil_val's comments, or situations, too."""


def run(options: argparse.Namespace) -> None:
    torch.set_num_threads(1)
    sites = options.sites or (TUNING if options.tuning else SITES)
    rows = read_rows(options.output)
    done = {tuple(row[key] for key in KEYS) for row in rows if guarded_of(row) == options.guarded}
    bench: Bench | None = None
    for seed in range(options.first_seed, options.first_seed + options.seeds):
        for count, noise, source, arm in itertools.product(
            options.decisions, options.noise, sites, options.arms
        ):
            for factor, rehearsal in tried(options, arm):
                key = (arm, source, count, noise, options.updates, seed, factor, rehearsal)
                if key in done:
                    continue
                bench = bench or Bench(options.data, options.guarded)
                row = dict(zip(KEYS, key, strict=True)) | {"guarded": options.guarded} | cell(bench, *key)
                with options.output.open("a") as file:
                    file.write(json.dumps(row) + "\n")
                print(json.dumps(row), flush=True)


def tried(options: argparse.Namespace, arm: str) -> list[tuple[float, float]]:
    """Return the factors of the learning rate and the rehearsal's weights that an arm runs with."""
    if not (ARMS | ABLATION)[arm].method:
        return [(1.0, 1.0)]
    if options.tuning:
        return list(itertools.product(options.factors, options.rehearsals))
    return [best(options.tuned, arm)] if options.tuned else [(1.0, 1.0)]


def best(tuned: Path, arm: str) -> tuple[float, float]:
    """Return what gains most on the tuning sites, as the mean over sites and seeds."""
    found: dict[tuple[float, float], list[float]] = {}
    known = "correlation" if arm in ABLATION else arm
    for row in read_rows(tuned):
        if row["arm"] == known:
            found.setdefault((row["factor"], row["rehearsal"]), []).append(row["gain"])
    return max(found, key=lambda each: float(np.mean(found[each]))) if found else (1.0, 1.0)


def cell(
    bench: Bench,
    arm: str,
    source: str,
    count: int,
    noise: float,
    updates: int,
    seed: int,
    factor: float,
    rehearsal: float,
) -> dict[str, Any]:
    """Let one arm learn one site, in one go or in several updates in a row, and judge it."""
    decisions, before = bench.site(source, count, noise, seed)
    settings = settings_of((ARMS | ABLATION)[arm], factor, rehearsal, seed)
    began = time.process_time()
    model, known = bench.model, {"share": 1.0, "parameters": 2, "bytes": 0}
    if arm != "platt":
        for rows in np.array_split(np.arange(count), updates):
            model, known = adapted(bench, arm, model, decisions.take(rows), settings)
    seconds = time.process_time() - began
    return {
        "before": round(before, 4),
        "gain": round(bench.precision(model, "site") - before, 4),
        "loss": {
            part: round(was - bench.precision(model, part), 4)
            for part, was in bench.before.items()
            if source in SITES
        },
        "positives": [int(decisions.positive.sum()), int(bench.judged["site"][1].sum())],
        "seconds": round(seconds, 1),
        **known,
    }


def adapted(
    bench: Bench, arm: str, base: Any, decisions: Decisions, settings: Settings
) -> tuple[Any, dict[str, Any]]:
    """Let an arm learn, and turn the dial; return the model, and what is known of it."""
    rehearsed = bench.rehearsed_at_first if base is bench.model else bench.rehearsed(base)
    tensors = learn(arm, base, bench.bundle, decisions, bench.rehearsal, rehearsed, settings)
    chooses = decisions.take(np.flatnonzero(chosen_of(decisions)))
    kept = dial(base, bench.bundle, tensors, chooses, bench.choosing, settings)
    model = copy.deepcopy(base)
    Delta(kept.tensors, ()).apply(model)
    known = {
        "share": kept.share,
        "tried": [
            [each.share, round(each.gain, 4), *(round(loss, 4) for loss in each.losses.values())]
            for each in kept.tried
        ],
    }
    return model, {**known, "parameters": size(arm, tensors), "bytes": len(Delta(tensors, ()).content())}


def add_to(commands: Any) -> None:
    """Add the commands to a parser's."""
    parser = commands.add_parser("run", help="compare what may learn")
    parser.add_argument("--data", type=Path, required=True, help="folder with hate_train and civil_*")
    parser.add_argument("--seeds", type=int, default=8)
    parser.add_argument("--first-seed", type=int, default=1)
    parser.add_argument("--sites", nargs="+", choices=[*SITES, *TUNING])
    parser.add_argument("--arms", nargs="+", choices=[*ARMS, *ABLATION], default=list(ARMS))
    parser.add_argument("--decisions", nargs="+", type=int, default=[500])
    parser.add_argument("--noise", nargs="+", type=float, default=[0.0], help="share of labels flipped")
    parser.add_argument("--guarded", choices=GUARDED, default=GUARDED[0], help="what the dial watches")
    parser.add_argument("--updates", type=int, default=1, help="in a row, of equal shares of the decisions")
    parser.add_argument("--tuning", action="store_true", help="the tuning sites, several rates an arm")
    parser.add_argument("--factors", nargs="+", type=float, default=list(FACTORS))
    parser.add_argument("--rehearsals", nargs="+", type=float, default=list(REHEARSALS))
    parser.add_argument("--tuned", type=Path, help="what --tuning wrote: its best rates are used")
    parser.add_argument("-o", "--output", type=Path, required=True)
    parser.set_defaults(do=run)
    reports = commands.add_parser("report", help="print what `run` found")
    reports.add_argument("results", type=Path)
    reports.set_defaults(do=report)
