import re
import string

import numpy as np
import pytest

from giantkiller.attributes import ATTRIBUTES
from giantkiller.data.augment.people import (
    _ARTICLE,
    JOBS,
    _article,
    read_frames,
    read_words,
    sentences_about_people,
)
from giantkiller.data.augment.templates import IDENTITIES

TOXICITY, HATE, THREAT = (ATTRIBUTES.index(name) for name in ("toxicity", "identity_attack", "threat"))
KINDS = ("word", "noun", "verb", "deed")
ROLES = ("kind", "neutral", "unkind", "kind noun", "unkind noun", "liking", "disliking", "good deed", "harm")


def stem(word):
    return word.split("|")[0].lower().replace(" ", "").replace("-", "")[:6]


def bare(text):
    return f" {text.lower().strip('.!?').replace(',', '').replace('. ', ' ').replace('? ', ' ')} "


def unmistakable(*roles):
    """Words of these roles that stand in no frame, group, job or other role's phrase, blanks around them."""
    others = [frame for kind in KINDS for frame in read_frames(kind)]
    others += [name for identity in IDENTITIES for name in identity] + list(JOBS)
    others += [
        word
        for role in ROLES
        if role not in roles
        for held in (False, True)
        for word in read_words(role, held)
    ]
    company = "".join(bare(each.replace("|", " ")) for each in others)
    known = [
        f" {word.lower()} " for role in roles for held in (False, True) for word in read_words(role, held)
    ]
    return {word for word in known if word not in company}


@pytest.mark.parametrize("held_back", [False, True])
def test_the_word_decides_and_not_the_group(held_back):
    texts, targets = sentences_about_people(8000, 1, held_back)
    assert len(texts) == len(targets) == 8000
    unkind = targets[:, TOXICITY] > 0.5
    assert unkind.mean() == 0.5
    words = [unmistakable("kind", "neutral"), unmistakable("unkind")]
    assert min(map(len, words)) > 500
    for text, bad in zip(texts, unkind, strict=True):
        assert "{" not in text, text
        assert "  " not in text, text
        wrong = [word for word in words[0 if bad else 1] if word in bare(text)]
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
    assert not {*read_words("kind"), *read_words("neutral")} & set(read_words("unkind"))
    assert not set(read_words("liking")) & set(read_words("disliking"))
    assert not set(read_words("good deed")) & set(read_words("harm"))


def test_each_role_is_of_its_side():
    assert {"hero|heroes", "angel|angels"} <= set(read_words("kind noun"))
    assert {"moron|morons", "parasite|parasites"} <= set(read_words("unkind noun"))
    assert {"love", "admire"} <= set(read_words("liking"))
    assert {"hate", "despise"} <= set(read_words("disliking"))
    assert {"hug", "thank"} <= set(read_words("good deed"))
    assert {"kill", "stab"} <= set(read_words("harm"))
    texts, targets = sentences_about_people(60000, 5)
    toxic = dict(zip(texts, targets[:, TOXICITY] > 0.5, strict=True))
    for word, bad in (("hero", False), ("heroes", False), ("hug", False), ("moron", True), ("stab", True)):
        found = {verdict for text, verdict in toxic.items() if f" {word} " in bare(text)}
        assert found == {bad}, word


def test_they_repeat_by_seed():
    texts, _ = sentences_about_people(50, seed=2)
    assert texts == sentences_about_people(50, seed=2)[0] != sentences_about_people(50, seed=3)[0]


@pytest.mark.parametrize("kind", KINDS)
def test_frames_have_what_they_take_and_no_other_blanks(kind):
    taken = {"word": {"word"}, "noun": {"noun", "nouns"}}.get(kind, {"verb"})
    frames = read_frames(kind)
    assert len(frames) > 50
    assert len({frame.lower() for frame in frames}) == len(frames)
    for frame in frames:
        blanks = {blank for _, blank, _, _ in string.Formatter().parse(frame) if blank is not None}
        assert blanks & taken, frame
        assert blanks <= taken | {"name", "identity", "job", "many"}, frame


def test_neutral_words_are_no_abuse():
    texts, targets = sentences_about_people(6000, 4)
    neutral = unmistakable("neutral")
    found = [row for row, text in enumerate(texts) if any(word in bare(text) for word in neutral)]
    assert len(found) > 300
    assert not targets[found].any()


@pytest.mark.parametrize(
    ("text", "right"),
    [
        ("a honourable man", "an honourable man"),
        ("a one of a kind", "a one of a kind"),
        ("a uniformed nurse", "a uniformed nurse"),
        ("a unimportant nurse", "an unimportant nurse"),
        ("a uninspired cook", "an uninspired cook"),
        ("A unusual guest", "An unusual guest"),
        ("a usurper", "a usurper"),
        ("a unironic fan", "an unironic fan"),
        ("a onerous guest", "an onerous guest"),
        ("a euphoric fan", "a euphoric fan"),
        ("a European cook", "a European cook"),
        ("a once-married cook", "a once-married cook"),
    ],
)
def test_articles_go_by_the_sound(text, right):
    assert _ARTICLE.sub(_article, text) == right


def test_am_stands_behind_i_alone():
    texts, _ = sentences_about_people(20000, 8)
    assert any(" I am " in f" {text}" for text in texts)
    wrong = [
        text for text in texts if re.search(r"\bam\b", text) and not re.search(r"\bI\b", text, re.IGNORECASE)
    ]
    assert not wrong, wrong[:5]
