"""Files of comments, screened in chunks: rows in their order, with their columns, nothing lost."""

from giantkiller.files.columns import TEXT_NAMES
from giantkiller.files.screening import screen_file
from giantkiller.files.summary import ScreenSummary
from giantkiller.files.verdicts import Verdicts, judge_with

__all__ = ["TEXT_NAMES", "ScreenSummary", "Verdicts", "judge_with", "screen_file"]
