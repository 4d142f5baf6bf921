"""`giantkiller serve`: the scoring service."""

import gc
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from giantkiller import __version__
from giantkiller.cli._extras import need_extra
from giantkiller.cli.terminal import printable

need_extra(
    "serve",
    "starlette",
    "uvicorn",
    "httptools",
    "msgspec",
    "pydantic_settings",
    "prometheus_client",
    "sqlalchemy",
    "alembic",
    "platformdirs",
    "jinja2",
    "argon2",
    "pyotp",
    "segno",
)  # before the options, which are the settings' fields

from giantkiller.serve.settings import SECRET, Settings, read_settings  # noqa: E402

if TYPE_CHECKING:
    from starlette.applications import Starlette

    from giantkiller.serve.service import Service

_EXAMPLES = """Examples:

\b
  giantkiller serve
  giantkiller serve --host 0.0.0.0 --workers 4 --state /var/lib/giantkiller
  GIANTKILLER_PORT=9000 giantkiller serve --config giantkiller.toml --check
"""


_SHORT = {"model": "-m", "threads": "-t"}
"""What other commands call these, too."""


def _options(function: Any) -> Any:
    """Make an option of each setting."""
    for name, field in reversed(Settings.model_fields.items()):
        flag = "--" + name.replace("_", "-")
        help_text = field.description or ""
        if field.annotation is bool:
            option = click.option(f"{flag}/--no-{flag[2:]}", name, default=None, help=help_text)
        else:
            default = field.default
            if name != "state" and default is not None and field.default_factory is None:
                help_text += f"  [default: {default}]"
            flags = [_SHORT[name], flag] if name in _SHORT else [flag]
            option = click.option(*flags, name, default=None, metavar=_metavar(name), help=help_text)
        function = option(function)
    return function


def _metavar(name: str) -> str:
    return {"state": "DIR", "model": "MODEL", "database": "URL", "public_url": "URL", "host": "ADDRESS"}.get(
        name, name.rsplit("_", 1)[-1].upper()
    )


@click.command(name="serve", epilog=_EXAMPLES)
@click.option("--config", type=click.Path(path_type=Path), metavar="FILE", help="A TOML file with settings.")
@click.option(
    "--check", is_flag=True, help="Only check the settings and print them, as the TOML file takes them."
)
@_options
def command(config: Path | None, check: bool, **flags: Any) -> None:
    """Serve scores over HTTP, as the Perspective API did and at addresses of our own.

    Every setting can be given as a flag, as GIANTKILLER_NAME in the environment, or as a key of the TOML
    file, in that order of precedence. The first start prints an API key; `giantkiller keys` makes more.
    """
    settings = read_settings({name: value for name, value in flags.items() if value is not None}, config)
    if check:
        from giantkiller.loading import load_screener

        load_screener(settings.model)
        click.echo(as_toml(settings))
        return
    # What is loaded now stays; to look for garbage in it meanwhile takes a tenth of the start.
    gc.disable()
    try:
        _start(settings)
    finally:
        gc.enable()


def _start(settings: Settings) -> None:
    from giantkiller.serve.server import listen, run

    listener = listen(settings.host, settings.port)
    settings = settings.model_copy(update={"port": listener.getsockname()[1]})
    announce(settings)
    run(settings, listener, compose)


def compose(service: "Service") -> "Starlette":
    """Put together what one process answers."""
    from giantkiller.desk.app import compose

    return compose(service)


def announce(settings: Settings) -> None:
    """Print where the service is; print a first key, and the desk's first invitation, where there is none."""
    address = settings.public_url or f"http://{settings.bind}"
    click.echo(printable(f"giantkiller {__version__} on {address}, state in {settings.state}"))
    from giantkiller.desk.invitations import invite
    from giantkiller.desk.staff import list_staff
    from giantkiller.serve.keys import count_keys, create_key
    from giantkiller.serve.shelf import read_lineup
    from giantkiller.store import open_store, utc_now

    key = invitation = None
    store = open_store(settings.state, settings.database_url)
    try:
        with store.write() as connection:
            if not settings.open and not count_keys(connection):
                key = create_key(connection, "first", ("score", "submit"))
            if not list_staff(connection):
                invitation = invite(connection, "admin", None, now=utc_now())
            promoted = read_lineup(connection).active
    finally:
        store.close()
    if settings.open:
        click.echo("open: no key needed")
    if key is not None:
        click.echo(f"API key, shown only now: {key}")
    if invitation is not None:
        click.echo(f"the desk's first admin signs up at {address}/desk/join/{invitation}")
    if promoted is not None:
        click.echo(printable(f"scores with the promoted bundle {promoted[:12]}, not with {settings.model}"))


def as_toml(settings: Settings) -> str:
    """Write settings as a TOML file; a database's password is left out."""
    lines = []
    for name, value in settings.model_dump(mode="json").items():
        if name == "database" and settings.database_url:
            from sqlalchemy.engine import make_url

            value = make_url(settings.database_url).render_as_string(hide_password=True)
        elif name in SECRET and value:
            value = None
        if value is None:
            lines.append(f"# {name} is {'not shown' if getattr(settings, name) else 'not set'}")
        else:
            lines.append(f"{name} = {json.dumps(value)}")
    return "\n".join(lines)
