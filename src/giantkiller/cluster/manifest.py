"""The record of an output folder: what made it, and which shards are done."""

import json
import tempfile
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from giantkiller.cluster.places import Place, Shard, put, read
from giantkiller.errors import UserError
from giantkiller.files import ScreenSummary

NAME = "_manifest.json"
"""Readers of folders of tables skip names with an underscore."""

_FORMAT = 2
_SECONDS = 10  # between two writes; what was done since the last is done again after a crash


@dataclass(frozen=True)
class ShardRecord:
    """A shard that is done.

    Attributes:
        size: Bytes of the input.
        version: Of the input, as the store tells one content from the next.
        sha256: Of the input.
        output_size: Bytes of the output.
        rows: All of them.
        errors: Rows that could not be screened.
        actions: How many rows got each action.
        text_column: Where the comments were.
    """

    size: int
    version: str
    sha256: str
    output_size: int
    rows: int
    errors: int
    actions: dict[str, int]
    text_column: str

    def summary(self) -> ScreenSummary:
        """Return its counts."""
        return ScreenSummary(rows=self.rows, errors=self.errors, actions=dict(self.actions))


@dataclass
class Manifest:
    """What an output folder holds.

    Attributes:
        place: The folder.
        settings: What decides about the bytes of every shard; a run with other ones is refused.
        shards: Those that are done, by name.
        failed: Those that have no output, and why.
    """

    place: Place
    settings: dict[str, Any]
    shards: dict[str, ShardRecord] = field(default_factory=dict)
    failed: dict[str, str] = field(default_factory=dict)
    _next: float = 0.0

    @classmethod
    def of(cls, place: Place, settings: dict[str, Any]) -> "Manifest | None":
        """Read the manifest of a folder, if it has one.

        Raises:
            UserError: It is damaged, of another version, or of a run with other settings.
        """
        content = read(place, NAME)
        if content is None:
            return None
        where = place.join(NAME)
        try:
            found = json.loads(content.decode())
            if found["format"] != _FORMAT:
                raise UserError(
                    f"{where} is of another version of giantkiller; go on with that, or name another folder"
                )
            former = found["settings"]
            shards = {name: ShardRecord(**record) for name, record in found["shards"].items()}
            if not isinstance(former, dict):
                raise TypeError("settings are no table")
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            raise UserError(f"{where} is damaged; name another folder for the output") from error
        for name, value in settings.items():
            if former.get(name) != value:
                what = "version of giantkiller or of what it needs" if name == "versions" else f"`{name}`"
                raise UserError(f"{place.url} holds shards of a run with another {what}; name another folder")
        return cls(place, settings, shards)

    def is_done(self, shard: Shard, outputs: dict[str, int]) -> bool:
        """Return whether a shard is done, has not changed since, and its output is still there.

        Args:
            shard: As the input has it.
            outputs: The sizes of the files in the folder.
        """
        record = self.shards.get(shard.name)
        return (
            record is not None
            and (record.size, record.version) == (shard.size, shard.version)
            and outputs.get(shard.name) == record.output_size
        )

    def save(self, *, now: bool = True) -> None:
        """Write it; unless `now`, only when the last time is long enough ago."""
        begin = time.monotonic()
        if not now and begin < self._next:
            return
        content = {
            "format": _FORMAT,
            "settings": self.settings,
            "shards": {name: asdict(record) for name, record in sorted(self.shards.items())},
            "failed": dict(sorted(self.failed.items())),
        }
        with tempfile.TemporaryDirectory(prefix="giantkiller-") as scratch:
            path = Path(scratch) / NAME
            path.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
            put(path, self.place, NAME)
        end = time.monotonic()
        # A hundred thousand shards make it large: writing it takes a twentieth of the time at most.
        self._next = end + max(_SECONDS, 20 * (end - begin))
