"""The manifest of a bundle: what bundle.json says, and what is wrong with one."""

import hashlib
import json
import re
import stat
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any, TypeGuard

from giantkiller.attributes import ATTRIBUTES
from giantkiller.calibration import Calibration, Curve
from giantkiller.errors import UserError
from giantkiller.policy import Policy

FORMAT = 1
_WITH_CURVES = 2  # programs that know no curves must not read such a bundle as if it had none
MODEL = "model.onnx"
"""The ONNX graph of a bundle."""
TOKENIZER = "tokenizer.json"
"""Its tokenizer."""
CARD = "README.md"
"""Its model card, which scoring doesn't read."""
MANIFEST = "bundle.json"
"""Its manifest, and what makes a folder a bundle."""
DEFAULT_NAME = "default"
"""What the shipped bundle is called wherever a model is named, and a bundle's own policy among its others."""

_MANIFEST_LIMIT = 4 << 20
_FILE_LIMIT = 2 << 30
_MOST_POINTS = 1000  # of a curve
_PLAIN_NAME = re.compile(r"[\w-][\w.-]*")


@dataclass(frozen=True)
class FileRecord:
    """The size and the SHA-256 that a file has, or one of a bundle must have."""

    sha256: str
    bytes: int

    @classmethod
    def of(cls, path: Path) -> "FileRecord":
        """Record a file as it is, a block at a time."""
        digest, size = hashlib.sha256(), 0
        with path.open("rb") as file:
            while block := file.read(1 << 20):
                digest.update(block)
                size += len(block)
        return cls(digest.hexdigest(), size)


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
        manifest = self.folder / MANIFEST  # a checkpoint has none
        own = manifest.stat().st_size if manifest.is_file() else 0
        return own + sum(record.bytes for name, record in self.files.items() if name != CARD)

    def to_dict(self) -> dict[str, Any]:
        """Return the manifest, for JSON."""
        manifest: dict[str, Any] = {
            "format": _WITH_CURVES if any(line.curve for line in self.calibration.values()) else FORMAT,
            "name": self.name,
            "version": self.version,
            "attributes": list(self.attributes),
            "max_length": self.max_length,
            "files": {name: asdict(record) for name, record in self.files.items()},
            "calibration": {a: _written(self.calibration.get(a, Calibration())) for a in ATTRIBUTES},
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


def _written(line: Calibration) -> dict[str, Any]:
    entry: dict[str, Any] = {"slope": line.slope, "intercept": line.intercept}
    return entry | {"curve": [list(point) for point in line.curve]} if line.curve else entry


def read_manifest(folder: Path) -> Bundle:
    """Read a bundle's manifest; the files that it lists are not looked at.

    Raises:
        UserError: There is none, or it is damaged.
    """
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


class _Damage(Exception):
    """What is wrong with a manifest, naming the entry."""


def _parse(folder: Path, manifest: Any, digest: str) -> Bundle:
    if not isinstance(manifest, dict):
        raise _Damage("it is not a JSON object")
    version = manifest.get("format")
    if version not in (FORMAT, _WITH_CURVES):
        if isinstance(version, int) and version > _WITH_CURVES:
            raise UserError(
                f"{folder / MANIFEST} has format {version}, newer than this giantkiller reads; "
                "update giantkiller"
            )
        raise _Damage(f"its format is {version!r}, not {FORMAT} or {_WITH_CURVES}")
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
    return Calibration(float(slope), float(intercept), _curve(attribute, entry.get("curve", [])))


def _curve(attribute: str, points: Any) -> Curve:
    if points == []:
        return ()
    if not (
        isinstance(points, list)
        and 2 <= len(points) <= _MOST_POINTS
        and all(isinstance(p, list) and len(p) == 2 and all(map(_is_number, p)) for p in points)
    ):
        raise _Damage(f"the curve of {attribute} has not 2 to {_MOST_POINTS:,} points of two numbers")
    curve = tuple((float(x), float(y)) for x, y in points)
    rising = all(a[0] < b[0] and a[1] < b[1] for a, b in pairwise(curve))
    if not rising or (curve[0], curve[-1]) != ((0, 0), (1, 1)):
        raise _Damage(f"the curve of {attribute} does not rise from 0, 0 to 1, 1")
    return curve


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
    """Return whether a value is a number that a float holds; JSON has integers of any size."""
    return isinstance(value, int | float) and not isinstance(value, bool) and -1e300 < value < 1e300
