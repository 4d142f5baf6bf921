from pathlib import Path

import numpy as np
import pytest

from giantkiller.attributes import ATTRIBUTES
from giantkiller.cleaning import clean_text
from giantkiller.data.holdout import is_held_out, merge_key
from giantkiller.errors import UserError
from giantkiller.training.corpus import load_corpora, make_corpus, merge, repeated
from giantkiller.training.recipe import Recipe
from giantkiller.training.settings import DataSettings, PhraseSettings, SourceSettings
from giantkiller.training.soft_labels import write_soft_labels

NAN = float("nan")


def corpus(texts, toxicity, weights=None, soft=None, **columns):
    targets = np.full((len(texts), len(ATTRIBUTES)), NAN, np.float32)
    targets[:, 0] = toxicity
    softs = np.full_like(targets, NAN)
    if soft is not None:
        softs[:, 0] = soft
    return make_corpus(texts, targets, weights=weights or 1, soft=softs, **columns)


def data(*files, **settings):
    sources = [file if isinstance(file, SourceSettings) else SourceSettings(file) for file in files]
    return DataSettings(sources, **settings)


def load(folder, *files, seed=0, **settings):
    return load_corpora(Recipe("a", data(*files, **settings), seed=seed), folder)


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


def write_csv(path: Path, rows: list[tuple[str, str]]) -> None:
    path.write_text("text,toxicity\n" + "".join(f"{text},{value}\n" for text, value in rows))


def test_validation_texts_never_train(tmp_path):
    write_csv(tmp_path / "train.csv", [("one", "0"), ("Two", "1"), ("three", "0.2")])
    write_csv(tmp_path / "val.csv", [("two", "1"), ("four", "0")])
    train, validation = load(tmp_path, "train.csv", validation="val.csv")
    assert train.texts == ["one", "three"]
    assert validation.texts == ["two", "four"]


def test_a_part_is_held_out_where_no_validation_file_is_named(tmp_path):
    write_csv(tmp_path / "train.csv", [(f"comment {i}", str(i % 2)) for i in range(40)])
    train, validation = load(tmp_path, "train.csv", validation_fraction=0.25)
    assert (len(train), len(validation)) == (30, 10)
    assert not set(train.texts) & set(validation.texts)


def test_held_out_texts_do_not_train(tmp_path):
    rows = [(f"comment {i}", str(i % 2)) for i in range(200)]
    write_csv(tmp_path / "train.csv", rows)
    train, validation = load(tmp_path, "train.csv", holdout_fraction=0.2)
    assert not any(is_held_out(merge_key(text), 0.2) for text in train.texts + validation.texts)
    assert 0.1 < np.mean([is_held_out(merge_key(text), 0.2) for text, _ in rows]) < 0.3


def test_weak_rows_weigh_less_and_other_attributes_can_be_masked(tmp_path):
    (tmp_path / "t.csv").write_text(
        "text,toxicity,insult,label_kind\na,1,1,weak\nb,0,0,binary\n" + "c,0,1,fraction\n" * 1
    )
    write_csv(tmp_path / "t2.csv", [("z", "1")])
    train, _ = load(tmp_path, "t.csv", validation="t2.csv", attributes=["toxicity"], weak_weight=0.3)
    np.testing.assert_allclose(train.weights, [0.3, 1, 1])
    assert np.isnan(train.targets[:, 1:]).all()


@pytest.mark.parametrize("text", ["Hello  World", "hello world", "HELLO world "])
def test_holdout_goes_by_the_folded_text(text):
    assert is_held_out(merge_key(text), 0.5) == is_held_out("hello world", 0.5)


def test_held_out_texts_are_not_learned_from_a_teacher_either(tmp_path):
    texts = [f"comment {i}" for i in range(200)]
    write_soft_labels(tmp_path / "soft.parquet", texts, lambda some: np.zeros((len(some), 7), np.float32))
    write_csv(tmp_path / "val.csv", [("four", "0")])
    train, _ = load(tmp_path, "soft.parquet", validation="val.csv", holdout_fraction=0.2)
    assert train.texts == [text for text in texts if not is_held_out(merge_key(text), 0.2)]


def test_soft_labels_of_two_teachers_are_averaged_from_the_working_folder(tmp_path, monkeypatch):
    (tmp_path / "data").mkdir()
    monkeypatch.chdir(tmp_path)
    write_csv(tmp_path / "data/val.csv", [("four", "0")])
    for name, value in (("one", 1), ("two", 3)):
        write_soft_labels(f"{name}.parquet", ["a"], lambda some, v=value: np.full((len(some), 7), v))
    soft = ("one.parquet", str(tmp_path / "two.parquet"))
    train, _ = load(tmp_path / "data", *soft, validation="val.csv")
    np.testing.assert_array_equal(train.soft, np.full((1, 7), 2))


def test_made_up_sentences_are_labelled_for_every_attribute(tmp_path):
    write_csv(tmp_path / "t.csv", [("one", "0"), ("two", "1")])
    write_csv(tmp_path / "v.csv", [("four", "0")])
    identities = SourceSettings(made_up="identities", limit=112, weight=3.0)
    harsh = SourceSettings(made_up="harsh", limit=10)
    train, _ = load(tmp_path, "t.csv", identities, harsh, validation="v.csv")
    assert len(train) == 2 + 112 + 10
    assert not np.isnan(train.targets[2:]).any()
    assert (train.targets[-10:] == 0).all()
    assert train.weights.tolist() == [1, 1] + [3] * 112 + [1] * 10


@pytest.mark.parametrize(("made_up", "rows"), [("groups", 12000), ("rewrites", 400)])
def test_made_up_twins_are_numbered(tmp_path, made_up, rows):
    write_csv(tmp_path / "t.csv", [("one", "0"), ("two", "1")])
    write_csv(tmp_path / "v.csv", [("four", "0")])
    train, _ = load(tmp_path, "t.csv", SourceSettings(made_up=made_up, limit=rows), validation="v.csv")
    paired = train.pairs >= 0
    assert paired.sum() > 300
    assert not paired[:2].any()
    first = train.pairs[paired][0]
    assert (train.pairs == first).sum() == 2
    toxic = train.targets[2:, 0] >= 0.5
    assert 0.2 < toxic.mean() < 0.8


def test_texts_are_cleaned_once_at_the_door(tmp_path):
    text = "y o u are an id\u200biot, see https://example.org/x"
    write_csv(tmp_path / "t.csv", [(f'"{text}"', "1"), ("two", "0")])
    write_csv(tmp_path / "v.csv", [("four", "0")])
    train, _ = load(tmp_path, "t.csv", validation="v.csv")
    assert train.texts[0] == clean_text(text) != text
    assert list(train.keys) == [merge_key(text), "two"]


def test_a_sources_weight_counts_for_targets_and_soft_labels(tmp_path):
    write_csv(tmp_path / "v.csv", [("four", "0")])
    write_csv(tmp_path / "hand.csv", [("one", "1"), ("two", "0")])
    write_csv(tmp_path / "raters.csv", [("one", "0")])
    write_soft_labels(tmp_path / "soft.csv", ["one", "six"], lambda some: np.ones((len(some), 7)))
    hand = SourceSettings("hand.csv", weight=3.0, soft_share=0.25)
    train, _ = load(tmp_path, hand, "raters.csv", SourceSettings("soft.csv", weight=0.5), validation="v.csv")
    assert train.texts == ["one", "two", "six"]
    np.testing.assert_allclose(train.targets[:, 0], [0.75, 0, NAN])
    np.testing.assert_allclose(train.weights, [2, 3, 1])
    np.testing.assert_allclose(train.soft_weights, [0.5, 1, 0.5])
    np.testing.assert_allclose(train.soft_share, [0.25, 0.25, NAN])


def test_one_file_may_hold_targets_and_soft_labels(tmp_path):
    write_csv(tmp_path / "v.csv", [("four", "0")])
    (tmp_path / "both.csv").write_text("text,toxicity,logit_toxicity\na,1,2.5\nb,,-1\nc,0,\nd,,\n")
    train, _ = load(tmp_path, "both.csv", validation="v.csv")
    assert train.texts == ["a", "b", "c"]
    np.testing.assert_array_equal(train.targets[:, 0], [1, NAN, 0])
    np.testing.assert_array_equal(train.soft[:, 0], [2.5, -1, NAN])


def test_require_limit_and_given_labels_are_a_sources_own(tmp_path):
    write_csv(tmp_path / "v.csv", [("four", "0")])
    (tmp_path / "t.csv").write_text("text,toxicity,insult\na,1,1\nb,,1\nc,0,\n")
    (tmp_path / "harmless.csv").write_text("text\n" + "".join(f"line {i}\n" for i in range(50)))
    first = SourceSettings("t.csv", require=["toxicity"])
    harmless = SourceSettings("harmless.csv", labels={"toxicity": 0.0, "threat": 0.0}, limit=10)
    train, _ = load(tmp_path, first, harmless, validation="v.csv", seed=1)
    assert train.texts[:2] == ["a", "c"]
    assert len(train) == 12
    assert (train.targets[2:, 0] == 0).all()
    assert np.isnan(train.targets[2:, 1]).all()
    again, _ = load(tmp_path, first, harmless, validation="v.csv", seed=1)
    other, _ = load(tmp_path, first, harmless, validation="v.csv", seed=2)
    assert train.texts == again.texts != other.texts


def test_a_text_is_quiet_where_all_its_sources_are():
    quiet = corpus(["a", "b"], [1, 0], quiet=True)
    both = merge([quiet, corpus(["b", "c"], [0, 1])])
    assert dict(zip(both.texts, both.quiet.tolist(), strict=True)) == {"a": True, "b": False, "c": False}


def test_a_recipe_makes_a_source_quiet(tmp_path):
    write_csv(tmp_path / "t.csv", [("one", "1"), ("two", "0")])
    write_csv(tmp_path / "v.csv", [("three", "1"), ("four", "0")])
    train, _ = load(tmp_path, SourceSettings("t.csv", quiet=True), validation="v.csv")
    assert train.quiet.tolist() == [True, True]


def test_rows_know_their_source_and_how_it_restrains(tmp_path):
    write_csv(tmp_path / "q.csv", [("one", "1"), ("both", "0")])
    write_csv(tmp_path / "t.csv", [("both", "1"), ("two", "0")])
    write_csv(tmp_path / "v.csv", [("three", "1"), ("four", "0")])
    sources = SourceSettings("q.csv", quiet=True), SourceSettings("t.csv", restrain=0.5)
    learning = Recipe("a", data(*sources, validation="v.csv"), phrases=PhraseSettings(rows=9, apart=1.0))
    train, _ = load_corpora(learning, tmp_path)
    assert train.texts == ["one", "both", "two"]
    assert train.source.tolist() == [0, 0, 1]
    assert train.quiet.tolist() == [True, False, False]
    assert train.restrain.tolist() == [0.0, 0.5, 0.5]


def test_rows_are_repeated_in_training_alone(tmp_path):
    write_csv(tmp_path / "t.csv", [(f"comment {i}", str(i % 2)) for i in range(40)])
    write_csv(tmp_path / "other.csv", [("comment 0", "0"), ("once", "0")])
    three = SourceSettings("t.csv", repeat=3)
    train, validation = load(tmp_path, three, "other.csv", validation_fraction=0.25)
    assert len(set(validation.texts)) == len(validation)
    counts = {text: train.texts.count(text) for text in train.texts}
    assert set(counts.values()) - {1} == {3}
    assert all(count == (1 if text == "once" else 3) for text, count in counts.items())


def test_each_copy_of_twins_is_a_pair_of_its_own():
    twins = corpus(["a", "b", "c"], [1, 0, 1], pairs=[0, 0, -1], repeat=[2, 2, 2])
    twice = repeated(twins)
    assert twice.texts == ["a", "a", "b", "b", "c", "c"]
    assert twice.pairs[0] == twice.pairs[2] != twice.pairs[1] == twice.pairs[3]
    assert (twice.pairs[4:] == -1).all()


def test_pairs_of_two_files_do_not_mix(tmp_path):
    write_csv(tmp_path / "v.csv", [("four", "0")])
    for name in "ab":
        rows = f"bad {name},1,x\ngood {name},0,x\nalone {name},0,\n"
        (tmp_path / f"{name}.csv").write_text("text,toxicity,pair\n" + rows)
    train, _ = load(tmp_path, "a.csv", "b.csv", validation="v.csv")
    assert train.pairs.tolist() == [0, 0, -1, 1, 1, -1]


def test_sources_without_any_target_need_a_validation_file(tmp_path):
    write_soft_labels(tmp_path / "soft.csv", ["one", "six"], lambda some: np.ones((len(some), 7)))
    with pytest.raises(UserError, match=r"name data\.validation"):
        load(tmp_path, "soft.csv")


def test_a_missing_source_is_named(tmp_path):
    with pytest.raises(UserError, match=r"nowhere\.csv"):
        load(tmp_path, "nowhere.csv")
