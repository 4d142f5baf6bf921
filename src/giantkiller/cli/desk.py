"""`giantkiller desk`: what an operator does without the pages."""

import json
import os
import sys
from datetime import date, datetime, timezone
from functools import partial
from pathlib import Path

import click

from giantkiller.cli.options import json_option, state_options
from giantkiller.cli.state import open_state
from giantkiller.cli.terminal import printable
from giantkiller.errors import UserError


@click.group(
    name="desk",
    epilog="""Examples:

\b
  giantkiller desk invite --role admin
  giantkiller desk submit comments.csv
  giantkiller desk backup desk-monday.db
  giantkiller desk labels -o decisions.jsonl
""",
)
def command() -> None:
    """Run the desk of `giantkiller serve`: invite people, back up, verify, move, export, forget.

    All of it works while the service runs. The database is found as the service finds it: by --state,
    --config and GIANTKILLER_* in the environment.
    """


@command.command()
@click.option("--role", default="moderator", show_default=True, help="moderator, lead or admin.")
@state_options
def invite(role: str, state: Path | None, config: Path | None) -> None:
    """Print a link by which somebody joins, once and within a week.

    Example: giantkiller desk invite --role admin
    """
    with open_state(state, config) as (store, settings):
        from giantkiller.desk.invitations import invite as make
        from giantkiller.store import utc_now

        with store.write() as connection:
            token = make(connection, role, None, now=utc_now())
    address = settings.public_url or f"http://{settings.bind}"
    click.echo(f"{address}/desk/join/{token}")


@command.command(name="new-password")
@click.argument("name")
@state_options
def new_password(name: str, state: Path | None, config: Path | None) -> None:
    """Print a link by which somebody who lost their password chooses a new one, once and within a day.

    It switches their second factor off, too.

    Example: giantkiller desk new-password mira
    """
    with open_state(state, config) as (store, settings):
        from giantkiller.desk.invitations import offer_password
        from giantkiller.desk.staff import password_of
        from giantkiller.store import utc_now

        with store.write() as connection:
            member, _ = password_of(connection, name)
            if member is None:
                raise UserError(f"nobody with the name {name!r} works at the desk")
            token = offer_password(connection, member.number, None, now=utc_now())
    address = settings.public_url or f"http://{settings.bind}"
    click.echo(f"{address}/desk/join/{token}")


@command.command()
@click.argument("path", metavar="FILE", type=click.Path(path_type=Path))
@click.option("--community", default="default", show_default=True, help="Where the comments belong.")
@click.option("--text-column", help="The column with the comments.")
@click.option("--id-column", help="With your own ids, which messages name.  [default: the place in the file]")
@click.option("--author-column", help="With pseudonyms of the authors.")
@click.option("--url-column", help="With the pages where the comments stand.")
@click.option("--parent-column", help="With the texts that the comments answer.")
@state_options
def submit(
    path: Path,
    community: str,
    text_column: str | None,
    state: Path | None,
    config: Path | None,
    **others: str | None,
) -> None:
    """Score the comments of a FILE and queue those that call for a look; again changes nothing.

    Example: giantkiller desk submit comments.csv --community forum --id-column id --author-column user
    """
    from giantkiller.files.tables import read_columns

    named = {name.removesuffix("_column"): column for name, column in others.items() if column}
    rows = read_columns(path, {"text": text_column, **named})
    with open_state(state, config) as (store, settings):
        from giantkiller.desk.intake import submit_rows
        from giantkiller.loading import load_screener

        screener = load_screener(settings.model)
        counts = submit_rows(store, screener, rows, community, path.name)
    click.echo(json.dumps(counts))


@command.command()
@click.argument("path", metavar="FILE", type=click.Path(path_type=Path))
@state_options
def backup(path: Path, state: Path | None, config: Path | None) -> None:
    """Copy the SQLite database into a FILE, also while the service runs.

    Bundles that the service was given (`giantkiller models`) come into the folder "bundles" beside it. To
    restore, stop the service, put the file in the state folder as giantkiller.db, and that folder, too.

    Example: giantkiller desk backup /backups/desk.db
    """
    with open_state(state, config) as (store, settings):
        from giantkiller.desk.events import head
        from giantkiller.desk.moving import backup as copy
        from giantkiller.serve.shelf import FOLDER, copy_kept

        with store.read() as connection:  # before the copy, so that the copy has it, too
            count, digest = head(connection)
        copy(store, path)
        with store.read() as connection:
            bundles = copy_kept(connection, settings.state, path.parent)
    click.echo(printable(f"{path}: log of {count:,} events, head {digest}"), err=True)
    if bundles:
        click.echo(printable(f"{path.parent / FOLDER}: {bundles} of the service's bundles"), err=True)


@command.command()
@click.option("--head", metavar="HASH", help="A head noted earlier; it must be in the log.")
@state_options
@json_option("Print the result as JSON.")
def verify(head: str | None, state: Path | None, config: Path | None, as_json: bool) -> None:
    """Check that no event, decision or text was changed or removed behind the desk's back.

    Example: giantkiller desk verify
    """
    with open_state(state, config) as (store, _):
        from giantkiller.desk.events import verify as check

        with store.read() as connection:
            result = check(connection, head)
    if as_json:
        found = {"events": result.events, "head": result.head, "problems": result.problems}
        click.echo(json.dumps(found))
    else:
        click.echo(f"{result.events:,} events, head {result.head}")
    if result.problems:
        raise UserError("the log does not verify: " + "; ".join(result.problems))


@command.command()
@click.argument("path", metavar="FILE", type=click.Path(path_type=Path))
@state_options
def export(path: Path, state: Path | None, config: Path | None) -> None:
    """Write the whole database to a FILE (gzip), to import it into another.

    The file holds everything, hashes of keys and passwords and webhooks' secrets, too: guard it.

    Example: giantkiller desk export desk.jsonl.gz
    """
    with open_state(state, config) as (store, _):
        from giantkiller.desk.moving import dump

        with store.read() as connection:
            count = dump(connection, path)
    click.echo(printable(f"{path}: {count:,} rows"), err=True)


@command.command(name="import")
@click.argument("path", metavar="FILE", type=click.Path(path_type=Path))
@state_options
def import_(path: Path, state: Path | None, config: Path | None) -> None:
    """Read an exported FILE into a new database, SQLite or PostgreSQL; all of it or nothing.

    Example: GIANTKILLER_DATABASE=postgresql://desk@host/desk giantkiller desk import desk.jsonl.gz
    """
    with open_state(state, config) as (store, _):
        from giantkiller.desk.moving import load

        with store.write() as connection:
            count = load(connection, path)
    click.echo(f"{count:,} rows", err=True)


@command.command()
@click.option("-o", "--output", type=click.Path(path_type=Path), help="The file.  [default: standard output]")
@click.option("--community", help="Of this community only.")
@click.option(
    "--suggestions",
    is_flag=True,
    help="Then also what clients suggested (comments:suggestscore), such as Coral its moderators' decisions.",
)
@state_options
def labels(
    output: Path | None, community: str | None, suggestions: bool, state: Path | None, config: Path | None
) -> None:
    """Export decisions as labelled comments (JSON Lines), as training reads them.

    Example: giantkiller desk labels -o decisions.jsonl
    """
    from giantkiller.atomic import replace_file

    with open_state(state, config) as (store, _):
        from giantkiller.desk.labels import write_labelled
        from giantkiller.store import utc_now

        with store.read() as connection:
            if output is None:
                write_labelled(
                    connection, sys.stdout, now=utc_now(), community=community, suggestions=suggestions
                )
                return
            with replace_file(output) as temporary, temporary.open("w", encoding="utf-8") as file:
                count = write_labelled(
                    connection, file, now=utc_now(), community=community, suggestions=suggestions
                )
    click.echo(printable(f"{output}: {count:,} comments"), err=True)


@command.command()
@click.option("--since", required=True, metavar="DAY", help="The first day, YYYY-MM-DD.")
@click.option("--until", metavar="DAY", help="The last day.  [default: today]")
@click.option("-o", "--output", type=click.Path(path_type=Path), help="The file.  [default: standard output]")
@click.option("--post", metavar="URL", help="Send them to this address, too, with the token in DSA_TOKEN.")
@state_options
def dsa(
    since: str,
    until: str | None,
    output: Path | None,
    post: str | None,
    state: Path | None,
    config: Path | None,
) -> None:
    """Write removals as statements for the DSA transparency database, checked against its rules.

    Nothing is sent unless --post says where to.

    Example: giantkiller desk dsa --since 2026-11-01 -o statements.json
    """
    token = os.environ.get("DSA_TOKEN", "")
    if post and not token:
        raise UserError("sending statements needs the database's token in DSA_TOKEN")
    first = _day("--since", since)
    last = _day("--until", until) if until else datetime.now(timezone.utc).date()
    with open_state(state, config) as (store, _):
        from giantkiller.desk.dsa import post as send
        from giantkiller.desk.dsa import statements
        from giantkiller.store import utc_now

        with store.read() as connection:
            made = statements(connection, first, last, now=utc_now())
    _write(output, json.dumps({"statements": made}, indent=1))
    if post:
        click.echo(f"{send(made, post, token):,} statements sent", err=True)


@command.command()
@click.argument("year", type=int)
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path),
    help="A file: .html has tables and plots, .svg the removals by month, anything else JSON.",
)
@click.option("--language", default="en", show_default=True, help="Of the HTML report: en or de.")
@state_options
def report(year: int, output: Path | None, language: str, state: Path | None, config: Path | None) -> None:
    """Count a YEAR as Art. 15 and 24 of the DSA ask: notices, removals, appeals and how they ended.

    Example: giantkiller desk report 2026 -o 2026.html
    """
    with open_state(state, config) as (store, _):
        from giantkiller.desk.figures import standalone_bars
        from giantkiller.desk.texts import LANGUAGES, translate
        from giantkiller.desk.web import ENVIRONMENT
        from giantkiller.desk.yearly import FIRST_YEAR, LAST_YEAR, count_year, report_page

        if not FIRST_YEAR <= year <= LAST_YEAR:
            raise UserError(f"{year} is no year")
        if language not in LANGUAGES:
            raise UserError(f"--language {language!r} is none of {', '.join(LANGUAGES)}")
        with store.read() as connection:
            counts = count_year(connection, year)
    kind = output.suffix.lower() if output is not None else ""
    if kind == ".html":
        content = report_page(ENVIRONMENT, counts, partial(translate, language), language)
    elif kind == ".svg":
        months = counts.moderation.removals_by_month
        content = standalone_bars(f"Removals in {year}", list(months), list(months.values()))
    else:
        content = json.dumps(counts.to_dict(), indent=1)
    _write(output, content)


@command.command()
@click.option("--days", type=click.IntRange(1), help="Days of rest.  [default: the desk's setting]")
@state_options
def purge(days: int | None, state: Path | None, config: Path | None) -> None:
    """Purge texts of comments that have rested long enough; labels and counts stay.

    The service does it by itself, four times a day, where the setting is not 0.

    Example: giantkiller desk purge --days 365
    """
    with open_state(state, config) as (store, _):
        from giantkiller.desk.config import read_settings as desk_settings
        from giantkiller.desk.retention import purge as forget
        from giantkiller.store import utc_now

        with store.read() as connection:
            days = days or desk_settings(connection).retention_days
        if not days:
            raise UserError("the desk keeps texts for ever; give --days, or set retention_days")
        count = forget(store, days, now=utc_now())
    click.echo(f"{count:,} comments purged", err=True)


@command.command(name="forget-author")
@click.argument("author")
@click.option("--community", default="default", show_default=True, help="Where they wrote.")
@state_options
def forget_author(author: str, community: str, state: Path | None, config: Path | None) -> None:
    """Purge everything that an AUTHOR (the pseudonym) wrote.

    Example: giantkiller desk forget-author u-4711 --community forum
    """
    with open_state(state, config) as (store, _):
        from giantkiller.desk.retention import forget_author as forget
        from giantkiller.store import utc_now

        with store.write() as connection:
            count = forget(connection, community, author, "command", now=utc_now())
    click.echo(f"{count:,} comments purged", err=True)


def _day(flag: str, value: str) -> date:
    try:
        return date.fromisoformat(value)
    except ValueError:
        raise UserError(f"{flag} {value!r} is no day; write YYYY-MM-DD") from None


def _write(output: Path | None, content: str) -> None:
    from giantkiller.atomic import replace_file

    if output is None:
        click.echo(content)
        return
    with replace_file(output) as temporary:
        temporary.write_text(content + "\n", encoding="utf-8")
