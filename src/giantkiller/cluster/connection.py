"""Being connected to a Ray cluster, one that runs or one of this machine."""

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import ray

from giantkiller.errors import UserError

_OBJECT_STORE = 200 << 20
"""Bytes of shared memory of a Ray that is started here: it only ever holds the bundle."""

_STARTS = 3  # on a busy machine Ray gives up on itself after 30 seconds


@contextmanager
def connected(address: str | None, workers: int | None) -> Iterator[int]:
    """Be connected to a cluster; a process that is connected already stays so.

    Args:
        address: As `ray.init` takes it; None for that of `RAY_ADDRESS`, or else a cluster of this machine
            that ends with the context.
        workers: How many cores the latter says it has; those of the machine if None.

    Yields:
        The cores of the cluster.

    Raises:
        UserError: It can't be reached or started.
    """
    if ray.is_initialized():
        yield _cores()
        return
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # Ray would report to its makers
    address = address or os.environ.get("RAY_ADDRESS") or None
    settings: dict[str, Any] = {"log_to_driver": False, "logging_level": "error"}
    if address is None:
        settings |= {"include_dashboard": False, "object_store_memory": _OBJECT_STORE}
        settings["num_cpus"] = workers or os.cpu_count()
    logging.getLogger("ray").setLevel(logging.ERROR)
    for attempt in range(_STARTS):
        try:
            ray.init(address or "local", **settings)
            break
        except Exception as error:  # Ray raises its own, gRPC's and the system's errors
            ray.shutdown()
            if address is None and attempt + 1 < _STARTS:
                continue
            where = f"the Ray cluster at {address} can't be reached" if address else "Ray can't be started"
            reason = next(iter(str(error).strip().splitlines()), type(error).__name__)
            raise UserError(f"{where}: {reason[:300]}") from error
    try:
        yield _cores()
    finally:
        ray.shutdown()


def _cores() -> int:
    return max(1, int(ray.cluster_resources().get("CPU", 1)))
