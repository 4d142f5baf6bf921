import csv
import json
import logging
import shutil

import numpy as np
import pytest
import torch
from bundles import tokenizer, vocabulary
from checkpoints import COUNTS, write_checkpoint
from click.testing import CliRunner
from transformers import AutoModelForSequenceClassification, AutoTokenizer

from giantkiller import Screener
from giantkiller.attributes import ATTRIBUTES
from giantkiller.cleaning import clean_text
from giantkiller.cli.export import command
from giantkiller.data.holdout import is_held_out, merge_key
from giantkiller.data.labelled import read_labelled
from giantkiller.errors import UserError
from giantkiller.evaluation.thresholds import PolicyAims
from giantkiller.export.bundling import export_bundle
from giantkiller.export.checkpoint import read_checkpoint
from giantkiller.export.fitting import first_labels, unseen
from giantkiller.export.huggingface import export_huggingface


def reference_logits(folder, texts):
    model = AutoModelForSequenceClassification.from_pretrained(folder).eval()
    tokenize = AutoTokenizer.from_pretrained(folder)
    with torch.no_grad():
        return np.concatenate(
            [
                model(**tokenize([clean_text(t)], truncation=True, return_tensors="pt")).logits.numpy()
                for t in texts
            ]
        )


def texts(count=120):
    rng = np.random.default_rng(5)
    words = [w for w in vocabulary() if w.isalpha()]
    return [" ".join(rng.choice(words, size)) for size in rng.integers(1, 70, count)]


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    """A model that calls three comments in ten toxic."""
    folder = write_checkpoint(tmp_path_factory.mktemp("made") / "small")
    model = AutoModelForSequenceClassification.from_pretrained(folder)
    with torch.no_grad():
        model.classifier.weight.mul_(4)
        model.classifier.bias.zero_()
        model.save_pretrained(folder)
        model.classifier.bias.copy_(
            -torch.tensor(np.quantile(reference_logits(folder, texts()), 0.7, axis=0))
        )
    model.save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def labelled(checkpoint, tmp_path_factory):
    """Comments whose labels the model gets right more often than not, for two attributes."""
    path = tmp_path_factory.mktemp("data") / "validation.csv"
    logits = reference_logits(checkpoint, texts())
    noisy = logits + np.random.default_rng(1).normal(0, 0.3 * logits.std(0), logits.shape)
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["text", "toxicity", "insult"])
        for text, row in zip(texts(), noisy > np.quantile(noisy, 0.7, axis=0), strict=True):
            writer.writerow([text, int(row[0]), int(row[ATTRIBUTES.index("insult")])])
    return path


def test_the_bundle_scores_as_the_checkpoint_does(checkpoint, labelled, tmp_path):
    bundle = export_bundle(
        checkpoint, tmp_path / "out", validation={"v.csv": read_labelled(labelled)}, quantize="none"
    )
    assert (bundle.name, bundle.max_length) == ("small", 48)
    got = Screener(bundle.folder).logits(texts())
    np.testing.assert_allclose(got, reference_logits(checkpoint, texts()), atol=1e-4)


def test_validation_data_sets_calibration_thresholds_and_figures(checkpoint, labelled, tmp_path):
    bundle = export_bundle(checkpoint, tmp_path / "out", validation={"v.csv": read_labelled(labelled)})
    assert bundle.calibration["toxicity"].slope != 1
    assert (bundle.calibration["threat"].slope, bundle.calibration["threat"].intercept) == (1, 0)
    assert set(bundle.figures["validation"]) == {"toxicity", "insult"}
    toxicity = bundle.figures["validation"]["toxicity"]
    assert toxicity["rows"] == 120
    assert toxicity["average_precision"] > 0.5
    # Calibrated: the mean score is the share of toxic rows.
    scores = Screener(bundle.folder).scores(texts())
    assert abs(scores[:, 0].mean() - toxicity["positives"] / 120) < 0.05
    assert bundle.policy["toxicity"]["monitor"] <= bundle.policy["toxicity"]["review"]
    assert bundle.threshold["threat"] == 0.5
    assert bundle.provenance["dendrites"] == COUNTS
    card = (bundle.folder / "README.md").read_text()
    assert f"{toxicity['average_precision']:.4f}" in card
    assert "encoder.layer.1.attention.self.key | 2" in card
    assert card.startswith("---\nlicense: apache-2.0\n")


def test_without_validation_data_scores_are_plain_sigmoids(checkpoint, tmp_path, caplog):
    with caplog.at_level(logging.WARNING):
        bundle = export_bundle(checkpoint, tmp_path / "out")
    assert "not calibrated" in caplog.text
    screener = Screener(bundle.folder)
    logits = screener.logits(texts())
    np.testing.assert_allclose(screener.scores(texts()), 1 / (1 + np.exp(-logits)), atol=1e-6)
    # Ranges from random words still serve, if less well.
    assert np.abs(logits - reference_logits(checkpoint, texts())).mean() < 0.15 * logits.std()
    assert dict(bundle.policy) == {}
    assert "not calibrated" in (bundle.folder / "README.md").read_text()


KNOWN = ["you are stupid", "you stupid", "damn x1"]  # what comments use; idiot, hurt and thanks are left


@pytest.mark.parametrize("kind", ["static", "blocks", "none"])
def test_dropped_words_are_unknown_and_nothing_else_changes(labelled, tmp_path, kind):
    # More embeddings than the tokenizer has words, as models padded to a round number have.
    checkpoint = write_checkpoint(tmp_path / "padded", vocab_size=2000)
    validation = {"v.csv": read_labelled(labelled)}
    settings = {"validation": validation, "quantize": kind}
    whole = export_bundle(checkpoint, tmp_path / "whole", **settings)
    small = export_bundle(checkpoint, tmp_path / "small", words_of={"k.csv": KNOWN}, **settings)
    assert "vocabulary" not in whole.provenance
    about = small.provenance["vocabulary"]
    assert (about["rows"], about["of"], about["files"]) == (len(vocabulary()) - 3, 2000, {"k.csv": 3})
    assert f"Of 2,000 word embeddings the {about['rows']}" in (small.folder / "README.md").read_text()
    assert small.model.stat().st_size < whole.model.stat().st_size - 1500 * 32
    assert small.tokenizer.read_bytes() == whole.tokenizer.read_bytes()
    every, fewer = Screener(whole.folder), Screener(small.folder)
    same = ["", "you", "damn, you are stupid!", "xylophone 123", "🙂 unknown", "you " * 100, "[SEP]"]
    assert np.array_equal(fewer.logits(same), every.logits(same))
    assert np.array_equal(fewer.logits(["you idiot thanks"]), every.logits(["you 🙂 🙂"]))
    assert not np.array_equal(every.logits(["you idiot thanks"]), every.logits(["you 🙂 🙂"]))


def test_coverage_is_counted_by_hand(checkpoint, labelled, tmp_path):
    part = read_labelled(labelled)
    bundle = export_bundle(
        checkpoint, tmp_path / "out", validation={"v.csv": part}, words_of={"k.csv": KNOWN}, word_count=2
    )
    kept = {"you", "stupid", *(token for token in vocabulary() if len(token.removeprefix("##")) == 1)}
    tokens = [tokenizer().encode(clean_text(text)).tokens[1:-1][:46] for text in part.texts]
    got = bundle.provenance["vocabulary"]["coverage"]["v.csv"]
    assert got["comments"] == 120
    share = sum(token in kept for row in tokens for token in row) / sum(map(len, tokens))
    assert got["tokens_kept"] == pytest.approx(share, abs=1e-6)
    assert got["comments_kept"] == pytest.approx(np.mean([kept.issuperset(row) for row in tokens]), abs=1e-6)
    assert 0 < got["comments_kept"] < got["tokens_kept"] < 1
    with pytest.raises(UserError, match="at least 1"):
        export_bundle(checkpoint, tmp_path / "out", words_of={"k.csv": KNOWN}, word_count=0)


def test_scores_do_not_depend_on_order_batch_size_or_threads(checkpoint, tmp_path):
    bundle = export_bundle(checkpoint, tmp_path / "out")
    some = [*texts(40), "", "x", "[SEP] [SEP]", "word " * 400, "\u202e\u05d0\u05d1", "\x00\x07", "🙂"]
    first = Screener(bundle.folder, threads=1).logits(some)
    other = Screener(bundle.folder, threads=3, batch_tokens=64, window=7).logits(some[::-1])[::-1]
    assert np.array_equal(first, other)


def test_each_attribute_takes_the_first_file_with_enough_labels(checkpoint, labelled):
    whole = read_labelled(labelled)
    small = whole.take(range(12))
    blank = whole.take(range(len(whole)))
    blank.targets[:, 0] = np.nan
    targets, origin = first_labels({"small": small, "blank": blank, "whole": whole})
    assert origin == {"toxicity": "whole", "insult": "blank"}
    assert np.flatnonzero(~np.isnan(targets[:, 0])).tolist() == list(range(132, 252))
    insult = ATTRIBUTES.index("insult")
    assert np.flatnonzero(~np.isnan(targets[:, insult])).tolist() == list(range(12, 132))
    assert np.isnan(targets[:, ATTRIBUTES.index("threat")]).all()


def test_rows_that_training_saw_are_left_out(checkpoint, labelled):
    source = read_checkpoint(checkpoint)
    whole = read_labelled(labelled)
    source.record = {"data": {"sub/train.csv": "sha"}, "recipe": {"data": {"holdout_fraction": 0.3}}}
    assert unseen(source, "other.csv", whole) is whole
    kept = unseen(source, "train.csv", whole)
    assert kept.texts == [text for text in whole.texts if is_held_out(merge_key(text), 0.3)]
    # Soft labels may be of any file but the one that the recipe chose by.
    source.record["soft_labelled"] = 7
    source.record["recipe"]["data"]["validation"] = "val.csv"
    assert unseen(source, "val.csv", whole) is whole
    assert unseen(source, "other.csv", whole).texts == kept.texts
    source.record["recipe"]["data"]["holdout_fraction"] = 0.0
    assert unseen(source, "other.csv", whole) is whole
    with pytest.raises(UserError, match="trained on"):
        unseen(source, "train.csv", whole)


def test_attributes_fitted_on_held_out_training_rows_never_lead_to_remove(checkpoint, labelled, tmp_path):
    """Training files are enriched: precision on them is not precision at the rate of real comments."""
    copied = shutil.copytree(checkpoint, tmp_path / "trained")
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


def test_two_labels_for_transformers(checkpoint, tmp_path):
    folder = export_huggingface(checkpoint, tmp_path / "two", labels="two")
    model = AutoModelForSequenceClassification.from_pretrained(folder)
    tokenize = AutoTokenizer.from_pretrained(folder)
    inputs = tokenize("you are stupid", truncation=True, padding=True, max_length=48, return_tensors="pt")
    with torch.no_grad():
        logits = model(**inputs).logits
    assert logits.shape == (1, 2)
    expected = 1 / (1 + np.exp(-reference_logits(checkpoint, ["you are stupid"])[0, 0]))
    assert abs(torch.softmax(logits, -1)[0, 1].item() - expected) < 1e-6
    assert model.config.id2label == {0: "non-toxic", 1: "toxic"}
    assert "trust_remote_code=True" in (folder / "README.md").read_text()
    assert {p.name for p in folder.iterdir()} >= {"modeling_dendritic_bert.py", "dendritic_linear.py"}
    with pytest.raises(UserError, match="not empty"):
        export_huggingface(checkpoint, folder)


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


def test_unfit_checkpoints_are_refused_in_one_sentence(checkpoint, tmp_path):
    with pytest.raises(UserError, match=r"no config\.json"):
        read_checkpoint(tmp_path)
    export_bundle(checkpoint, tmp_path / "bundle")
    with pytest.raises(UserError, match="bundle already"):
        read_checkpoint(tmp_path / "bundle")
    other = write_checkpoint(tmp_path / "other", attributes=["a", "b"])
    with pytest.raises(UserError, match="labels a, b"):
        read_checkpoint(other)
    cut = write_checkpoint(tmp_path / "cut")
    with (cut / "model.safetensors").open("r+b") as file:
        file.truncate(1000)
    with pytest.raises(UserError, match="can't be read"):
        read_checkpoint(cut)
    broken = write_checkpoint(tmp_path / "nan")
    model = AutoModelForSequenceClassification.from_pretrained(broken)
    with torch.no_grad():
        model.classifier.weight[0, 0] = float("nan")
    model.save_pretrained(broken)
    with pytest.raises(UserError, match="no numbers"):
        read_checkpoint(broken)
    with pytest.raises(UserError, match="max length"):
        export_bundle(checkpoint, tmp_path / "long", max_length=100)
    with pytest.raises(UserError, match="quantization"):
        export_bundle(checkpoint, tmp_path / "odd", quantize="int1")
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "mine.txt").write_text("keep")
    with pytest.raises(UserError, match="other than a bundle"):
        export_bundle(checkpoint, tmp_path / "full")


def test_the_command(checkpoint, labelled, tmp_path):
    run = CliRunner().invoke
    out = str(tmp_path / "bundle")
    done = run(command, [str(checkpoint), "-o", out, "-c", str(labelled), "--name", "mine", "--json"])
    assert done.exit_code == 0, done.output
    report = json.loads(done.stdout)
    assert report["name"] == "mine"
    assert report["figures"]["validation"]["insult"]["rows"] == 120
    assert Screener(out).bundle.name == "mine"
    plain = run(command, [str(checkpoint), "-o", out, "-c", str(labelled)])
    assert "ROC-AUC" in plain.stdout
    two = run(
        command, [str(checkpoint), "-o", str(tmp_path / "two"), "--format", "huggingface", "--labels", "two"]
    )
    assert two.exit_code == 0, two.output
    assert (tmp_path / "two" / "model.safetensors").exists()
    refused = run(command, [str(checkpoint), "-o", out, "--labels", "two"])
    assert isinstance(refused.exception, UserError)


def test_the_command_drops_words(checkpoint, labelled, tmp_path):
    words = tmp_path / "words.csv"
    words.write_text("text\nyou are stupid\n")
    arguments = [str(checkpoint), "-o", str(tmp_path / "b"), "-c", str(labelled), "--vocabulary", str(words)]
    done = CliRunner().invoke(command, arguments)
    assert done.exit_code == 0, done.output
    assert f"vocabulary: {len(vocabulary()) - 4:,} of {len(vocabulary()):,} words stay" in done.stdout
    assert "of the tokens in" in done.stdout
    done = CliRunner().invoke(command, [*arguments, "--json"])
    report = json.loads(done.stdout)
    assert report["vocabulary"]["coverage"]["validation.csv"]["comments"] == 120
    (tmp_path / "other").mkdir()
    shutil.copy(words, tmp_path / "other" / "words.csv")
    twice = CliRunner().invoke(command, [*arguments, "--vocabulary", str(tmp_path / "other" / "words.csv")])
    assert "two of the files have one name" in str(twice.exception)
    view = CliRunner().invoke(command, [*arguments, "--format", "huggingface"])
    assert "is for bundles" in str(view.exception)
