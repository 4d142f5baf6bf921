"""What all commands have in common."""

from collections import defaultdict

import click
import pytest

from giantkiller.cli.main import giantkiller

for extra in ("starlette", "sqlalchemy", "pydantic_settings"):
    pytest.importorskip(extra)


def options(command=giantkiller, words=()):
    """The options of every command, each with the command's words."""
    if isinstance(command, click.Group):
        for name in command.list_commands(click.Context(command)):
            yield from options(command.get_command(click.Context(command), name), (*words, name))
    for option in command.params:
        if isinstance(option, click.Option):
            yield " ".join(words), option


def test_an_option_has_the_same_short_form_in_every_command():
    shorts, longs = defaultdict(dict), defaultdict(dict)
    for words, option in options():
        name = max(option.opts, key=len)
        short = next((each for each in option.opts if not each.startswith("--")), None)
        shorts[name].setdefault(short, words)
        if short:
            longs[short].setdefault(name, words)
    assert {name: found for name, found in shorts.items() if len(found) > 1} == {}
    assert {short: found for short, found in longs.items() if len(found) > 1} == {}
    assert {"-m", "-o", "-j", "-p", "-t"} <= longs.keys()
