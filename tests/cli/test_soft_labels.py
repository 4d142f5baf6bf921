import json

from click.testing import CliRunner

from giantkiller.cli.main import giantkiller
from giantkiller.data.holdout import is_held_out, merge_key
from giantkiller.errors import UserError
from giantkiller.training.soft_labels import read_soft_labels


def test_soft_labels_train(toxic_bert, tiny, tmp_path):
    out = tmp_path / "soft.parquet"
    data = str(tiny / "labelled.csv")
    result = CliRunner().invoke(
        giantkiller, ["soft-labels", str(toxic_bert), "-d", data, "-d", data, "-o", str(out)]
    )
    assert result.exit_code == 0, result.output
    texts, logits = read_soft_labels(out)
    assert len(texts) == len(set(texts)) == len(logits)
    recipe = (tiny / "recipe.toml").read_text().replace('{ file = "labelled.csv" }', f'{{ file = "{out}" }}')
    (tmp_path / "labelled.csv").write_bytes((tiny / "labelled.csv").read_bytes())
    recipe = recipe.replace("validation_fraction = 0.3", 'validation = "labelled.csv"')
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
    kept = [text for text in comments[:40] if not is_held_out(merge_key(text), 0.3)]
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
    recipe = (
        (tiny / "recipe.toml").read_text().replace('{ file = "labelled.csv" }', '{ file = "soft.parquet" }')
    )
    recipe = recipe.replace("validation_fraction = 0.3", 'validation = "val.csv"')
    (tmp_path / "r.toml").write_text(recipe)
    result = CliRunner().invoke(
        giantkiller,
        ["train", str(tmp_path / "r.toml"), "-d", str(tmp_path), "-o", str(tmp_path / "student"), "--json"],
    )
    assert result.exit_code == 0, result.exception
    assert json.loads(result.stdout)["texts"] > 100
