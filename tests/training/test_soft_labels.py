import numpy as np
import pytest

from giantkiller.errors import UserError
from giantkiller.files.formats import FORMATS
from giantkiller.files.tables import read_texts
from giantkiller.training.soft_labels import check_output, read_soft_labels, texts_to_label, write_soft_labels

NAN = float("nan")


PLAIN = [f"s{suffix}" for each in FORMATS.values() for suffix in each.suffixes]
ZIPPED = [f"s{each.suffixes[0]}.gz" for each in FORMATS.values() if each.gzipped]


@pytest.mark.parametrize("name", PLAIN + ZIPPED)
def test_soft_labels_survive_writing(tmp_path, name):
    texts = [f"text {i}\nline" for i in range(7)]
    values = np.random.default_rng(0).normal(size=(7, 7)).astype(np.float32)
    values[2, 3] = NAN
    done = []
    write_soft_labels(
        tmp_path / name,
        texts,
        lambda some: values[[texts.index(t) for t in some]],
        done.append,
        chunk=3,
    )
    back, logits = read_soft_labels(tmp_path / name)
    assert back == list(read_texts(tmp_path / name)) == texts
    np.testing.assert_array_equal(logits, values)
    assert sum(done) == 7


def test_an_interrupted_write_leaves_nothing(tmp_path):
    def stop(some):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_soft_labels(tmp_path / "s.parquet", ["a"], stop)
    assert list(tmp_path.iterdir()) == []


def test_files_without_soft_labels_are_refused(tmp_path):
    with pytest.raises(UserError, match="no such file"):
        read_soft_labels(tmp_path / "none.parquet")
    (tmp_path / "bad.csv").write_text("text,toxicity\na,1\n")
    with pytest.raises(UserError, match="holds no soft labels"):
        read_soft_labels(tmp_path / "bad.csv")
    (tmp_path / "words.csv").write_text("text,logit_toxicity\na,high\n")
    with pytest.raises(UserError, match="holds words, not logits"):
        read_soft_labels(tmp_path / "words.csv")


def test_an_input_is_never_the_output(tmp_path):
    source = tmp_path / "c.csv"
    source.write_text("text\na\n")
    (tmp_path / "link.csv").symlink_to(source)
    for output in (source, tmp_path / "nofolder" / ".." / "c.csv", tmp_path / "link.csv"):
        with pytest.raises(UserError, match="one of the input files"):
            check_output(output, [tmp_path / "other.csv", source])
    check_output(tmp_path / "soft.csv", [source])


def test_outputs_that_cannot_be_written_are_refused_at_once(tmp_path):
    with pytest.raises(UserError, match="ending is not known"):
        check_output(tmp_path / "soft.npy", [])
    with pytest.raises(UserError, match="does not exist"):
        check_output(tmp_path / "none" / "soft.csv", [])
    (tmp_path / "folder.csv").mkdir()
    with pytest.raises(UserError, match="is a folder"):
        check_output(tmp_path / "folder.csv", [])


def test_texts_that_differ_by_case_and_space_are_labelled_once(tmp_path):
    (tmp_path / "c.csv").write_text("text\nHello  you\nhello you\nother\n")
    assert texts_to_label([tmp_path / "c.csv", tmp_path / "c.csv"]) == ["Hello  you", "other"]
    (tmp_path / "short.csv").write_text("text\nOne sentence.\n")
    with pytest.raises(UserError, match="no sentence to label"):
        texts_to_label([tmp_path / "short.csv"], sentences=True)
