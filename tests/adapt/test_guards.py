"""What must not get worse elsewhere, in parts that share no text."""

import numpy as np
import pytest

from giantkiller.adapt import guards as rooms
from giantkiller.adapt.decisions import decisions_of, words_key
from giantkiller.adapt.guards import guard
from giantkiller.attributes import ATTRIBUTES
from giantkiller.data.labelled import read_labelled
from giantkiller.data.situations import read_situations
from giantkiller.errors import UserError


@pytest.fixture
def decided(tmp_path):
    def make(rows, name="decisions"):
        path = tmp_path / f"{name}.csv"
        path.write_text("text,toxicity\n" + "".join(f"{text},{label}\n" for text, label in rows))
        return decisions_of(read_labelled(path), name=path.name)

    return make


def comments(prefix, count):
    """Comments of different words: a repeated sign counts as two."""
    return [
        (f"{prefix} comment number {row // 9}{chr(97 + row % 9)}", int(row % 3 == 0)) for row in range(count)
    ]


def keys(part):
    return set(map(words_key, part.texts))


def test_no_text_is_in_two_parts_nor_among_the_decisions(decided):
    site = decided(comments("site", 60))
    shared = [("number 0d comment SITE", 1), *comments("forum", 600)]
    found = guard(
        site, {"forum": decided(shared, "forum"), "again": decided(comments("Forum", 900), "again")}
    )
    parts = [found.rehearsed, *found.choosing.values(), *found.judging.values()]
    all_keys = [key for part in parts for key in keys(part) if {"comment", "number"} <= set(key.split())]
    assert len(all_keys) > 700
    assert len(all_keys) == len(set(all_keys))
    assert not keys(site) & set(all_keys)
    rows = {name: (len(found.choosing[name]), len(found.judging[name])) for name in ("forum", "again")}
    assert rows["forum"] == pytest.approx((180, 240), rel=0.05)
    assert rows["again"] == pytest.approx((90, 120), rel=0.05)  # 300 that the first file doesn't hold


def test_what_judges_is_labelled_and_what_rehearses_is_not(decided):
    site, forum = decided(comments("site", 60)), decided(comments("forum", 600), "forum")
    found = guard(site, {"forum": forum})
    rehearsed = [row for row, text in enumerate(found.rehearsed.texts) if text.startswith("forum")]
    assert len(rehearsed) == pytest.approx(180, rel=0.05)
    assert np.isnan(found.rehearsed.targets[rehearsed]).all()
    judges = found.judging["forum"]
    wanted = {text: float(row % 3 == 0) for row, (text, _) in enumerate(comments("forum", 600))}
    assert judges.targets[:, 0].tolist() == [wanted[text] for text in judges.texts]


def test_what_counts_as_one_with_a_decision_is_left_out(decided):
    site = decided([("shut up", 1), ("hahahaaaa no", 0), *comments("site", 60)])
    copies = ["shutup", "SHUT  up!!", "hahahaaaaaaaa no", "up, shut"]
    forum = decided([*((f'"{text}"', 1) for text in copies), *comments("forum", 600)], "forum")
    found = guard(site, {"forum": forum}, copies)
    for part in (found.rehearsed, *found.choosing.values(), *found.judging.values()):
        assert not set(copies) & set(part.texts)


def test_what_is_drawn_of_many_keeps_the_rarer_kind(decided, monkeypatch):
    monkeypatch.setattr(rooms, "MOST", 100)
    rows = [(text, int(row % 50 == 0)) for row, (text, _) in enumerate(comments("forum", 5000))]
    found = guard(decided(comments("site", 60)), {"forum": decided(rows, "forum")})
    for part in (found.choosing["forum"], found.judging["forum"]):
        assert len(part) == 100
        assert 20 <= (part.targets[:, 0] >= 0.5).sum() <= 40


@pytest.mark.parametrize("name", ["site", "situations", "own comments"])
def test_a_name_that_is_taken_is_refused(decided, name):
    with pytest.raises(UserError, match="can't call a file"):
        guard(decided(comments("site", 60)), {name: decided(comments("forum", 600), "forum")})


def test_a_file_that_could_not_tell_is_refused(decided):
    site, forum = decided(comments("site", 60)), decided(comments("forum", 90), "forum")
    with pytest.raises(UserError, match="forum has 30 toxic comments besides the decisions; at least 40"):
        guard(site, {"forum": forum})


def test_own_comments_judge_where_nothing_else_does(decided):
    site, own = decided(comments("site", 60)), [text for text, _ in comments("own", 1000)]
    found = guard(site, None, [*own, "site comment number 0d"])
    chooses, judges = found.choosing[rooms.OWN], found.judging[rooms.OWN]
    assert not chooses.labelled
    assert not judges.labelled
    assert found.own == 1000
    assert (len(chooses), len(judges)) == pytest.approx((200, 200), rel=0.15)
    assert not keys(chooses) & keys(judges)
    old = np.random.default_rng(0).random(len(judges))
    labels = judges.labels(old)
    assert labels.sum() == len(judges) // 10
    assert old[labels == 1].min() > old[labels == 0].max()
    guarded = guard(site, {"forum": decided(comments("forum", 600), "forum")}, own)
    assert rooms.OWN not in guarded.judging
    assert guarded.own == 1000


def test_few_own_comments_only_rehearse(decided):
    found = guard(decided(comments("site", 60)), None, [text for text, _ in comments("own", 100)])
    assert found.own == 100
    assert set(found.judging) == {"situations", "sentences"}
    assert set(found.choosing) == {"situations"}
    assert found.rehearsed.targets.shape[1] == len(ATTRIBUTES)


def test_the_situations_that_choose_and_judge_are_new_to_the_model_and_share_no_pair(decided):
    found = guard(decided(comments("site", 60)))
    chooses, judges = found.choosing["situations"], found.judging["situations"]
    validation = {each.text: each.pair for each in read_situations("validation")}
    parts = [[validation[text] for text in part.texts if validation[text]] for part in (chooses, judges)]
    assert not set(parts[0]) & set(parts[1])
    assert not set(chooses.texts) & set(judges.texts)
    assert len(chooses) + len(judges) == len(validation)
    assert len(chooses) == pytest.approx(len(judges), rel=0.15)
    for part in (chooses, judges):
        assert 0.35 < part.targets[:, 0].mean() < 0.65
        assert not set(part.texts) & {each.text for each in read_situations("train")}


def test_what_does_not_rehearse_comments_has_more_of_them_choose(decided, caplog):
    site, forum = decided(comments("site", 60)), decided(comments("forum", 600), "forum")
    own = [text for text, _ in comments("own", 1000)]
    found = guard(site, {"forum": forum}, own, rehearse=False)
    assert len(found.choosing["forum"]) == pytest.approx(360, rel=0.05)
    assert not keys(found.choosing["forum"]) & keys(found.judging["forum"])
    assert found.own == 0
    assert "`elsewhere` guards" in caplog.text
    assert not [text for text in found.rehearsed.texts if text.startswith(("forum", "own"))]
    found = guard(site, None, own, rehearse=False)
    parts = found.choosing[rooms.OWN], found.judging[rooms.OWN]
    assert tuple(map(len, parts)) == pytest.approx((600, 400), rel=0.1)
    assert not keys(parts[0]) & keys(parts[1])
    assert found.own == 1000
    assert not [text for text in found.rehearsed.texts if text.startswith("own")]
    guard(site, None, own[:100], rehearse=False)
    assert "500 are needed" in caplog.text
