import numpy as np
import pytest
import torch
from torch.nn import functional as F

from giantkiller.errors import UserError
from giantkiller.training.distill import label_loss, read_soft_labels, write_soft_labels
from giantkiller.training.recipe import LossSettings

NAN = float("nan")
NONE = torch.full((3, 7), NAN)
ONES = torch.ones(3)


def test_missing_targets_neither_count_nor_train():
    logits = torch.randn(3, 7, requires_grad=True)
    targets = NONE.clone()
    targets[0, 0], targets[2, 4] = 1.0, 0.3
    loss = label_loss(logits, targets, ONES, NONE, LossSettings())
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
    settings = LossSettings(positive_weight=21.0)
    torch.testing.assert_close(label_loss(logits, targets, torch.ones(20), nothing, settings), expected)


def test_no_label_at_all_gives_zero():
    assert label_loss(torch.randn(3, 7), NONE, ONES, NONE, LossSettings()) == 0


@pytest.mark.parametrize("kind", ["mse", "bce"])
def test_the_loss_is_least_at_the_teacher(kind):
    teacher = torch.randn(3, 7)
    teacher[1, 3] = NAN
    settings = LossSettings(soft_loss=kind)
    at = label_loss(torch.nan_to_num(teacher), NONE, ONES, teacher, settings)
    away = label_loss(torch.nan_to_num(teacher) + 0.5, NONE, ONES, teacher, settings)
    assert at < away


def test_teacher_and_raters_share_a_label_that_both_gave():
    logits, targets, soft = torch.zeros(3, 7), NONE.clone(), NONE.clone()
    targets[0, 0], soft[0, 0] = 1.0, 2.0  # both
    targets[1, 1] = 0.0  # raters alone
    soft[2, 2] = -3.0  # teacher alone
    loss = label_loss(logits, targets, ONES, soft, LossSettings(soft_share=0.75))
    cross = float(F.binary_cross_entropy_with_logits(torch.tensor(0.0), torch.tensor(1.0)))
    assert float(loss) == pytest.approx((0.25 * cross + 0.75 * 4 + cross + 9) / 3)


def test_row_and_attribute_weights_scale():
    targets = NONE.clone()
    targets[0, 0], targets[1, 1] = 0.0, 1.0
    logits = torch.tensor([[3.0] + [0] * 6, [0, 1.0] + [0] * 5, [0.0] * 7])
    settings = LossSettings(attribute_weights={"toxicity": 3.0})
    each = [F.softplus(torch.tensor(3.0)), F.softplus(torch.tensor(-1.0))]
    expected = (each[0] * 3 * 0.5 + each[1]) / (3 * 0.5 + 1)
    loss = label_loss(logits, targets, torch.tensor([0.5, 1, 1]), NONE, settings)
    torch.testing.assert_close(loss, expected)


def test_soft_labels_survive_writing(tmp_path):
    texts = [f"text {i}\nline" for i in range(7)]
    values = np.random.default_rng(0).normal(size=(7, 7)).astype(np.float32)
    values[2, 3] = NAN
    done = []
    write_soft_labels(
        tmp_path / "s.parquet",
        texts,
        lambda some: values[[texts.index(t) for t in some]],
        done.append,
        chunk=3,
    )
    back, logits = read_soft_labels(tmp_path / "s.parquet")
    assert back == texts
    np.testing.assert_array_equal(logits, values)
    assert sum(done) == 7


def test_an_interrupted_write_leaves_nothing(tmp_path):
    def stop(some):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_soft_labels(tmp_path / "s.parquet", ["a"], stop)
    assert list(tmp_path.iterdir()) == []


def test_files_without_soft_labels_are_refused(tmp_path):
    with pytest.raises(UserError, match="giantkiller soft-labels"):
        read_soft_labels(tmp_path / "none.parquet")
    (tmp_path / "bad.parquet").write_text("no")
    with pytest.raises(UserError, match="holds no soft labels"):
        read_soft_labels(tmp_path / "bad.parquet")
