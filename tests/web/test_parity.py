"""The browser's package gives what Python gives: cleaned texts, ids, logits, actions, explanations."""

import itertools
import json
import logging
import random
import shutil
import subprocess
import unicodedata
from pathlib import Path

import numpy as np
import parity_texts as make
import pytest

from giantkiller.attributes import ATTRIBUTES
from giantkiller.bundle import DEFAULT, MANIFEST, MODEL, read_bundle, write_bundle
from giantkiller.cleaning import clean_text
from giantkiller.encoding import unpack
from giantkiller.policy import ACTIONS, Policy
from giantkiller.screener import Screener

LOG = logging.getLogger(__name__)
WEB = Path(__file__).parents[2] / "web"
NODE = shutil.which("node")
LOGITS = 0.02
"""How far the logits may differ.

Products of integers are the same to the bit, but norms, softmax, GELU and tanh differ in the seventh digit.
Where such a number lies on the border between two steps of int8, it falls to the other side, and the layers
that follow make that larger: for a few texts beyond this, as any change of the seventh digit does (`shaken`).
"""
MOST = 0.1
"""How far those few may differ."""
STRAYS = 5e-4
"""Share of texts whose action may differ."""

needs_node = pytest.mark.skipif(
    NODE is None or not (WEB / "node_modules").is_dir(), reason="no Node here, or no `npm ci` in web/"
)


def run(bundle, folder, texts=(), read=(), explained=(), rows=(), policies=()):
    """Let the package do it all in Node; what is only read gets no scores."""
    asked = {"texts": texts, "read": read, "explained": explained, "rows": rows, "policies": policies}
    (folder / "texts.json").write_text(json.dumps(asked), encoding="ascii")
    arguments = [str(bundle), str(folder / "texts.json"), str(folder / "out.json")]
    subprocess.run([NODE, "--max-old-space-size=3000", "test/parity.mjs", *arguments], cwd=WEB, check=True)
    return json.loads((folder / "out.json").read_text(encoding="utf-8"))


def javascripts(texts):
    """Texts as JavaScript has them, each once."""
    return list(dict.fromkeys(filter(make.known_to_python, map(make.as_javascript, texts))))


def corpus():
    from test_text import DISGUISED, INNOCENT

    found = itertools.chain(
        *DISGUISED.values(), INNOCENT, make.examples(), make.hostile(6_000), make.scripts(6),
        make.attacked(900), ["a" * 30_000, "🙂" * 30_000, "s h i t " * 3_000, ""],
    )  # fmt: skip
    return javascripts(found)


def real(data_dir):
    parquet = pytest.importorskip("pyarrow.parquet")
    found = []
    for name, rows in (("civil_val", 2_000), ("wiki_train", 2_000), ("extra_text", 2_000)):
        found += parquet.read_table(data_dir / f"{name}.parquet", columns=["text"])["text"].to_pylist()[:rows]
    return javascripts(found)


def agree(texts, folder, read=()):
    screener = Screener(threads=1)
    out = run(DEFAULT, folder, texts, read)
    both = [*texts, *read]
    different = [t for t, js in zip(both, out["cleaned"], strict=True) if clean_text(t) != js]
    assert different == []
    assert all(out["same"])
    rows = screener.encoder.encode(both)
    different = [t for t, row, js in zip(both, rows, out["ids"], strict=True) if unpack(row).tolist() != js]
    assert different == []
    logits = screener.logits(texts)
    gap = np.abs(logits - np.array(out["logits"]))
    shakes = []  # which of the numbers lie on a border is a matter of the draw
    for seed in range(3):
        changed = shaken(folder, seed)
        changed.encoder = screener.encoder  # which has read all words before
        shakes.append(np.abs(changed.logits(texts) - logits))
    for name, each in (*(("the package's own, shaken,", own) for own in shakes), ("the tab's", gap)):
        LOG.info(
            "%s texts: %s logits differ by %.4f at most, %.6f on average; %s texts by more than %s",
            f"{len(texts):,}", name, each.max(), each.mean(), beyond(each), LOGITS,
        )  # fmt: skip
    assert gap.max() <= MOST
    assert gap.mean() <= 2 * max(own.mean() for own in shakes)
    assert beyond(gap) <= 2 * max(map(beyond, shakes)) + 3
    cut = screener.bundle.threshold["toxicity"]
    verdicts = [screener.policy.judge(row.tolist(), cut) for row in screener.calibrate(logits)]
    doubtful = near_a_threshold(screener, logits)
    for text, verdict, (action, _, label), doubt in zip(
        texts, verdicts, out["actions"], doubtful, strict=True
    ):
        assert doubt or (verdict.action, verdict.label) == (action, label), text
    differ = sum(v.action != a[0] for v, a in zip(verdicts, out["actions"], strict=True))
    LOG.info("%s actions differ", differ)
    assert differ <= STRAYS * len(texts)


def beyond(gaps):
    """How many texts have logits that differ by more than they may."""
    return (gaps.max(axis=1) > LOGITS).sum()


def shaken(folder, seed):
    """The shipped model, its norms' weights changed by three ten-millionths at most."""
    onnx = pytest.importorskip("onnx")
    bundle = read_bundle()
    model = onnx.load(bundle.model)
    dice = np.random.default_rng(seed)
    for constant in model.graph.initializer:
        if constant.name.endswith("norm_weight"):
            values = onnx.numpy_helper.to_array(constant)
            moved = values * (1 + 3e-7 * dice.uniform(-1, 1, values.shape))
            constant.CopyFrom(onnx.numpy_helper.from_array(moved.astype(np.float32), constant.name))
    files = {name: bundle.folder / name for name in bundle.files} | {MODEL: model.SerializeToString()}
    write_bundle(folder / f"shaken-{seed}", bundle, files)
    return Screener(folder / f"shaken-{seed}", threads=1)


def near_a_threshold(screener, logits):
    """Return for which texts a logit is as close to a threshold as logits may differ."""
    near = np.zeros(len(logits), bool)
    for column, attribute in enumerate(ATTRIBUTES):
        calibration = screener.bundle.calibration[attribute]
        cuts = [*screener.policy.get(attribute, {}).values()]
        cuts += [screener.bundle.threshold["toxicity"]] if attribute == "toxicity" else []
        for cut in cuts:
            with np.errstate(divide="ignore"):
                at = (np.log(cut) - np.log1p(-cut) - calibration.intercept) / calibration.slope
            near |= np.abs(logits[:, column] - at) <= LOGITS
    return near


needs_model = pytest.mark.skipif(not (DEFAULT / MANIFEST).is_file(), reason="no shipped bundle here")


@pytest.mark.slow
@needs_node
@needs_model
def test_twenty_thousand_texts(tmp_path):
    texts = corpus()
    assert len(texts) >= 20_000
    agree(texts, tmp_path, read=javascripts(make.every_character()))


@pytest.mark.slow
@needs_node
@needs_model
def test_real_comments(tmp_path, data_dir):
    agree(real(data_dir), tmp_path)


EXPLAINED = [
    "You  are\u200b an 1d10t 🙂, s t u p i d!",
    "",
    "🙂🙂 ѕhіt",
    "ﷺ idiot ﬁne",
    "[SEP] damn it",
    "你好 fool",
]


def policies(dice):
    yield from ({}, {"toxicity": {}, "insult": {"review": 0.5}}, {"threat": {"monitor": None, "remove": 0.9}})
    for _ in range(40):
        yield {
            attribute: dict(
                zip(ACTIONS[1:], sorted(dice.choices((0.1, 0.25, 0.5, 0.75, 1.0), k=3)), strict=True)
            )
            for attribute in dice.sample(ATTRIBUTES, dice.randint(1, 7))
        }


@needs_node
@needs_model
def test_explanations_and_verdicts_on_the_same_scores(tmp_path):
    dice = random.Random(0)
    thresholds = list(policies(dice))
    rows = [dice.choices((0.0, 0.1, 0.25, 0.3, 0.5, 0.75, 0.9, 1.0), k=7) for _ in range(200)]
    out = run(DEFAULT, tmp_path, explained=EXPLAINED, rows=rows, policies=thresholds)
    screener = Screener(threads=1)
    for text, spans in zip(EXPLAINED, out["spans"], strict=True):
        expected = screener.explain(text)
        assert [text[s.begin : s.end] for s in expected] == [word for word, _ in spans]
        for span, (_, contribution) in zip(expected, spans, strict=True):
            assert span.contribution == pytest.approx(contribution, abs=LOGITS)
    for policy, judged in zip(thresholds, out["judged"], strict=True):
        expected = map(Policy(policy).judge, rows)
        assert [[v.action, v.attribute, v.score, v.label] for v in expected] == judged


def test_the_tables_are_not_stale():
    import sys

    sys.path.insert(0, str(WEB))
    import generate

    written = (WEB / "src" / "tables.js").read_text(encoding="ascii").splitlines()
    fresh = generate.render().splitlines()
    if f"Unicode {unicodedata.unidata_version} " not in written[1]:  # which letters are called Latin
        written, fresh = (
            [line for line in lines[2:] if not line.startswith("export const LATIN")]
            for lines in (written, fresh)
        )
    assert written == fresh, "run: python web/generate.py"


def test_the_lock_file_names_no_hosts():
    assert "http" not in (WEB / "package-lock.json").read_text(encoding="utf-8").replace(
        "https://github.com", ""
    )
