"""Files of comments, screened in chunks: rows in their order, with their columns, nothing lost."""

from giantkiller.files.formats import TEXT_NAMES
from giantkiller.files.screening import Summary, screen_file

__all__ = ["TEXT_NAMES", "Summary", "screen_file"]
