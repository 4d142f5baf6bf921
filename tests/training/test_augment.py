import numpy as np

from giantkiller.attributes import ATTRIBUTES
from giantkiller.data.augment.templates import IDENTITIES
from giantkiller.training.augment import augment, disguised_copies, mentioning_copies
from giantkiller.training.corpus import make_corpus
from giantkiller.training.settings import DataSettings, SourceSettings


def corpus(texts, toxicity, soft):
    targets, softs = np.full((2, len(texts), len(ATTRIBUTES)), np.nan, np.float32)
    targets[:, 0], softs[:, 0] = toxicity, soft
    return make_corpus(texts, targets, soft=softs, pairs=np.arange(len(texts)) // 2)


def test_disguised_copies_keep_their_labels_and_double_nothing():
    # Words that cleaning can't mend, so that most copies are others than the texts.
    texts = [f"The zorblatt vemperades a xylofrant number {i}" for i in range(60)] + ["short one"]
    plain = corpus(texts, np.linspace(0, 1, 61), soft=np.arange(61))
    known = set(plain.keys)
    copies = disguised_copies(plain, 0.5, 3, known)
    assert 5 < len(copies) <= 30
    assert not known & set(copies.keys)
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


def test_copies_are_nobodys_twins():
    plain = corpus([f"a wonderful comment number {i}" for i in range(40)], 1, soft=2)
    assert (disguised_copies(plain, 0.5, 1, set()).pairs == -1).all()
    assert (mentioning_copies(plain, 0.5, 1).pairs == -1).all()
    assert (plain.pairs >= 0).all()


def test_copies_come_behind_the_texts_and_equal_no_validation_text():
    texts = [f"a wonderful comment number {i}" for i in range(60)]
    plain, validation = corpus(texts, 1, soft=2), corpus(["one more text"], 0, soft=1)
    settings = DataSettings([SourceSettings("t.csv")], mentions=0.2, disguised=0.5)
    wider = augment(plain, validation, settings, seed=1)
    assert wider.texts[:60] == plain.texts
    assert 60 + 12 < len(wider) <= 60 + 12 + 30
    # A copy that a validation text has as its own is left out.
    blocked = augment(plain, wider, settings, seed=1)
    assert len(blocked) == 60 + 12
    assert augment(plain, validation, DataSettings([SourceSettings("t.csv")]), seed=1) is plain
