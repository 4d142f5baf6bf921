"""Whatever scores comments, by the name that people give it, made into a scoring function.

Imports what a kind of model needs only when one is named.
"""

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from giantkiller.errors import UserError
from giantkiller.evaluation.opponents.bundled import bundled
from giantkiller.evaluation.opponents.checkpoint import checkpoint
from giantkiller.evaluation.opponents.endpoint import endpoint
from giantkiller.evaluation.opponents.scoring import ScoringModel
from giantkiller.evaluation.opponents.stored import stored, stored_column, stored_file
from giantkiller.files.formats import is_table

if TYPE_CHECKING:
    from giantkiller.data.labelled import Labelled

__all__ = ["HELP", "ScoringModel", "load", "stored"]

HELP = """MODEL is `default` (the shipped bundle), a bundle or checkpoint folder, a hub id of either,
an http(s) address that scores, a file of scores (.csv, .tsv, .jsonl or .parquet; columns named like the
attributes), or column:NAME, a column of the judged file itself that holds toxicity scores."""

HUB_ID = re.compile(r"[\w-][\w.-]*(/[\w-][\w.-]*)?(@[\w./-]+)?")


def load(name: str, data: "Labelled | None" = None, *, max_length: int | None = None) -> ScoringModel:
    """Find out what a model is by its name, and load it.

    Args:
        name: See HELP.
        data: The judged rows; stored scores are taken from them or must match them.
        max_length: Tokens a comment is cut at, for a Hugging Face classifier; its own limit if not given.

    Raises:
        UserError: There is no such model, or it gives no score that is one of ours.
    """
    if name == "default":
        return bundled(name)
    if name.startswith(("http://", "https://")):
        return endpoint(name)
    if name.startswith("column:"):
        return stored_column(name, data)
    path = Path(name)
    if path.is_dir():
        if (path / "bundle.json").exists():
            return bundled(name)
        if (path / "config.json").exists():
            return checkpoint(name, max_length)
        raise UserError(f"{name} is neither a bundle (bundle.json) nor a checkpoint (config.json): name one")
    if is_table(path):
        return stored_file(path, data)
    if path.exists() or not HUB_ID.fullmatch(name):
        raise UserError(f"there is no model at {name}: name a folder, a hub id or a file of scores")
    return bundled(name) if _is_bundle_on_hub(name) else checkpoint(name, max_length)


def _is_bundle_on_hub(name: str) -> bool:
    """Tell by what a repository of the hub contains whether it is a bundle.

    Raises:
        UserError: The hub can't be asked, and nothing of the repository is in its cache.
    """
    try:
        import huggingface_hub
    except ImportError:
        return True  # without the hub's client nothing can be fetched; reading a bundle says so best
    repository, _, revision = name.partition("@")
    where: dict[str, Any] = {"repo_id": repository, "revision": revision or None}
    for file, answer in (("bundle.json", True), ("config.json", False)):
        if isinstance(huggingface_hub.try_to_load_from_cache(filename=file, **where), str):
            return answer
    try:
        return bool(huggingface_hub.file_exists(filename="bundle.json", **where))
    except Exception as error:  # the client raises its own, its HTTP library's and the system's errors
        raise UserError(
            f"there is no folder {name}, and the hub can't be reached from here "
            f"({type(error).__name__}): name a folder with the model"
        ) from error
