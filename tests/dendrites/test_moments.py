import itertools

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from giantkiller.dendrites.moments import Moments

quick = settings(deadline=None, max_examples=30)


def rows(seed, count, neurons=3, shift=0.0):
    draw = np.random.default_rng(seed)
    a = draw.normal(shift, 2.0, (count, neurons))
    return a, 0.5 * a + draw.normal(-shift, 1.0, (count, neurons))


def gathered(batches, neurons=3):
    moments = Moments(neurons)
    for a, b in batches:
        moments.add(torch.tensor(a), torch.tensor(b))
    return moments


@quick
@given(
    seed=st.integers(0, 999),
    count=st.integers(2, 40),
    cuts=st.lists(st.integers(0, 40), max_size=5),
    shift=st.floats(-1000, 1000),
)
def test_any_split_into_batches_gives_the_moments_of_the_whole(seed, count, cuts, shift):
    a, b = rows(seed, count, shift=shift)
    edges = [0, *sorted(min(cut, count) for cut in cuts), count]
    moments = gathered((a[i:j], b[i:j]) for i, j in itertools.pairwise(edges))
    assert moments.count == count
    np.testing.assert_allclose(moments.mean_a, a.mean(0), rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(moments.mean_b, b.mean(0), rtol=1e-9, atol=1e-9)
    deviation_a, deviation_b = moments.deviations()
    np.testing.assert_allclose(deviation_a, a.std(0), rtol=1e-8)
    np.testing.assert_allclose(deviation_b, b.std(0), rtol=1e-8)
    expected = [np.corrcoef(a[:, j], b[:, j])[0, 1] for j in range(3)]
    np.testing.assert_allclose(moments.correlation(), expected, rtol=1e-7, atol=1e-9)


@quick
@given(seed=st.integers(0, 999), momentum=st.floats(0.0, 1.0), sizes=st.lists(st.integers(1, 9), min_size=1))
def test_running_moments_weigh_each_batch_by_its_age(seed, momentum, sizes):
    moments = Moments(3)
    batches = [rows(seed + i, size) for i, size in enumerate(sizes)]
    for a, b in batches:
        moments.fade(momentum)
        moments.add(torch.tensor(a), torch.tensor(b))
    weights = np.concatenate([np.full(n, momentum ** (len(sizes) - 1 - i)) for i, n in enumerate(sizes)])
    a, b = (np.concatenate(side) for side in zip(*batches, strict=True))
    mean_a, mean_b = np.average(a, 0, weights), np.average(b, 0, weights)
    np.testing.assert_allclose(moments.count, weights.sum(), rtol=1e-9)
    np.testing.assert_allclose(moments.mean_a, mean_a, rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(moments.cross, weights @ ((a - mean_a) * (b - mean_b)), rtol=1e-7, atol=1e-9)
    np.testing.assert_allclose(moments.square_a, weights @ (a - mean_a) ** 2, rtol=1e-7, atol=1e-9)


@pytest.mark.parametrize("level", [0.0, 1.0, -3e4, 1e-6])
def test_a_constant_signal_correlates_with_nothing(level):
    b = torch.randn(50, 2)
    moments = Moments(2)
    moments.add(torch.full((50, 2), level), b)
    moments.add(torch.full((30, 2), level), b[:30])
    assert torch.equal(moments.correlation(), torch.zeros(2, dtype=torch.float64))


def test_nothing_seen_is_no_correlation():
    moments = gathered([(np.zeros((0, 3)), np.zeros((0, 3)))])
    assert moments.count == 0
    assert torch.equal(moments.correlation(), torch.zeros(3, dtype=torch.float64))


def test_tiny_errors_correlate_as_large_ones_do():
    a, b = rows(0, 200)
    np.testing.assert_allclose(
        gathered([(a, 1e-15 * b)]).correlation(), gathered([(a, b)]).correlation(), rtol=1e-9
    )


def test_single_precision_rows_far_from_zero_keep_their_correlation():
    a, b = rows(0, 4000, shift=100.0)
    moments = Moments(3)
    for i in range(0, 4000, 50):
        moments.add(torch.tensor(a[i : i + 50]).float(), torch.tensor(b[i : i + 50]).float())
    expected = [np.corrcoef(a[:, j], b[:, j])[0, 1] for j in range(3)]
    np.testing.assert_allclose(moments.correlation(), expected, rtol=1e-4)


def test_rounding_never_takes_a_correlation_beyond_1():
    rows = torch.randn(7, 2000, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    moments = Moments(2000)
    moments.add(rows, 3 * rows)
    assert moments.correlation().max() <= 1.0
