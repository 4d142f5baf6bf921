import pytest

from giantkiller.desk.config import DeskSettings
from giantkiller.desk.second import chance


def test_without_a_preference_every_decision_has_the_same_chance():
    settings = DeskSettings(second_share=0.2)
    assert {
        chance(score, outcome, settings) for score in (0.0, 0.5, 1.0) for outcome in ("allow", "remove")
    } == {0.2}


def test_with_one_the_chance_follows_the_surprise_and_keeps_its_mean():
    settings = DeskSettings(second_share=0.2, second_by_surprise=1.0)
    assert chance(0.9, "allow", settings) == pytest.approx(0.54)
    assert chance(0.9, "remove", settings) == pytest.approx(0.06)
    even = [p / 1000 for p in range(1001)]
    mean = (
        sum(p * chance(p, "remove", settings) + (1 - p) * chance(p, "allow", settings) for p in even) / 1001
    )
    assert mean == pytest.approx(0.2, abs=0.001)
    half = DeskSettings(second_share=0.2, second_by_surprise=0.5)
    assert chance(0.9, "allow", half) == pytest.approx((0.2 + 0.54) / 2)
    assert chance(1.0, "allow", DeskSettings(second_share=0.9, second_by_surprise=1.0)) == 1.0


def test_the_desk_asks_again_where_the_model_expected_another_decision(desk):
    desk.settings(second_share=0.4, second_by_surprise=1.0)
    one, two = desk.person(), desk.person()
    for outcome, again in (("remove", False), ("allow", True)):
        desk.submit(f"Another comment, {outcome}", toxicity=1.0)
        desk.decide(one, desk.next(one), outcome)
        assert (desk.next(two) is not None) == again
