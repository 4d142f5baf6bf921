"""Where a bundle is: shipped, in a folder, on the Hugging Face hub."""

import re
from pathlib import Path
from typing import Any

from giantkiller.bundle.manifest import CARD, DEFAULT_NAME, MANIFEST, MODEL, TOKENIZER
from giantkiller.errors import UserError

CONFIG = "config.json"
"""What makes a folder a checkpoint."""

DEFAULT = Path(__file__).parents[1] / "default"
"""Where the shipped bundle is."""

HUB_ID = re.compile(r"[\w-][\w.-]*/[\w-][\w.-]*(@[\w./-]+)?")
"""A model on the Hugging Face hub: owner/name, or owner/name@revision."""


def is_bundle(model: str | Path | None = None) -> bool:
    """Return whether a model is a bundle, not a checkpoint, by what its folder or repository holds.

    Args:
        model: None or "default" for the shipped bundle, a folder, or a hub id ("owner/name",
            "owner/name@revision"), for which the hub is asked where its cache doesn't know.

    Raises:
        UserError: It is neither, or the hub can't be asked.
    """
    if model is None or model == DEFAULT_NAME:
        return True
    folder = expanded(model)
    if folder.is_dir():
        if (folder / MANIFEST).is_file():
            return True
        if (folder / CONFIG).is_file():
            return False
        raise UserError(f"{folder} is neither a bundle ({MANIFEST}) nor a checkpoint ({CONFIG}); name one")
    return _is_bundle_on_hub(_hub_id(model, folder))


def find_bundle(model: str | Path | None = None) -> Path:
    """Return the folder of a bundle, fetched from the Hugging Face hub if need be.

    Args:
        model: A bundle folder, a hub id ("owner/name", "owner/name@revision"), or None or "default" for the
            shipped bundle.

    Raises:
        UserError: There is no such folder and nothing to fetch.
    """
    if model is None or model == DEFAULT_NAME:
        if not (DEFAULT / MANIFEST).is_file():
            raise UserError(
                "this installation has no model inside; name a bundle folder, "
                "or install giantkiller from a release"
            )
        return DEFAULT
    folder = expanded(model)
    if folder.is_dir():
        if not (folder / MANIFEST).is_file():
            if (folder / CONFIG).is_file():
                raise UserError(f"{folder} is a checkpoint, and only a bundle will do here; export it first")
            raise UserError(f"{folder} is not a bundle: it has no {MANIFEST}")
        return folder
    return _fetch(_hub_id(model, folder))


def expanded(model: str | Path) -> Path:
    """Return a model's name as a path, with ~ and ~user expanded where there is such a home."""
    try:
        return Path(model).expanduser()
    except RuntimeError:  # "~somebody" who is not here
        return Path(model)


def _hub_id(model: str | Path, folder: Path) -> str:
    """Return a model's name if it can be one of the hub, where there is no such folder.

    Raises:
        UserError: It can't.
    """
    if folder.exists():
        raise UserError(f"{folder} is a file; a bundle is a folder with a {MANIFEST}")
    if isinstance(model, str) and HUB_ID.fullmatch(model):
        return model
    raise UserError(f"there is no model at {folder}; name a folder, a hub id (owner/name) or {DEFAULT_NAME}")


def _is_bundle_on_hub(name: str) -> bool:
    try:
        import huggingface_hub
    except ImportError:
        return True  # without the hub's client nothing can be fetched; reading a bundle says so best
    repository, _, revision = name.partition("@")
    where: dict[str, Any] = {"repo_id": repository, "revision": revision or None}
    for file, answer in ((MANIFEST, True), (CONFIG, False)):
        if isinstance(huggingface_hub.try_to_load_from_cache(filename=file, **where), str):
            return answer
    try:
        return bool(huggingface_hub.file_exists(filename=MANIFEST, **where))
    except Exception as error:  # the client raises its own, its HTTP library's and the system's errors
        raise UserError(
            f"there is no folder {name}, and the hub can't be reached from here "
            f"({type(error).__name__}); name a folder with the model"
        ) from error


def _fetch(name: str) -> Path:
    try:
        from huggingface_hub import snapshot_download
    except ImportError:
        raise UserError(
            f"there is no folder {name}; to fetch it from the Hugging Face hub: pip install huggingface_hub"
        ) from None
    repository, _, revision = name.partition("@")
    try:
        # Only the files of a bundle: nothing that could run, nothing large with it.
        folder = snapshot_download(
            repository, revision=revision or None, allow_patterns=[MANIFEST, MODEL, TOKENIZER, CARD]
        )
    except Exception as error:  # the hub client raises its own, its HTTP library's and the system's errors
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise UserError(
            f"there is no folder {name}, and the Hugging Face hub did not give it ({reason[:200]})"
        ) from error
    path = Path(folder)
    if not (path / MANIFEST).is_file():
        raise UserError(f"{name} on the Hugging Face hub is not a bundle: it has no {MANIFEST}")
    return path
