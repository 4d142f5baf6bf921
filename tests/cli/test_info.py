import json

from bundles import build
from click.testing import CliRunner

from giantkiller.bundle import read_bundle
from giantkiller.cli.main import giantkiller
from giantkiller.errors import UserError
from giantkiller.policy import Policy


def run(*arguments):
    return CliRunner().invoke(giantkiller, ["info", *map(str, arguments)])


def test_what_people_see(tmp_path):
    bundle = read_bundle(
        build(
            tmp_path / "b",
            policies={"family": Policy({"insult": {"remove": 0.25}}), "none": Policy({})},
            provenance={"parameters": 4570005, "dendrites": {"pooler": 1}, "other": [1]},
            figures={"validation": {"insult": {"roc_auc": 0.9352, "average_precision": 0.5}}},
            name="tiny\x1b[2J",
        )
    )
    shown = run(bundle.folder)
    assert shown.exit_code == 0
    lines = [line.split() for line in shown.output.splitlines()]
    assert ["digest", bundle.digest] in lines
    assert ["parameters", "4,570,005"] in lines
    assert ["insult", "0.500", "1.000", "0.000", "0.9352", "0.5000"] in lines
    assert ["threat", "0.500", "1.000", "0.000", "-", "-"] in lines
    assert ["threat", "-", "0.500", "0.900"] in lines
    assert ["insult", "-", "-", "0.250"] in lines
    assert ["policy", "none"] in lines
    assert ["model.onnx", f"{bundle.files['model.onnx'].bytes:,}", bundle.files["model.onnx"].sha256] in lines
    assert "\x1b" not in shown.output


def test_the_manifest_as_json(tiny_bundle):
    about = json.loads(run(tiny_bundle, "--json").output)
    manifest = json.loads((tiny_bundle / "bundle.json").read_text())
    bundle = read_bundle(tiny_bundle)
    assert about == manifest | {"folder": str(tiny_bundle), "digest": bundle.digest, "bytes": bundle.bytes}


def test_a_damaged_bundle(tmp_path):
    folder = build(tmp_path / "b")
    (folder / "model.onnx").write_bytes(b"x")
    assert isinstance(run(folder).exception, UserError)
