"""Many files on many cores or machines: each is a shard, screened whole by one worker of a Ray cluster.

A shard comes out as `giantkiller.files.screen_file` writes it, to the byte, because that is what a worker
calls: the same readers, the same chunks, the same ten columns. Ray Data's `map_batches` would read the files
itself, in blocks that are no files, guess types, drop rows that it can't parse and number its output anew;
there order, the column of errors and exactly one output a file would have to be won back. So Ray does what
only it can: it starts workers, moves the bundle to them and says which of them died.
"""

from giantkiller.errors import MissingExtraError

try:
    import fsspec
    import ray
except ImportError as error:
    raise MissingExtraError(error.name or "ray", "ray") from error

from giantkiller.cluster.screening import screen
from giantkiller.cluster.summary import ClusterSummary

del fsspec, ray
__all__ = ["ClusterSummary", "screen"]
