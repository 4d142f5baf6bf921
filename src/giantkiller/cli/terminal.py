"""What goes to a terminal: escaped, cut to a width, laid out in columns."""

import unicodedata
from collections.abc import Collection, Sequence


def printable(text: str, most: int = 2000) -> str:
    """Escape what a terminal would obey or hide: control, bidirectional and invisible characters.

    Args:
        text: Any text: a comment, a name from a file, a message that quotes either.
        most: How many of its characters are shown.
    """
    head = text[:most]
    if head.isprintable():
        return head
    return "".join(c if c.isprintable() else repr(c)[1:-1] for c in head)


def cells(text: str) -> int:
    """Count the terminal cells that printable text takes."""
    return len(text) if text.isascii() else sum(map(_cells, text))


def shorten(text: str, width: int, *, pad: bool = False) -> str:
    """Escape a text and cut it to a width in terminal cells, with an ellipsis where something is cut.

    Args:
        text: Any text.
        width: Cells, at least 1.
        pad: Fill up with blanks.
    """
    shown = printable(text, width + 1)
    if cells(shown) > width or len(text) > width + 1:
        left, kept = width - 1, 0
        for c in shown:
            left -= _cells(c)
            if left < 0:
                break
            kept += 1
        shown = shown[:kept] + "…"
    return shown + " " * (width - cells(shown)) if pad else shown


def table(rows: Sequence[Sequence[str]], headings: Sequence[str] = (), left: Collection[int] = (0,)) -> str:
    """Lay rows out in columns, two blanks apart; every cell is escaped.

    Args:
        rows: Cells, as many in each row as there are columns.
        headings: Of the columns; none if empty.
        left: The columns that are aligned left; numbers belong on the right.
    """
    lines = [[printable(cell) for cell in row] for row in ([headings] if headings else []) + list(rows)]
    widths = [max(map(cells, column)) for column in zip(*lines, strict=True)]

    def aligned(cell: str, column: int) -> str:
        gap = " " * (widths[column] - cells(cell))
        return cell + gap if column in left else gap + cell

    return "\n".join("  ".join(aligned(cell, i) for i, cell in enumerate(line)).rstrip() for line in lines)


def _cells(c: str) -> int:
    return 2 if unicodedata.east_asian_width(c) in "WF" else 1
