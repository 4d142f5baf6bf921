"""`giantkiller models`: which bundle a service scores with, which one it tries, and the way back."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from giantkiller.cli.options import json_option, state_options
from giantkiller.cli.state import open_state
from giantkiller.cli.terminal import printable, shorten
from giantkiller.errors import UserError

if TYPE_CHECKING:
    from giantkiller.store import Store


@click.group(
    name="models",
    epilog="""Examples:

\b
  giantkiller models add site/ --try
  giantkiller models list
  giantkiller models promote
  giantkiller models rollback
""",
)
def command() -> None:
    """Change the bundle that `giantkiller serve` scores with, while it runs.

    Bundles are kept in the state folder. One can be tried beside the active one, promoted, and rolled back;
    a running service follows within two seconds and drops no request. ID is the beginning of a digest, as
    `list` and the service's answers show it.
    """


@command.command(name="list")
@state_options
@json_option("One JSON object a bundle, one a line.")
def list_(state: Path | None, config: Path | None, as_json: bool) -> None:
    """List the kept bundles, newest first, and the model that the settings name.

    Example: giantkiller models list --json
    """
    with open_state(state, config) as (store, settings):
        from giantkiller.serve.shelf import list_kept, read_lineup

        with store.read() as connection:
            kept, lineup = list_kept(connection), read_lineup(connection)
    former = [promotion.digest for promotion in lineup.promotions[1:]]
    rows: list[dict[str, Any]] = []
    for one in kept:
        role = (
            "active" if one.digest == lineup.active else "candidate" if one.digest == lineup.candidate else ""
        )
        role = role or ("former" if one.digest in former else "")
        rows.append(
            {"digest": one.digest, "role": role, "added": one.added.isoformat(), "name": one.name,
             "version": one.version, "error": one.error}
        )  # fmt: skip
    base = "former" if lineup.promotions else "active"
    rows.append(
        {"digest": None, "role": base, "added": None, "name": settings.model, "version": None, "error": None}
    )
    if as_json:
        for row in rows:
            click.echo(json.dumps(row))
        return
    click.echo(f"{'id':12}  {'role':9}  {'added':10}  name")
    for row in rows:
        name = " ".join(part for part in (row["name"], row["version"]) if part)
        error = f": {row['error']}" if row["error"] else ""
        added = (row["added"] or "")[:10]
        click.echo(
            f"{(row['digest'] or '')[:12]:12}  {row['role']:9}  {added:10}  {shorten(name + error, 200)}"
        )


@command.command()
@click.argument("model", metavar="BUNDLE")
@click.option("--try", "tried", is_flag=True, help="Try it beside the active bundle at once.")
@state_options
def add(model: str, tried: bool, state: Path | None, config: Path | None) -> None:
    """Copy a BUNDLE (a folder, "default", or a hub id) into the state folder and print its ID.

    It is verified, loaded and must score first.

    Example: giantkiller models add site/ --try
    """
    with open_state(state, config) as (store, settings):
        from giantkiller.desk import lineup
        from giantkiller.store import utc_now

        digest = lineup.add(store, settings, model, "command", now=utc_now())
        if tried:
            lineup.try_out(store, settings, digest, "command", now=utc_now())
    click.echo(digest[:12])


@command.command(name="try")
@click.argument("start", metavar="ID")
@state_options
def try_(start: str, state: Path | None, config: Path | None) -> None:
    """Let a kept bundle score a share of the traffic beside the active one, for comparison only.

    Example: giantkiller models try 1f2e3d4c
    """
    with open_state(state, config) as (store, settings):
        from giantkiller.desk import lineup
        from giantkiller.store import utc_now

        lineup.try_out(store, settings, _find(store, start), "command", now=utc_now())


@command.command()
@click.argument("start", metavar="[ID]", required=False)
@click.option("--day", metavar="DAY", help="Of one day, YYYY-MM-DD, in UTC.  [default: of all]")
@state_options
@json_option("Print all that is known as JSON.")
def shadow(
    start: str | None, day: str | None, state: Path | None, config: Path | None, as_json: bool
) -> None:
    """Show what a bundle that is or was tried would have done otherwise than the active one.

    Example: giantkiller models shadow
    """
    with open_state(state, config) as (store, _):
        from giantkiller.serve.comparison import Pair, compare, last_active
        from giantkiller.serve.shelf import read_lineup

        digest = _find(store, start)
        with store.read() as connection:
            active = read_lineup(connection).active or last_active(connection, digest)
            found = compare(connection, Pair(active, digest), day)
    if as_json:
        values = asdict(found) | {
            "actions": {f"{a} > {b}": count for (a, b), count in found.actions.items() if count},
            "flips": [{**asdict(flip), "at": flip.at.isoformat()} for flip in found.flips],
        }
        click.echo(json.dumps(values))
        return
    click.echo(
        f"{found.comments:,} comments, {found.changed:,} of them with another action; {found.missed:,} missed"
    )
    click.echo(f"{'attribute':16}  {'mean':>8}  {'distance':>8}  {'sterner':>8}  {'milder':>8}")
    for row in found.attributes:
        moved = f"{row.mean:+8.4f}  {row.distance:8.4f}"
        click.echo(f"{row.attribute:16}  {moved}  {row.sterner:8,}  {row.milder:8,}")


@command.command()
@click.argument("start", metavar="[ID]", required=False)
@state_options
def promote(start: str | None, state: Path | None, config: Path | None) -> None:
    """Make a kept bundle the active one; without an ID the one that is tried.

    Example: giantkiller models promote
    """
    with open_state(state, config) as (store, settings):
        from giantkiller.desk import lineup
        from giantkiller.store import utc_now

        digest = _find(store, start)
        lineup.promote(store, settings, digest, "command", now=utc_now())
    click.echo(f"{digest[:12]} scores from now on; `giantkiller models rollback` is the way back", err=True)


@command.command()
@state_options
def rollback(state: Path | None, config: Path | None) -> None:
    """Make the bundle before the active one active again; again goes one further back.

    Example: giantkiller models rollback
    """
    with open_state(state, config) as (store, settings):
        from giantkiller.desk import lineup
        from giantkiller.store import utc_now

        digest = lineup.roll_back(store, settings, "command", now=utc_now())
    click.echo(printable(f"{digest[:12] if digest else settings.model} scores from now on"), err=True)


@command.command()
@click.argument("start", metavar="[ID]", required=False)
@state_options
def drop(start: str | None, state: Path | None, config: Path | None) -> None:
    """Remove a kept bundle that neither scores nor is what a roll-back comes to; without an ID the one tried.

    Example: giantkiller models drop 1f2e3d4c
    """
    with open_state(state, config) as (store, settings):
        from giantkiller.desk import lineup
        from giantkiller.store import utc_now

        digest = _find(store, start)
        lineup.drop(store, settings, digest, "command", now=utc_now())
    click.echo(f"dropped {digest[:12]}", err=True)


def _find(store: "Store", start: str | None) -> str:
    from giantkiller.serve.shelf import find_kept, read_lineup

    with store.read() as connection:
        if start is not None:
            return find_kept(connection, start).digest
        candidate = read_lineup(connection).candidate
    if candidate is None:
        raise UserError(
            "no bundle is tried at present; give the ID of one that `giantkiller models list` shows"
        )
    return candidate
