"""The bundle: one folder with all that scoring needs, verified whenever it is read."""

import hashlib
import json
import math
import os
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, TypeGuard

from giantkiller.attributes import ATTRIBUTES
from giantkiller.errors import UserError
from giantkiller.policy import Policy

FORMAT = 1
MODEL = "model.onnx"
TOKENIZER = "tokenizer.json"
CARD = "README.md"
MANIFEST = "bundle.json"
DEFAULT = Path(__file__).parent / "default"
"""Where the shipped bundle is."""

_MANIFEST_LIMIT = 4 << 20
_FILE_LIMIT = 2 << 30


@dataclass(frozen=True)
class Calibration:
    """How a logit becomes a probability: score = sigmoid(slope * logit + intercept) (Platt scaling)."""

    slope: float = 1.0
    intercept: float = 0.0


@dataclass(frozen=True)
class FileRecord:
    """What a file of a bundle must be."""

    sha256: str
    bytes: int


@dataclass(frozen=True)
class Bundle:
    """A verified bundle: where it is and what its manifest says.

    `calibration` and `threshold` have one entry for each attribute; `threshold` is the score from which
    on a comment is called positive. `provenance` and `figures` are free-form, from training and judging.
    """

    folder: Path
    name: str
    version: str
    max_length: int
    files: Mapping[str, FileRecord]
    calibration: Mapping[str, Calibration]
    policy: Policy
    threshold: Mapping[str, float]
    provenance: Mapping[str, Any] = field(default_factory=dict)
    figures: Mapping[str, Any] = field(default_factory=dict)
    attributes: tuple[str, ...] = ATTRIBUTES

    @property
    def model(self) -> Path:
        """The ONNX graph."""
        return self.folder / MODEL

    @property
    def tokenizer(self) -> Path:
        """The tokenizer, in the format of the `tokenizers` package."""
        return self.folder / TOKENIZER

    @property
    def bytes(self) -> int:
        """Size of the files that scoring reads, without the model card."""
        manifest = (self.folder / MANIFEST).stat().st_size
        return manifest + sum(record.bytes for name, record in self.files.items() if name != CARD)


def find_bundle(model: str | Path | None = None) -> Path:
    """Give the folder of a bundle.

    Parameters: `model`, a bundle folder, a Hugging Face hub id ("owner/name", "owner/name@revision"),
    or None or "default" for the shipped bundle.
    Raises UserError where there is no such folder and nothing to fetch.
    """
    if model is None or model == "default":
        if not (DEFAULT / MANIFEST).is_file():
            raise UserError(
                "this installation has no model inside; name a bundle folder, "
                "or install giantkiller from a release"
            )
        return DEFAULT
    folder = Path(model).expanduser()
    if folder.is_dir():
        if not (folder / MANIFEST).is_file():
            if (folder / "config.json").is_file():
                raise UserError(
                    f"{folder} is a checkpoint, not a bundle; turn it into one with: "
                    f"giantkiller export {folder} -o BUNDLE"
                )
            raise UserError(f"{folder} is not a bundle: it has no {MANIFEST}")
        return folder
    if folder.exists():
        raise UserError(f"{folder} is a file; a bundle is a folder with a {MANIFEST}")
    if isinstance(model, str) and re.fullmatch(r"[\w-][\w.-]*/[\w-][\w.-]*(@[\w./-]+)?", model):
        return _fetch(model)
    raise UserError(f"there is no model at {folder}; name a bundle folder, a hub id (owner/name) or default")


def _fetch(name: str) -> Path:
    try:
        from huggingface_hub import snapshot_download
    except ImportError:
        raise UserError(
            f"there is no folder {name}; to fetch it from the Hugging Face hub: pip install huggingface_hub"
        ) from None
    repository, _, revision = name.partition("@")
    try:
        # Only the files of a bundle: nothing that could run, nothing large beside it.
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


def read_bundle(model: str | Path | None = None) -> Bundle:
    """Read a bundle and verify its manifest and the size and SHA-256 of each of its files.

    Parameters: `model`, as for `find_bundle`.
    Raises UserError naming the file that is missing, tampered with or truncated.
    """
    folder = find_bundle(model)
    manifest = folder / MANIFEST
    bundle = _parse(folder, _load_json(manifest))
    for name, record in bundle.files.items():
        _verify(folder / name, record)
    return bundle


def write_bundle(
    folder: str | Path,
    *,
    model: bytes | Path,
    tokenizer: bytes | Path,
    card: str,
    name: str,
    version: str,
    max_length: int,
    calibration: Mapping[str, Calibration] | None = None,
    policy: Policy | None = None,
    threshold: Mapping[str, float] | None = None,
    provenance: Mapping[str, Any] | None = None,
    figures: Mapping[str, Any] | None = None,
) -> Bundle:
    """Write a bundle: all of it or nothing.

    It is written beside its place, verified by reading it back, and then renamed; a bundle that stood
    there is replaced, any other folder that isn't empty is refused.

    Parameters: `model`, `tokenizer`, contents or the file that has them; `card`, the model card in Markdown;
    `max_length`, tokens read of a comment; `calibration`, `policy`, `threshold`: for the attributes
    named (default: the logit's sigmoid, an empty policy, 0.5).
    Raises UserError for a place that can't be written or values that a reader would refuse.
    """
    import shutil  # here, not above: scoring must not pay for what only writing needs
    import tempfile

    target = Path(folder)
    if target.exists() and not target.is_dir():
        raise UserError(f"{target} is a file; a bundle is a folder")
    if target.is_dir() and any(target.iterdir()) and not (target / MANIFEST).is_file():
        raise UserError(f"{target} holds something other than a bundle; name another folder")
    contents = {
        MODEL: model if isinstance(model, bytes) else model.read_bytes(),
        TOKENIZER: tokenizer if isinstance(tokenizer, bytes) else tokenizer.read_bytes(),
        CARD: card.encode(),
    }
    manifest = {
        "format": FORMAT,
        "name": name,
        "version": version,
        "attributes": list(ATTRIBUTES),
        "max_length": max_length,
        "files": {
            file: {"sha256": hashlib.sha256(data).hexdigest(), "bytes": len(data)}
            for file, data in contents.items()
        },
        "calibration": {a: asdict((calibration or {}).get(a, Calibration())) for a in ATTRIBUTES},
        "policy": (policy or Policy({})).to_dict(),
        "threshold": {a: float((threshold or {}).get(a, 0.5)) for a in ATTRIBUTES},
        "provenance": dict(provenance or {}),
        "figures": dict(figures or {}),
    }
    contents[MANIFEST] = (json.dumps(manifest, indent=1, ensure_ascii=False, allow_nan=False) + "\n").encode()
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=target.parent, prefix=f".{target.name}.") as beside:
            fresh = Path(beside) / "new"
            fresh.mkdir()
            for file, data in contents.items():
                with (fresh / file).open("wb") as out:
                    out.write(data)
                    out.flush()
                    os.fsync(out.fileno())
            read_bundle(fresh)
            if target.exists():
                # A folder cannot be renamed over a full one: the old one steps aside and back on failure.
                aside = Path(beside) / "old"
                target.rename(aside)
                try:
                    fresh.rename(target)
                except OSError:
                    aside.rename(target)
                    raise
                shutil.rmtree(aside, ignore_errors=True)
            else:
                fresh.rename(target)
    except OSError as error:
        raise UserError(f"can't write {target}: {error.strerror or error}") from error
    return read_bundle(target)


def _load_json(path: Path) -> Any:
    try:
        if path.stat().st_size > _MANIFEST_LIMIT:
            raise UserError(f"{path} is damaged: a manifest is never that large")
        return json.loads(path.read_text(encoding="utf-8"), parse_constant=_no_constant)
    except OSError as error:
        raise UserError(f"can't read {path}: {error.strerror or error}") from error
    except (ValueError, RecursionError) as error:
        raise UserError(f"{path} is damaged: not valid JSON") from error


def _no_constant(name: str) -> Any:
    raise ValueError(name)


def _verify(path: Path, record: FileRecord) -> None:
    """Check a file's size and SHA-256 against its record."""
    digest = hashlib.sha256()
    try:
        size = path.stat().st_size
        if size == record.bytes:
            with path.open("rb") as file:
                while block := file.read(1 << 20):
                    digest.update(block)
    except OSError as error:
        raise UserError(f"the bundle is incomplete: can't read {path} ({error.strerror or error})") from error
    if size != record.bytes:
        raise UserError(
            f"{path} is damaged: it has {size:,} bytes and should have {record.bytes:,}; get the bundle again"
        )
    if digest.hexdigest() != record.sha256:
        raise UserError(f"{path} is damaged or was changed: its SHA-256 is wrong; get the bundle again")


def _parse(folder: Path, manifest: Any) -> Bundle:
    """Check a manifest's schema; every complaint names the entry."""
    path = folder / MANIFEST

    def wrong(what: str) -> UserError:
        return UserError(f"{path} is damaged: {what}")

    if not isinstance(manifest, dict):
        raise wrong("it is not a JSON object")
    version = manifest.get("format")
    if version != FORMAT:
        if isinstance(version, int) and version > FORMAT:
            raise UserError(
                f"{path} has format {version}, newer than this giantkiller reads; update giantkiller"
            )
        raise wrong(f"its format is {version!r}, not {FORMAT}")
    if manifest.get("attributes") != list(ATTRIBUTES):
        raise wrong(f"its attributes are not {', '.join(ATTRIBUTES)}, in that order")
    length = manifest.get("max_length")
    if not isinstance(length, int) or isinstance(length, bool) or not 8 <= length <= 8192:
        raise wrong(f"max_length is {length!r}, not a number of tokens from 8 to 8192")
    for key in ("name", "version"):
        if not isinstance(manifest.get(key), str):
            raise wrong(f"{key} is missing or no text")
    for key in ("files", "calibration", "policy", "threshold"):
        if not isinstance(manifest.get(key), dict):
            raise wrong(f"{key} is missing or no object")
    for key in ("provenance", "figures"):
        if not isinstance(manifest.get(key, {}), dict):
            raise wrong(f"{key} is no object")

    files = {}
    for name, record in manifest["files"].items():
        # A name, not a path: a manifest must not point outside its folder.
        if not re.fullmatch(r"[\w-][\w.-]*", name):
            raise wrong(f"the file name {name!r} is not a plain name")
        if not (
            isinstance(record, dict)
            and isinstance(record.get("sha256"), str)
            and re.fullmatch("[0-9a-f]{64}", record["sha256"])
            and isinstance(record.get("bytes"), int)
            and 0 <= record["bytes"] <= _FILE_LIMIT
        ):
            raise wrong(f"the record of {name} needs a sha256 and a size in bytes")
        files[name] = FileRecord(record["sha256"], record["bytes"])
    for name in (MODEL, TOKENIZER):
        if name not in files:
            raise wrong(f"it does not list {name}")

    calibration = {}
    threshold = {}
    for attribute in ATTRIBUTES:
        entry = manifest["calibration"].get(attribute)
        slope, intercept = (
            (entry.get("slope"), entry.get("intercept")) if isinstance(entry, dict) else (None, None)
        )
        if not (_is_number(slope) and _is_number(intercept) and slope > 0):
            raise wrong(f"calibration of {attribute} needs a positive slope and an intercept")
        calibration[attribute] = Calibration(float(slope), float(intercept))
        cut = manifest["threshold"].get(attribute)
        if not (_is_number(cut) and 0 <= cut <= 1):
            raise wrong(f"threshold of {attribute} is {cut!r}, not a number from 0 to 1")
        threshold[attribute] = float(cut)
    try:
        policy = Policy(manifest["policy"])
    except UserError as error:
        raise wrong(str(error)) from None
    return Bundle(
        folder=folder,
        name=manifest["name"],
        version=manifest["version"],
        max_length=length,
        files=files,
        calibration=calibration,
        policy=policy,
        threshold=threshold,
        provenance=manifest.get("provenance", {}),
        figures=manifest.get("figures", {}),
    )


def _is_number(value: Any) -> TypeGuard[float]:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
