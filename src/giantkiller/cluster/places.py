"""Files and folders wherever fsspec reaches: listed, fetched, and put in their place whole."""

import posixpath
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any
from uuid import uuid4

import fsspec
from fsspec.implementations.local import LocalFileSystem

from giantkiller.atomic import replace_file
from giantkiller.errors import UserError
from giantkiller.files.formats import ENDINGS, is_table

_APPEAR_WHOLE = {"s3", "s3a", "gs", "gcs", "abfs", "abfss", "az"}
"""Stores in which an object is there when all of it has arrived; elsewhere it is renamed then."""

_VERSIONS = ("ETag", "etag", "md5Hash", "content_md5", "mtime", "LastModified", "last_modified", "modified")
"""What stores call that by which one content is told from the next without reading it."""


@dataclass(frozen=True)
class Shard:
    """A file of the input.

    Attributes:
        name: Its path below the input, with slashes; the output has the same.
        size: Bytes.
        version: What changes when its content does, as far as the store says.
    """

    name: str
    size: int
    version: str


@dataclass(frozen=True)
class Place:
    """A folder, or the folder of a file or of a glob: local, or in a store that fsspec knows.

    Attributes:
        url: As it was named.
        root: The folder, with a protocol where it isn't local.
    """

    url: str
    root: str

    def join(self, name: str) -> str:
        """Return where a file of that name is."""
        return posixpath.join(self.root, name)

    @property
    def is_local(self) -> bool:
        """Whether it is in the file system of this machine."""
        return isinstance(_system(self.root)[0], LocalFileSystem)


def find_shards(url: str) -> tuple[Place, list[Shard]]:
    """Return the files that a path, a glob or a URL names, by their names.

    Of a folder those in folders below count, too; names that begin with a dot or an underscore are other
    programs' notes, and so are files whose ending is none of a table's.

    Raises:
        UserError: There are none, or the store can't be reached.
    """
    with reaching(url):
        system, path = _system(url)
        if system.isfile(path):
            root, found = posixpath.dirname(path), {path: system.info(path)}
        elif system.isdir(path):
            root, found = path, system.find(path, detail=True)
        else:
            root, found = _before_magic(path), system.glob(path, detail=True)
        if root == path.rstrip("/") and not found and not system.exists(path):
            raise UserError(f"{url}: there is no such file or folder")
        shards = [
            Shard(name, int(info.get("size") or 0), _version(info))
            for where, info in found.items()
            if info.get("type") == "file" and _is_shard(name := posixpath.relpath(where, root or "/"))
        ]
        place = Place(url, system.unstrip_protocol(root) if not _is_local(system) else root)
    if not shards:
        raise UserError(f"{url}: there is no file with the ending {ENDINGS}")
    return place, sorted(shards, key=lambda shard: shard.name)


def find_outputs(place: Place) -> dict[str, int]:
    """Return the sizes of the files in a folder that may not be there yet, by their names."""
    with reaching(place.url):
        system, path = _system(place.root)
        system.invalidate_cache()
        if not system.exists(path):
            return {}
        return {
            posixpath.relpath(where, path): int(info.get("size") or 0)
            for where, info in system.find(path, detail=True).items()
        }


def output_place(url: str) -> Place:
    """Return the folder that shards are written to.

    Raises:
        UserError: It is a file, or of a kind that nothing can be written to.
    """
    with reaching(url):
        system, path = _system(url)
        if system.isfile(path):
            raise UserError(f"{url} is a file; name a folder for the shards")
        return Place(url, path if _is_local(system) else system.unstrip_protocol(path))


@contextmanager
def fetched(place: Place, shard: Shard, scratch: Path) -> Iterator[Path]:
    """Have a shard as a local file: itself, or a copy in a scratch folder.

    Raises:
        UserError: It isn't there, or no longer as it was listed.
    """
    where = place.join(shard.name)
    with reaching(where):
        system, path = _system(where)
        if _is_local(system):
            local = Path(path)
            if not local.exists():
                raise UserError(f"{where} is not there; every machine must see the input under this path")
        else:
            local = scratch / PurePosixPath(shard.name).name
            system.get_file(path, str(local))
        if local.stat().st_size != shard.size:
            raise UserError(f"{where} has changed since it was listed; start again")
    yield local


def put(local: Path, place: Place, name: str) -> None:
    """Copy a finished file to its place, where it appears whole or not at all.

    Raises:
        UserError: It can't be written there.
    """
    where = place.join(name)
    with reaching(where):
        system, path = _system(where)
        if _is_local(system):
            with replace_file(path) as temporary:
                shutil.copyfile(local, temporary)
            return
        protocols = {system.protocol} if isinstance(system.protocol, str) else set(system.protocol)
        if protocols & _APPEAR_WHOLE:  # no folders there, and a missing bucket isn't ours to make
            system.put_file(str(local), path)
        else:
            system.makedirs(posixpath.dirname(path), exist_ok=True)
            aside = posixpath.join(posixpath.dirname(path), f".{uuid4().hex}.partial")
            system.put_file(str(local), aside)
            system.mv(aside, path)
        system.invalidate_cache()
        if system.info(path)["size"] != local.stat().st_size:
            raise UserError(f"{where} has not arrived whole; start again")


def sweep(place: Place) -> None:
    """Remove what workers that were killed had begun to copy to a local folder."""
    for partial in Path(place.root).rglob(".*.partial"):
        partial.unlink(missing_ok=True)


def read(place: Place, name: str) -> bytes | None:
    """Return what is in a small file, or None if there is none."""
    where = place.join(name)
    with reaching(where):
        system, path = _system(where)
        content: bytes | None = system.cat_file(path) if system.isfile(path) else None
        return content


@contextmanager
def reaching(where: str) -> Iterator[None]:
    """Turn whatever a store's client raises into one sentence.

    Raises:
        UserError: In the place of any other error.
    """
    try:
        yield
    except UserError:
        raise
    except FileNotFoundError as error:
        raise UserError(f"{where}: there is no such file or folder") from error
    except ImportError as error:  # s3fs, gcsfs, ...: fsspec says which
        raise UserError(f"{where} needs another package: {_first_line(error)}") from error
    except PermissionError as error:
        raise UserError(f"{where}: access is denied; check the rights or the credentials") from error
    except Exception as error:  # each store's client raises its own, its HTTP library's and the system's
        raise UserError(f"{where} can't be reached: {_first_line(error)}") from error


def _first_line(error: BaseException) -> str:
    lines = str(error).strip().splitlines()
    return f"{lines[0][:300]} ({type(error).__name__})" if lines else type(error).__name__


def _system(url: str) -> tuple[Any, str]:
    system, path = fsspec.core.url_to_fs(url)
    return system, path


def _is_local(system: Any) -> bool:
    return isinstance(system, LocalFileSystem)


def _before_magic(path: str) -> str:
    """Return the folder in which a glob begins."""
    parts = path.split("/")
    first = next((i for i, part in enumerate(parts) if set(part) & set("*?[")), len(parts))
    return "/".join(parts[:first])


def _is_shard(name: str) -> bool:
    return is_table(Path(name)) and not any(part.startswith((".", "_")) for part in name.split("/"))


def _version(info: dict[str, Any]) -> str:
    return next((str(info[key]) for key in _VERSIONS if info.get(key) is not None), "")
