import dataclasses

import numpy as np
import pytest
import torch
from checkpoints import write_checkpoint

from giantkiller.attributes import ATTRIBUTES
from giantkiller.data.augment.rewrites import read_rewrites
from giantkiller.data.augment.softened import softened
from giantkiller.data.holdout import is_held_out, merge_key
from giantkiller.errors import UserError
from giantkiller.models import DendriticBertForSequenceClassification, tiny_config
from giantkiller.models.bert import Phrases
from giantkiller.models.inference import Tokens, predict
from giantkiller.models.loading import load_checkpoint
from giantkiller.training.batches import Examples
from giantkiller.training.corpus import load_held_out, make_corpus
from giantkiller.training.readout import Pairs, Task, fit_readout, read_by_classifier, regression
from giantkiller.training.recipe import Recipe, read_recipe
from giantkiller.training.run import _held_out, train
from giantkiller.training.settings import (
    DataSettings,
    ModelSettings,
    OptimSettings,
    ReadoutSettings,
    SourceSettings,
)

SETTINGS = ReadoutSettings(penalty=0.001, steady=0.0)


def tokens(rows):
    return Tokens(np.concatenate(rows).astype(np.int32), np.cumsum([0, *map(len, rows)]))


def texts(count, seed):
    rng = np.random.default_rng(seed)
    return [[2, *rng.integers(5, 20, size=rng.integers(2, 8)), 3] for _ in range(count)]


def model(phrases=False):
    torch.manual_seed(5)
    sizes = {"vocab_size": 20, "hidden_size": 16, "intermediate_size": 24, "max_position_embeddings": 16}
    made = DendriticBertForSequenceClassification(tiny_config(**sizes, dendrites={"classifier": 1})).eval()
    with torch.no_grad():
        made.classifier.dendrite_strength.fill_(1.5)
        made.classifier.weight.mul_(20)
        if phrases:
            made.config.phrases, made.bert.phrases = 97, Phrases(97, 16)
            made.bert.phrases.weight.normal_()
            made.bert.phrases.direction.normal_()
    return made


def told(rows, toxic, source=0, weights=None):
    targets = np.full((len(rows), 7), np.nan)
    targets[:, 0] = toxic
    weights = np.full(len(rows), 1 / len(rows)) if weights is None else weights
    corpus = make_corpus([str(row) for row in rows], targets, weights=weights, source=source)
    return Examples(corpus, tokens(rows))


def worst(rows):
    """Say what a wrong network does not: toxic is what it calls insulting."""
    logits = predict(model(), tokens(rows))
    return (logits[:, ATTRIBUTES.index("insult")] > np.median(logits[:, 4])).astype(float)


def auc(logits, toxic):
    gap = logits[toxic > 0.5][:, None] - logits[toxic < 0.5]
    return (gap > 0).mean()


def test_toxicity_learns_from_comments_held_out_and_no_other_attribute_moves():
    rows, new, calm = texts(300, 1), texts(200, 2), tokens(texts(100, 3))
    before, after = model(), model()
    fit_readout(after, told(rows, worst(rows)), calm, None, SETTINGS)
    old, now = (predict(each, tokens(new)) for each in (before, after))
    assert auc(now[:, 0], worst(new)) > 0.9 > 0.75 > auc(old[:, 0], worst(new))
    np.testing.assert_array_equal(now[:, 1:], old[:, 1:])
    shift = predict(after, calm)[:, 0].mean() - predict(before, calm)[:, 0].mean()
    assert abs(shift) < 1e-3


def test_phrases_move_each_logit_by_as_much_as_before():
    rows, calm = texts(300, 1), tokens(texts(100, 3))
    each = model(phrases=True)

    def moved():
        whole = predict(each, calm)
        phrases, each.bert.phrases = each.bert.phrases, None
        alone = predict(each, calm)
        each.bert.phrases = phrases
        return whole - alone

    before = moved()
    fit_readout(each, told(rows, worst(rows)), calm, None, SETTINGS)
    assert np.abs(before).max(axis=0).min() > 0.02
    np.testing.assert_allclose(moved(), before, atol=3e-3)


def test_steady_comments_hold_the_change_back():
    rows, calm = texts(300, 1), tokens(texts(100, 3))
    spread = []
    for steady in (0.0, 50.0):
        each = model()
        fit_readout(each, told(rows, worst(rows)), calm, None, dataclasses.replace(SETTINGS, steady=steady))
        spread.append((predict(each, calm) - predict(model(), calm))[:, 0].std())
    assert spread[1] < 0.2 * spread[0]


def test_the_mean_of_a_source_stays():
    rows, calm = texts(300, 1), tokens(texts(100, 3))
    toxic = worst(rows)
    source = (toxic + (np.arange(300) % 4 == 0) > 0.5).astype(int)  # one is harmless throughout, nearly
    toxic[::7] = 1 - toxic[::7]
    each = model()
    before = predict(each, tokens(rows))[:, 0]
    fit_readout(each, told(rows, toxic, source), calm, None, SETTINGS)
    change = predict(each, tokens(rows))[:, 0] - before
    assert change.std() > 0.3
    for number in (0, 1):
        assert abs(change[source == number].mean()) < 0.1 * change.std()


def test_pairs_are_kept_in_order():
    rows, calm = texts(300, 1), tokens(texts(100, 3))
    rude = texts(150, 4)
    soft = [[2, 7, *row[2:]] for row in rude]  # the first word differs
    pairs = Pairs(tokens(rude), tokens(soft))
    right = []
    for weight in (0.0, 20.0):
        each = model()
        settings = dataclasses.replace(SETTINGS, softened=weight)
        fit_readout(each, told(rows, worst(rows)), calm, pairs, settings)
        right.append((predict(each, pairs.above)[:, 0] > predict(each, pairs.below)[:, 0]).mean())
    assert right[1] > right[0] + 0.1


def test_a_source_s_rate_says_nothing():
    """One source is toxic throughout but for a word, the other harmless: intercepts take the difference."""
    rng = np.random.default_rng(0)
    inputs = rng.normal(size=(400, 3))
    groups = np.repeat([0, 1], 200)
    inputs[:, 1] = groups  # tells the sources apart and nothing else
    chance = 1 / (1 + np.exp(-(2 * inputs[:, 0] + 3 * groups - 1.5)))
    outcomes = rng.random(400) < chance
    weights = np.full(400, 1 / 400)
    found = regression(Task(inputs, np.zeros(400), outcomes, weights, groups), 1e-4 * np.eye(3))
    assert 1.5 < found[0] < 3
    assert abs(found[1]) < 0.1 > abs(found[2]) - 0.2
    shared = regression(Task(inputs, np.zeros(400), outcomes, weights, groups * 0), 1e-4 * np.eye(3))
    assert shared[1] > 2


def test_what_the_classifier_reads_has_no_phrases_and_leaves_the_model_as_it_is():
    each = model(phrases=True)
    rows = tokens(texts(20, 1))
    before = predict(each, rows)
    reads = read_by_classifier(each, rows)
    np.testing.assert_array_equal(predict(each, rows), before)
    np.testing.assert_array_equal(reads, read_by_classifier(model(), rows))
    assert reads.shape == (20, 16)


def recipe(*sources, **data):
    return Recipe(
        name="r",
        data=DataSettings(sources=[SourceSettings(file="t.csv")], holdout_fraction=0.3, **data),
        readout=ReadoutSettings(sources=list(sources)),
    )


def test_only_comments_held_out_are_read_and_a_source_weighs_what_it_says(tmp_path):
    names = [f"comment number {i}" for i in range(60)]
    lines = "".join(f"{name},{i % 2}\n" for i, name in enumerate(names))
    (tmp_path / "t.csv").write_text("text,toxicity\n" + lines)
    people = SourceSettings(made_up="people", limit=40, weight=0.5)
    corpus = load_held_out(recipe(SourceSettings(file="t.csv", weight=3.0), people), tmp_path, [])
    held = [name for name in names if is_held_out(merge_key(name), 0.3)]
    assert 5 < len(held) < 40
    assert corpus.texts[:-40] == held
    assert corpus.weights[:-40].sum() == pytest.approx(3.0)
    assert corpus.weights[-40:].sum() == pytest.approx(0.5)
    assert set(corpus.source[:-40]) == {0}
    assert set(corpus.source[-40:]) == {1}


def test_weak_labels_that_count_for_nothing_are_left_out(tmp_path):
    lines = "".join(f"comment {i},{i % 2},{'weak' if i < 100 else 'rated'}\n" for i in range(200))
    (tmp_path / "t.csv").write_text("text,toxicity,label_kind\n" + lines)
    corpus = load_held_out(recipe(SourceSettings(file="t.csv"), weak_weight=0.0), tmp_path, [])
    assert corpus.texts
    assert all(int(text.split()[1]) >= 100 for text in corpus.texts)
    assert np.isfinite(corpus.weights).all()


@pytest.mark.parametrize("rated", ["", "0", "1"])
def test_a_source_without_both_kinds_of_comments_is_named(tmp_path, rated):
    lines = "".join(f"comment {i},{rated},0\n" for i in range(30))
    (tmp_path / "t.csv").write_text("text,toxicity,threat\n" + lines)
    with pytest.raises(UserError, match=r"of t\.csv's comments held out none is toxic, or none is not"):
        load_held_out(recipe(SourceSettings(file="t.csv")), tmp_path, [])
    with pytest.raises(UserError, match="none is toxic by insult, or none is not"):
        load_held_out(recipe(SourceSettings(file="t.csv", toxic_by="insult")), tmp_path, [])


def test_a_run_with_a_readout_says_so_in_its_record_and_leaves_validation_out(tmp_path):
    lines = [f"{'you idiot' if i % 2 else 'a fine day'} number {i},{i % 2}\n" for i in range(80)]
    (tmp_path / "t.csv").write_text("text,toxicity\n" + "".join(lines[:60]))
    (tmp_path / "r.csv").write_text("text,toxicity\n" + "".join(lines[40:]))
    (tmp_path / "v.csv").write_text("text,toxicity\n" + "".join(lines[70:]))
    start = write_checkpoint(tmp_path / "start")
    made = []
    for sources in ([], [SourceSettings(file="r.csv")]):
        each = Recipe(
            name="r",
            data=DataSettings(
                sources=[SourceSettings(file="t.csv")],
                holdout_fraction=0.3,
                validation="v.csv",
                max_length=16,
            ),
            model=ModelSettings(start="weights", source=str(start), dropout=0.0),
            optim=OptimSettings(epochs=0),
            readout=ReadoutSettings(sources=sources, softened=1.0),
        )
        record = train(each, tmp_path, tmp_path / f"out{len(sources)}")
        made.append((record, load_checkpoint(str(tmp_path / f"out{len(sources)}")).model))
    assert set(made[0][0].data) == {"t.csv", "v.csv"}
    assert set(made[1][0].data) == {"t.csv", "v.csv", "r.csv"}
    assert made[0][0].digest != made[1][0].digest
    weights = [model.classifier.weight for _, model in made]
    assert (weights[0][0] != weights[1][0]).any()
    assert torch.equal(weights[0][1:], weights[1][1:])
    validation = {merge_key(line.rpartition(",")[0]) for line in lines[70:]}
    told = load_held_out(made[1][0].recipe, tmp_path, sorted(validation))
    assert len(told)
    assert not validation & set(told.keys)


def test_pairs_are_toxic_comments_in_softer_words_and_rewrites(tmp_path):
    lines = [f"{'you idiot' if i % 2 else 'a damn fine day'} number {i},{i % 2}\n" for i in range(60)]
    (tmp_path / "t.csv").write_text("text,toxicity\n" + "".join(lines))
    tokenizer = load_checkpoint(str(write_checkpoint(tmp_path / "start"))).tokenizer
    readout = ReadoutSettings(sources=[SourceSettings(file="t.csv")], softened=1.0)
    wanted = dataclasses.replace(recipe(max_length=16), readout=readout)
    nothing = make_corpus([], np.empty((0, len(ATTRIBUTES)), np.float32))
    told, pairs = _held_out(wanted, tmp_path, tokenizer, nothing)
    toxic = int((told.corpus.targets[:, 0] >= 0.5).sum())
    assert softened("a damn fine day number 1") is not None
    written = len(read_rewrites()[0]) // 2
    assert 0 < toxic < len(told.corpus)
    assert len(pairs.above.lengths) == len(pairs.below.lengths) == toxic + written

    # What is toxic by another attribute is told, and is no pair.
    groups = SourceSettings(made_up="groups", limit=300, toxic_by="identity_attack")
    both = dataclasses.replace(
        wanted, readout=dataclasses.replace(readout, sources=[*readout.sources, groups])
    )
    more, same = _held_out(both, tmp_path, tokenizer, nothing)
    assert len(more.corpus) > len(told.corpus)
    assert len(same.above.lengths) == toxic + written


def test_hard_words_for_others_are_not_toxic_by_identity_attack(tmp_path):
    by_itself, by_identity = (
        load_held_out(recipe(SourceSettings(made_up="groups", limit=300, toxic_by=attribute)), tmp_path, [])
        for attribute in ("toxicity", "identity_attack")
    )
    assert by_itself.texts == by_identity.texts
    toxic, hateful = (each.targets[:, 0] >= 0.5 for each in (by_itself, by_identity))
    assert hateful.any()
    assert (hateful <= toxic).all()
    assert (toxic & ~hateful).any()
    column = ATTRIBUTES.index("identity_attack")
    np.testing.assert_array_equal(by_identity.targets[:, 0], by_identity.targets[:, column])


@pytest.mark.parametrize(
    ("lines", "says"),
    [
        ('sources = [{ file = "t.csv", quiet = true }]', "have no quiet, restrain, repeat or soft_share"),
        ('sources = [{ file = "t.csv", weight = 0 }]', "with weight 0 teaches nothing"),
        ('sources = [{ file = "t.csv" }]', "readout needs data.holdout_fraction"),
        ("softness = 1", "unknown setting readout.softness"),
        ('sources = [{ file = "t.csv", toxic_by = "hate" }]', "toxic_by"),
        (
            'sources = [{ file = "t.csv" }]\n[model]\nfrozen = "classifier|pooler"',
            "readout changes the classifier, which model.frozen keeps",
        ),
    ],
)
def test_what_a_readout_cannot_be_is_said(tmp_path, lines, says):
    path = tmp_path / "r.toml"
    path.write_text(f'name = "r"\n[data]\nsources = [{{ file = "t.csv" }}]\n[readout]\n{lines}\n')
    with pytest.raises(UserError, match=says):
        read_recipe(path)


def test_only_a_readout_takes_another_attribute_for_toxicity(tmp_path):
    path = tmp_path / "r.toml"
    path.write_text('name = "r"\n[data]\nsources = [{ file = "t.csv", toxic_by = "insult" }]\n')
    with pytest.raises(UserError, match=r"toxic_by is for readout\.sources"):
        read_recipe(path)
