import numpy as np
import pytest

from giantkiller.attributes import ATTRIBUTES
from giantkiller.data.augment.people import read_words, sentences_about_people
from giantkiller.data.augment.templates import IDENTITIES

TOXICITY, HATE, THREAT = (ATTRIBUTES.index(name) for name in ("toxicity", "identity_attack", "threat"))
ROLES = ("kind", "unkind", "kind noun", "unkind noun", "liking", "disliking", "good deed", "harm")


def stem(word):
    return word.split("|")[0].lower().replace(" ", "").replace("-", "")[:6]


def bare(text):
    return f" {text.lower().strip('.!?').replace(',', '').replace('. ', ' ').replace('? ', ' ')} "


@pytest.mark.parametrize("held_back", [False, True])
def test_the_word_decides_and_not_the_group(held_back):
    texts, targets = sentences_about_people(8000, 1, held_back)
    assert len(texts) == len(targets) == 8000
    unkind = targets[:, TOXICITY] > 0.5
    assert unkind.mean() == 0.5
    words = [{f" {word.lower()} " for word in read_words(role, held_back)} for role in ("kind", "unkind")]
    both = {" proud ", " tired ", " thick "}
    for text, bad in zip(texts, unkind, strict=True):
        assert "{" not in text, text
        assert "  " not in text, text
        wrong = [word for word in words[0 if bad else 1] - both if word in bare(text)]
        assert not wrong, (text, wrong)
    for adjective, _, _ in IDENTITIES:
        named = np.array([f" {adjective} " in f" {text} " for text in texts])
        assert named.any()
        assert 0.25 < unkind[named].mean() < 0.75, adjective
    assert not targets[~unkind].any()
    assert (targets[unkind, HATE] == 0).any()
    assert (targets[unkind, HATE] == np.float32(0.8)).any()
    assert (targets[unkind, THREAT] > 0.5).any()


def test_words_held_back_train_nothing():
    for role in ROLES:
        taught, held = set(read_words(role)), set(read_words(role, held_back=True))
        assert taught
        assert not taught & held
    assert len(read_words("kind", held_back=True)) > 50 < len(read_words("unkind", held_back=True))
    taught = {stem(word) for role in ROLES for word in read_words(role)}
    assert not taught & {stem(word) for role in ROLES for word in read_words(role, held_back=True)}
    assert not set(read_words("kind")) & set(read_words("unkind"))
    assert not set(read_words("liking")) & set(read_words("disliking"))
    assert not set(read_words("good deed")) & set(read_words("harm"))


def test_each_role_is_of_its_side():
    assert {"hero|heroes", "angel|angels"} <= set(read_words("kind noun"))
    assert {"moron|morons", "parasite|parasites"} <= set(read_words("unkind noun"))
    assert {"love", "admire"} <= set(read_words("liking"))
    assert {"hate", "despise"} <= set(read_words("disliking"))
    assert {"hug", "thank"} <= set(read_words("good deed"))
    assert {"kill", "stab"} <= set(read_words("harm"))
    texts, targets = sentences_about_people(12000, 5)
    toxic = dict(zip(texts, targets[:, TOXICITY] > 0.5, strict=True))
    for word, bad in (("hero", False), ("heroes", False), ("hug", False), ("moron", True), ("stab", True)):
        found = {verdict for text, verdict in toxic.items() if f" {word} " in bare(text)}
        assert found == {bad}, word


def test_they_repeat_by_seed():
    texts, _ = sentences_about_people(50, seed=2)
    assert texts == sentences_about_people(50, seed=2)[0] != sentences_about_people(50, seed=3)[0]
