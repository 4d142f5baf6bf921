"""Which runs are refused, and what is none of the input; nothing here starts a worker."""

import pytest

from giantkiller.errors import UserError
from giantkiller.policy import Policy

pytest.importorskip("ray")

from giantkiller.cluster import screen, screening


@pytest.mark.parametrize(
    ("changes", "what"),
    [
        ({"policy": Policy({"insult": {"remove": 0.5}})}, "another `policy`"),
        ({"text_column": "text"}, "another `text_column`"),
        ({"prefix": "new_"}, "another `prefix`"),
    ],
)
def test_another_runs_output_is_refused(changes, what, shards, tmp_path, tiny_bundle, monkeypatch):
    monkeypatch.setattr(screening, "_run", lambda job, bundle, shards, manifest, *_: manifest.save())
    screen(shards, tmp_path / "out", tiny_bundle)
    with pytest.raises(UserError, match=what):
        screen(shards, tmp_path / "out", tiny_bundle, **changes)


def test_an_output_within_the_input_is_no_input(shards, tiny_bundle, monkeypatch):
    seen = []
    monkeypatch.setattr(screening, "_run", lambda job, bundle, missing, *_: seen.append(len(missing)))
    screen(shards, shards / "out", tiny_bundle)
    (shards / "out" / "below").mkdir()
    (shards / "out" / "below" / "x.csv").write_text("text\nhi\n")
    screen(shards, shards / "out", tiny_bundle)
    screen(f"{shards}/**/*.csv", shards / "out", tiny_bundle)
    assert seen == [5, 5, 3]


def test_places_that_would_harm_are_refused(shards, tmp_path, tiny_bundle):
    (tmp_path / "link").symlink_to(shards)
    for target in (shards, f"{shards}/", tmp_path / "link"):
        with pytest.raises(UserError, match="is where the input is"):
            screen(shards, target, tiny_bundle)
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "a.csv").write_text("mine")
    with pytest.raises(UserError, match=r"has a file a\.csv already"):
        screen(shards, tmp_path / "out", tiny_bundle)
    assert (tmp_path / "out" / "a.csv").read_text() == "mine"
    with pytest.raises(UserError, match="is a file; name a folder"):
        screen(shards, tmp_path / "out" / "a.csv", tiny_bundle)
    with pytest.raises(UserError, match="no such file or folder"):
        screen(tmp_path / "nowhere", tmp_path / "out", tiny_bundle)
    with pytest.raises(UserError, match="`workers` is 0"):
        screen(shards, tmp_path / "other", tiny_bundle, workers=0)
    (tmp_path / "other").mkdir()
    for content, problem in (
        ('{"format": 2, "settings": [], "shards": {}}', "damaged"),
        ('{"format": 2, "settings": {}, "shards": {"a.csv": {"rows": 1}}}', "damaged"),
        ('{"format": 1, "settings": {}, "shards": {"a.csv": {"output_sha256": "0"}}}', "of another version"),
        ("[]", "damaged"),
    ):
        (tmp_path / "other" / "_manifest.json").write_text(content)
        with pytest.raises(UserError, match=rf"_manifest\.json is {problem}"):
            screen(shards, tmp_path / "other", tiny_bundle)
