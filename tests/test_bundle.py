import json
import shutil

import pytest

from giantkiller.attributes import ATTRIBUTES
from giantkiller.bundle import Calibration, find_bundle, read_bundle, write_bundle
from giantkiller.errors import UserError
from giantkiller.policy import Policy


@pytest.fixture
def copy(tiny_bundle, tmp_path):
    shutil.copytree(tiny_bundle, tmp_path / "bundle")
    return tmp_path / "bundle"


def write(folder, **changes):
    settings = {
        "model": b"graph", "tokenizer": b"{}", "card": "# card",
        "name": "n", "version": "1", "max_length": 64,
    }  # fmt: skip
    return write_bundle(folder, **(settings | changes))


def test_what_is_written_is_read(tmp_path):
    written = write(
        tmp_path / "deep" / "b",
        calibration={"insult": Calibration(1.5, -0.25)},
        policy=Policy({"insult": {"review": 0.5, "remove": 0.9}}),
        threshold={"toxicity": 0.4},
        provenance={"recipe": "x"},
        figures={"auc": 0.9},
    )
    read = read_bundle(tmp_path / "deep" / "b")
    assert read == written
    assert read.calibration["insult"] == Calibration(1.5, -0.25)
    assert read.calibration["threat"] == Calibration()
    assert read.policy["insult"] == {"review": 0.5, "remove": 0.9}
    assert read.threshold == dict.fromkeys(ATTRIBUTES, 0.5) | {"toxicity": 0.4}
    assert read.model.read_bytes() == b"graph"
    assert [p.name for p in (tmp_path / "deep").iterdir()] == ["b"]  # nothing is left beside it


def test_a_bundle_is_replaced_and_nothing_else(tmp_path):
    write(tmp_path / "b")
    assert write(tmp_path / "b", version="2").version == "2"
    other = tmp_path / "other"
    other.mkdir()
    (other / "precious.txt").write_text("x")
    with pytest.raises(UserError, match="other than a bundle"):
        write(other)
    with pytest.raises(UserError, match="is a file"):
        write(other / "precious.txt")
    with pytest.raises(UserError, match="can't write"):
        write(other / "precious.txt" / "b")
    assert (other / "precious.txt").read_text() == "x"


def test_a_refused_bundle_leaves_the_old_one(tmp_path):
    write(tmp_path / "b")
    with pytest.raises(UserError, match="max_length"):
        write(tmp_path / "b", max_length=3)
    assert read_bundle(tmp_path / "b").max_length == 64
    assert [p.name for p in tmp_path.iterdir()] == ["b"]


@pytest.mark.parametrize("name", ["model.onnx", "tokenizer.json", "README.md"])
@pytest.mark.parametrize("harm", ["flip", "cut", "grow", "remove", "folder"])
def test_a_damaged_file_is_named(copy, name, harm):
    path = copy / name
    data = path.read_bytes()
    if harm == "flip":
        path.write_bytes(bytes([data[0] ^ 1]) + data[1:])
    elif harm == "cut":
        path.write_bytes(data[:-1])
    elif harm == "grow":
        path.write_bytes(data + b" ")
    else:
        path.unlink()
        if harm == "folder":
            path.mkdir()
    with pytest.raises(UserError, match=name):
        read_bundle(copy)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"format": 2}, "newer"),
        ({"format": "1"}, "format"),
        ({"attributes": list(ATTRIBUTES)[::-1]}, "attributes"),
        ({"max_length": True}, "max_length"),
        ({"max_length": 10**9}, "max_length"),
        ({"name": None}, "name"),
        ({"files": {}}, "model.onnx"),
        ({"files": {"../evil": {"sha256": "0" * 64, "bytes": 1}}}, "plain name"),
        ({"files": {"model.onnx": {"sha256": "zz", "bytes": 1}}}, "model.onnx"),
        ({"files": []}, "files"),
        ({"calibration": {}}, "toxicity"),
        ({"calibration": {a: {"slope": -1, "intercept": 0} for a in ATTRIBUTES}}, "slope"),
        ({"threshold": dict.fromkeys(ATTRIBUTES, 1.5)}, "threshold"),
        ({"policy": {"rudeness": {}}}, "rudeness"),
        ({"policy": {"insult": {"review": 0.9, "remove": 0.1}}}, "insult"),
        ({"policy": {"insult": {"ban": 0.9}}}, "ban"),
        ({"figures": 3}, "figures"),
    ],
)
def test_a_wrong_manifest_is_refused(copy, change, said):
    manifest = json.loads((copy / "bundle.json").read_text())
    (copy / "bundle.json").write_text(json.dumps(manifest | change))
    with pytest.raises(UserError, match=said) as error:
        read_bundle(copy)
    assert "bundle.json" in str(error.value)


@pytest.mark.parametrize("text", ["", "[]", "{", "\x00", '{"format": NaN}', "[" * 100_000])
def test_a_manifest_that_is_no_manifest(copy, text):
    (copy / "bundle.json").write_text(text)
    with pytest.raises(UserError, match=r"bundle\.json"):
        read_bundle(copy)


def test_names_of_models(tmp_path, copy, monkeypatch):
    assert find_bundle(str(copy)) == copy
    checkpoint = tmp_path / "checkpoint"
    checkpoint.mkdir()
    with pytest.raises(UserError, match="not a bundle"):
        find_bundle(checkpoint)
    (checkpoint / "config.json").write_text("{}")
    with pytest.raises(UserError, match="giantkiller export"):
        find_bundle(checkpoint)
    with pytest.raises(UserError, match="is a file"):
        find_bundle(checkpoint / "config.json")
    with pytest.raises(UserError, match="no model at"):
        find_bundle(tmp_path / "nowhere")
    monkeypatch.setattr("giantkiller.bundle.DEFAULT", tmp_path)
    for name in (None, "default"):
        with pytest.raises(UserError, match="no model inside"):
            find_bundle(name)


def test_the_hub(copy, monkeypatch):
    hub = pytest.importorskip("huggingface_hub")
    asked = []

    def snapshot(repository, *, revision, allow_patterns):
        asked.append((repository, revision))
        if repository == "them/absent":
            raise OSError("offline\nand more")
        return str(copy)

    monkeypatch.setattr(hub, "snapshot_download", snapshot)
    assert find_bundle("us/model@v1") == copy
    assert asked == [("us/model", "v1")]
    with pytest.raises(UserError, match=r"them/absent.*\(offline\)"):
        find_bundle("them/absent")
