"""What deploy/ holds: parsed, and each flag and setting in it one that the program has."""

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import click
import pytest

pytest.importorskip("pydantic_settings")

from giantkiller.cli.main import giantkiller
from giantkiller.serve.settings import PREFIX, Settings, read_settings

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
GUIDE = ROOT / "docs" / "guides" / "serve.md"
FILES = sorted(path for path in DEPLOY.iterdir() if path.is_file())


def read(name):
    return (DEPLOY / name).read_text(encoding="utf-8")


def logical(text):
    """Join lines that a backslash continues, and leave comments out."""
    return [line for line in re.sub(r"\\\n\s*", "", text).splitlines() if line and not line.startswith("#")]


# Flags and settings.


def commands_in(text):
    """Each `giantkiller ...` of a text, as words; in JSON lists, too."""
    for line in re.sub(r"\\\n\s*", "", text).splitlines():
        for match in re.finditer(r"(?<![\w./@:-])(?:\S*/)?giantkiller((?: +(?!#)[^\s`&|;>)]+)+)", line):
            yield match[1].split()
        if match := re.search(r"command: (\[.*\])", line):
            yield json.loads(match[1])


def unknown_in(words):
    """Return what of a command line the program does not know."""
    command = giantkiller
    context = click.Context(command)
    while words and isinstance(command, click.Group) and not words[0].startswith("-"):
        found = command.get_command(context, words[0])
        if found is None:
            return words[0]
        command, words = found, words[1:]
    known = {flag for p in command.params for flag in (*p.opts, *p.secondary_opts)} | {"--help"}
    return [word for word in words if re.match(r"--?[a-z]", word) and word.partition("=")[0] not in known]


@pytest.mark.parametrize("path", [*FILES, GUIDE], ids=lambda path: path.name)
def test_every_flag_and_variable_is_one_of_the_programs(path):
    text = path.read_text(encoding="utf-8")
    for name in re.findall(rf"\b{PREFIX}([A-Z_]+)", text):
        assert name.lower() in Settings.model_fields, f"{PREFIX}{name} is no setting"
    for words in commands_in(text):
        if words[0] in giantkiller.list_commands(click.Context(giantkiller)):
            assert not unknown_in(words), f"giantkiller {' '.join(words)}"
    for name in re.findall(r"[Tt]he setting `(\w+)`", text):
        assert name in Settings.model_fields


def test_what_would_be_wrong_is_found():
    assert list(commands_in("ExecStart=/opt/giantkiller/bin/giantkiller serve --prot 1")) == [
        ["serve", "--prot", "1"]
    ]
    assert unknown_in(["serve", "--prot", "1"]) == ["--prot"]
    assert unknown_in(["keys", "make"]) == "make"
    assert not unknown_in(["keys", "create", "forum", "--rate=3"])


def test_the_settings_file_is_read(tmp_path, monkeypatch):
    for name in Settings.model_fields:
        monkeypatch.delenv(PREFIX + name.upper(), raising=False)
    settings = read_settings({}, DEPLOY / "giantkiller.toml")
    assert (settings.bind, settings.proxies) == ("127.0.0.1:8080", ["127.0.0.1"])


@pytest.mark.slow
def test_the_guides_lines_about_settings(monkeypatch):
    """Flags win over the environment, and that over the file."""
    block = next(b for b in re.findall(r"```sh\n(.*?)```", GUIDE.read_text(), re.DOTALL) if "--check" in b)
    ports = []
    for line in block.splitlines():
        line = line.replace("giantkiller serve", f"{sys.executable} -m giantkiller serve")
        done = subprocess.run(line, shell=True, cwd=ROOT, capture_output=True, text=True, check=True)
        ports.append(re.search(r"^port = (\d+)$", done.stdout, re.MULTILINE)[1])
    assert ports == ["8080", "9000", "9001"]


# The container.


def test_the_dockerfile():
    lines = logical(read("Dockerfile"))
    final = lines[max(i for i, line in enumerate(lines) if line.startswith("FROM")) :]
    assert len([line for line in lines if line.startswith("FROM")]) == 2
    words = {line.split()[0]: line.partition(" ")[2] for line in final}
    assert words["USER"].isdecimal()  # a number, which Kubernetes' runAsNonRoot can see
    assert json.loads(words["ENTRYPOINT"]) == ["giantkiller"]
    assert json.loads(words["CMD"]) == ["serve"]
    assert "GIANTKILLER_STATE=/state" in words["ENV"]
    assert words["VOLUME"] == "/state"
    port = re.search(r"GIANTKILLER_PORT=(\d+)", words["ENV"])[1]
    assert words["EXPOSE"] == port
    health = json.loads(words["HEALTHCHECK"].partition("CMD ")[2])
    assert f":{port}/readyz" in health[2]
    compile(health[2], "health", "exec")
    assert "train" not in read("slim.sh")  # the extra that brings torch
    # Whatever is copied is there, and is let through.
    through = [line[1:] for line in read("Dockerfile.dockerignore").splitlines() if line.startswith("!")]
    for line in lines:
        if line.startswith("COPY") and "--from" not in line:
            for source in line.split()[1:-1]:
                assert (ROOT / source).exists()
                assert source.removeprefix("./") in through


def test_the_script_of_the_image_is_shell():
    assert subprocess.run(["sh", "-n", DEPLOY / "slim.sh"], check=False).returncode == 0


def test_compose():
    yaml = pytest.importorskip("yaml")
    found = yaml.safe_load(read("compose.yaml"))
    service, database = found["services"]["giantkiller"], found["services"]["database"]
    assert service["read_only"]
    assert service["cap_drop"] == ["ALL"]
    assert (DEPLOY / service["build"]["context"]).resolve() == ROOT
    assert (ROOT / service["build"]["dockerfile"]).is_file()
    assert all(port.startswith("127.0.0.1:") for port in service["ports"])
    for name, value in service["environment"].items():
        assert name.removeprefix(PREFIX).lower() in Settings.model_fields
        assert "${" in value  # no secret stands here
    host = re.search(r"@(\w+)/", service["environment"]["GIANTKILLER_DATABASE"])[1]
    assert host in found["services"]
    assert database["environment"]["POSTGRES_USER"] in service["environment"]["GIANTKILLER_DATABASE"]
    mounted = [v.partition(":")[0] for s in (service, database) for v in s["volumes"]]
    assert sorted(mounted) == sorted(found["volumes"])
    grace = int(service["stop_grace_period"].removesuffix("s"))
    assert grace > Settings.model_fields["shutdown"].default


# systemd.


def unit():
    """The unit's settings, by section; one that comes again adds to its list."""
    sections, current = {}, None
    for line in logical(read("giantkiller.service")):
        if line.startswith("["):
            current = sections.setdefault(line.strip("[]"), {})
        else:
            key, _, value = line.partition("=")
            current.setdefault(key, []).append(value)
    return sections


def test_the_unit():
    service = unit()["Service"]
    assert service["User"] == ["giantkiller"]
    for setting in ("NoNewPrivileges", "ProtectHome", "PrivateDevices", "MemoryDenyWriteExecute"):
        assert service[setting] == ["yes"]
    settings = read_settings({}, DEPLOY / "giantkiller.toml")
    assert settings.state == Path("/var/lib") / service["StateDirectory"][0]
    assert int(service["TimeoutStopSec"][0]) > settings.shutdown


def test_systemd_takes_the_unit(tmp_path):
    if shutil.which("systemd-analyze") is None:
        pytest.skip("no systemd here")
    path = tmp_path / "giantkiller.service"
    path.write_text(read("giantkiller.service").replace("/opt/giantkiller/bin/giantkiller", sys.executable))
    done = subprocess.run(["systemd-analyze", "verify", path], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


# Reverse proxies.


@pytest.mark.parametrize("name", ["nginx.conf", "Caddyfile"])
def test_proxies(name):
    text = re.sub(r"(?m)(^|[;{}\s])#.*$", r"\1", read(name))
    depth = 0
    for sign in re.findall(r"[{}]", text):
        depth += 1 if sign == "{" else -1
        assert depth >= 0
    assert depth == 0
    settings = read_settings({}, DEPLOY / "giantkiller.toml")
    assert settings.bind in text
    assert "/metrics" in text
    assert "/v1/screen" in text
    (size,) = re.findall(r"(?:client_max_body_size|max_size) ([1-9]\d*)", text)
    assert int(size) << 20 == settings.max_body


def test_no_key_comes_into_the_log_of_a_proxy():
    """$request and $request_uri have the query string, in which clients of Perspective send their key."""
    (form,) = re.findall(r"log_format .*;", read("nginx.conf"))
    assert not re.search(r"\$(request|request_uri|args|query_string)\b", form)
    assert "replace key REDACTED" in read("Caddyfile")


def test_nginx_takes_its_file(tmp_path):
    if shutil.which("nginx") is None or shutil.which("openssl") is None:
        pytest.skip("no nginx here")
    key, certificate = tmp_path / "key.pem", tmp_path / "certificate.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=x",
         "-keyout", key, "-out", certificate],
        check=True, capture_output=True,
    )  # fmt: skip
    text = re.sub(r"/etc/letsencrypt\S+/privkey.pem", str(key), read("nginx.conf"))
    text = re.sub(r"/etc/letsencrypt\S+/fullchain.pem", str(certificate), text)
    (tmp_path / "site.conf").write_text(text.replace("/var/log/nginx", str(tmp_path)))
    places = "".join(
        f"{kind}_temp_path {tmp_path}; " for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    (tmp_path / "nginx.conf").write_text(
        f"pid {tmp_path}/pid; events {{}} http {{ {places} include {tmp_path}/site.conf; }}"
    )
    done = subprocess.run(
        ["nginx", "-t", "-e", f"{tmp_path}/error.log", "-c", tmp_path / "nginx.conf"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
