from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from giantkiller.attributes import ATTRIBUTES
from giantkiller.data.augment.templates import IDENTITIES
from giantkiller.data.holdout import is_held_out, merge_key
from giantkiller.training.corpus import (
    Corpus,
    disguised_copies,
    load_corpora,
    mentioning_copies,
    merge,
    plan_batches,
)
from giantkiller.training.distill import write_soft_labels
from giantkiller.training.recipe import DataSettings, Recipe

NAN = float("nan")


def corpus(texts, toxicity, weights=None, soft=None):
    targets = np.full((len(texts), len(ATTRIBUTES)), NAN, np.float32)
    targets[:, 0] = toxicity
    softs = np.full_like(targets, NAN)
    if soft is not None:
        softs[:, 0] = soft
    return Corpus(texts, targets, np.array(weights or [1] * len(texts), np.float32), softs)


def test_merge_joins_texts_that_differ_by_case_and_space():
    merged = merge([corpus(["A b", "c"], [1, 0]), corpus(["a  B", "d"], [0, NAN], soft=[2, 3])])
    assert merged.texts == ["A b", "c", "d"]
    np.testing.assert_allclose(merged.targets[:, 0], [0.5, 0, NAN])
    np.testing.assert_allclose(merged.soft[:, 0], [2, NAN, 3])


def test_merge_weighs_conflicting_targets():
    merged = merge([corpus(["a"], [1], [0.25]), corpus(["a"], [0], [0.75])])
    np.testing.assert_allclose(merged.targets[0, 0], 0.25)
    np.testing.assert_allclose(merged.weights, [0.5])


def test_soft_labels_alone_do_not_change_a_rows_weight():
    merged = merge([corpus(["a"], [1], [0.5]), corpus(["a"], [NAN], [1], soft=[1])])
    np.testing.assert_allclose(merged.weights, [0.5])


@given(
    lengths=st.lists(st.integers(2, 300), min_size=1, max_size=300),
    size=st.integers(1, 40),
    tokens=st.none() | st.integers(300, 3000),
    seed=st.integers(0, 5),
)
def test_an_epoch_holds_each_text_once_within_the_budget(lengths, size, tokens, seed):
    lengths = np.array(lengths)
    batches = plan_batches(lengths, size, tokens, seed)
    assert sorted(np.concatenate(batches)) == list(range(len(lengths)))
    for rows in batches:
        if tokens is None:
            assert len(rows) <= size
        else:
            assert len(rows) * lengths[rows].max() <= tokens


def test_epochs_differ_and_repeat_by_seed():
    lengths = np.arange(2, 200)
    one, same, other = (plan_batches(lengths, 8, None, [1, epoch]) for epoch in (0, 0, 1))
    assert all((a == b).all() for a, b in zip(one, same, strict=True))
    assert any(len(a) != len(b) or (a != b).any() for a, b in zip(one, other, strict=False))


def write_csv(path: Path, rows: list[tuple[str, str]]) -> None:
    path.write_text("text,toxicity\n" + "".join(f"{text},{value}\n" for text, value in rows))


def test_validation_texts_never_train(tmp_path):
    write_csv(tmp_path / "train.csv", [("one", "0"), ("Two", "1"), ("three", "0.2")])
    write_csv(tmp_path / "val.csv", [("two", "1"), ("four", "0")])
    recipe = Recipe("a", DataSettings(train=["train.csv"], validation="val.csv"))
    train, validation = load_corpora(recipe, tmp_path)
    assert train.texts == ["one", "three"]
    assert validation.texts == ["two", "four"]


def test_a_part_is_held_out_where_no_validation_file_is_named(tmp_path):
    write_csv(tmp_path / "train.csv", [(f"comment {i}", str(i % 2)) for i in range(40)])
    recipe = Recipe("a", DataSettings(train=["train.csv"], validation_fraction=0.25))
    train, validation = load_corpora(recipe, tmp_path)
    assert (len(train), len(validation)) == (30, 10)
    assert not set(train.texts) & set(validation.texts)


def test_held_out_texts_do_not_train(tmp_path):
    rows = [(f"comment {i}", str(i % 2)) for i in range(200)]
    write_csv(tmp_path / "train.csv", rows)
    recipe = Recipe("a", DataSettings(train=["train.csv"], holdout_fraction=0.2))
    train, validation = load_corpora(recipe, tmp_path)
    assert not any(is_held_out(text, 0.2) for text in train.texts + validation.texts)
    assert 0.1 < np.mean([is_held_out(text, 0.2) for text, _ in rows]) < 0.3


def test_weak_rows_weigh_less_and_other_attributes_can_be_masked(tmp_path):
    (tmp_path / "t.csv").write_text(
        "text,toxicity,insult,label_kind\na,1,1,weak\nb,0,0,binary\n" + "c,0,1,fraction\n" * 1
    )
    recipe = Recipe(
        "a", DataSettings(train=["t.csv"], validation="t2.csv", attributes=["toxicity"], weak_weight=0.3)
    )
    write_csv(tmp_path / "t2.csv", [("z", "1")])
    train, _ = load_corpora(recipe, tmp_path)
    np.testing.assert_allclose(train.weights, [0.3, 1, 1])
    assert np.isnan(train.targets[:, 1:]).all()


@pytest.mark.parametrize("text", ["Hello  World", "hello world", "HELLO world "])
def test_holdout_goes_by_the_folded_text(text):
    assert is_held_out(text, 0.5) == is_held_out("hello world", 0.5)


def test_held_out_texts_are_not_learned_from_a_teacher_either(tmp_path):
    texts = [f"comment {i}" for i in range(200)]
    write_soft_labels(tmp_path / "soft.parquet", texts, lambda some: np.zeros((len(some), 7), np.float32))
    write_csv(tmp_path / "val.csv", [("four", "0")])
    data = DataSettings(train=[], validation="val.csv", soft_labels=["soft.parquet"], holdout_fraction=0.2)
    train, _ = load_corpora(Recipe("a", data), tmp_path)
    assert train.texts == [text for text in texts if not is_held_out(text, 0.2)]


def test_soft_labels_of_two_teachers_are_averaged_from_the_working_folder(tmp_path, monkeypatch):
    (tmp_path / "data").mkdir()
    monkeypatch.chdir(tmp_path)
    write_csv(tmp_path / "data/val.csv", [("four", "0")])
    for name, value in (("one", 1), ("two", 3)):
        write_soft_labels(f"{name}.parquet", ["a"], lambda some, v=value: np.full((len(some), 7), v))
    soft = ["one.parquet", str(tmp_path / "two.parquet")]
    data = DataSettings(train=[], validation="val.csv", soft_labels=soft)
    train, _ = load_corpora(Recipe("a", data), tmp_path / "data")
    np.testing.assert_array_equal(train.soft, np.full((1, 7), 2))


def test_disguised_copies_keep_their_labels_and_double_nothing():
    texts = [f"A perfectly ordinary sentence about number {i}" for i in range(60)] + ["short one"]
    plain = corpus(texts, np.linspace(0, 1, 61), soft=np.arange(61))
    known = {merge_key(text) for text in texts}
    copies = disguised_copies(plain, 0.5, 3, known)
    assert 5 < len(copies) <= 30
    assert not known & {merge_key(text) for text in copies.texts}
    assert set(copies.soft[:, 0]) < set(plain.soft[:, 0])
    by_soft = dict(zip(plain.soft[:, 0], plain.targets[:, 0], strict=True))
    assert all(by_soft[s] == t for s, t in zip(copies.soft[:, 0], copies.targets[:, 0], strict=True))
    assert disguised_copies(plain, 0.5, 3, known).texts == copies.texts


def test_mentioning_copies_add_a_sentence_and_keep_their_labels():
    texts = [f"Comment number {i}." for i in range(40)]
    plain = corpus(texts, np.linspace(0, 1, 40), soft=np.arange(40))
    copies = mentioning_copies(plain, 0.5, 3)
    assert len(copies) == 20
    places = set()
    for text, target, soft in zip(copies.texts, copies.targets[:, 0], copies.soft[:, 0], strict=True):
        own = texts[int(soft)]
        assert target == plain.targets[int(soft), 0]
        assert own in text
        added = text.replace(own, "").strip()
        assert any(word.lower() in added.lower() for identity in IDENTITIES for word in identity)
        places.add(text.startswith(own))
    assert places == {True, False}
    assert mentioning_copies(plain, 0.5, 3).texts == copies.texts


def test_a_recipe_adds_disguised_copies_to_training_alone(tmp_path):
    write_csv(tmp_path / "t.csv", [(f"a wonderful comment number {i}", str(i % 2)) for i in range(80)])
    plain, wider = (
        load_corpora(Recipe("a", DataSettings(["t.csv"], disguised=share)), tmp_path) for share in (0, 0.5)
    )
    assert wider[0].texts[: len(plain[0])] == plain[0].texts
    assert len(wider[0]) > len(plain[0])
    assert wider[1].texts == plain[1].texts


def test_made_up_sentences_are_labelled_for_every_attribute(tmp_path):
    write_csv(tmp_path / "t.csv", [("one", "0"), ("two", "1")])
    write_csv(tmp_path / "v.csv", [("four", "0")])
    data = DataSettings(["t.csv"], validation="v.csv", identity_sentences=80, harsh_sentences=10)
    train, _ = load_corpora(Recipe("a", data), tmp_path)
    assert len(train) == 2 + 80 + 10
    assert not np.isnan(train.targets[2:]).any()
    assert (train.targets[-10:] == 0).all()
