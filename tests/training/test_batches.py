import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from giantkiller.training.batches import plan_batches


@given(
    lengths=st.lists(st.integers(2, 300), min_size=1, max_size=300),
    size=st.integers(1, 40),
    tokens=st.none() | st.integers(300, 3000),
    seed=st.integers(0, 5),
)
def test_an_epoch_holds_each_text_once_within_the_budget(lengths, size, tokens, seed):
    lengths = np.array(lengths)
    batches = plan_batches(lengths, size, tokens, seed)
    assert sorted(np.concatenate(batches)) == list(range(len(lengths)))
    for rows in batches:
        if tokens is None:
            assert len(rows) <= size
        else:
            assert len(rows) * lengths[rows].max() <= tokens


def test_epochs_differ_and_repeat_by_seed():
    lengths = np.arange(2, 200)
    one, same, other = (plan_batches(lengths, 8, None, [1, epoch]) for epoch in (0, 0, 1))
    assert all((a == b).all() for a, b in zip(one, same, strict=True))
    assert any(len(a) != len(b) or (a != b).any() for a, b in zip(one, other, strict=False))


@given(
    lengths=st.lists(st.integers(2, 100), min_size=2, max_size=200),
    size=st.integers(1, 20),
    tokens=st.none() | st.integers(200, 1000),
    seed=st.integers(0, 5),
    data=st.data(),
)
def test_twins_share_a_batch(lengths, size, tokens, seed, data):
    pairs = np.array(data.draw(st.lists(st.integers(-1, 30), min_size=len(lengths), max_size=len(lengths))))
    lengths = np.array(lengths)
    batches = plan_batches(lengths, size, tokens, seed, pairs)
    assert sorted(np.concatenate(batches)) == list(range(len(lengths)))
    batch_of = {row: i for i, rows in enumerate(batches) for row in rows}
    for number in set(pairs) - {-1}:
        assert len({batch_of[row] for row in np.flatnonzero(pairs == number)}) == 1
    for rows in batches:
        alone = len(set(pairs[rows])) == 1 and pairs[rows[0]] >= 0
        fits = len(rows) <= size if tokens is None else len(rows) * lengths[rows].max() <= tokens
        assert fits or alone


def test_without_twins_batches_are_those_of_single_texts():
    lengths = np.random.default_rng(0).integers(2, 90, 500)
    for tokens in (None, 700):
        plain = plan_batches(lengths, 8, tokens, 3)
        same = plan_batches(lengths, 8, tokens, 3, np.full(500, -1))
        assert all((a == b).all() for a, b in zip(plain, same, strict=True))
