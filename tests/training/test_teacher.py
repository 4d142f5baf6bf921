import json

import numpy as np
import pytest
from click.testing import CliRunner
from transformers import AutoTokenizer, BertConfig, BertForSequenceClassification

from giantkiller.attributes import ATTRIBUTES
from giantkiller.cli.main import giantkiller
from giantkiller.data.holdout import is_held_out
from giantkiller.errors import UserError
from giantkiller.training.distill import read_soft_labels
from giantkiller.training.teacher import average, load_teacher
from giantkiller.training.warmstart import resolve


@pytest.fixture(scope="module")
def toxic_bert(tiny, tmp_path_factory):
    """A classifier of another system, with five attributes under its own names and one label we lack."""
    folder = tmp_path_factory.mktemp("teacher")
    labels = ["toxic", "severe_toxic", "obscene", "threat", "identity_hate", "spam"]
    tokenizer = AutoTokenizer.from_pretrained(tiny / "tokenizer")
    config = BertConfig(
        vocab_size=len(tokenizer),
        hidden_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=16,
        num_labels=len(labels),
        id2label=dict(enumerate(labels)),
        label2id={label: i for i, label in enumerate(labels)},
    )
    BertForSequenceClassification(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def test_a_teachers_labels_find_their_attributes(toxic_bert):
    logits = load_teacher(str(toxic_bert))(["you clown", "thanks"])
    known = [
        ATTRIBUTES.index(a) for a in ("toxicity", "severe_toxicity", "obscene", "threat", "identity_attack")
    ]
    assert logits.shape == (2, 7)
    assert np.isfinite(logits[:, known]).all()
    assert np.isnan(np.delete(logits, known, axis=1)).all()


def test_logits_do_not_depend_on_the_batch(toxic_bert):
    teacher = load_teacher(str(toxic_bert))
    texts = ["you clown", "thanks for the article on the bridge repair, I learned a lot", "shut up"]
    together = teacher(texts)
    alone = np.concatenate([teacher([text]) for text in texts])
    np.testing.assert_allclose(together, alone, atol=1e-5)


def test_average_counts_only_teachers_that_know():
    def one(texts):
        return np.full((len(texts), 7), 1.0, np.float32)

    def other(texts):
        values = np.full((len(texts), 7), 3.0, np.float32)
        values[:, 6] = np.nan
        return values

    mean = average([one, other])(["a"])
    np.testing.assert_array_equal(mean[0], [2, 2, 2, 2, 2, 2, 1])


def test_soft_labels_command(toxic_bert, tiny, tmp_path):
    out = tmp_path / "soft.parquet"
    data = str(tiny / "labelled.csv")
    result = CliRunner().invoke(
        giantkiller, ["soft-labels", str(toxic_bert), "-d", data, "-d", data, "-o", str(out)]
    )
    assert result.exit_code == 0, result.output
    texts, logits = read_soft_labels(out)
    assert len(texts) == len(set(texts)) == len(logits)
    recipe = (tiny / "recipe.toml").read_text().replace('train = ["labelled.csv"]', "train = []")
    (tmp_path / "labelled.csv").write_bytes((tiny / "labelled.csv").read_bytes())
    recipe = recipe.replace(
        "validation_fraction = 0.3", f'validation = "labelled.csv"\nsoft_labels = ["{out}"]'
    )
    (tmp_path / "r.toml").write_text(recipe)
    told = CliRunner().invoke(
        giantkiller, ["train", str(tmp_path / "r.toml"), "-d", str(tmp_path), "-o", str(tmp_path / "o")]
    )
    assert "no text to train on" in str(told.exception)  # every soft-labelled text is a validation text


def test_soft_labels_can_be_had_for_a_part_of_a_file(toxic_bert, tiny, tmp_path):
    out = tmp_path / "soft.parquet"
    arguments = ["soft-labels", str(toxic_bert), "-d", str(tiny / "labelled.csv"), "-o", str(out), "--most"]
    counts = []
    for most in ("7", "100000"):
        assert CliRunner().invoke(giantkiller, [*arguments, most]).exit_code == 0
        counts.append(len(read_soft_labels(out)[0]))
    assert counts[0] == 7 < counts[1]


def test_sentences_of_comments_that_are_not_held_out(toxic_bert, tmp_path):
    comments = [f"This is number {i}. And here it ends." for i in range(40)] + ["One sentence only."]
    (tmp_path / "c.csv").write_text("text\n" + "\n".join(comments) + "\n")
    out = tmp_path / "soft.parquet"
    arguments = ["soft-labels", str(toxic_bert), "-d", str(tmp_path / "c.csv"), "-o", str(out), "--sentences"]
    result = CliRunner().invoke(giantkiller, [*arguments, "--holdout-fraction", "0.3"])
    assert result.exit_code == 0, result.output
    kept = [text for text in comments[:40] if not is_held_out(text, 0.3)]
    assert 0 < len(kept) < 40
    wanted = {"And here it ends.", *(text.partition(".")[0] + "." for text in kept)}
    assert set(read_soft_labels(out)[0]) == wanted


def test_remixes_of_comments_are_labelled(toxic_bert, tmp_path):
    comments = [f"This is number {i}. And here it ends, you see." for i in range(20)]
    (tmp_path / "c.csv").write_text("text\n" + "\n".join(f'"{text}"' for text in comments) + "\n")
    arguments = ["soft-labels", str(toxic_bert), "-d", str(tmp_path / "c.csv"), "--remixes", "30"]
    made = {}
    for name, seed in (("a", "1"), ("b", "1"), ("c", "2")):
        out = tmp_path / f"{name}.parquet"
        result = CliRunner().invoke(giantkiller, [*arguments, "--seed", seed, "-o", str(out)])
        assert result.exit_code == 0, result.output
        made[name], logits = read_soft_labels(out)
        assert logits.shape == (len(made[name]), 7)
    assert 10 < len(made["a"]) <= 30
    assert made["a"] == made["b"] != made["c"]
    both = CliRunner().invoke(giantkiller, [*arguments, "--sentences", "-o", str(tmp_path / "d.parquet")])
    assert isinstance(both.exception, UserError)
    assert "--sentences and --remixes cannot go together" in str(both.exception)
    assert not (tmp_path / "d.parquet").exists()


def test_distilling_follows_the_teacher(toxic_bert, tiny, tmp_path):
    """Texts without raters' labels train by the teacher alone."""
    out = tmp_path / "soft.parquet"
    CliRunner().invoke(
        giantkiller, ["soft-labels", str(toxic_bert), "-d", str(tiny / "labelled.csv"), "-o", str(out)]
    )
    (tmp_path / "val.csv").write_text("text,toxicity\nyou clown,1\nthank you,0\n")
    recipe = (tiny / "recipe.toml").read_text().replace('train = ["labelled.csv"]', "train = []")
    recipe = recipe.replace(
        "validation_fraction = 0.3", 'validation = "val.csv"\nsoft_labels = ["soft.parquet"]'
    )
    (tmp_path / "r.toml").write_text(recipe)
    result = CliRunner().invoke(
        giantkiller,
        ["train", str(tmp_path / "r.toml"), "-d", str(tmp_path), "-o", str(tmp_path / "student"), "--json"],
    )
    assert result.exit_code == 0, result.exception
    assert json.loads(result.stdout)["texts"] > 100


def test_foreign_labels_are_refused(toxic_bert, tmp_path):
    for path in toxic_bert.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    config = json.loads((tmp_path / "config.json").read_text())
    config["id2label"] = {str(i): f"LABEL_{i}" for i in range(6)}
    config["label2id"] = {f"LABEL_{i}": i for i in range(6)}
    (tmp_path / "config.json").write_text(json.dumps(config))
    with pytest.raises(UserError, match="none of which is an attribute"):
        load_teacher(str(tmp_path))


def test_sources_that_are_not_there_are_refused(tmp_path):
    with pytest.raises(UserError, match="pip install no-such-package"):
        resolve("package:no_such_package/model")
    with pytest.raises(UserError, match="no folder 'nowhere'"):
        resolve("package:giantkiller/nowhere")
    with pytest.raises(UserError, match="could not be loaded"):
        load_teacher(str(tmp_path / "nothing"))
