import itertools
from dataclasses import replace

import numpy as np
import pytest

from giantkiller.data.situations import Situation, read_situations
from giantkiller.errors import UserError
from giantkiller.evaluation.config import EvaluationConfig
from giantkiller.evaluation.suites import run_suite, situations

POLICY = {"toxicity": {"monitor": 0.3, "review": 0.5, "remove": 0.9}}


def row(text, kind, pair="", writer="w1", split="test"):
    """A situation; the text is the score that the model of this test gives it."""
    return Situation(text, kind, (0.0,) * 7, "", pair, writer, split)


ROWS = [
    # Twins: three ranked rightly, one a tie, one wrongly.
    *(
        part
        for n, (harmless, harmful) in enumerate(
            [("0.1", "0.8"), ("0.4", "0.95"), ("0.2", "0.6"), ("0.45", "0.45"), ("0.92", "0.2")]
        )
        for part in (
            row(harmless, "b7", f"p{n}", "w1" if n < 3 else "w2"),
            row(harmful, "t3", f"p{n}", "w1" if n < 3 else "w2"),
        )
    ),
    # Alone.
    row("0.05", "b14"),
    row("0.55", "b2"),
    row("0.7", "t10", writer="w2"),
    row("0.0", "t3", "p9", split="train"),
]


def scorer(texts):
    scores = np.full((len(texts), 7), np.nan)
    scores[:, 0] = [float(text) for text in texts]
    return scores


@pytest.fixture
def put(monkeypatch):
    """Put other situations in the place of those of the package."""

    def put(rows=ROWS):
        monkeypatch.setattr(
            situations, "read_situations", lambda split: [each for each in rows if each.split == split]
        )

    return put


def measured(**settings):
    settings = {"policy": POLICY, "samples": 50} | settings
    return run_suite("situations", None, scorer, EvaluationConfig(**settings))


def test_figures_by_hand(put):
    put()
    found = measured()
    assert (found.rows, found.split) == (13, "test")
    # Harmful 0.8 0.95 0.6 0.45 0.2 0.7 against harmless 0.1 0.4 0.2 0.45 0.92 0.05 0.55.
    harmful, harmless = (0.8, 0.95, 0.6, 0.45, 0.2, 0.7), (0.1, 0.4, 0.2, 0.45, 0.92, 0.05, 0.55)
    wins = sum((a > b) + (a == b) / 2 for a, b in itertools.product(harmful, harmless))
    assert found.all.roc_auc.value == pytest.approx(wins / 42)
    assert found.all.twins_ranked.value == pytest.approx(3.5 / 5)
    assert found.all.harmless_passing.value == pytest.approx(5 / 7)
    assert found.all.harmless_removed.value == pytest.approx(1 / 7)
    assert found.all.harmful_flagged.value == pytest.approx(4 / 6)
    assert list(found.kinds) == ["b2", "b7", "b14", "t3", "t10"]
    threats, figurative = found.kinds["t3"], found.kinds["b7"]
    assert (threats.name, threats.harmful, threats.rows) == ("explicit threat", True, 5)
    assert threats.flagged.value == threats.treated_rightly.value == pytest.approx(3 / 5)
    assert threats.removed.value == pytest.approx(1 / 5)
    assert (figurative.harmful, figurative.flagged.value) == (False, pytest.approx(1 / 5))
    assert figurative.treated_rightly.value == pytest.approx(4 / 5)
    assert np.isnan(found.kinds["t10"].twins_ranked.value)
    # The one in t10 beats all but 0.92.
    assert found.kinds["t10"].roc_auc.value == pytest.approx(6 / 7)
    assert found.writers["w1"].twins_ranked.value == 1
    assert found.writers["w2"].twins_ranked.value == pytest.approx(0.5 / 2)
    assert found.worst is None  # no kind has ten rows
    assert "twins ranked rightly 0.700" in found.summary()


def test_the_worst_kind_is_named(put):
    many = [row("0.6", "b5"), row("0.1", "b5")] * 5 + [row("0.8", "t1")] * 10
    put(many)
    found = measured()
    assert found.worst.kind == "b5"
    assert found.worst.treated_rightly.value == 0.5
    assert "worst kind: hard criticism, 0.500" in found.summary()


def test_intervals_draw_whole_pairs(put):
    """Twins that always go together: a share over both of each pair varies as pairs do, not as rows."""
    rows = [
        row("0.8" if n % 2 else "0.1", "t1", f"p{n}") for n in range(40) for _ in range(2)
    ]  # fmt: skip
    widths = []
    for some in (rows, [replace(each, pair="") for each in rows]):
        put(some)
        figure = measured(samples=400).kinds["t1"].flagged
        assert figure.value == 0.5
        widths.append(figure.high - figure.low)
    assert widths[0] == pytest.approx(np.sqrt(2) * widths[1], rel=0.2)


def test_another_split_and_none(put):
    with pytest.raises(UserError, match="`split` is 'dev'"):
        measured(split="dev")
    put()
    assert measured(split="train").rows == 1


def test_without_a_policy_the_threshold_flags_and_nothing_is_removed(put):
    put()
    found = measured(policy={}, thresholds={"model": {"toxicity": 0.45}})
    assert found.all.harmful_flagged.value == pytest.approx(5 / 6)
    assert found.all.harmless_removed.value == 0


def test_tables_and_chart_have_a_line_for_each_kind_and_writer(put):
    put()
    found = measured()
    kinds, writers = found.tables()
    assert kinds.rows[1][:2] == ("b7 figurative violence", "5")
    assert [line[0] for line in writers.rows] == ["w1", "w2"]
    (chart,) = found.charts()
    assert chart.labels[-1] == "disguised abuse"
    assert [figure is None for figure in chart.series[0].figures] == [True, True, True, False, False]


def test_the_packages_own_situations_are_measured():
    def long_is_toxic(texts):
        scores = np.full((len(texts), 7), np.nan)
        scores[:, 0] = [min(len(text) / 500, 1) for text in texts]
        return scores

    found = run_suite("situations", None, long_is_toxic, EvaluationConfig(samples=0))
    assert found.rows == len(read_situations("test"))
    assert 0.3 < found.all.roc_auc.value < 0.7
    assert {cell.harmful for cell in found.kinds.values()} == {True, False}
