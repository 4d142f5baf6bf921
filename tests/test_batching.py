from hypothesis import given, settings
from hypothesis import strategies as st

from giantkiller.batching import plan

LENGTHS = st.lists(st.integers(0, 50), max_size=60)


@settings(max_examples=2 * settings().max_examples)
@given(LENGTHS, st.integers(1, 100))
def test_plan(lengths, budget):
    batches = plan(lengths, budget)
    assert sorted(i for batch in batches for i in batch) == list(range(len(lengths)))
    for batch in batches:
        assert len({lengths[i] for i in batch}) == 1
        assert len(batch) == 1 or sum(lengths[i] for i in batch) <= budget or lengths[batch[0]] == 0
    sizes = [lengths[batch[0]] for batch in batches]
    assert sizes == sorted(sizes, reverse=True)


@settings(max_examples=2 * settings().max_examples)
@given(LENGTHS, st.integers(1, 100))
def test_plan_with_padding(lengths, budget):
    batches = plan(lengths, budget, padded=True)
    assert sorted(i for batch in batches for i in batch) == list(range(len(lengths)))
    for batch in batches:
        padded = len(batch) * max(lengths[i] for i in batch)
        assert len(batch) == 1 or padded <= budget or padded == 0
    assert len(batches) <= len(plan(lengths, budget))


def test_by_hand():
    assert plan([2, 3, 2, 2], 4) == [[1], [0, 2], [3]]
    assert plan([2, 3, 2, 2], 6, padded=True) == [[1, 0], [2, 3]]
