import numpy as np
import pytest
import torch
from torch.nn import functional as F

from giantkiller.errors import UserError
from giantkiller.training.distill import masked_loss, read_soft_labels, soft_loss, write_soft_labels

NAN = float("nan")


def test_missing_targets_neither_count_nor_train():
    logits = torch.randn(3, 7, requires_grad=True)
    targets = torch.full((3, 7), NAN)
    targets[0, 0], targets[2, 4] = 1.0, 0.3
    loss = masked_loss(logits, targets, torch.ones(3))
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
    torch.testing.assert_close(masked_loss(logits, targets, torch.ones(20), 21.0), expected)


def test_no_target_at_all_gives_zero():
    nothing = torch.full((2, 7), NAN)
    assert masked_loss(torch.randn(2, 7), nothing, torch.ones(2)) == 0
    assert soft_loss(torch.randn(2, 7), nothing, "mse") == 0


@pytest.mark.parametrize("kind", ["mse", "bce"])
def test_soft_loss_is_least_at_the_teacher(kind):
    teacher = torch.randn(4, 7)
    teacher[1, 3] = NAN
    at = soft_loss(torch.nan_to_num(teacher), teacher, kind)
    away = soft_loss(torch.nan_to_num(teacher) + 0.5, teacher, kind)
    assert at < away


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
