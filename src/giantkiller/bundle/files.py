"""Bundles on disk: verified whenever they are read, all of it or nothing when they are written."""

import hashlib
import json
import stat
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from giantkiller.bundle.finding import find_bundle
from giantkiller.bundle.manifest import CARD, MANIFEST, MODEL, TOKENIZER, Bundle, FileRecord, read_manifest
from giantkiller.errors import UserError


def read_bundle(model: str | Path | None = None) -> Bundle:
    """Read a bundle and verify its manifest and the size and SHA-256 of each of its files.

    Args:
        model: As for `find_bundle`.

    Raises:
        UserError: A file is missing, was tampered with or is cut short; the message names it.
    """
    folder = find_bundle(model)
    bundle = read_manifest(folder)
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
    check_place(target)
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


def check_place(folder: str | Path) -> None:
    """Refuse a folder that `write_bundle` would refuse, before anything takes long.

    Args:
        folder: Where a bundle shall be.

    Raises:
        UserError: It is a file, or holds anything but a bundle.
    """
    target = Path(folder)
    if target.exists() and not target.is_dir():
        raise UserError(f"{target} is a file where a folder belongs; name another")
    if target.is_dir() and any(target.iterdir()) and not (target / MANIFEST).is_file():
        raise UserError(f"{target} holds something other than a bundle; name another folder")


def _files_of(folder: Path) -> set[str]:
    """Name the files of the bundle that a folder holds, if it does."""
    try:
        old = set(read_manifest(folder).files)
    except UserError:
        old = set()
    return old | {MODEL, TOKENIZER, CARD, MANIFEST}


def _verify(path: Path, record: FileRecord) -> None:
    """Check a file's size and SHA-256 against its record."""
    found = None
    try:
        about = path.stat()
        if not stat.S_ISREG(about.st_mode):  # a pipe would never end
            raise UserError(f"{path} is not a regular file; get the bundle again")
        if about.st_size == record.bytes:
            found = FileRecord.of(path)
    except OSError as error:
        raise UserError(f"the bundle is incomplete: can't read {path} ({error.strerror or error})") from error
    if about.st_size != record.bytes:
        raise UserError(
            f"{path} is damaged: it has {about.st_size:,} bytes and should have {record.bytes:,}; "
            "get the bundle again"
        )
    if found != record:
        raise UserError(f"{path} is damaged or was changed: its SHA-256 is wrong; get the bundle again")
