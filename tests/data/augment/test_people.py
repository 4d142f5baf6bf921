import numpy as np

from giantkiller.attributes import ATTRIBUTES
from giantkiller.data.augment.people import KIND, UNKIND, sentences_about_people
from giantkiller.data.augment.templates import IDENTITIES

TOXICITY, HATE = ATTRIBUTES.index("toxicity"), ATTRIBUTES.index("identity_attack")


def test_the_word_decides_and_not_the_group():
    texts, targets = sentences_about_people(6000, seed=1)
    assert len(texts) == len(targets) == 6000
    unkind = targets[:, TOXICITY] > 0.5
    assert unkind.mean() == 0.5
    kind_words = {f" {word} " for word in KIND if word not in ("proud", "tired")}
    for text, bad in zip(texts, unkind, strict=True):
        assert "{" not in text, text
        assert "  " not in text, text
        spaced = f" {text.lower().strip('.!?').replace(',', '').replace('. ', ' ')} "
        assert not (bad and any(word in spaced for word in kind_words)), text
        assert bad or not any(f" {word} " in spaced for word in UNKIND if word != "thick"), text
    for adjective, _, _ in IDENTITIES:
        named = np.array([f" {adjective} " in f" {text} " for text in texts])
        assert named.any()
        assert 0.25 < unkind[named].mean() < 0.75, adjective
    assert not targets[~unkind].any()
    assert (targets[unkind, HATE] == 0).any()
    assert (targets[unkind, HATE] == np.float32(0.8)).any()


def test_they_repeat_by_seed():
    texts, _ = sentences_about_people(50, seed=2)
    assert texts == sentences_about_people(50, seed=2)[0] != sentences_about_people(50, seed=3)[0]
