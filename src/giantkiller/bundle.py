"""The bundle: one folder with all that scoring needs, verified whenever it is read."""

import hashlib
import json
import re
import stat
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, TypeGuard

from giantkiller.attributes import ATTRIBUTES
from giantkiller.calibration import Calibration
from giantkiller.errors import UserError
from giantkiller.policy import Policy

FORMAT = 1
MODEL = "model.onnx"
TOKENIZER = "tokenizer.json"
CARD = "README.md"
MANIFEST = "bundle.json"
DEFAULT_NAME = "default"
"""What the shipped bundle is called wherever a model is named, and a bundle's own policy among its others."""
DEFAULT = Path(__file__).parent / "default"
"""Where the shipped bundle is."""

HUB_ID = re.compile(r"[\w-][\w.-]*/[\w-][\w.-]*(@[\w./-]+)?")
"""A model on the Hugging Face hub: owner/name, or owner/name@revision."""

_MANIFEST_LIMIT = 4 << 20
_FILE_LIMIT = 2 << 30
_PLAIN_NAME = re.compile(r"[\w-][\w.-]*")


@dataclass(frozen=True)
class FileRecord:
    """The size and the SHA-256 that a file of a bundle must have."""

    sha256: str
    bytes: int


@dataclass(frozen=True)
class Bundle:
    """What a bundle's manifest says, and where the bundle is.

    Attributes:
        name: Of the model.
        version: Of the model.
        max_length: Tokens read of a comment, special ones included.
        calibration: By attribute; a bundle that was read has all seven.
        policy: The policy that applies unless another is chosen.
        policies: Others to choose from, by name.
        threshold: By attribute, the score from which on a comment is called positive; all seven once read.
        provenance: Free-form, from training and export.
        figures: Free-form, from evaluation.
        attributes: Always `ATTRIBUTES`.
        files: By file name; computed when the bundle is written.
        folder: Where the bundle is.
        digest: SHA-256 of the manifest, which has those of all other files: equal for equal bundles only.
    """

    name: str
    version: str
    max_length: int
    calibration: Mapping[str, Calibration] = field(default_factory=dict)
    policy: Policy = field(default_factory=lambda: Policy({}))
    policies: Mapping[str, Policy] = field(default_factory=dict)
    threshold: Mapping[str, float] = field(default_factory=dict)
    provenance: Mapping[str, Any] = field(default_factory=dict)
    figures: Mapping[str, Any] = field(default_factory=dict)
    attributes: tuple[str, ...] = ATTRIBUTES
    files: Mapping[str, FileRecord] = field(default_factory=dict)
    folder: Path = Path()
    digest: str = ""

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

    def to_dict(self) -> dict[str, Any]:
        """Return the manifest, for JSON."""
        manifest: dict[str, Any] = {
            "format": FORMAT,
            "name": self.name,
            "version": self.version,
            "attributes": list(self.attributes),
            "max_length": self.max_length,
            "files": {name: asdict(record) for name, record in self.files.items()},
            "calibration": {a: asdict(self.calibration.get(a, Calibration())) for a in ATTRIBUTES},
            "policy": self.policy.to_dict(),
            "threshold": {a: float(self.threshold.get(a, 0.5)) for a in ATTRIBUTES},
            "provenance": dict(self.provenance),
            "figures": dict(self.figures),
        }
        if self.policies:
            manifest["policies"] = {name: policy.to_dict() for name, policy in self.policies.items()}
        return manifest

    def choose_policy(self, name: str = DEFAULT_NAME) -> Policy:
        """Return the policy of a name; "default" is the bundle's own.

        Raises:
            UserError: The bundle has no policy of that name.
        """
        named = {DEFAULT_NAME: self.policy, **self.policies}
        if name not in named:
            raise UserError(f"{self.name} has no policy {name!r}; `policy` may be {', '.join(named)}")
        return named[name]


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
    try:
        folder = Path(model).expanduser()
    except RuntimeError:  # "~somebody" who is not here
        folder = Path(model)
    if folder.is_dir():
        if not (folder / MANIFEST).is_file():
            if (folder / "config.json").is_file():
                raise UserError(f"{folder} is a checkpoint, not a bundle; export it first")
            raise UserError(f"{folder} is not a bundle: it has no {MANIFEST}")
        return folder
    if folder.exists():
        raise UserError(f"{folder} is a file; a bundle is a folder with a {MANIFEST}")
    if isinstance(model, str) and HUB_ID.fullmatch(model):
        return _fetch(model)
    raise UserError(
        f"there is no model at {folder}; name a bundle folder, a hub id (owner/name) or {DEFAULT_NAME}"
    )


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


def read_bundle(model: str | Path | None = None) -> Bundle:
    """Read a bundle and verify its manifest and the size and SHA-256 of each of its files.

    Args:
        model: As for `find_bundle`.

    Raises:
        UserError: A file is missing, was tampered with or is cut short; the message names it.
    """
    folder = find_bundle(model)
    bundle = _read_manifest(folder)
    for name, record in bundle.files.items():
        _verify(folder / name, record)
    return bundle


def write_bundle(folder: str | Path, bundle: Bundle, files: Mapping[str, bytes | Path]) -> Bundle:
    """Write a bundle: all of it or nothing.

    It is written next to its place, verified by reading it back, and then renamed. A bundle that stood there
    is replaced, other files in its folder stay; a folder that holds anything but a bundle is refused.

    Args:
        folder: The bundle's folder.
        bundle: What the manifest shall say; its folder, files and digest don't count. Attributes without
            calibration or threshold get the logit's sigmoid and 0.5.
        files: By name, the content or the file that has it; `MODEL` and `TOKENIZER` at least.

    Returns:
        The bundle as it was read back.

    Raises:
        UserError: The place can't be written, or the bundle is one that a reader would refuse.
    """
    from giantkiller.atomic import replace_folder  # here: scoring must not pay for what only writing needs

    target = Path(folder)
    if target.is_dir() and any(target.iterdir()) and not (target / MANIFEST).is_file():
        raise UserError(f"{target} holds something other than a bundle; name another folder")
    contents = {name: data if isinstance(data, bytes) else data.read_bytes() for name, data in files.items()}
    records = {name: FileRecord(hashlib.sha256(d).hexdigest(), len(d)) for name, d in contents.items()}
    with replace_folder(target, belongs=_files_of(target)) as fresh:
        for name, data in contents.items():
            (fresh / name).write_bytes(data)
        manifest = replace(bundle, files=records).to_dict()
        text = json.dumps(manifest, indent=1, ensure_ascii=False, allow_nan=False) + "\n"
        (fresh / MANIFEST).write_bytes(text.encode())
        read_bundle(fresh)
    return read_bundle(target)


def _files_of(folder: Path) -> set[str]:
    """Name the files of the bundle that a folder holds, if it does."""
    try:
        old = set(_read_manifest(folder).files)
    except UserError:
        old = set()
    return old | {MODEL, TOKENIZER, CARD, MANIFEST}


def _read_manifest(folder: Path) -> Bundle:
    path = folder / MANIFEST
    try:
        about = path.stat()
        if not stat.S_ISREG(about.st_mode):
            raise UserError(f"{path} is not a regular file; get the bundle again")
        if about.st_size > _MANIFEST_LIMIT:
            raise UserError(f"{path} is damaged: a manifest is never that large")
        raw = path.read_bytes()
        manifest = json.loads(raw.decode("utf-8"), parse_constant=_no_constant)
    except OSError as error:
        raise UserError(f"can't read {path}: {error.strerror or error}") from error
    except (ValueError, RecursionError) as error:
        raise UserError(f"{path} is damaged: not valid JSON") from error
    try:
        return _parse(folder, manifest, hashlib.sha256(raw).hexdigest())
    except _Damage as error:
        raise UserError(f"{path} is damaged: {error}") from None


def _no_constant(name: str) -> Any:
    raise ValueError(name)


def _verify(path: Path, record: FileRecord) -> None:
    """Check a file's size and SHA-256 against its record."""
    digest = hashlib.sha256()
    try:
        about = path.stat()
        if not stat.S_ISREG(about.st_mode):  # a pipe would never end
            raise UserError(f"{path} is not a regular file; get the bundle again")
        if about.st_size == record.bytes:
            with path.open("rb") as file:
                while block := file.read(1 << 20):
                    digest.update(block)
    except OSError as error:
        raise UserError(f"the bundle is incomplete: can't read {path} ({error.strerror or error})") from error
    if about.st_size != record.bytes:
        raise UserError(
            f"{path} is damaged: it has {about.st_size:,} bytes and should have {record.bytes:,}; "
            "get the bundle again"
        )
    if digest.hexdigest() != record.sha256:
        raise UserError(f"{path} is damaged or was changed: its SHA-256 is wrong; get the bundle again")


class _Damage(Exception):
    """What is wrong with a manifest, naming the entry."""


def _parse(folder: Path, manifest: Any, digest: str) -> Bundle:
    if not isinstance(manifest, dict):
        raise _Damage("it is not a JSON object")
    version = manifest.get("format")
    if version != FORMAT:
        if isinstance(version, int) and version > FORMAT:
            raise UserError(
                f"{folder / MANIFEST} has format {version}, newer than this giantkiller reads; "
                "update giantkiller"
            )
        raise _Damage(f"its format is {version!r}, not {FORMAT}")
    if manifest.get("attributes") != list(ATTRIBUTES):
        raise _Damage(f"its attributes are not {', '.join(ATTRIBUTES)}, in that order")
    length = manifest.get("max_length")
    if not isinstance(length, int) or isinstance(length, bool) or not 8 <= length <= 8192:
        raise _Damage(f"max_length is {length!r}, not a number of tokens from 8 to 8192")
    for key in ("name", "version"):
        if not isinstance(manifest.get(key), str):
            raise _Damage(f"{key} is missing or no text")
    required, optional = (
        ("files", "calibration", "policy", "threshold"),
        ("policies", "provenance", "figures"),
    )
    for key in (*required, *optional):
        if not isinstance(manifest.get(key, {} if key in optional else None), dict):
            raise _Damage(f"{key} is {'no' if key in manifest else 'missing or no'} object")
    named = manifest.get("policies", {})
    for name in named:
        if not re.fullmatch(_PLAIN_NAME, name) or name == DEFAULT_NAME:
            raise _Damage(f"{name!r} can't be the name of a policy")
    return Bundle(
        name=manifest["name"],
        version=manifest["version"],
        max_length=length,
        calibration={a: _calibration(a, manifest["calibration"].get(a)) for a in ATTRIBUTES},
        policy=_policy(manifest["policy"]),
        policies={name: _policy(thresholds) for name, thresholds in named.items()},
        threshold={a: _threshold(a, manifest["threshold"].get(a)) for a in ATTRIBUTES},
        provenance=manifest.get("provenance", {}),
        figures=manifest.get("figures", {}),
        files=_records(manifest["files"]),
        folder=folder,
        digest=digest,
    )


def _records(entries: dict[str, Any]) -> dict[str, FileRecord]:
    records = {}
    for name, record in entries.items():
        # A name, not a path: a manifest must not point outside its folder.
        if not _PLAIN_NAME.fullmatch(name):
            raise _Damage(f"the file name {name!r} is not a plain name")
        sha256, size = (record.get("sha256"), record.get("bytes")) if isinstance(record, dict) else (0, 0)
        if not (isinstance(sha256, str) and re.fullmatch("[0-9a-f]{64}", sha256)) or not (
            isinstance(size, int) and 0 <= size <= _FILE_LIMIT
        ):
            raise _Damage(f"the record of {name} needs a sha256 and a size in bytes")
        records[name] = FileRecord(sha256, size)
    for name in (MODEL, TOKENIZER):
        if name not in records:
            raise _Damage(f"it does not list {name}")
    return records


def _calibration(attribute: str, entry: Any) -> Calibration:
    slope, intercept = (
        (entry.get("slope"), entry.get("intercept")) if isinstance(entry, dict) else (None, None)
    )
    if not (_is_number(slope) and _is_number(intercept) and slope > 0):
        raise _Damage(f"calibration of {attribute} needs a positive slope and an intercept")
    return Calibration(float(slope), float(intercept))


def _threshold(attribute: str, entry: Any) -> float:
    if not (_is_number(entry) and 0 <= entry <= 1):
        raise _Damage(f"threshold of {attribute} is {entry!r}, not a number from 0 to 1")
    return float(entry)


def _policy(entry: Any) -> Policy:
    if not isinstance(entry, dict):
        raise _Damage("a policy is no object")
    try:
        return Policy(entry)
    except UserError as error:
        raise _Damage(str(error)) from None


def _is_number(value: Any) -> TypeGuard[float]:
    """Tell whether a value is a number that a float holds; JSON has integers of any size."""
    return isinstance(value, int | float) and not isinstance(value, bool) and -1e300 < value < 1e300
