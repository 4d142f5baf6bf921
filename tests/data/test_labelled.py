import gzip
import json

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from giantkiller.attributes import ATTRIBUTES
from giantkiller.data.labelled import read_labelled
from giantkiller.errors import UserError

NAN = float("nan")

JIGSAW_2019 = (
    "id,target,comment_text,severe_toxicity,obscene,identity_attack,insult,threat,asian,atheist,bisexual,black,"
    "buddhist,christian,female,heterosexual,hindu,homosexual_gay_or_lesbian,"
    "intellectual_or_learning_disability,jewish,latino,male,muslim,other_disability,other_gender,"
    "other_race_or_ethnicity,other_religion,other_sexual_orientation,physical_disability,"
    "psychiatric_or_mental_illness,transgender,white,created_date,publication_id,parent_id,article_id,rating,"
    "funny,wow,sad,likes,disagree,sexual_explicit,identity_annotator_count,toxicity_annotator_count"
)

WILDS = (
    "id,comment_text,split,created_date,publication_id,parent_id,article_id,rating,funny,wow,sad,likes,disagree,"
    "toxicity,severe_toxicity,obscene,sexual_explicit,identity_attack,insult,threat,male,female,transgender,"
    "other_gender,heterosexual,homosexual_gay_or_lesbian,bisexual,other_sexual_orientation,christian,jewish,"
    "muslim,hindu,buddhist,atheist,other_religion,black,white,asian,latino,other_race_or_ethnicity,"
    "physical_disability,intellectual_or_learning_disability,psychiatric_or_mental_illness,other_disability,"
    "identity_annotator_count,toxicity_annotator_count,LGBTQ,na_gender,na_orientation,na_religion,na_race,"
    "na_disability,identity_any"
)


def csv_file(path, header, *rows):
    """One CSV with this header; rows give some of its columns, the others stay empty."""
    names = header.split(",")
    lines = [
        ",".join('"' + str(row.get(name, "")).replace('"', '""') + '"' for name in names) for row in rows
    ]
    path.write_text("\n".join([header, *lines]) + "\n", encoding="utf-8")
    return path


def column(labelled, attribute):
    return labelled.targets[:, ATTRIBUTES.index(attribute)].tolist()


def test_civil_comments_hub_columns(tmp_path):
    table = {name: pa.array([0.5, 0.0], pa.float32()) for name in ATTRIBUTES}
    pq.write_table(pa.table({"text": ["You fool", "Fine by me"], **table}), tmp_path / "hub.parquet")
    found = read_labelled(tmp_path / "hub.parquet")
    assert found.texts == ["You fool", "Fine by me"]
    assert found.targets.dtype == np.float32
    assert found.targets.tolist() == [[0.5] * 7, [0.0] * 7]
    assert found.kinds is None
    assert list(found.extra) == []


def test_jigsaw_unintended_bias_with_identities(tmp_path):
    path = csv_file(
        tmp_path / "train.csv",
        JIGSAW_2019,
        {"id": 1, "target": 0.6, "comment_text": 'Two\nlines, "quoted"', "insult": 0.4, "female": 1.0},
        {"id": 2, "target": 0.0, "comment_text": "A calm one", "insult": 0, "rating": "approved"},
    )
    found = read_labelled(path)
    assert found.texts == ['Two\nlines, "quoted"', "A calm one"]
    assert column(found, "toxicity") == pytest.approx([0.6, 0.0])
    assert column(found, "insult") == pytest.approx([0.4, 0.0])
    assert np.isnan(column(found, "threat")).all()
    assert found.extra["female"].tolist() == pytest.approx([1.0, NAN], nan_ok=True)
    assert found.extra["rating"].tolist() == ["", "approved"]
    assert "target" not in found.extra


def test_wilds_csv(tmp_path):
    path = csv_file(
        tmp_path / "all_data_with_identities.csv",
        WILDS,
        {"comment_text": "Go away", "split": "train", "toxicity": 0.7, "LGBTQ": 0.0, "identity_any": "True"},
        {"comment_text": "", "split": "test", "toxicity": 0.1, "LGBTQ": 1.0},
    )
    found = read_labelled(path)
    assert found.texts == ["Go away", ""]
    assert column(found, "toxicity") == pytest.approx([0.7, 0.1])
    assert found.extra["split"].tolist() == ["train", "test"]
    assert found.extra["LGBTQ"].tolist() == [0.0, 1.0]


def test_jigsaw_2018_test_labels_meet_their_texts(tmp_path):
    header = "id,toxic,severe_toxic,obscene,threat,insult,identity_hate"
    names = header.split(",")[1:]
    csv_file(
        tmp_path / "test_labels.csv",
        header,
        {"id": "b", **dict.fromkeys(names, -1)},
        {"id": "a", **dict.fromkeys(names, 1)},
    )
    with pytest.raises(UserError, match=r"put test\.csv"):
        read_labelled(tmp_path / "test_labels.csv")
    csv_file(
        tmp_path / "test.csv",
        "id,comment_text",
        {"id": "a", "comment_text": "Rude"},
        {"id": "b", "comment_text": "Unknown"},
    )
    found = read_labelled(tmp_path / "test_labels.csv")
    assert found.texts == ["Unknown", "Rude"]
    assert np.isnan(found.targets[0]).all()
    assert found.targets[1].tolist() == pytest.approx([1, 1, 1, 1, 1, 1, NAN], nan_ok=True)


def test_jigsaw_2018_train(tmp_path):
    path = csv_file(
        tmp_path / "train.csv",
        "id,comment_text,toxic,severe_toxic,obscene,threat,insult,identity_hate",
        {"comment_text": "Nice edit", **dict.fromkeys(["toxic", "obscene", "identity_hate"], 0)},
        {"comment_text": "Bad edit, fool", "toxic": 1, "identity_hate": 1},
    )
    found = read_labelled(path)
    assert column(found, "toxicity") == [0, 1]
    assert column(found, "identity_attack") == [0, 1]


def test_minus_one_is_an_error_outside_jigsaw_2018(tmp_path):
    path = csv_file(tmp_path / "own.csv", "text,toxicity", {"text": "a", "toxicity": -1})
    with pytest.raises(UserError, match="row 1 has -1 in 'toxicity'"):
        read_labelled(path)


@pytest.mark.parametrize("ending", ["csv", "tsv", "jsonl", "csv.gz", "tsv.gz", "jsonl.gz"])
def test_plain_files(tmp_path, ending):
    if "jsonl" in ending:
        rows = [
            {"text": "naïve 👋", "insult": 0.25},
            {"text": "b", "note": ["x"]},
            {"text": "c", "insult": None},
        ]
        content = "\n\n".join(json.dumps(row) for row in rows)
    else:
        tab = "\t" if "tsv" in ending else ","
        content = f"text{tab}insult{tab}note\nnaïve 👋{tab}0.25{tab}\nb{tab}NaN{tab}7\nc{tab} {tab}null\n"
    data = ("\ufeff" + content).encode("utf-8")
    path = tmp_path / f"plain.{ending}"
    path.write_bytes(gzip.compress(data) if ending.endswith(".gz") else data)
    found = read_labelled(path)
    assert found.texts == ["naïve 👋", "b", "c"]
    assert column(found, "insult") == pytest.approx([0.25, NAN, NAN], nan_ok=True)
    assert len(found.extra["note"]) == 3


def test_text_named_null_stays_a_comment(tmp_path):
    (tmp_path / "n.csv").write_text("text,toxicity\nnull,0\nNA,1\n")
    assert read_labelled(tmp_path / "n.csv").texts == ["null", "NA"]


def test_target_is_toxicity_only_where_it_holds_numbers(tmp_path):
    (tmp_path / "groups.csv").write_text("text,target\nhello,women\n")
    found = read_labelled(tmp_path / "groups.csv")
    assert np.isnan(found.targets).all()
    assert found.extra["target"].tolist() == ["women"]
    (tmp_path / "kaggle.csv").write_text("comment_text,target\nhello,women\n")
    with pytest.raises(UserError, match="row 1 has something in 'target' that is not a number"):
        read_labelled(tmp_path / "kaggle.csv")


def test_label_kind_and_take(tmp_path):
    (tmp_path / "k.csv").write_text(
        "text,toxicity,label_kind,model\na,0,binary,0.1\nb,1,weak,0.2\nc,0.5,binary,\n"
    )
    found = read_labelled(tmp_path / "k.csv")
    assert found.kinds == ["binary", "weak", "binary"]
    some = found.take([2, 0])
    assert (some.texts, some.kinds) == (["c", "a"], ["binary", "binary"])
    assert column(some, "toxicity") == [0.5, 0]
    assert some.extra["model"].tolist() == pytest.approx([NAN, 0.1], nan_ok=True)
    assert found.take(np.array([False, True, False])).texts == ["b"]


def test_named_text_column_is_no_label(tmp_path):
    (tmp_path / "pairs.csv").write_text("toxic,neutral\nYou fool,You are wrong\n")
    found = read_labelled(tmp_path / "pairs.csv", text_column="toxic")
    assert found.texts == ["You fool"]
    assert np.isnan(found.targets).all()


BAD_FILES = [
    ("empty.csv", b"", "is empty"),
    ("header.csv", b"text,toxicity\n", "no rows"),
    ("none.jsonl", b"\n\n", "no rows"),
    ("wide.csv", b"text,toxicity\na,0\nb,1,2\n", "row 2 can't be read: 3 fields where the header has 2"),
    ("quote.csv", b'text,toxicity\na,0\n"b,1\nc,0\n', "line 3 and never closed"),
    ("open.csv", b'toxicity,text\n0,a\n1,"b\n0,c\n', "line 3 and never closed"),
    ("latin.csv", "text\ncafé\n".encode("latin-1"), "not UTF-8"),
    ("latin.jsonl", '{"text": "café"}\n'.encode("latin-1"), "line 1 is not UTF-8"),
    ("broken.jsonl", b'{"text": "a"}\n{"text": \n', "line 2 is not JSON"),
    ("deep.jsonl", b"[" * 200_000, "line 1 is not JSON"),
    ("list.jsonl", b'["a"]\n', "line 1 is JSON, but not an object"),
    ("other.csv", b"a,b\n1,2\n", "none of its columns"),
    (
        "word.csv",
        b"text,toxicity\na,0\nb,high\n",
        "row 2 has something in 'toxicity' that is not a number",
    ),
    ("range.csv", b"text,toxicity\na,0\nb,1.5\n", "row 2 has 1.5 in 'toxicity'"),
    ("inf.jsonl", b'{"text": "a", "threat": Infinity}\n', "row 1 has inf in 'threat'"),
    ("number.jsonl", b'{"text": 3, "threat": 0}\n', "not text"),
    ("twice.csv", b"text,text\na,b\n", "same name"),
    ("what.xlsx", b"PK", "its ending is not known"),
    ("fake.parquet", b"PAR1 and nothing", "damaged"),
    ("fake.csv.gz", b"text\na\n", "damaged"),
    ("cut.jsonl.gz", gzip.compress(b'{"text": "a"}\n' * 99, mtime=0)[:-12], "damaged"),
]


@pytest.mark.parametrize(("name", "content", "sentence"), BAD_FILES, ids=[case[0] for case in BAD_FILES])
def test_bad_files_are_refused_in_one_sentence(tmp_path, name, content, sentence):
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(UserError, match=sentence) as caught:
        read_labelled(path)
    assert name in str(caught.value)
    assert "\n" not in str(caught.value)


def test_missing_file_and_folder(tmp_path):
    with pytest.raises(UserError, match="no such file"):
        read_labelled(tmp_path / "nowhere.csv")
    with pytest.raises(UserError, match="is a folder"):
        read_labelled(tmp_path)


def test_numeric_text_in_parquet_is_refused(tmp_path):
    pq.write_table(pa.table({"text": [1, 2], "toxicity": [0.0, 1.0]}), tmp_path / "n.parquet")
    with pytest.raises(UserError, match="holds int64 values, not text"):
        read_labelled(tmp_path / "n.parquet")


def test_a_comment_of_a_megabyte(tmp_path):
    (tmp_path / "big.csv").write_text("text,toxicity\n" + "x" * 3_000_000 + ",0\nb,1\n")
    assert [len(text) for text in read_labelled(tmp_path / "big.csv").texts] == [3_000_000, 1]


def test_real_files(data_dir):
    found = read_labelled(data_dir / "civil_train.parquet")
    assert len(found) == 57_550
    assert set(found.kinds or []) == {"fraction", "binary", "weak"}
    assert int(np.isfinite(found.targets[:, 0]).sum()) == 33_314
