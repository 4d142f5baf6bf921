import numpy as np
import pytest
import torch
from torch.nn import functional as F

from giantkiller.training.corpus import make_corpus
from giantkiller.training.loss import batch_loss, label_loss, twin_loss
from giantkiller.training.settings import LossSettings

NAN = float("nan")
NONE = torch.full((3, 7), NAN)
ONES = torch.ones(3)


def loss_of(logits, targets, soft, *, weights=ONES, soft_weights=ONES, share=0.7, positive_weight=1.0):
    shares = torch.full((len(logits),), share, dtype=torch.float64)
    return label_loss(logits, targets, weights, soft, soft_weights, shares, positive_weight)


def test_missing_targets_neither_count_nor_train():
    logits = torch.randn(3, 7, requires_grad=True)
    targets = NONE.clone()
    targets[0, 0], targets[2, 4] = 1.0, 0.3
    loss = loss_of(logits, targets, NONE)
    by_hand = [
        F.binary_cross_entropy_with_logits(logits[0, 0], torch.tensor(1.0)),
        F.binary_cross_entropy_with_logits(logits[2, 4], torch.tensor(0.3)),
    ]
    torch.testing.assert_close(loss, sum(by_hand) / 2)
    loss.backward()
    assert (logits.grad[torch.isnan(targets)] == 0).all()
    assert torch.isfinite(logits.grad).all()


def test_positive_weight_is_the_class_weight_of_two_logits():
    z, truth = torch.randn(20), torch.randint(0, 2, (20,))
    logits, targets = torch.zeros(20, 7), torch.full((20, 7), NAN)
    logits[:, 0], targets[:, 0] = z, truth.float()
    two = torch.stack([torch.zeros(20), z], dim=1)
    expected = F.cross_entropy(two, truth, weight=torch.tensor([1.0, 21.0]))
    nothing = torch.full((20, 7), NAN)
    ones = torch.ones(20)
    loss = loss_of(logits, targets, nothing, weights=ones, soft_weights=ones, positive_weight=21.0)
    torch.testing.assert_close(loss, expected)


def test_no_label_at_all_gives_zero():
    assert loss_of(torch.randn(3, 7), NONE, NONE) == 0


def test_the_loss_is_least_at_the_teacher():
    teacher = torch.randn(3, 7)
    teacher[1, 3] = NAN
    at = loss_of(torch.nan_to_num(teacher), NONE, teacher)
    away = loss_of(torch.nan_to_num(teacher) + 0.5, NONE, teacher)
    assert at < away


def test_teacher_and_raters_share_a_label_that_both_gave():
    logits, targets, soft = torch.zeros(3, 7), NONE.clone(), NONE.clone()
    targets[0, 0], soft[0, 0] = 1.0, 2.0  # both
    targets[1, 1] = 0.0  # raters alone
    soft[2, 2] = -3.0  # teacher alone
    loss = loss_of(logits, targets, soft, share=0.75)
    cross = float(F.binary_cross_entropy_with_logits(torch.tensor(0.0), torch.tensor(1.0)))
    assert float(loss) == pytest.approx((0.25 * cross + 0.75 * 4 + cross + 9) / 3)


def test_row_weights_scale_targets_and_soft_labels():
    targets, soft = NONE.clone(), NONE.clone()
    targets[0, 0], targets[1, 1], soft[2, 0] = 0.0, 1.0, 1.0
    logits = torch.tensor([[3.0] + [0] * 6, [0, 1.0] + [0] * 5, [3.0] + [0.0] * 6])
    each = [F.softplus(torch.tensor(3.0)), F.softplus(torch.tensor(-1.0)), 4.0]
    expected = (each[0] * 0.5 + each[1] + each[2] * 2) / (0.5 + 1 + 2)
    loss = loss_of(
        logits, targets, soft, weights=torch.tensor([0.5, 1, 1]), soft_weights=torch.tensor([1, 1, 2.0])
    )
    torch.testing.assert_close(loss, expected)


def test_twins_are_pushed_apart_up_to_the_margin():
    pairs = torch.tensor([4, 4, 4, 9, -1, -1])
    targets = torch.tensor([1.0, 0.0, 0.2, 1.0, 0.0, 1.0])
    logits = torch.tensor([1.0, 0.0, -3.0, 5.0, 9.0, 0.0], requires_grad=True)
    # Couples: 0 over 1 (difference 1) and 0 over 2 (difference 4); 3 has no twin here, 4 and 5 none at all.
    loss = twin_loss(logits, targets, pairs, margin=3.0)
    assert loss.item() == pytest.approx((2 + 0) / 2)
    loss.backward()
    assert logits.grad.tolist() == [-0.5, 0.5, 0, 0, 0, 0]


def test_twins_without_a_label_or_a_partner_add_nothing():
    nothing = twin_loss(torch.randn(3), torch.tensor([NAN, 1.0, 1.0]), torch.tensor([1, 1, 1]), 2.0)
    assert float(nothing) == 0


def test_a_batch_takes_each_rows_own_share_and_the_contrast_of_its_twins():
    targets = np.full((3, 7), NAN, np.float32)
    targets[:, 0] = [1, 0, 1]
    soft = np.full((3, 7), NAN, np.float32)
    soft[:, 0] = 0
    corpus = make_corpus(["a", "b", "c"], targets, soft=soft, soft_share=[0.5, NAN, 0.0], pairs=[0, 0, -1])
    logits, rows = torch.zeros(2, 7), np.array([0, 1])
    half = float(F.softplus(torch.tensor(0.0)))
    plain = batch_loss(logits, corpus, rows, LossSettings(soft_share=0.25))
    # Logits of 0 are what the teacher said, so raters' shares, a half and three quarters, are all the loss.
    assert float(plain) == pytest.approx(half * (0.5 + 0.75) / 2)
    contrasted = batch_loss(logits, corpus, rows, LossSettings(soft_share=0.25, contrast=0.1, margin=2.0))
    assert float(contrasted) == pytest.approx(float(plain) + 0.1 * 2)
    alone = batch_loss(logits, corpus, np.array([0, 2]), LossSettings(contrast=0.1))
    assert float(alone) == float(batch_loss(logits, corpus, np.array([0, 2]), LossSettings()))
