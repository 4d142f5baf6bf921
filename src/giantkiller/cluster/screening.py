"""Screening many files: list them, leave out those that are done, hand the others to workers."""

import os
import posixpath
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from giantkiller.bundle import MANIFEST, Bundle, read_bundle
from giantkiller.cluster import manifest as manifests
from giantkiller.cluster.connection import connected
from giantkiller.cluster.manifest import Manifest, ShardRecord
from giantkiller.cluster.places import Place, Shard, find_outputs, find_shards, output_place, sweep
from giantkiller.cluster.pool import Pool
from giantkiller.cluster.summary import ClusterSummary
from giantkiller.cluster.worker import Job, versions
from giantkiller.errors import UserError
from giantkiller.files.columns import added_columns
from giantkiller.files.lock import Lock
from giantkiller.files.verdicts import describe_model
from giantkiller.policy import Policy


def screen(
    source: str | Path,
    target: str | Path,
    model: str | Path | None = None,
    *,
    address: str | None = None,
    workers: int | None = None,
    policy: Policy | str | None = None,
    text_column: str | None = None,
    prefix: str = "",
    progress: Callable[[ClusterSummary], None] | None = None,
) -> ClusterSummary:
    """Screen the comments of many files on a Ray cluster, each file by one worker of one core.

    Every file of the input has one of the same name in the output, as `giantkiller.files.screen_file` writes
    it; it appears when it is whole. `_manifest.json` beside them records what is done. The same call again
    does only what is missing, whatever died; one with another model, policy or column is refused.

    A file is never split: the largest one sets how long a run takes at least. A worker needs room on its disk
    for the output of one file, and for the file itself where that comes from a store. What a worker leaves
    undone when it dies, another does; a file that three died of is given up.

    Args:
        source: A file, a folder, a glob or a URL that fsspec knows (`s3://bucket/comments/`), which every
            machine must reach under that name.
        target: A folder or such a URL. Where it lies within the input, what is in it is no input.
        model: A bundle folder, a hub id, or None for the shipped bundle; only this machine must have it.
        address: A running cluster, as `ray.init` takes it; None for the one of `RAY_ADDRESS`, or else one of
            this machine's cores that ends with the run. A process that is connected stays connected.
        workers: Cores to use; all of the cluster's if None.
        policy: What decides instead of the bundle's policy: a policy, or the name of one of the bundle's.
        text_column: Where the comments are, if not under one of `giantkiller.files.TEXT_NAMES`.
        prefix: Put before the names of the ten columns.
        progress: Called with the counts so far, at first and after each file.

    Returns:
        The counts; files that could not be screened are in its `failed`, with the reason.

    Raises:
        UserError: There is nothing to read, the output can't be written or is another run's, the cluster
            can't be reached, or its machines differ from this one.
    """
    if workers is not None and workers < 1:
        raise UserError(f"`workers` is {workers}; it must be at least 1")
    added_columns(prefix)
    bundle = read_bundle(model)
    place, found = find_shards(str(source))
    folder = output_place(str(target))
    shards = _outside(folder, place, found)
    job = Job(
        source=place,
        target=folder,
        digest=bundle.digest,
        versions=versions(),
        policy=policy if isinstance(policy, Policy) else bundle.choose_policy(policy or "default"),
        text_column=text_column,
        prefix=prefix,
    )
    with _locked(job.target):
        manifest, missing = _missing(job, shards)
        summary = ClusterSummary(
            input=str(source), output=str(target), model=describe_model(bundle), shards=len(shards)
        )
        for shard in shards:
            if shard not in missing:
                _count(summary, manifest.shards[shard.name])
                summary.kept += 1
        summary.resumed = summary.rows
        if progress is not None:
            progress(summary)
        if missing:
            _run(job, bundle, missing, manifest, summary, (address, workers), progress)
    return summary


def _outside(target: Place, source: Place, shards: list[Shard]) -> list[Shard]:
    """Leave out what an earlier run may have written, where the output lies within the input."""
    inner, outer = (os.path.realpath(p.root) if p.is_local else p.root.rstrip("/") for p in (target, source))
    if inner == outer:
        raise UserError(f"{target.url} is where the input is; name another folder for the output")
    return [shard for shard in shards if not posixpath.join(outer, shard.name).startswith(inner + "/")]


@contextmanager
def _locked(target: Place) -> Iterator[None]:
    """Have a local folder for this run alone; two runs on one store at worst do the same twice."""
    with ExitStack() as stack:
        if target.is_local:
            folder = Path(target.root)
            try:
                folder.mkdir(parents=True, exist_ok=True)
                lock = Lock(folder / ".lock", folder)
                lock.acquire()
            except OSError as error:
                raise UserError(f"{folder} can't be written: {error.strerror or error}") from error
            stack.callback(lock.release)
            sweep(target)
            stack.callback(sweep, target)
        yield


def _missing(job: Job, shards: list[Shard]) -> tuple[Manifest, list[Shard]]:
    """Return the manifest, and the shards that are still to be done, the largest first."""
    settings = {
        "model": job.digest,
        "policy": job.policy.to_dict(),
        "text_column": job.text_column,
        "prefix": job.prefix,
        "versions": job.versions,
    }
    outputs = find_outputs(job.target)
    manifest = Manifest.of(job.target, settings)
    if manifest is None:
        for shard in shards:
            if shard.name in outputs:
                raise UserError(
                    f"{job.target.url} has a file {shard.name} already, and no {manifests.NAME} of a run "
                    "that wrote it; name another folder"
                )
        manifest = Manifest(job.target, settings)
    missing = [shard for shard in shards if not manifest.is_done(shard, outputs)]
    return manifest, sorted(missing, key=lambda shard: -shard.size)


def _run(
    job: Job,
    bundle: Bundle,
    shards: list[Shard],
    manifest: Manifest,
    summary: ClusterSummary,
    cluster: tuple[str | None, int | None],
    progress: Callable[[ClusterSummary], None] | None,
) -> None:
    """Have shards screened, and record what becomes of each."""
    begin = time.perf_counter()
    for shard in shards:
        manifest.shards.pop(shard.name, None)
    manifest.save()
    address, workers = cluster
    content = {name: (bundle.folder / name).read_bytes() for name in (MANIFEST, *bundle.files)}
    with connected(address, workers) as cores:
        pool = Pool(job, content, workers or cores)
        try:
            for found in pool.run(shards):
                now = time.perf_counter()
                if found is None:
                    summary.starting, begin = now - begin, now
                    continue
                shard, result = found
                if isinstance(result, ShardRecord):
                    manifest.shards[shard.name] = result
                    _count(summary, result)
                    summary.done += 1
                    summary.scored += result.rows - result.errors
                else:
                    reason = result if shard.name in result else f"{shard.name}: {result}"
                    manifest.failed[shard.name] = summary.failed[shard.name] = reason
                summary.seconds = now - begin
                manifest.save(now=False)
                if progress is not None:
                    progress(summary)
        finally:
            manifest.save()


def _count(summary: ClusterSummary, record: ShardRecord) -> None:
    summary.include(record.summary())
    names = {*filter(None, summary.text_column.split(", ")), record.text_column}
    summary.text_column = ", ".join(sorted(names))
