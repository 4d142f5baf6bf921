"""Whatever scores comments, by the name that people give it, made into a scoring function.

Imports what a kind of model needs only when one is named.
"""

from pathlib import Path
from typing import TYPE_CHECKING

from giantkiller.bundle import is_bundle
from giantkiller.evaluation.opponents.bundled import bundled
from giantkiller.evaluation.opponents.checkpoint import checkpoint
from giantkiller.evaluation.opponents.endpoint import endpoint
from giantkiller.evaluation.opponents.scoring import ScoringModel
from giantkiller.evaluation.opponents.stored import stored, stored_column, stored_file
from giantkiller.files.formats import ENDINGS, is_table

if TYPE_CHECKING:
    from giantkiller.data.labelled import Labelled

__all__ = ["HELP", "ScoringModel", "load", "stored"]

HELP = f"""MODEL is `default` (the shipped bundle), a bundle or checkpoint folder, a hub id of either,
an http(s) address that scores, a file of scores ({ENDINGS}; columns named like
the attributes), or column:NAME, a column of the judged file itself that holds toxicity scores."""


def load(name: str, data: "Labelled | None" = None, *, max_length: int | None = None) -> ScoringModel:
    """Find out what a model is by its name, and load it.

    Args:
        name: See HELP.
        data: The judged rows; stored scores are taken from them or must match them.
        max_length: Tokens a comment is cut at, for a Hugging Face classifier; its own limit if not given.

    Raises:
        UserError: There is no such model, or it gives no score that is one of ours.
    """
    if name.startswith(("http://", "https://")):
        return endpoint(name)
    if name.startswith("column:"):
        return stored_column(name, data)
    path = Path(name)
    if is_table(path) and not path.is_dir():
        return stored_file(path, data)
    return bundled(name) if is_bundle(name) else checkpoint(name, max_length)
