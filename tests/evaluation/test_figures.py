import json
from dataclasses import dataclass

import numpy as np
import pytest

from giantkiller.evaluation.figures import Figure, difference, share, show, to_json, wilson


def test_wilson_by_its_published_example():
    # 81 of 263 (Newcombe 1998, table I): 0.2553 to 0.3662.
    assert wilson(81, 263) == pytest.approx((0.2553, 0.3662), abs=5e-5)
    assert wilson(0, 20)[0] == 0
    assert np.isnan(wilson(0, 0)).all()


def test_interval_of_a_difference_is_the_published_one():
    # Newcombe 1998, table II (a): 56/70 - 48/80 by method 10: 0.0524 to 0.3339.
    found = difference(share(56, 70), share(48, 80))
    assert (found.low, found.high) == pytest.approx((0.0524, 0.3339), abs=5e-5)


@dataclass
class Some:
    figure: Figure
    gap: Figure | None
    values: np.ndarray
    by: dict


def test_reports_become_json_without_nan():
    thing = Some(Figure(0.5), None, np.array([np.nan, 1.0]), {"x": share(1, 4), "n": np.int64(3)})
    found = json.loads(json.dumps(to_json(thing), allow_nan=False))
    assert found["figure"] == {"value": 0.5, "low": None, "high": None}
    assert found["gap"] is None
    assert found["values"] == [None, 1.0]
    assert found["by"]["x"]["value"] == 0.25
    assert found["by"]["n"] == 3


def test_figures_in_words():
    assert show(Figure(0.91234, 0.9, 0.92)) == "0.912 (0.900 to 0.920)"
    assert show(Figure(1234.0), 0) == "1,234"
    assert show(None) == show(Figure(float("nan"))) == "–"
