import json

from click.testing import CliRunner

from giantkiller.cli.main import giantkiller
from giantkiller.errors import UserError


def train(*arguments):
    return CliRunner().invoke(giantkiller, ["train", *map(str, arguments)])


def test_the_record_is_printed_as_json(tiny, tmp_path):
    (tmp_path / "short.toml").write_text(
        (tiny / "recipe.toml").read_text().replace("epochs = 6", "epochs = 1")
    )
    done = train(tmp_path / "short.toml", "-d", tiny, "-o", tmp_path / "out", "--json")
    assert done.exit_code == 0, done.exception
    record = json.loads(done.stdout)
    assert record["recipe"]["name"] == "tiny"
    assert (tmp_path / "out" / "config.json").exists()


def test_a_place_that_cannot_be_written_is_said_in_one_sentence(tiny, tmp_path):
    (tmp_path / "file").write_text("")
    done = train(tiny / "recipe.toml", "-d", tiny, "-o", tmp_path / "file" / "out")
    assert isinstance(done.exception, UserError | OSError)
    assert str(tmp_path / "file") in str(done.exception)


def test_what_is_missing_is_named(tiny, tmp_path):
    done = train(tiny / "recipe.toml", "-d", tmp_path / "none", "-o", tmp_path / "out")
    assert "the data folder" in str(done.exception)
    (tmp_path / "used").mkdir()
    (tmp_path / "used" / "mine.txt").write_text("keep")
    done = train(tiny / "recipe.toml", "-d", tiny, "-o", tmp_path / "used")
    assert "--output" in str(done.exception)
    assert "not empty" in str(done.exception)
    assert (tmp_path / "used" / "mine.txt").read_text() == "keep"
