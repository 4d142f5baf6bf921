import pytest

from giantkiller.errors import UserError
from giantkiller.evaluation import opponents
from giantkiller.evaluation.opponents.memory import peak_memory

huggingface_hub = pytest.importorskip("huggingface_hub")


@pytest.fixture
def hub(monkeypatch, tmp_path):
    """A hub with repositories of which only file names are known."""
    held = {"them/bundle": {"bundle.json", "config.json"}, "them/checkpoint": {"config.json"}}

    def file_exists(repo_id, filename, revision=None):
        return filename in held.get(repo_id, ())

    monkeypatch.setattr(huggingface_hub, "file_exists", file_exists)
    monkeypatch.setattr(huggingface_hub, "try_to_load_from_cache", lambda **_: None)
    loaded = []
    monkeypatch.setattr(opponents, "bundled", lambda name: loaded.append(("bundle", name)))
    monkeypatch.setattr(opponents, "checkpoint", lambda name, length: loaded.append(("checkpoint", name)))
    return loaded


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("default", "bundle"),
        ("them/bundle", "bundle"),
        ("them/bundle@v1", "bundle"),
        ("them/checkpoint", "checkpoint"),
        ("nobody/knows", "checkpoint"),
    ],
)
def test_a_name_of_the_hub_is_what_its_repository_contains(hub, name, kind):
    opponents.load(name)
    assert hub == [(kind, name)]


def test_folders_are_what_they_contain(hub, tmp_path):
    for kind, file in (("checkpoint", "config.json"), ("bundle", "bundle.json")):
        (tmp_path / kind).mkdir()
        (tmp_path / kind / file).write_text("{}")
        opponents.load(str(tmp_path / kind))
    assert [kind for kind, _ in hub] == ["checkpoint", "bundle"]
    with pytest.raises(UserError, match="neither a bundle"):
        opponents.load(str(tmp_path))


def test_a_hub_that_cannot_be_reached_is_said_at_once(monkeypatch):
    def unreachable(*args, **options):
        raise OSError("no route")

    monkeypatch.setattr(huggingface_hub, "file_exists", unreachable)
    with pytest.raises(UserError, match="the hub can't be reached"):
        opponents.load("nobody/has-this-model")


def test_what_the_cache_holds_needs_no_hub(monkeypatch):
    loaded = []
    monkeypatch.setattr(
        huggingface_hub, "try_to_load_from_cache", lambda repo_id, filename, revision: f"/cache/{filename}"
    )
    monkeypatch.setattr(opponents, "bundled", loaded.append)
    opponents.load("them/cached")
    assert loaded == ["them/cached"]


@pytest.mark.slow
def test_memory_is_that_of_a_fresh_process(tiny_bundle, tmp_path):
    assert peak_memory(str(tiny_bundle)) > 10_000_000
    assert peak_memory(str(tmp_path / "nowhere")) is None
