import numpy as np
import pyarrow as pa
import pytest

from giantkiller.data.labelled import Columns, Labelled, read_labelled
from giantkiller.data.splits import Quota, published_splits
from giantkiller.errors import UserError


def made(toxicity, texts=None):
    targets = np.full((len(toxicity), 7), np.nan, np.float32)
    targets[:, 0] = toxicity
    texts = texts or [f"comment {i}" for i in range(len(toxicity))]
    return Labelled(
        texts=texts, targets=targets, kinds=None, extra=Columns(pa.table({"row": range(len(texts))}))
    )


def test_the_published_protocol_to_the_row():
    source = made(np.where(np.arange(8_000) % 10 == 0, 0.7, 0.2))
    splits = published_splits(source, seed=3)
    assert [len(split) for split in splits] == [5_000, 1_000, 1_000]
    toxic = [int((split.targets[:, 0] >= 0.5).sum()) for split in splits]
    assert toxic == [227, 66, 90]
    assert [100 * t / len(s) for t, s in zip(toxic, splits, strict=True)] == pytest.approx([4.54, 6.6, 9.0])
    rows = np.concatenate([split.extra["row"] for split in splits])
    assert len(set(rows)) == 7_000
    # Toxic comments are spread over a split, not piled up at its head.
    assert (splits[0].targets[:2_500, 0] >= 0.5).any()
    assert (splits[0].targets[2_500:, 0] >= 0.5).any()


def test_same_seed_same_splits():
    source = made(np.linspace(0, 1, 60))
    small = (Quota("train", 20, 8), Quota("test", 10, 3))
    first, again, other = (published_splits(source, seed=s, quotas=small) for s in (1, 1, 2))
    assert [s.texts for s in first] == [s.texts for s in again]
    assert [s.texts for s in first] != [s.texts for s in other]


def test_repeated_and_unlabelled_comments_are_not_drawn():
    source = made([1, 1, 0, 0, np.nan, 0], ["Same  text", "same text", "a", "A ", "b", "c"])
    (split,) = published_splits(source, seed=0, quotas=(Quota("all", 3, 1),))
    assert sorted(text.lower().split()[0] for text in split.texts) == ["a", "c", "same"]
    with pytest.raises(UserError, match="need 2 toxic and 1 other comments, but the source has 1 and 2"):
        published_splits(source, seed=0, quotas=(Quota("all", 3, 2),))


def test_on_real_comments(data_dir):
    splits = published_splits(read_labelled(data_dir / "civil_train.parquet"), seed=0)
    assert [int((split.targets[:, 0] >= 0.5).sum()) for split in splits] == [227, 66, 90]
