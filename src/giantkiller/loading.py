"""Any model by its name: a bundle, or a checkpoint, which needs torch."""

import importlib.util
from pathlib import Path
from types import ModuleType

from giantkiller.bundle import Bundle, is_bundle, read_bundle
from giantkiller.errors import UserError
from giantkiller.policy import Policy
from giantkiller.screener import Screener


def load_screener(
    model: str | Path | None = None, *, threads: int | None = None, policy: Policy | str | None = None
) -> Screener:
    """Load a bundle or a checkpoint as what scores texts.

    A checkpoint's scores are the sigmoid of its logits, calibrated by nothing; its policy sends to review
    what is at 0.5 or beyond by any attribute. It runs on torch, slower than the bundle that `export` makes of
    it.

    Args:
        model: None or "default" for the shipped bundle, a bundle folder, a checkpoint folder, or a hub id of
            either ("owner/name", "owner/name@revision").
        threads: Cores to use; all that this process may if None.
        policy: What decides instead of the model's policy: a policy, or the name of one of a bundle's.

    Raises:
        UserError: There is no such model, it is damaged, it doesn't score all seven attributes, or it is a
            checkpoint and torch is not installed.
    """
    if is_bundle(model):
        return Screener(model, threads=threads, policy=policy)
    screener: Screener = _torch(model).CheckpointScreener(model, threads=threads, policy=policy)
    return screener


def describe(model: str | Path | None = None) -> Bundle:
    """Return what is known of a model; of a checkpoint, what the manifest of a bundle would say.

    Args:
        model: As for `load_screener`.

    Raises:
        UserError: As for `load_screener`, but for the seven attributes.
    """
    if is_bundle(model):
        return read_bundle(model)
    screening = _torch(model)
    bundle: Bundle = screening.describe_checkpoint(screening.load_checkpoint(str(model)))
    return bundle


def _torch(model: str | Path | None) -> ModuleType:
    """Import what runs checkpoints."""
    for package in ("torch", "transformers"):
        if importlib.util.find_spec(package) is None:
            raise UserError(
                f"{model} is a checkpoint, which needs {package}: pip install 'giantkiller[train]', "
                "or name the bundle that was exported from it"
            )
    from giantkiller.models import screening

    return screening
