"""`giantkiller keys`: API keys of the service."""

import json
from pathlib import Path

import click

from giantkiller.cli.options import json_option, state_options
from giantkiller.cli.state import open_state


@click.group(
    name="keys",
    epilog="""Examples:

\b
  giantkiller keys create forum
  giantkiller keys create prometheus --role admin
  giantkiller keys list
  giantkiller keys revoke 1f2e3d4c
""",
)
def command() -> None:
    """Make, list and revoke the API keys of `giantkiller serve`.

    Keys are stored as hashes: one that is lost can't be read again, only replaced. A running service heeds
    changes within a second.
    """


@command.command()
@click.argument("name")
@click.option("--role", "roles", multiple=True, help="score, submit, moderate or admin; may be repeated.  "
              "[default: score and submit]")  # fmt: skip
@click.option("--rate", type=float, help="Comments a second that the key may send.  [default: the service's]")
@state_options
@json_option("Print the key as JSON.")
def create(
    name: str,
    roles: tuple[str, ...],
    rate: float | None,
    state: Path | None,
    config: Path | None,
    as_json: bool,
) -> None:
    """Make a key called NAME and print it, once.

    Example: giantkiller keys create forum --rate 50
    """
    wanted = roles or ("score", "submit")
    with open_state(state, config) as (store, _):
        from giantkiller.serve.keys import create_key

        with store.write() as connection:
            key = create_key(connection, name, wanted, rate)
    if as_json:
        click.echo(json.dumps({"key": key, "id": key.split("_")[1], "name": name, "roles": list(wanted)}))
        return
    click.echo(key)
    click.echo(f"may {', '.join(wanted)}; keep it now, it can't be shown again", err=True)


@command.command(name="list")
@state_options
@json_option("One JSON object a key, one a line.")
def list_(state: Path | None, config: Path | None, as_json: bool) -> None:
    """List all keys, revoked ones included.

    Example: giantkiller keys list --json
    """
    from giantkiller.cli.terminal import printable

    with open_state(state, config) as (store, _):
        from giantkiller.serve.keys import list_keys

        with store.read() as connection:
            keys = list_keys(connection)
    if not as_json:
        click.echo(f"{'id':8}  {'created':10}  {'revoked':10}  {'rate':>8}  {'roles':20}  name")
    for key in keys:
        if as_json:
            row = {
                "id": key.id,
                "name": key.name,
                "roles": sorted(key.roles),
                "rate": key.rate,
                "created": key.created.isoformat(),
                "revoked": key.revoked.isoformat() if key.revoked else None,
            }
            click.echo(json.dumps(row))
        else:
            revoked = f"{key.revoked:%Y-%m-%d}" if key.revoked else ""
            rate = f"{key.rate:g}/s" if key.rate else ""
            roles = ",".join(sorted(key.roles))
            when = f"{key.created:%Y-%m-%d}  {revoked:10}"
            click.echo(f"{key.id:8}  {when}  {rate:>8}  {roles:20}  {printable(key.name)}")


@command.command()
@click.argument("key_id", metavar="ID")
@state_options
def revoke(key_id: str, state: Path | None, config: Path | None) -> None:
    """Revoke the key with an ID, as `giantkiller keys list` shows it.

    Example: giantkiller keys revoke 1f2e3d4c
    """
    with open_state(state, config) as (store, _):
        from giantkiller.serve.keys import revoke_key

        with store.write() as connection:
            key = revoke_key(connection, key_id)
    click.echo(f"revoked {key.id}")
