"""What people decided, read and split."""

import json

import numpy as np
import pytest

pytest.importorskip("torch")

from giantkiller.adapt import read_decisions
from giantkiller.adapt.decisions import read_texts, same_key
from giantkiller.attributes import ATTRIBUTES
from giantkiller.errors import UserError


def write(path, rows, names="text,toxicity"):
    path.write_text("\n".join([names, *rows]) + "\n")
    return path


def numbered(count, of=4):
    """Comments without a word in common with others; one in `of` is toxic."""
    return [f"w{i} x{i} y{i},{int(i % of == 0)}" for i in range(count)]


def test_texts_that_differ_in_form_only_count_once(tmp_path):
    rows = [*numbered(30), "W0 x0  y0!!,0", "w1 x1 y1,0"]
    decisions = read_decisions(write(tmp_path / "d.csv", rows))
    assert (len(decisions), decisions.read, decisions.contradicted) == (30, 32, 1)
    assert decisions.targets[0, 0] == pytest.approx(0.5)
    assert decisions.weights[:3].tolist() == [2, 2, 1]
    assert np.isnan(decisions.targets[:, 1:]).all()


@pytest.mark.parametrize(
    ("one", "other"), [("You IDIOT!!", "you idiot"), ("sooooo bad", "sooo bad"), ("a-b c", "ab c")]
)
def test_what_counts_as_the_same(one, other):
    assert same_key(one) == same_key(other)
    assert same_key(one) != same_key(one + " really")


def test_the_desks_export_says_what_a_decision_counts(tmp_path):
    def row(i, **more):
        empty = dict.fromkeys(ATTRIBUTES)
        day = f"2026-11-{1 + i % 28:02}T10:00:00+00:00"
        known = {"decided_by": "first", "corrected": False, "decided": day, "label_kind": "decision"}
        return {"text": f"w{i} x{i}", **empty, "toxicity": float(i % 3 == 0), **known, **more}

    rows = [row(i) for i in range(30)]
    rows += [row(0, toxicity=0.0, decided_by="second"), row(1, decided_by="final", corrected=True)]
    rows += [row(2, label_kind="suggestion", toxicity=1.0), row(40, toxicity=None)]
    path = tmp_path / "decisions.jsonl"
    path.write_text("".join(json.dumps(each) + "\n" for each in rows))
    decisions = read_decisions(path)
    assert len(decisions) == 30
    assert decisions.targets[0, 0] == pytest.approx(1 / 3)  # a second opinion outweighs the first
    assert decisions.targets[2, 0] == pytest.approx(0.5 / 1.5)
    assert decisions.weights[:4].tolist() == [3, 3, 1.5, 1]
    learned, judged = decisions.split(0.3)
    for kind in (True, False):
        times = [side.times[side.positive == kind] for side in (learned, judged)]
        assert times[0].max() <= times[1].min()  # the judge has the latest


def test_no_text_and_no_author_is_on_both_sides(tmp_path):
    rows = [f"w{i} x{i},{int(i % 3 == 0)},a{i % 40}" for i in range(120)]
    rows += [f"x{i} w{i},0," for i in range(0, 120, 5)]  # the same words, by nobody
    decisions = read_decisions(write(tmp_path / "d.csv", rows, "text,toxicity,author"))
    learned, judged = decisions.split(0.3)
    assert 0.2 < len(judged) / len(decisions) < 0.4
    words = [{frozenset(text.split()) for text in side.texts} for side in (learned, judged)]
    assert not words[0] & words[1]
    authors = [{int(text.split()[0][1:]) % 40 for text in side.texts} for side in (learned, judged)]
    assert not authors[0] & authors[1]


def test_in_turns_every_comment_judges_once_what_others_words_and_authors_teach(tmp_path):
    rows = [f"w{i} x{i},{int(i % 3 == 0)},a{i % 40}" for i in range(120)]
    rows += [f"x{i} w{i},0," for i in range(0, 120, 5)]
    decisions = read_decisions(write(tmp_path / "d.csv", rows, "text,toxicity,author"))
    turns = decisions.turns(0.3)
    assert len(turns) == 3
    assert np.sort(np.concatenate(turns)).tolist() == list(range(len(decisions)))
    for rows in turns:
        others = np.setdiff1d(np.arange(len(decisions)), rows)
        assert not set(decisions.units[rows]) & set(decisions.units[others])
        assert decisions.positive[rows].mean() == pytest.approx(decisions.positive.mean(), abs=0.1)
    assert len(decisions.turns(0.5)) == 2
    few = read_decisions(write(tmp_path / "few.csv", numbered(40, of=10)))
    with pytest.raises(UserError, match="leaves 1 toxic comment to judge by"):
        few.turns(0.3)


def test_a_split_without_times_goes_by_the_text_alone(tmp_path):
    first = read_decisions(write(tmp_path / "a.csv", numbered(100)))
    second = read_decisions(write(tmp_path / "b.csv", numbered(100)[::-1]))
    assert set(first.split(0.3)[1].texts) == set(second.split(0.3)[1].texts)


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (numbered(19), "19 comments with a label for toxicity; at least 20"),
        (["same words,1"] * 30, "1 different comments"),
        (numbered(40, of=1), "every comment .* was called toxic"),
        (numbered(40, of=41)[1:], "every comment .* was called harmless"),
        (numbered(40, of=20), "leaves 1 toxic comment to learn from once split"),
        (
            [f"{r[:-1]}{y}" for r in numbered(30) for y in (0, 1)],
            "30 were decided both ways and never settled",
        ),
    ],
)
def test_what_can_teach_nothing_is_refused(tmp_path, rows, message):
    with pytest.raises(UserError, match=message):
        read_decisions(write(tmp_path / "d.csv", rows)).split(0.3)


def test_contradictions_that_somebody_settled_are_no_reason_to_refuse(tmp_path):
    lines = [f"{row},first" for row in numbered(40)]
    for row in numbered(40)[:20]:
        text, label = row[:-2], int(row[-1])
        lines += [f"{text},{1 - label},second", f"{text},{label},final"]
    found = read_decisions(write(tmp_path / "d.csv", lines, "text,toxicity,decided_by"))
    assert (len(found), found.contradicted) == (40, 20)
    firsts = read_decisions(write(tmp_path / "e.csv", numbered(40)))
    assert (found.positive == firsts.positive).all()  # what settled it counts more than the two together


def test_comments_that_nobody_decided_are_read_once(tmp_path):
    path = write(tmp_path / "own.csv", ["Hello there", "hello  THERE!", "...", "another one"], "comment")
    assert read_texts(path) == ["hello  THERE!", "another one"]
