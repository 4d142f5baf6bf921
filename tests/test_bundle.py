import hashlib
import json
import os
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from giantkiller.attributes import ATTRIBUTES
from giantkiller.bundle import (
    CARD,
    MODEL,
    TOKENIZER,
    Bundle,
    find_bundle,
    read_bundle,
    write_bundle,
)
from giantkiller.calibration import Calibration, calibrate
from giantkiller.errors import UserError
from giantkiller.policy import Policy


@pytest.fixture
def copy(tiny_bundle, tmp_path):
    shutil.copytree(tiny_bundle, tmp_path / "bundle")
    return tmp_path / "bundle"


FILES = {MODEL: b"graph", TOKENIZER: b"{}", CARD: b"# card"}


def write(folder, **changes):
    bundle = Bundle(name="n", version="1", max_length=64)
    return write_bundle(folder, replace(bundle, **changes), FILES)


def curved(points):
    """A manifest's entry with a curve for toxicity."""
    lines = {a: {"slope": 1, "intercept": 0} for a in ATTRIBUTES}
    return {"calibration": lines | {"toxicity": {"slope": 1, "intercept": 0, "curve": points}}}


def test_a_curve_is_read_by_programs_that_know_it(tmp_path):
    curve = ((0.0, 0.0), (0.5, 0.9), (1.0, 1.0))
    written = write(tmp_path / "b", calibration={"insult": Calibration(2.0, 0.5, curve)})
    assert read_bundle(tmp_path / "b").calibration["insult"].curve == curve
    manifest = json.loads((tmp_path / "b" / "bundle.json").read_text())
    assert manifest["format"] == 2  # which others refuse as newer
    assert manifest["calibration"]["threat"] == {"slope": 1.0, "intercept": 0.0}
    line = written.calibration["insult"]
    assert line.apply([-0.25, -100, 100, 0.25]) == pytest.approx(
        [0.9, 0, 1, 0.9 + 0.2 * (1 / (1 + np.exp(-1)) - 0.5)]
    )
    logits = np.array([[-0.25, *[0.0] * 6]] * 2)
    assert calibrate(logits, {"toxicity": line})[:, 0] == pytest.approx([0.9, 0.9])
    assert json.loads((write(tmp_path / "plain").folder / "bundle.json").read_text())["format"] == 1


def test_what_is_written_is_read(tmp_path):
    written = write(
        tmp_path / "deep" / "b",
        calibration={"insult": Calibration(1.5, -0.25)},
        policy=Policy({"insult": {"review": 0.5, "remove": 0.9}}),
        policies={"family": Policy({"insult": {"remove": 0.2}})},
        threshold={"toxicity": 0.4},
        provenance={"recipe": "x"},
        figures={"auc": 0.9},
    )
    read = read_bundle(tmp_path / "deep" / "b")
    assert read == written
    assert read.calibration["insult"] == Calibration(1.5, -0.25)
    assert read.calibration["threat"] == Calibration()
    assert read.policy["insult"] == {"review": 0.5, "remove": 0.9}
    assert read.policies == {"family": {"insult": {"remove": 0.2}}}
    assert read.choose_policy("family")["insult"]["remove"] == 0.2
    assert read.choose_policy("default") == read.choose_policy() == read.policy
    with pytest.raises(UserError, match="default, family"):
        read.choose_policy("adults")
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


def test_other_files_in_a_bundles_folder_stay(tmp_path):
    write(tmp_path / "b")
    (tmp_path / "b" / "notes.txt").write_text("mine")
    bundle = Bundle(name="n", version="2", max_length=64)
    write_bundle(tmp_path / "b", bundle, {MODEL: b"other", TOKENIZER: b"{}", "extra.bin": b"x"})
    assert {p.name for p in (tmp_path / "b").iterdir()} == {
        "bundle.json", "model.onnx", "tokenizer.json", "extra.bin", "notes.txt",
    }  # fmt: skip
    # What the old manifest lists goes with the old bundle.
    write(tmp_path / "b")
    assert not (tmp_path / "b" / "extra.bin").exists()
    assert (tmp_path / "b" / "notes.txt").read_text() == "mine"


def test_a_failed_swap_brings_the_old_bundle_back(tmp_path, monkeypatch):
    write(tmp_path / "b")
    before = {p.name: p.read_bytes() for p in (tmp_path / "b").iterdir()}
    rename = Path.rename

    def failing(self, other):
        if other == (tmp_path / "b").resolve() and ".old" not in self.suffix:
            raise OSError(16, "Device or resource busy")
        return rename(self, other)

    monkeypatch.setattr(Path, "rename", failing)
    with pytest.raises(UserError, match="busy"):
        write(tmp_path / "b", version="2")
    monkeypatch.undo()
    assert {p.name: p.read_bytes() for p in (tmp_path / "b").iterdir()} == before
    assert read_bundle(tmp_path / "b").version == "1"


def test_the_digest_is_of_everything(tmp_path):
    bundles = [
        write(tmp_path / "a"), write(tmp_path / "b"), write(tmp_path / "c", figures={"x": 1}),
        write(tmp_path / "d", policy=Policy({"insult": {"review": 0.5}})),
        write_bundle(tmp_path / "e", Bundle("n", "1", 64), FILES | {TOKENIZER: b"[]"}),
    ]  # fmt: skip
    digests = [bundle.digest for bundle in bundles]
    assert digests[0] == digests[1]
    assert len(set(digests)) == 4
    assert all(len(digest) == 64 for digest in digests)


def test_a_manifest_of_an_older_release_is_read(copy):
    manifest = json.loads((copy / "bundle.json").read_text())
    (copy / "bundle.json").write_text(json.dumps(manifest | {"gate": {"bias": 1.0}}))
    assert read_bundle(copy).name == "tiny"


def test_a_manifest_without_end_is_not_read(copy):
    manifest = (copy / "bundle.json").read_text()
    (copy / "bundle.json").write_text(manifest + " " * ((4 << 20) - len(manifest)))
    assert read_bundle(copy).name == "tiny"
    with (copy / "bundle.json").open("a") as file:
        file.write(" ")
    with pytest.raises(UserError, match="never that large"):
        read_bundle(copy)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes in folders there")
@pytest.mark.parametrize("name", ["bundle.json", "model.onnx"])
def test_only_regular_files_are_read(copy, name):
    """A pipe would be read until somebody writes to it."""
    (copy / name).unlink()
    os.mkfifo(copy / name)
    with pytest.raises(UserError, match=name):
        read_bundle(copy)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes in folders there")
def test_an_empty_file_that_is_a_pipe(copy):
    """Its size is right, and reading it would never end."""
    manifest = json.loads((copy / "bundle.json").read_text())
    manifest["files"]["empty.bin"] = {"sha256": hashlib.sha256().hexdigest(), "bytes": 0}
    (copy / "bundle.json").write_text(json.dumps(manifest))
    os.mkfifo(copy / "empty.bin")
    with pytest.raises(UserError, match=r"empty\.bin is not a regular file"):
        read_bundle(copy)


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
        ({"format": 3}, "newer"),
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
        (curved([[0, 0]]), "curve of toxicity"),
        (curved([[0, 0], [0.5, 0.5]]), "curve of toxicity"),
        (curved([[0, 0], [0.5, 0.7], [0.6, 0.7], [1, 1]]), "curve of toxicity"),
        (curved([[0, 0], [0.5], [1, 1]]), "curve of toxicity"),
        (curved([[0, 0], [0.5, "1"], [1, 1]]), "curve of toxicity"),
        (curved([[i / 2000, i / 2000] for i in range(2001)]), "curve of toxicity"),
        (curved(3), "curve of toxicity"),
        ({"threshold": dict.fromkeys(ATTRIBUTES, 1.5)}, "threshold"),
        ({"policy": {"rudeness": {}}}, "rudeness"),
        ({"policy": {"insult": {"review": 0.9, "remove": 0.1}}}, "insult"),
        ({"policy": {"insult": {"ban": 0.9}}}, "ban"),
        ({"policies": {"family": {"insult": {"ban": 0.9}}}}, "ban"),
        ({"policies": {"default": {}}}, "default"),
        ({"policies": {"a\x1b": {}}}, "name of a policy"),
        ({"policies": {"family": 3}}, "no object"),
        ({"policies": 3}, "policies"),
        ({"calibration": {a: {"slope": 10**400, "intercept": 0} for a in ATTRIBUTES}}, "slope"),
        ({"files": {"model.onnx": {"sha256": "0" * 64, "bytes": -1}}}, "model.onnx"),
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
    with pytest.raises(UserError, match="export it first"):
        find_bundle(checkpoint)
    with pytest.raises(UserError, match="is a file"):
        find_bundle(checkpoint / "config.json")
    with pytest.raises(UserError, match="no model at"):
        find_bundle(tmp_path / "nowhere")
    with pytest.raises(UserError, match="no model at"):
        find_bundle("~nobody-of-that-name/bundle/x")
    monkeypatch.setattr("giantkiller.bundle.finding.DEFAULT", tmp_path)
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
