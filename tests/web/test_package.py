"""The npm package's own tests, its types, and files screened as Python screens them."""

import csv
import io
import json
import random
import re
import shutil
import subprocess

import pytest
from test_parity import LOGITS, NODE, WEB, needs_model, needs_node

from giantkiller.attributes import ATTRIBUTES
from giantkiller.bundle import DEFAULT
from giantkiller.files import screen_file
from giantkiller.files.verdicts import judge_with
from giantkiller.policy import ACTIONS
from giantkiller.screener import Screener


def npm(*arguments):
    done = subprocess.run(
        [shutil.which("npm"), *arguments], cwd=WEB, capture_output=True, text=True, encoding="utf-8"
    )
    assert done.returncode == 0, done.stdout[-8000:] + done.stderr[-2000:]


def test_what_is_written_by_hand_knows_every_attribute_and_action():
    types = (WEB / "src" / "index.d.ts").read_text()
    for name, known in (("Attribute", ATTRIBUTES), ("Action", ACTIONS)):
        union = re.search(rf"export type {name} =(.*?);", types, re.DOTALL)[1]
        assert re.findall(r'"(\w+)"', union) == list(known)
    said = re.search(r"const SAYS = \{(.*?)\};", (WEB / "src" / "page" / "page.js").read_text(), re.DOTALL)[1]
    assert re.findall(r"^  (\w+):", said, re.MULTILINE) == list(ACTIONS)
    columns = re.findall(r'<th scope="col">(\w+)</th>', (WEB / "src" / "page" / "page.html").read_text())
    assert columns == ["Attribute", "Score", *(action.capitalize() for action in ACTIONS[1:])]


@pytest.mark.slow
@needs_node
@needs_model
def test_the_packages_own_tests():
    npm("test")


@pytest.mark.slow
@needs_node
def test_the_types():
    npm("run", "types")


FILES = {
    "comments.csv": 'id,Comment Text,x\n1,"You ""idiot""\nfool",a\n2,Thanks a lot,\n3,,b\n\n4,"a"b,c\n'
    '5,d\n6,é 🙂,"q"\n',
    "semicolons.csv": '\ufeffbody;n\r\nf**k this;1\r\n  ;2\r\n"a;b";3\r\nx\ry;4\r\n',
    "tabs.tsv": 'text\tn\n"you\tfool"\t1\nlast\t2',
}


@pytest.mark.slow
@needs_node
@needs_model
def test_files_come_out_as_from_python(tmp_path):
    judge = judge_with(Screener(threads=1))
    asked = []
    for name, content in FILES.items():
        (tmp_path / name).write_bytes(content.encode())
        screen_file(tmp_path / name, tmp_path / f"ours-{name}", judge)
        asked += [str(tmp_path / name), str(tmp_path / f"theirs-{name}")]
    subprocess.run([NODE, "test/screen.mjs", str(DEFAULT), *asked], cwd=WEB, check=True)
    for name in FILES:
        ours, theirs = (
            list(csv.reader(io.StringIO(path.read_bytes().decode(), newline=""), delimiter=delimiter(name)))
            for path in (tmp_path / f"ours-{name}", tmp_path / f"theirs-{name}")
        )
        scores = slice(-3 - len(ATTRIBUTES), -3)
        for mine, other in zip(ours, theirs, strict=True):
            assert mine[: scores.start] + mine[-3:] == other[: scores.start] + other[-3:]
            if not mine[-1] and mine is not ours[0]:
                assert [*map(float, other[scores])] == pytest.approx([*map(float, mine[scores])], abs=LOGITS)


def delimiter(name):
    return {"comments.csv": ",", "semicolons.csv": ";", "tabs.tsv": "\t"}[name]


@pytest.mark.slow
@needs_node
def test_the_csv_reader_is_pythons(tmp_path):
    dice = random.Random(0)
    made = ["".join(dice.choices('ab,"\r\n é', k=dice.randint(0, 24))) for _ in range(10_000)]
    (tmp_path / "in.json").write_text(json.dumps(made), encoding="ascii")
    subprocess.run(
        [NODE, "test/rows.mjs", str(tmp_path / "in.json"), str(tmp_path / "out.json")], cwd=WEB, check=True
    )
    for text, found in zip(made, json.loads((tmp_path / "out.json").read_bytes()), strict=True):
        assert found == rows_of(text), text


def rows_of(text):
    """What the csv module reads, and None for each row that it refuses."""
    reader = csv.reader(iter(io.StringIO(text, newline="\n").readlines()), strict=True)
    found = []
    while True:
        try:
            row = next(reader)
        except StopIteration:
            return found
        except csv.Error as error:
            if "unexpected end" in str(error):
                return [*found, "open"]
            row = None
        if row != []:
            found.append(row)
