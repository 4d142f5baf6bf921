import pytest
from click.testing import CliRunner

from giantkiller.cli.main import giantkiller
from giantkiller.errors import UserError
from giantkiller.serve.settings import Settings, read_settings


@pytest.fixture
def toml(tmp_path):
    def write(text):
        path = tmp_path / "giantkiller.toml"
        path.write_text(text)
        return path

    return write


def test_flags_beat_the_environment_beats_the_file_beats_defaults(toml, monkeypatch):
    path = toml('port = 1\nworkers = 2\nhost = "127.0.0.2"\ncors_origins = ["https://a.example/"]')
    monkeypatch.setenv("GIANTKILLER_PORT", "3")
    monkeypatch.setenv("GIANTKILLER_WORKERS", "4")
    settings = read_settings({"port": "5"}, path)
    assert (settings.port, settings.workers, settings.host, settings.threads) == (5, 4, "127.0.0.2", None)
    assert settings.cors_origins == ["https://a.example"]
    monkeypatch.setenv("GIANTKILLER_CORS_ORIGINS", "https://b.example, https://c.example")
    assert read_settings({}).cors_origins == ["https://b.example", "https://c.example"]


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        ({"port": "x"}, "`port` 'x'"),
        ({"port": "70000"}, "`port` '70000'"),
        ({"workers": 0}, "`workers` 0"),
        ({"window_ms": "3"}, "`window_ms` '3'"),
        ({"open": True, "host": "0.0.0.0"}, "open needs a loopback address such as 127.0.0.1, not 0.0.0.0"),
        ({"public_url": "ftp://a"}, "must be a web address"),
        ({"public_url": "https://a/'><b>"}, "must be a web address"),
        ({"log_level": "loud"}, "`log_level` 'loud'"),
    ],
)
def test_what_is_wrong_is_named(flags, said):
    with pytest.raises(UserError) as error:
        read_settings(flags)
    assert said in str(error.value)


def test_where_it_is_wrong_is_named(toml, monkeypatch):
    with pytest.raises(UserError, match=r"giantkiller.toml: port"):
        read_settings({}, toml("port = 'x'"))
    with pytest.raises(UserError, match="'prot' is no setting; the nearest is 'port'"):
        read_settings({}, toml("prot = 1"))
    with pytest.raises(UserError, match="not valid TOML"):
        read_settings({}, toml("port = "))
    with pytest.raises(UserError, match="can't read the settings"):
        read_settings({}, toml("").parent / "none.toml")
    monkeypatch.setenv("GIANTKILLER_PORT", "x")
    with pytest.raises(UserError, match="GIANTKILLER_PORT 'x'"):
        read_settings({})


def test_check_prints_what_the_file_takes(toml, tiny_bundle, tmp_path):
    arguments = ["serve", "--check", "--model", str(tiny_bundle), "--state", str(tmp_path / "s")]
    database = "postgresql://user:hunter2@host/name"
    shown = CliRunner().invoke(giantkiller, [*arguments, "--database", database, "--rate", "2.5"])
    assert shown.exit_code == 0, shown.exception
    assert "hunter2" not in shown.output
    assert not (tmp_path / "s").exists()
    again = CliRunner().invoke(giantkiller, ["serve", "--check", "--config", str(toml(shown.output))])
    assert again.output == shown.output
    wrong = CliRunner().invoke(giantkiller, ["serve", "--check", "--port", "x"])
    assert isinstance(wrong.exception, UserError)
    assert "--port 'x'" in str(wrong.exception)


def test_every_setting_is_a_flag_with_help():
    shown = CliRunner().invoke(giantkiller, ["serve", "--help"], terminal_width=200).output
    for name, field in Settings.model_fields.items():
        assert f"--{name.replace('_', '-')}" in shown
        assert field.description


def test_secrets_of_hooks(toml, tiny_bundle, tmp_path, monkeypatch):
    good = "whsec_" + "QUFB" * 8
    monkeypatch.setenv("GIANTKILLER_WEBHOOK_SECRETS", f"{good}, {good}")
    path = toml('coral_secrets = ["long enough to be a secret"]')
    settings = read_settings({}, path)
    assert [secret.get_secret_value() for secret in settings.webhook_secrets] == [good, good]
    arguments = ["serve", "--check", "--model", str(tiny_bundle), "--state", str(tmp_path / "s")]
    shown = CliRunner().invoke(giantkiller, [*arguments, "--config", str(path)]).output
    assert "# coral_secrets is not shown\n# webhook_secrets is not shown\n" in shown
    assert "long enough" not in shown


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        ({"coral_secrets": "hunter2"}, "at least 16 characters"),
        ({"webhook_secrets": "hunter2hunter2hunter2"}, "whsec_"),
        ({"webhook_secrets": "whsec_hunter2=hunter2="}, "in base64"),
        ({"webhook_secrets": "whsec_QUFBQUFB"}, "at least 16"),
    ],
)
def test_a_wrong_secret_is_named_without_saying_it(flags, said):
    with pytest.raises(UserError) as error:
        read_settings(flags)
    assert said in str(error.value)
    assert next(iter(flags)) in str(error.value)
    assert "hunter2" not in str(error.value)
