"""Frames about groups, and the sentences made of them."""

import collections
import re

import numpy as np
import pytest

from giantkiller.attributes import ATTRIBUTES
from giantkiller.data.augment.groups import HELD_BACK, fill, read_frames, sentences_about_groups
from giantkiller.data.augment.templates import IDENTITIES

TOXICITY, IDENTITY_ATTACK = ATTRIBUTES.index("toxicity"), ATTRIBUTES.index("identity_attack")


def test_frames_keep_to_their_brief():
    frames = read_frames()
    assert len({frame.text.lower() for frame in frames}) == len(frames) == 20423
    for frame in frames:
        assert set(re.findall(r"\{.*?\}", frame.text)) <= {"{people}", "{person}", "{adj}"}
        assert ("{" in frame.text) == (frame.family not in ("n7", "n8")), frame
        if frame.hateful:
            assert frame.labels[TOXICITY] >= 0.6, frame
            assert frame.labels[IDENTITY_ATTACK] >= 0.5, frame
        else:
            assert frame.labels[IDENTITY_ATTACK] <= 0.2, frame
            assert frame.labels[TOXICITY] <= 0.3 or frame.family == "n8", frame
    twins = collections.Counter((frame.writer, frame.pair) for frame in frames if frame.pair)
    assert min(twins.values()) == 2


def test_every_frame_takes_as_many_groups_and_twins_take_the_same():
    filled = sentences_about_groups(80_000, 1)
    assert {frame.writer for frame in filled.frames} == {frame.writer for frame in read_frames()} - set(
        HELD_BACK
    )
    counts = collections.Counter(frame for frame in filled.frames)
    assert {count for frame, count in counts.items() if "{" in frame.text} == {4}
    of = collections.defaultdict(list)
    for place, frame in enumerate(filled.frames):
        of[frame].append(place)
    for frame, places in of.items():
        slotted = "{" in frame.text
        assert filled.repeat[places].sum() == 4
        assert len({filled.texts[place] for place in places}) == (4 if slotted else 1)
        np.testing.assert_allclose(filled.targets[places], np.broadcast_to(frame.labels, (len(places), 7)))
        assert (filled.pairs[places] >= 0).any() == bool(frame.pair)
    assert set(collections.Counter(filled.pairs[filled.pairs >= 0]).values()) == {2}
    members = collections.defaultdict(set)
    for place in np.flatnonzero(filled.pairs >= 0):
        frame, text = filled.frames[place], filled.texts[place]
        if "{people}" in frame.text and "{person}" not in frame.text and "{adj}" not in frame.text:
            groups = [g for g in IDENTITIES if fill(frame.text, g) == text]
            members[filled.pairs[place]].update(groups)
    assert members
    assert {len(groups) for groups in members.values()} == {1}


def test_the_seed_draws_the_groups_and_held_back_the_writers():
    one = sentences_about_groups(3000, 1)
    assert one.texts == sentences_about_groups(3000, 1).texts
    assert one.texts != sentences_about_groups(3000, 2).texts
    kept = sentences_about_groups(1, 1, held_back=True)
    assert {frame.writer for frame in kept.frames} == set(HELD_BACK)
    assert not set(kept.texts) & set(one.texts)
    assert sentences_about_groups(2 * 10**6, 1).repeat.max() == len(IDENTITIES)


@pytest.mark.parametrize(
    ("frame", "adjective", "text"),
    [
        ("{people} sing", "gay", "Gay people sing"),
        ("met a {adj} man", "atheist", "met an atheist man"),
        ("A {adj} man", "European", "A European man"),
        ("I saw {person} on a one-way street", "Indian", "I saw an Indian doctor on a one-way street"),
    ],
)
def test_slots_are_filled_with_their_articles(frame, adjective, text):
    assert fill(frame, next(g for g in IDENTITIES if g[0] == adjective)) == text
