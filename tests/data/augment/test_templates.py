import numpy as np

from giantkiller.attributes import ATTRIBUTES
from giantkiller.data.augment.templates import IDENTITIES, harsh_sentences, identity_sentences

HATE = ATTRIBUTES.index("identity_attack")


def test_each_identity_is_attacked_as_often_as_not():
    texts, targets = identity_sentences(1792, seed=1)
    for _, one, _ in IDENTITIES:
        mentions = np.array([one.lower() in text.lower() for text in texts])
        assert mentions.any()
    half = len(texts) // 2
    assert (targets[:, HATE] > 0.5).sum() == half == 896


def test_sentences_are_whole_and_repeat_by_seed():
    texts, targets = identity_sentences(448, seed=2)
    again, _ = identity_sentences(448, seed=2)
    other, _ = identity_sentences(448, seed=3)
    assert texts == again != other
    assert len(set(texts)) == len(texts)
    assert not any("{" in text for text in texts)
    assert not np.isnan(targets).any()


def test_no_more_than_there_are():
    texts, _ = identity_sentences(10**6, seed=0)
    assert len(texts) == len(set(texts)) == 2 * 64 * len(IDENTITIES)


def test_harsh_sentences_name_no_identity():
    texts = harsh_sentences(10**6, seed=0)
    assert len(set(texts)) == len(texts) == 256
    assert harsh_sentences(20, seed=1) == harsh_sentences(20, seed=1) != harsh_sentences(20, seed=2)
    for _, _, many in IDENTITIES:
        assert not any(many.lower() in text.lower() for text in texts)
