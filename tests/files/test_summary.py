import numpy as np

from giantkiller.files.chunks import Results
from giantkiller.files.summary import ScreenSummary


def results(actions):
    errors = [None if action else "no text" for action in actions]
    return Results(np.zeros((len(actions), 7), np.float32), actions, [None] * len(actions), errors)


def test_the_counts_of_two_files_add_up_to_those_of_one():
    first, second = ["allow", "remove", None], ["review", "allow", "allow"]
    both, one, other = ScreenSummary(), ScreenSummary(), ScreenSummary()
    both.add(results(first + second))
    one.add(results(first))
    other.add(results(second))
    one.include(other)
    assert one == both
    assert (one.rows, one.errors, one.scored, one.actions["allow"]) == (6, 1, 5, 3)


def test_rows_of_an_earlier_run_are_counted_but_not_as_scored_now():
    total = ScreenSummary()
    total.include(ScreenSummary.of_record({"rows": 9, "errors": 2, "actions": {"allow": 7}}))
    assert (total.rows, total.resumed, total.scored, total.actions["allow"]) == (9, 9, 0, 7)
