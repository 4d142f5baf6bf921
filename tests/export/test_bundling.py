import json
import logging
import shutil

import numpy as np
import pytest
from bundles import tokenizer, vocabulary
from checkpoints import COUNTS, reference_logits, texts, write_checkpoint

from giantkiller import Screener
from giantkiller.attributes import ATTRIBUTES
from giantkiller.bundle import BINS, DISTRIBUTION, read_bundle
from giantkiller.cleaning import clean_text
from giantkiller.data.labelled import read_labelled
from giantkiller.errors import UserError
from giantkiller.evaluation.presets import DEFAULT_PRESET, PRESETS
from giantkiller.evaluation.thresholds import PolicyAims
from giantkiller.export.bundling import export_bundle


def test_the_bundle_scores_as_the_checkpoint_does(dendritic_bert, labelled, tmp_path):
    bundle = export_bundle(
        dendritic_bert, tmp_path / "out", validation={"v.csv": read_labelled(labelled)}, quantize="none"
    )
    assert (bundle.name, bundle.max_length) == ("small", 48)
    got = Screener(bundle.folder).logits(texts())
    np.testing.assert_allclose(got, reference_logits(dendritic_bert, texts()), atol=1e-4)


def test_validation_data_sets_calibration_thresholds_and_figures(dendritic_bert, labelled, tmp_path):
    bundle = export_bundle(dendritic_bert, tmp_path / "out", validation={"v.csv": read_labelled(labelled)})
    assert bundle.calibration["toxicity"].slope != 1
    assert (bundle.calibration["threat"].slope, bundle.calibration["threat"].intercept) == (1, 0)
    assert set(bundle.figures["validation"]) == {"toxicity", "insult"}
    toxicity = bundle.figures["validation"]["toxicity"]
    assert toxicity["rows"] == 120
    assert toxicity["average_precision"] > 0.5
    # Calibrated: the mean score is the share of toxic rows.
    scores = Screener(bundle.folder).scores(texts())
    assert abs(scores[:, 0].mean() - toxicity["positives"] / 120) < 0.05
    spread = bundle.figures[DISTRIBUTION]
    assert (spread["file"], spread["rows"]) == ("v.csv", 120)
    assert spread["insult"] == pytest.approx(np.histogram(scores[:, 4], BINS, (0, 1))[0] / 120, abs=1e-6)
    assert bundle.policy["toxicity"]["monitor"] <= bundle.policy["toxicity"]["review"]
    assert bundle.threshold["threat"] == 0.5
    assert bundle.provenance["dendrites"] == COUNTS
    card = (bundle.folder / "README.md").read_text()
    assert f"{toxicity['average_precision']:.4f}" in card
    assert "encoder.layer.1.attention.self.key | 2" in card
    assert card.startswith("---\nlicense: apache-2.0\n")


def test_without_validation_data_scores_are_plain_sigmoids(dendritic_bert, tmp_path, caplog):
    with caplog.at_level(logging.WARNING):
        bundle = export_bundle(dendritic_bert, tmp_path / "out")
    assert "not calibrated" in caplog.text
    screener = Screener(bundle.folder)
    logits = screener.logits(texts())
    np.testing.assert_allclose(screener.scores(texts()), 1 / (1 + np.exp(-logits)), atol=1e-6)
    # Ranges from random words still serve, if less well.
    assert np.abs(logits - reference_logits(dendritic_bert, texts())).mean() < 0.15 * logits.std()
    assert dict(bundle.policy) == {}
    assert "not calibrated" in (bundle.folder / "README.md").read_text()


def test_the_shipped_card_names_the_data_sets_whatever_folder_their_files_lay_in():
    card = (read_bundle(None).folder / "README.md").read_text()
    assert '"google/civil_comments", "google/jigsaw_toxicity_pred"' in card


KNOWN = ["you are stupid", "you stupid", "damn x1"]  # what comments use; idiot, hurt and thanks are left


@pytest.mark.parametrize("kind", ["static", "none"])
def test_dropped_words_are_unknown_and_nothing_else_changes(labelled, tmp_path, kind):
    # More embeddings than the tokenizer has words, as models padded to a round number have.
    dendritic_bert = write_checkpoint(tmp_path / "padded", vocab_size=2000)
    validation = {"v.csv": read_labelled(labelled)}
    settings = {"validation": validation, "quantize": kind}
    whole = export_bundle(dendritic_bert, tmp_path / "whole", **settings)
    small = export_bundle(dendritic_bert, tmp_path / "small", words_of={"k.csv": KNOWN}, **settings)
    assert "vocabulary" not in whole.provenance
    about = small.provenance["vocabulary"]
    assert (about["rows"], about["of"], about["files"]) == (len(vocabulary()) - 3, 2000, {"k.csv": 3})
    assert f"Of 2,000 word embeddings the {about['rows']}" in (small.folder / "README.md").read_text()
    assert whole.provenance["parameters"] - small.provenance["parameters"] == (2000 - about["rows"]) * 32
    assert small.model.stat().st_size < whole.model.stat().st_size - 1500 * 32
    assert small.tokenizer.read_bytes() == whole.tokenizer.read_bytes()
    every, fewer = Screener(whole.folder), Screener(small.folder)
    same = ["", "you", "damn, you are stupid!", "xylophone 123", "🙂 unknown", "you " * 100, "[SEP]"]
    assert np.array_equal(fewer.logits(same), every.logits(same))
    assert np.array_equal(fewer.logits(["you idiot thanks"]), every.logits(["you 🙂 🙂"]))
    assert not np.array_equal(every.logits(["you idiot thanks"]), every.logits(["you 🙂 🙂"]))


def test_words_used_too_seldom_are_dropped_as_well(dendritic_bert, tmp_path):
    few = export_bundle(
        dendritic_bert, tmp_path / "few", words_of={"k.csv": KNOWN, "l.csv": []}, word_times=2
    )
    about = few.provenance["vocabulary"]
    assert (about["times"], about["rows"]) == (2, len(vocabulary()) - 5)  # damn and are stand there once
    logits = Screener(few.folder).logits(["you are stupid", "you 🙂 stupid", "you stupid"])
    assert np.array_equal(logits[0], logits[1])
    assert not np.array_equal(logits[0], logits[2])


def test_coverage_is_counted_by_hand(dendritic_bert, labelled, tmp_path):
    part = read_labelled(labelled)
    bundle = export_bundle(
        dendritic_bert, tmp_path / "out", validation={"v.csv": part}, words_of={"k.csv": KNOWN}
    )
    kept = {
        "you",
        "are",
        "stupid",
        "damn",
        *(token for token in vocabulary() if len(token.removeprefix("##")) == 1),
    }
    tokens = [tokenizer().encode(clean_text(text)).tokens[1:-1][:46] for text in part.texts]
    got = bundle.provenance["vocabulary"]["coverage"]["v.csv"]
    assert got["comments"] == 120
    share = sum(token in kept for row in tokens for token in row) / sum(map(len, tokens))
    assert got["tokens_kept"] == pytest.approx(share, abs=1e-6)
    assert got["comments_kept"] == pytest.approx(np.mean([kept.issuperset(row) for row in tokens]), abs=1e-6)
    assert 0 < got["comments_kept"] < got["tokens_kept"] < 1


def test_scores_do_not_depend_on_order_batch_size_or_threads(dendritic_bert, tmp_path):
    bundle = export_bundle(dendritic_bert, tmp_path / "out")
    some = [*texts(40), "", "x", "[SEP] [SEP]", "word " * 400, "\u202e\u05d0\u05d1", "\x00\x07", "🙂"]
    first = Screener(bundle.folder, threads=1).logits(some)
    other = Screener(bundle.folder, threads=3, batch_tokens=64, window=7).logits(some[::-1])[::-1]
    assert np.array_equal(first, other)


def test_attributes_fitted_on_held_out_training_rows_never_lead_to_remove(dendritic_bert, labelled, tmp_path):
    """Training files are enriched: precision on them is not precision at the rate of real comments."""
    copied = shutil.copytree(dendritic_bert, tmp_path / "trained")
    (copied / "training").mkdir(exist_ok=True)
    recipe = {"name": "made", "seed": 1, "data": {"holdout_fraction": 0.9}}
    record = {"recipe": recipe, "data": {"train.csv": "sha"}}
    (copied / "training" / "record.json").write_text(json.dumps(record))
    whole = read_labelled(labelled)
    easy = {"aims": PolicyAims(remove_precision=0.01)}
    natural = export_bundle(copied, tmp_path / "natural", validation={"other.csv": whole}, **easy)
    held_out = export_bundle(copied, tmp_path / "held", validation={"train.csv": whole}, **easy)
    assert any("remove" in actions for actions in natural.policy.values())
    assert not any("remove" in actions for actions in held_out.policy.values())
    notes = held_out.figures["policy"]
    assert all(notes[name].startswith(f"nothing is removed by {name}") for name in held_out.policy)
    # Whatever has no action, or is never removed, is explained on the card.
    card = (held_out.folder / "README.md").read_text()
    assert set(notes) >= set(ATTRIBUTES) - set(held_out.policy)
    assert all(f"- {note}" in card for note in notes.values())


def test_a_plain_bert_with_our_labels_is_a_checkpoint(tmp_path):
    from transformers import BertConfig, BertForSequenceClassification

    write_checkpoint(tmp_path / "plain", dendrites={})
    labels = dict(enumerate(ATTRIBUTES))
    config = BertConfig(
        vocab_size=len(vocabulary()), hidden_size=32, intermediate_size=48, num_hidden_layers=2,
        num_attention_heads=2, max_position_embeddings=64, id2label=labels,
        label2id={name: i for i, name in labels.items()},
    )  # fmt: skip
    BertForSequenceClassification(config).save_pretrained(tmp_path / "plain")
    bundle = export_bundle(tmp_path / "plain", tmp_path / "out", quantize="none")
    expected = reference_logits(tmp_path / "plain", texts(5))
    np.testing.assert_allclose(Screener(bundle.folder).logits(texts(5)), expected, atol=1e-4)


def test_what_does_not_fit_is_refused_and_nothing_written(dendritic_bert, tmp_path):
    with pytest.raises(UserError, match="`max_length` 100 does not fit"):
        export_bundle(dendritic_bert, tmp_path / "long", max_length=100)
    with pytest.raises(UserError, match="static, none"):
        export_bundle(dendritic_bert, tmp_path / "odd", quantize="int1")
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "mine.txt").write_text("keep")
    with pytest.raises(UserError, match="other than a bundle"):
        export_bundle(dendritic_bert, tmp_path / "full")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["full"]


def test_comments_without_usable_labels_are_refused(dendritic_bert, labelled, tmp_path):
    part = read_labelled(labelled)
    part.targets[:] = np.nan
    with pytest.raises(UserError, match="nothing can be fitted"):
        export_bundle(dendritic_bert, tmp_path / "out", validation={"v.csv": part})
    assert not (tmp_path / "out").exists()


def test_a_new_bundle_follows_links_and_leaves_other_files(dendritic_bert, tmp_path):
    export_bundle(dendritic_bert, tmp_path / "real", quantize="none")
    (tmp_path / "real" / "notes.txt").write_text("mine")
    (tmp_path / "link").symlink_to(tmp_path / "real")
    bundle = export_bundle(dendritic_bert, tmp_path / "link", quantize="none", name="second")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "real" / "notes.txt").read_text() == "mine"
    assert Screener(tmp_path / "real").bundle.name == bundle.name == "second"


def test_presets_take_the_place_of_aims(dendritic_bert, labelled, tmp_path):
    comments = read_labelled(labelled)
    bundle = export_bundle(dendritic_bert, tmp_path / "out", validation={"a.csv": comments}, presets=True)
    assert set(bundle.policies) == set(PRESETS)
    assert bundle.policy == bundle.policies[DEFAULT_PRESET] == read_bundle(tmp_path / "out").policy
    assert "obscene" not in bundle.policy
    # Whatever flags or removes nothing is explained, as the policy that ships has it.
    notes, card = bundle.figures["policy"], (bundle.folder / "README.md").read_text()
    assert list(notes) == [name for name in ATTRIBUTES if "remove" not in bundle.policy.get(name, {})]
    assert notes["obscene"] == "nothing is flagged by obscene alone in the default policy, `forum`"
    assert notes["threat"].startswith("nothing is removed by threat alone in the default policy, `forum`")
    assert all(f"- {note}\n" in card for note in notes.values())
    with pytest.raises(UserError, match="`presets` need labelled comments"):
        export_bundle(dendritic_bert, tmp_path / "other", presets=True)
    assert not (tmp_path / "other").exists()


def test_presets_never_go_by_scores_that_are_the_wrong_way_round(dendritic_bert, labelled, tmp_path):
    comments = read_labelled(labelled)
    usual = export_bundle(dendritic_bert, tmp_path / "usual", validation={"a.csv": comments}, presets=True)
    threat = reference_logits(dendritic_bert, comments.texts)[:, ATTRIBUTES.index("threat")]
    comments.targets[:, ATTRIBUTES.index("threat")] = threat < np.quantile(threat, 0.4)
    bundle = export_bundle(dendritic_bert, tmp_path / "out", validation={"a.csv": comments}, presets=True)
    for name, policy in bundle.policies.items():
        assert policy.to_dict() == {a: dict(s) for a, s in usual.policies[name].items() if a != "threat"}
    note = bundle.figures["policy"]["threat"]
    assert note.startswith(
        "threat leads to no action: the scores for threat rank labelled rows the wrong way"
    )
    assert f"- {note}\n" in (bundle.folder / "README.md").read_text()
    comments.targets[:, 0] = 1 - comments.targets[:, 0]
    with pytest.raises(UserError, match="`presets` go by toxicity, which can't be fitted: the scores for"):
        export_bundle(dendritic_bert, tmp_path / "worse", validation={"a.csv": comments}, presets=True)
