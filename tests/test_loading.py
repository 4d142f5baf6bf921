import importlib.util
import json
import pickle
import shutil

import numpy as np
import pytest
from click.testing import CliRunner

from giantkiller import Policy, Screener, UserError, load_screener
from giantkiller.attributes import ATTRIBUTES
from giantkiller.cli.main import giantkiller
from giantkiller.loading import describe

TEXTS = ["you idiot", "you are an i.d.i.o.t", "", "damn " * 100, "lone \ud83d surrogate"]


def run(*arguments):
    return CliRunner().invoke(giantkiller, list(map(str, arguments)))


def test_a_bundle_scores_as_its_screener_does(tiny_bundle):
    loaded = load_screener(tiny_bundle, threads=1, policy=Policy({"insult": {"remove": 0.5}}))
    assert type(loaded) is Screener
    np.testing.assert_array_equal(loaded.scores(TEXTS), Screener(tiny_bundle).scores(TEXTS))
    assert loaded.threads == 1
    assert dict(loaded.policy["insult"]) == {"remove": 0.5}
    assert describe(tiny_bundle) == loaded.bundle


def test_a_checkpoint_scores_as_it_is_judged(dendritic_bert):
    from giantkiller.evaluation import opponents

    loaded = load_screener(dendritic_bert)
    scores = loaded.scores(TEXTS)
    np.testing.assert_allclose(scores, opponents.load(str(dendritic_bert)).score(TEXTS), atol=1e-6)
    assert scores[0, 0] == pytest.approx(loaded.predict("you idiot")["toxicity"], abs=1e-6)
    assert scores[1] == pytest.approx(loaded.scores(["you are an idiot"])[0], abs=1e-6)  # cleaned, as trained
    assert loaded.judge(TEXTS[0]).action in ("allow", "review")
    assert dict(loaded.policy) == {attribute: {"review": 0.5} for attribute in ATTRIBUTES}
    assert loaded.bundle.digest == describe(dendritic_bert).digest
    again = pickle.loads(pickle.dumps(loaded))
    # Not to the bit: torch's products depend on where in memory the weights happen to lie.
    np.testing.assert_allclose(again.scores(TEXTS), scores, atol=1e-6)


def test_the_classifier_of_others_reads_what_people_wrote(toxic_bert, tmp_path):

    from checkpoints import write_foreign
    from transformers import AutoTokenizer

    folder = write_foreign(tmp_path / "seven", AutoTokenizer.from_pretrained(toxic_bert), ATTRIBUTES[::-1])
    loaded = load_screener(folder)
    assert loaded.encoder.clean("i.d.i.o.t\ud83d").text == "i.d.i.o.t\N{REPLACEMENT CHARACTER}"
    assert loaded.scores(TEXTS).shape == (len(TEXTS), 7)
    backwards = load_screener(folder).logits(["you"])[0]
    config = json.loads((folder / "config.json").read_text())
    config["id2label"] = dict(enumerate(ATTRIBUTES))
    shutil.copytree(folder, tmp_path / "other")
    (tmp_path / "other" / "config.json").write_text(json.dumps(config))
    np.testing.assert_allclose(
        load_screener(tmp_path / "other").logits(["you"])[0], backwards[::-1], rtol=1e-6
    )
    assert load_screener(tmp_path / "other").bundle.digest != loaded.bundle.digest
    text = "you are a damn idiot"
    score = loaded.predict(text)["insult"]
    spans = loaded.explain(text, "insult")
    assert [text[span.begin : span.end] for span in spans] == text.split()
    assert score - spans[0].contribution == pytest.approx(loaded.predict(text[3:])["insult"], abs=1e-6)


def test_what_lacks_an_attribute_or_weights_does_not_screen(toxic_bert, tmp_path):
    from transformers import AutoTokenizer, BertConfig, BertModel

    with pytest.raises(UserError, match=r"no score for insult, sexual_explicit.*all seven"):
        load_screener(toxic_bert)
    assert describe(toxic_bert).policy.keys() == set(ATTRIBUTES) - {"insult", "sexual_explicit"}
    AutoTokenizer.from_pretrained(toxic_bert).save_pretrained(tmp_path)
    config = BertConfig.from_pretrained(toxic_bert, id2label=dict(enumerate(ATTRIBUTES)), label2id=None)
    BertModel(config).save_pretrained(tmp_path)
    with pytest.raises(UserError, match=r"lacks weights.*random"):
        load_screener(tmp_path)


def test_a_checkpoint_without_torch(dendritic_bert, tiny_bundle, monkeypatch):
    found = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "torch" else found(name))
    with pytest.raises(UserError, match=r"is a checkpoint, which needs torch: pip install .*\[train\]"):
        load_screener(dendritic_bert)
    assert load_screener(tiny_bundle).predict("you")


@pytest.mark.parametrize("kind", ["tiny_bundle", "dendritic_bert"])
def test_a_model_is_the_same_in_every_command(kind, request, tmp_path):
    model = request.getfixturevalue(kind)
    scores = load_screener(model).predict("you idiot")
    scored = json.loads(run("score", "--json", "-m", model, "you idiot").output)
    assert scored["toxicity"] == pytest.approx(scores["toxicity"], abs=1e-5)
    explained = json.loads(run("explain", "--json", "-m", model, "you idiot").output)
    assert explained["score"] == pytest.approx(scores["toxicity"], abs=1e-5)
    (tmp_path / "in.csv").write_text("text\nyou idiot\n")
    assert run("screen", tmp_path / "in.csv", "-o", tmp_path / "out.csv", "-m", model).exit_code == 0
    header, row = (line.split(",") for line in (tmp_path / "out.csv").read_text().splitlines())
    assert float(row[header.index("toxicity")]) == pytest.approx(scores["toxicity"], abs=1e-4)
    about = json.loads(run("info", "--json", model).output)
    assert about["digest"] == describe(model).digest
    assert "digest" in run("info", model).output
    timed = json.loads(
        run("bench", model, "--comments", 100, "--rounds", 1, "--json").output.splitlines()[-1]
    )
    assert timed["models"][0]["bundle_bytes"] == describe(model).bytes
