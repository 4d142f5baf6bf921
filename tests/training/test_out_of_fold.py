"""The script that labels texts by what others' labels say."""

import importlib.util
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from giantkiller.data.augment.sentences import split_sentences
from giantkiller.data.holdout import is_held_out, merge_key
from giantkiller.data.situations import read_situations
from giantkiller.errors import UserError

SCRIPT = Path(__file__).parents[2] / "recipes/out_of_fold.py"
TEXTS = [f"{word} {place}" for word in ("idiot", "thanks") for place in "abcdefghij" for _ in range(2)]
TEXTS = [f"{text} {'now' if i % 2 else 'then'}" for i, text in enumerate(TEXTS)]


@pytest.fixture
def said(dendritic_bert, tmp_path):
    """Labels texts after learning them with a label changed, or none."""

    def run(changed, *options, before=None):
        shares = [float("idiot" in text) for text in TEXTS]
        if changed is not None:
            shares[changed] = 1 - shares[changed]
        pq.write_table(pa.table({"text": TEXTS, "toxicity": shares}), tmp_path / "rated.parquet")
        table = {"text": [*TEXTS, "you idiot"], **(before or {})}
        pq.write_table(pa.table(table), tmp_path / "texts.parquet")
        command = [
            sys.executable,
            str(SCRIPT),
            str(dendritic_bert),
            "--learn",
            str(tmp_path / "rated.parquet"),
        ]
        command += ["--label", str(tmp_path / "texts.parquet"), "-o", str(tmp_path / "out"), *options]
        subprocess.run(command, check=True, capture_output=True)
        return pq.read_table(tmp_path / "out/texts.parquet")

    return run


def logits(table):
    return np.array(table["logit_toxicity"].to_pylist())


@pytest.mark.slow
@pytest.mark.parametrize("more", [[], ["--characters"]])
def test_a_texts_own_label_has_no_part_in_its_soft_label(said, more):
    network = logits(said(None, "--gain", "0"))
    plain, changed = (logits(said(place, "--gain", "1", *more)) - network for place in (None, 0))
    assert plain[0] == changed[0]
    assert (plain[1:] != changed[1:]).mean() > (0.3 if more else 0.5)
    assert plain[:20].mean() > plain[20:40].mean() + 0.5
    assert plain[40] > 0


@pytest.mark.slow
def test_logits_that_a_file_has_are_kept_and_added_to(said):
    before = {"logit_toxicity": np.full(41, 3.0), "logit_insult": np.full(41, 2.0)}
    table = said(None, "--gain", "1", before=before)
    assert table["logit_insult"].to_pylist() == [2.0] * 41
    network = logits(said(None, "--gain", "0"))
    np.testing.assert_allclose(logits(table) - 3, logits(said(None, "--gain", "1")) - network, atol=1e-5)


@pytest.fixture(scope="module")
def script():
    spec = importlib.util.spec_from_file_location("out_of_fold", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_a_writers_situations_are_in_one_part(script):
    texts = [each.text for each in read_situations("train") if each.writer == "w9"]
    parts = script.Parts([*texts, *TEXTS], 5)
    assert set(parts.of(texts)) == {9 % 5}
    assert len(set(parts.of(TEXTS))) == 5
    assert set(parts.of(["nobody rated this"])) == {5}


def test_a_sentence_is_in_the_part_of_its_comment(script):
    comments = [f"{text}, I said. {text}, they said to {i}!" for i, text in enumerate(TEXTS)]
    parts = script.Parts(comments, 5)
    for comment in comments:
        sentences = split_sentences(comment)
        assert len(sentences) == 2
        assert set(parts.of(sentences)) == set(parts.of([comment])) != {5}


def test_a_rescaled_sum_keeps_the_scale_and_takes_the_order(script):
    rng = np.random.default_rng(1)
    logits = np.append(rng.normal(-2, 3, 200), np.nan)
    more = np.append(2 + logits[:-1] + rng.normal(0, 1, 200), 0.0)
    both = script.added(logits, more, rescale=False)
    kept = script.added(logits, more, rescale=True)
    np.testing.assert_array_equal(both[:-1], (logits + more)[:-1])
    assert (np.argsort(kept[:-1]) == np.argsort(both[:-1])).all()
    np.testing.assert_allclose(np.polyfit(logits[:-1], kept[:-1], 1), [1, 0], atol=1e-9)
    with pytest.raises(UserError, match="no scale to keep"):
        script.added(np.full(3, 1.5), np.arange(3.0), rescale=True)


def test_characters_of_one_kind_are_refused(script):
    model = script.CharacterModel(TEXTS)
    inputs = model.inputs(TEXTS, None)
    with pytest.raises(UserError, match="of one kind"):
        model.fit(inputs, np.ones(len(TEXTS), bool), np.ones(len(TEXTS)), None)


def test_weak_labels_and_held_out_texts_are_not_learned(script, tmp_path):
    kinds = ["weak" if i % 4 == 0 else "raters" for i in range(len(TEXTS))]
    shares = [float("idiot" in text) for text in TEXTS]
    file = tmp_path / "rated.parquet"
    pq.write_table(pa.table({"text": TEXTS, "toxicity": shares, "label_kind": kinds}), file)
    texts, toxic, weights, files = script.read_learned([f"{file}=3", str(file)], "toxicity")
    kept = [t for i, t in enumerate(TEXTS) if i % 4 and not is_held_out(merge_key(t), script.HOLDOUT)]
    assert len(kept) < 30
    assert texts == 2 * kept
    assert toxic.tolist() == ["idiot" in text for text in texts]
    assert weights.tolist() == [3.0] * len(kept) + [1.0] * len(kept)
    assert files.toarray().argmax(axis=1).tolist() == [0] * len(kept) + [1] * len(kept)


@pytest.mark.parametrize(
    ("learn", "message"),
    [
        ("rated.csv=much", "'much' is no number"),
        ("nothing.csv", "nothing.csv"),
        ("unrated.csv", "nobody was asked about toxicity"),
    ],
)
def test_what_cannot_be_learned_is_said_in_a_sentence(
    script, dendritic_bert, tmp_path, monkeypatch, learn, message
):
    (tmp_path / "rated.csv").write_text("text,toxicity\none,1\n")
    (tmp_path / "unrated.csv").write_text("text,toxicity\none,\n")
    command = ["out_of_fold.py", str(dendritic_bert), "--learn", str(tmp_path / learn), "--gain", "1"]
    monkeypatch.setattr(
        "sys.argv", [*command, "--label", str(tmp_path / "rated.csv"), "-o", str(tmp_path / "out")]
    )
    with pytest.raises(SystemExit, match=message):
        script.main()
    assert not (tmp_path / "out").exists()


def test_a_file_that_is_learned_is_not_written_over(script, tmp_path, monkeypatch, capsys):
    file = tmp_path / "rated.csv"
    file.write_text("text,toxicity\none,1\n")
    command = ["out_of_fold.py", "any", "--learn", f"{file}=2", "--gain", "1"]
    monkeypatch.setattr("sys.argv", [*command, "--label", str(file), "-o", str(tmp_path)])
    with pytest.raises(SystemExit):
        script.main()
    assert "would lose a file" in capsys.readouterr().err
