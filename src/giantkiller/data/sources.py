"""The former name of `giantkiller.data.labelled`."""

from giantkiller.data.labelled import MISSING, Columns, Labelled, read_columns, read_labelled

__all__ = ["MISSING", "Columns", "Labelled", "read_columns", "read_labelled"]
