"""What runs on the machines of a cluster: the bundle, loaded once, and one shard after the other."""

import os
import platform
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path, PurePosixPath

from giantkiller import __version__
from giantkiller.bundle import FileRecord
from giantkiller.cluster.manifest import ShardRecord
from giantkiller.cluster.places import Place, Shard, fetched, put
from giantkiller.errors import UserError
from giantkiller.files import judge_with, screen_file
from giantkiller.policy import Policy
from giantkiller.screener import Screener


@dataclass(frozen=True)
class Job:
    """What all shards of a run have in common.

    Attributes:
        source: Where the shards are.
        target: Where their outputs go.
        digest: Of the bundle.
        versions: Of the packages that decide about scores, where the run was started.
        policy: What decides.
        text_column: Where the comments are, if not under a usual name.
        prefix: Put before the names of the new columns.
    """

    source: Place
    target: Place
    digest: str
    versions: dict[str, str]
    policy: Policy
    text_column: str | None
    prefix: str


def versions() -> dict[str, str]:
    """Return the versions of the packages that decide about scores."""
    return {"giantkiller": __version__, **{name: version(name) for name in ("onnxruntime", "tokenizers")}}


class Worker:
    """One core's screener. Its methods return what a user can mend, since Ray wraps what they raise."""

    def prepare(self, job: Job, bundle: Mapping[str, bytes]) -> str | None:
        """Load the bundle, after a look whether this machine has what the first one has.

        Args:
            job: The run.
            bundle: The content of the bundle's files, by name.

        Returns:
            What is wrong, or None.
        """
        # Arrow's own allocator keeps what was freed; read when pyarrow is loaded.
        os.environ.setdefault("ARROW_DEFAULT_MEMORY_POOL", "system")
        here = platform.node()
        for name, wanted in job.versions.items():
            if (found := versions()[name]) != wanted:
                return f"{here} has {name} {found}, and this machine {wanted}; install the same on both"
        try:
            with tempfile.TemporaryDirectory(prefix="giantkiller-") as folder:
                for name, content in bundle.items():
                    (Path(folder) / name).write_bytes(content)
                screener = Screener(folder, threads=1, policy=job.policy)
        except (UserError, OSError) as error:
            return f"{here} can't load the bundle: {error}"
        if screener.bundle.digest != job.digest:
            return f"{here} got another bundle than this machine sent; start again"
        self._job, self._judge = job, judge_with(screener)
        return None

    def screen(self, shard: Shard) -> ShardRecord | str:
        """Screen a shard.

        Returns:
            Its record, when its output is in its place; or why there is none.
        """
        where = self._job.source.join(shard.name)
        try:
            with tempfile.TemporaryDirectory(prefix="giantkiller-") as scratch:
                return self._screen(shard, Path(scratch), where)
        except UserError as error:
            return str(error)
        except MemoryError:
            return f"{where} takes more memory than the worker has; split it into smaller files"
        except OSError as error:
            return f"{where} can't be screened: {error.strerror or error}; check the worker's disk"
        except Exception as error:  # a fault of ours; what it says may quote comments
            return f"{where} can't be screened, for a reason unforeseen ({type(error).__name__}); report it"

    def _screen(self, shard: Shard, scratch: Path, where: str) -> ShardRecord:
        job = self._job
        (scratch / "in").mkdir()
        target = scratch / "out" / PurePosixPath(shard.name).name
        with fetched(job.source, shard, scratch / "in") as local:
            try:
                summary = screen_file(
                    local, target, self._judge, text_column=job.text_column, prefix=job.prefix
                )
            except UserError as error:  # about the copy, by its name
                raise UserError(str(error).replace(str(local), where)) from error
            digest = FileRecord.of(local).sha256
        put(target, job.target, shard.name)
        return ShardRecord(
            size=shard.size,
            version=shard.version,
            sha256=digest,
            output_size=target.stat().st_size,
            rows=summary.rows,
            errors=summary.errors,
            actions=summary.actions,
            text_column=summary.text_column,
        )
