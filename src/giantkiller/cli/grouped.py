"""A command whose help lists its options under headings."""

from collections.abc import Mapping, Sequence
from typing import Any

import click


class GroupedCommand(click.Command):
    """A command whose help lists its options under headings.

    Args:
        groups: Heading to the names of its parameters; those in none come last, as "Options".
    """

    def __init__(self, *args: Any, groups: Mapping[str, Sequence[str]], **options: Any) -> None:
        super().__init__(*args, **options)
        self.groups = groups

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the options, group by group."""
        records = {param.name: param.get_help_record(ctx) for param in self.get_params(ctx)}
        grouped = {name for names in self.groups.values() for name in names}
        rest = [name for name in records if name not in grouped]
        for heading, names in [*self.groups.items(), ("Options", rest)]:
            found = [record for name in names if (record := records[name])]
            if found:
                with formatter.section(heading):
                    formatter.write_dl(found)
