"""`giantkiller calibrate`: a log of old scores in, a report and a bundle out."""

import csv
import json
from dataclasses import replace

import numpy as np
import pytest
from bundles import WEIGHTS
from click.testing import CliRunner

from giantkiller import Screener
from giantkiller.attributes import ATTRIBUTES
from giantkiller.bundle import BINS, CARD, DISTRIBUTION, MODEL, TOKENIZER, read_bundle
from giantkiller.cli.main import giantkiller
from giantkiller.export.card import update_card

pytest.importorskip("pyarrow")


def run(*arguments):
    return CliRunner().invoke(giantkiller, ["calibrate", *map(str, arguments)])


def comments(count=600, seed=0):
    rng = np.random.default_rng(seed)
    words = [*WEIGHTS, "you", "are", "a", "b", "c", "d", "e", "f", "g", "h"]
    return [" ".join(rng.choice(words, rng.integers(1, 9))) for _ in range(count)]


@pytest.fixture(scope="module")
def log(tiny_bundle, tmp_path_factory):
    """What another service is made to have said: milder than we, and never quite of our mind."""
    texts = comments()
    rng = np.random.default_rng(1)
    scores = Screener(tiny_bundle).scores(texts).astype(np.float64)
    path = tmp_path_factory.mktemp("log") / "scores.csv"
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["Comment", "TOXICITY", "PROFANITY", "FLIRTATION"])
        for text, row in zip(texts, scores, strict=True):
            mild = np.clip(row[[0, 2]] ** 2 + 0.03 * rng.normal(size=2), 0, 1)
            writer.writerow([text, *np.round(mild, 6), 0.5])
        writer.writerow(["   ", 0.9, 0.9, 0.9])
    return path


def test_which_threshold_is_theirs(log, tiny_bundle):
    done = run("--like", log, "--from", tiny_bundle)
    assert done.exit_code == 0, done.output
    lines = [line.split() for line in done.output.splitlines()]
    assert done.output.startswith("tiny 1 on scores.csv: 600 comments\n")
    assert [line[1] for line in lines if line[:1] == ["toxicity"]] == ["600", "0.7", "0.8", "0.9"]
    assert ["threat", "no", "column,", "or", "no", "score", "in", "it"] in lines
    report = json.loads(run("--like", log, "-m", tiny_bundle, "--json").output)
    assert set(report["attributes"]) == {"toxicity", "obscene"}
    toxicity = report["attributes"]["toxicity"]
    assert toxicity["after"]["mean_absolute_error"] < toxicity["before"]["mean_absolute_error"]
    for cut in toxicity["cuts"]:
        assert abs(cut["after"] - cut["theirs"]) <= abs(cut["before"] - cut["theirs"])
    assert "output" not in report


def test_the_bundle_that_is_written_follows_them_and_decides_as_before(log, tiny_bundle, tmp_path):
    done = run("--like", log, "--from", tiny_bundle, "-o", tmp_path / "new", "--json")
    assert done.exit_code == 0, done.output
    assert json.loads(done.output)["output"] == str(tmp_path / "new")
    old, new = Screener(tiny_bundle), Screener(tmp_path / "new")
    assert new.bundle.name == "tiny-like"
    for file in (MODEL, TOKENIZER):
        assert new.bundle.files[file] == old.bundle.files[file]
    # One card, of what holds now: it says the thresholds that were moved, and none of the old ones.
    card = (tmp_path / "new" / CARD).read_text()
    assert card.count("## Calibrated like another service") == 1
    assert "# tiny-like 1\n" in card
    assert "of the bundle that\nthis one was made of, tiny 1, and" in card
    cuts = new.bundle.policy["toxicity"]
    assert (
        f"| {new.bundle.threshold['toxicity']:.3f} | {', '.join(f'{cut:.3f}' for cut in cuts.values())} |"
        in card
    )
    assert "0.300, 0.600, 0.990" not in card
    texts = comments(300, seed=7)
    before, after = old.scores(texts), new.scores(texts)
    kept = [i for i, a in enumerate(ATTRIBUTES) if a not in ("toxicity", "obscene")]
    assert np.array_equal(before[:, kept], after[:, kept])
    assert np.abs(after[:, 0] - before[:, 0] ** 2).mean() < 0.03
    assert [v.action for v in old.judge(texts)] == [v.action for v in new.judge(texts)]
    assert {v.action for v in new.judge(texts)} >= {"allow", "review"}
    # One text, one score, whatever the way to it.
    assert new.score_ids(new.encoder.encode(texts[:5])).astype(np.float32).tolist() == after[:5].tolist()
    spread = new.bundle.figures[DISTRIBUTION]
    assert spread["rows"] == 600
    assert sum(spread["toxicity"]) == pytest.approx(1, abs=1e-4)
    # The note stays when figures come onto the card, and when another reference is set.
    assert update_card(replace(new.bundle, figures={})).name == "tiny-like"
    assert (tmp_path / "new" / CARD).read_text().count("## Calibrated like another service") == 1
    path = tmp_path / "comments.csv"
    path.write_text("text\n" + "\n".join(texts) + "\n")
    assert run("--reference", path, "-m", tmp_path / "new", "-o", tmp_path / "new").exit_code == 0
    assert (tmp_path / "new" / CARD).read_text().count("## Calibrated like another service") == 1
    info = CliRunner().invoke(giantkiller, ["info", str(tmp_path / "new")]).output
    assert f"{len(new.bundle.calibration['toxicity'].curve)} points" in info
    again = run("--like", log, "--from", tmp_path / "new", "-o", tmp_path / "more")
    assert "start from the bundle it was made of" in str(again.exception)


def test_a_reference_changes_figures_alone(tiny_bundle, tmp_path):
    path = tmp_path / "comments.csv"
    path.write_text("text\n" + "\n".join(comments(300)) + "\n")
    done = run("--reference", path, "--from", tiny_bundle, "-o", tmp_path / "new")
    assert done.exit_code == 0, done.output
    old, new = read_bundle(tiny_bundle), read_bundle(tmp_path / "new")
    assert new.files == old.files
    assert (new.name, new.calibration, new.policy) == (old.name, old.calibration, old.policy)
    assert len(new.figures[DISTRIBUTION]["insult"]) == BINS
    assert {k: v for k, v in new.figures.items() if k != DISTRIBUTION} == dict(old.figures)
    # In its own place, too, under another name.
    done = run("--reference", path, "--from", tmp_path / "new", "-o", tmp_path / "new", "--name", "mine")
    assert (done.exit_code, read_bundle(tmp_path / "new").name) == (0, "mine")


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("text,score\na,0.5\n", "has no scores"),
        ("TOXICITY\n0.5\n", "none of its columns"),
        ("text,TOXICITY\n" + "".join(f"a{i},{i / 20}\n" for i in range(20)), "at least 200"),
        ("text,TOXICITY\na,85\n", "row 1 has 85 in 'TOXICITY'"),
        ("text,TOXICITY\na,high\n", "not a number"),
        ("text,TOXICITY\n ,0.5\n", "only empty texts"),
        ("", "is empty"),
    ],
)
def test_files_that_are_no_log(tiny_bundle, tmp_path, content, said):
    path = tmp_path / "scores.csv"
    path.write_text(content)
    done = run("--like", path, "--from", tiny_bundle, "-o", tmp_path / "new")
    assert done.exit_code == 1
    assert said in str(done.exception)
    assert not (tmp_path / "new").exists()


def test_columns_with_names_of_their_own(log, tiny_bundle, tmp_path):
    path = tmp_path / "scores.csv"
    path.write_text(log.read_text().replace("TOXICITY", "tox=score", 1))
    done = run("--like", path, "--from", tiny_bundle, "--scores", "tox=score=TOXICITY", "--json")
    assert done.exit_code == 0, done.output
    expected = run("--like", log, "--from", tiny_bundle, "--json")
    expected = json.loads(expected.output)["attributes"]
    assert json.loads(done.output)["attributes"] == {"toxicity": expected["toxicity"]}
    path.write_text("text,a,b,c\none,0.5,85,high\ntwo,,0.5,low\n")
    for given, said in {
        "d=toxicity": "no column 'd'",
        "a=rudeness": "'rudeness' is no attribute; --scores takes COLUMN=toxicity|",
        "b=toxicity": "row 1 has 85 in 'b'; scores lie between 0 and 1, so divide percentages by 100",
        "c=toxicity": "the column 'c' holds something that is not a number",
    }.items():
        assert said in str(run("--like", path, "--from", tiny_bundle, "--scores", given).exception)
    assert run("--like", path, "--from", tiny_bundle, "--scores", "a").exit_code == 2


def test_arguments_that_do_not_go_together(log, tiny_bundle, tmp_path):
    for arguments in ((), ("--like", log, "--reference", log), ("--reference", log)):
        assert run(*arguments, "--from", tiny_bundle).exit_code == 2
    assert "there is no such file" in str(
        run("--like", tmp_path / "none.csv", "--from", tiny_bundle).exception
    )
