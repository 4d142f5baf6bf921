"""`giantkiller adapt` and `giantkiller merge`."""

import json

import numpy as np
import pytest
from adapted import RUDE, site_rows, write_rows
from click.testing import CliRunner

from giantkiller import Screener
from giantkiller.bundle import read_bundle
from giantkiller.cli.main import giantkiller
from giantkiller.errors import UserError

# The untrained base has no features for a regression to go by.
QUICK = ("--method", "low-rank", "--epochs", 6, "--samples", 100, "--tolerance", 1)


def run(*args):
    return CliRunner().invoke(giantkiller, [str(arg) for arg in args])


def files_in(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.fixture(scope="module")
def promoted(base, site, tmp_path_factory):
    """A folder with the bundle `ours`, the delta `ours.delta` and the folder `report`."""
    folder = tmp_path_factory.mktemp("promoted")
    done = run("adapt", site, "--from", base, "-o", folder / "ours", "--delta", folder / "ours.delta",
               "--report", folder / "report", "--json", *QUICK)  # fmt: skip
    assert done.exit_code == 0, done.output
    (folder / "printed.json").write_text(done.stdout)
    return folder


def test_a_place_that_holds_something_else_is_refused_before_learning(site, tmp_path):
    (tmp_path / "notes.txt").write_text("mine")
    done = run("adapt", site, "-o", tmp_path)
    assert "something other than a bundle" in str(done.exception)


@pytest.mark.parametrize("option", ["decisions", "unlabelled", "elsewhere"])
def test_a_delta_never_replaces_what_is_learned_from(site, tmp_path, option):
    """Not by another name of the file either, and before anything is learned."""
    rows = write_rows(tmp_path / "rows.csv", site_rows())
    before = rows.read_bytes()
    (tmp_path / "link.csv").symlink_to(rows)
    given = [rows] if option == "decisions" else [site, f"--{option}", rows]
    done = run("adapt", *given, "-o", tmp_path / "ours", "--delta", tmp_path / "link.csv")
    assert (
        str(done.exception) == f"--delta {tmp_path / 'link.csv'} is one of the input files; name another file"
    )
    assert rows.read_bytes() == before
    assert not (tmp_path / "ours").exists()


@pytest.mark.slow
def test_what_is_better_is_promoted(promoted, base):
    about = json.loads((promoted / "printed.json").read_text())
    gain = about["judged"]["site"]["average_precision"]["difference"]
    assert about["better"]
    assert gain["low"] > 0
    assert set(about["judged"]) == {"site", "situations", "sentences"}
    fresh = site_rows(200, seed=9)
    labels = np.array([y for _, y in fresh], bool)
    for folder, told in ((promoted / "ours", True), (base, False)):
        scores = Screener(folder, threads=1).scores([text for text, _ in fresh])[:, 0]
        assert bool(scores[labels].mean() - scores[~labels].mean() > 0.3) is told
    old, new = read_bundle(base), read_bundle(promoted / "ours")
    assert (new.calibration, new.policy, new.threshold) == (old.calibration, old.policy, old.threshold)
    assert new.name == "small-adapted"
    assert new.provenance["adapted"]["lineage"][0] == old.digest
    assert "## Adapted to a site" in (promoted / "ours" / "README.md").read_text()
    assert "held-out decisions" in (promoted / "report" / "report.html").read_text()
    assert json.loads((promoted / "report" / "report.json").read_text()) == about


@pytest.mark.slow
def test_merging_the_delta_makes_the_bundle_again(promoted, base, tmp_path):
    done = run("merge", base, promoted / "ours.delta", "-o", tmp_path / "merged")
    assert done.exit_code == 0, done.output
    assert files_in(tmp_path / "merged") == files_in(promoted / "ours")


@pytest.mark.slow
def test_what_an_interrupted_run_learned_is_used(base, site, tmp_path, monkeypatch):
    from giantkiller.adapt import adapter

    def interrupt(*_):
        raise KeyboardInterrupt

    command = ("adapt", site, "--from", base, "-o", tmp_path / "ours", "--delta", tmp_path / "delta", *QUICK)
    with monkeypatch.context() as patch:
        patch.setattr(adapter, "compose", interrupt)
        assert run(*command).exit_code != 0
    assert [path.name for path in tmp_path.iterdir()] == [".ours.learned"]
    monkeypatch.setattr(adapter, "learn", interrupt)
    done = run(*command)
    assert done.exit_code == 0, done.output
    assert sorted(path.name for path in tmp_path.iterdir()) == ["delta", "ours"]


@pytest.mark.slow
def test_a_bundle_that_cannot_be_written_leaves_no_delta(promoted, base, site, tmp_path, monkeypatch):
    from giantkiller.adapt.compose import Composed

    whole = Composed.write

    def write(composed, folder, about=()):
        if str(tmp_path) in str(folder):
            raise UserError("can't write it: No space left on device")
        return whole(composed, folder, about)

    monkeypatch.setattr(Composed, "write", write)
    done = run("adapt", site, "--from", base, "-o", tmp_path / "ours", "--delta", tmp_path / "delta", *QUICK)
    assert "No space left" in str(done.exception)
    assert [path.name for path in tmp_path.iterdir()] == [".ours.learned"]


@pytest.mark.slow
def test_a_delta_for_another_base_is_refused(promoted, tmp_path):
    delta = promoted / "ours.delta"
    for bundle, deltas in ((promoted / "ours", [delta]), ("default", [delta])):
        done = run("merge", bundle, *deltas, "-o", tmp_path / "merged")
        assert isinstance(done.exception, UserError)
        assert "learned on another model" in str(done.exception)
    assert not (tmp_path / "merged").exists()


@pytest.mark.slow
def test_updates_follow_one_another(promoted, base, tmp_path):
    swapped = [(text, int(RUDE in text or "thanks" in text)) for text, _ in site_rows(seed=3)]
    site = write_rows(tmp_path / "later.csv", swapped)
    done = run("adapt", site, "--from", promoted / "ours", "-o", tmp_path / "both", "--delta",
               tmp_path / "later.delta", *QUICK)  # fmt: skip
    assert done.exit_code == 0, done.output
    done = run("merge", base, promoted / "ours.delta", tmp_path / "later.delta", "-o", tmp_path / "merged")
    assert done.exit_code == 0, done.output
    merged, both = read_bundle(tmp_path / "merged"), read_bundle(tmp_path / "both")
    assert merged.provenance["adapted"]["lineage"] == both.provenance["adapted"]["lineage"]
    texts = [text for text, _ in swapped[:50]]
    # The one was rounded to eight bits twice, the other once.
    scores = [Screener(each.folder, threads=1).scores(texts)[:, 0] for each in (merged, both)]
    assert np.abs(scores[0] - scores[1]).mean() < 0.05


@pytest.mark.slow
def test_noise_is_not_better_and_nothing_is_written(base, tmp_path):
    labels = np.random.default_rng(1).permutation([y for _, y in site_rows()])
    site = write_rows(tmp_path / "noise.csv", [(t, y) for (t, _), y in zip(site_rows(), labels, strict=True)])
    done = run("adapt", site, "--from", base, "-o", tmp_path / "ours", "--delta", tmp_path / "d",
               "--epochs", 2, "--samples", 100)  # fmt: skip
    assert done.exit_code == 4, done.output
    assert "not better: on the decisions that judge average precision changes by" in done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["noise.csv"]


@pytest.mark.slow
def test_a_report_shows_hostile_comments_as_text(base, tmp_path):
    rows = [(f"<script>alert({i})</script> women {text}", y) for i, (text, y) in enumerate(site_rows())]
    own = write_rows(tmp_path / "own.csv", [("never decided",), (rows[0][0],)], ["text"])
    forum = [(f"<b>{text}</b> elsewhere", row % 2) for row, (text, _) in enumerate(site_rows(seed=5))]
    forum = write_rows(tmp_path / "<forum>.csv", forum)
    done = run("adapt", write_rows(tmp_path / "d.csv", rows), "--from", base, "-o", tmp_path / "ours",
               "--report", tmp_path / "report", "--unlabelled", own, "--elsewhere", forum,
               *QUICK)  # fmt: skip
    assert done.exit_code in (0, 4)
    about = json.loads((tmp_path / "report" / "report.json").read_text())
    assert about["decisions"]["unlabelled"] == 1  # the other one was decided
    assert about["groups"]["female"]["harmless"] >= 10
    assert about["judged"]["<forum>.csv"]["rows"] == pytest.approx(120, abs=10)
    assert about["learned"]["share"] in [each["share"] for each in about["learned"]["tried"]]
    page = (tmp_path / "report" / "report.html").read_text()
    assert "<script" not in page
    assert "default-src 'none'" in page


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (site_rows()[:10], "at least 20"),
        ([(text, 1) for text, _ in site_rows()], "was called toxic"),
    ],
)
def test_decisions_that_can_teach_nothing_are_refused(base, tmp_path, rows, message):
    done = run("adapt", write_rows(tmp_path / "d.csv", rows), "--from", base, "-o", tmp_path / "ours")
    assert isinstance(done.exception, UserError)
    assert message in str(done.exception)
    assert [path.name for path in tmp_path.iterdir()] == ["d.csv"]
