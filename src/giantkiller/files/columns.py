"""The columns of a file: which one holds the comments, and which ones screening adds."""

from collections.abc import Mapping, Sequence

from giantkiller.attributes import ATTRIBUTES
from giantkiller.errors import UserError

TEXT_NAMES = ("text", "comment_text", "comment", "body", "content")
"""Where the comment is looked for when no column is named, in this order; `Comment Text` counts, too."""

MAX_COLUMNS = 4_096
"""A file with more columns is refused: memory is bounded by rows and bytes only as long as these are few."""


def added_columns(prefix: str = "") -> tuple[str, ...]:
    """Return the names of the columns that screening adds: seven scores, `action`, `attribute`, `error`.

    Args:
        prefix: Put before each name.

    Raises:
        UserError: The prefix is not text that a file can hold.
    """
    try:
        prefix.encode()
    except UnicodeEncodeError:
        raise UserError(f"`prefix` is {prefix!r}, which is not text; use letters") from None
    return tuple(prefix + name for name in (*ATTRIBUTES, "action", "attribute", "error"))


def check_collision(source: object, names: Sequence[str], added: Sequence[str]) -> None:
    """Refuse a file that already has a column of a name to be added.

    Args:
        source: The file, for the message.
        names: Its columns.
        added: The names to be added.

    Raises:
        UserError: It has one.
    """
    taken = set(names)
    for name in added:
        if name in taken:
            raise UserError(
                f"{source} already has a column {name!r}, which screening would add; "
                "give the new columns another beginning (`prefix`), e.g. new_"
            )


def check_count(source: object, names: Sequence[str]) -> None:
    """Refuse a file with more columns than any table of comments has.

    Raises:
        UserError: It has more than MAX_COLUMNS.
    """
    if len(names) > MAX_COLUMNS:
        raise UserError(f"{source} has {len(names):,} columns; at most {MAX_COLUMNS:,} can be read")


def is_text_name(name: str) -> bool:
    """Return whether a column's name is a usual one for comments, whatever its capitals and blanks."""
    return _folded(name) in TEXT_NAMES


def choose_text_column(
    source: object, names: Sequence[str], wanted: str | None, texts: Mapping[str, int] | None = None
) -> str:
    """Return the column that holds the comments.

    Args:
        source: The file, for the message.
        names: Its columns.
        wanted: The one that the caller names, if any.
        texts: How many of the first rows have text in a column, where rows differ: the column with the most
            wins, so that one odd row doesn't choose for all.

    Raises:
        UserError: There is none of that name, two, or none with a usual name.
    """
    if wanted is None:
        usual = [name for name in names if is_text_name(name)]
        if not usual:
            raise UserError(
                f"{source}: none of its columns ({listed(names)}) is called {' or '.join(TEXT_NAMES)}; "
                "name the one with the comments (`text_column`)"
            )
        counts = texts or {}
        wanted = min(
            usual,
            key=lambda name: (-counts.get(name, 0), TEXT_NAMES.index(_folded(name)), name not in TEXT_NAMES),
        )
    elif wanted not in names:
        raise UserError(f"{source} has no column {wanted!r}; its columns are: {listed(names)}")
    if list(names).count(wanted) > 1:
        raise UserError(f"{source} has two columns called {wanted!r}; rename one")
    return wanted


def listed(names: Sequence[str], most: int = 12) -> str:
    """Return some names for a message, each cut short, and not without end."""
    return ", ".join(name[:40] for name in names[:most]) + (", ..." if len(names) > most else "")


def _folded(name: str) -> str:
    return name.strip().lower().replace(" ", "_").replace("-", "_")
