"""A finished learning step survives an interruption: what was learned waits in a file until it is judged."""

import contextlib
import hashlib
import json
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

from giantkiller import __version__
from giantkiller.adapt.decisions import Decisions
from giantkiller.adapt.delta import Delta, lineage_of, read_delta
from giantkiller.adapt.learning import Learned
from giantkiller.adapt.rehearsal import Rehearsal
from giantkiller.adapt.settings import Settings
from giantkiller.bundle import Bundle
from giantkiller.errors import UserError

JUDGING = ("tolerance", "agreement", "samples", "examples")
"""Settings that change nothing about learning."""


def learned_before(
    path: Path | None,
    bundle: Bundle,
    given: tuple[Decisions, Rehearsal],
    settings: Settings,
    learn: Callable[[], Learned],
) -> Learned:
    """Return what an interrupted run learned from the same, or learn, and keep it until it is forgotten.

    Args:
        path: The file; None keeps nothing. What was learned from anything else, or is damaged, is replaced.
        bundle: What is adapted.
        given: The decisions and the rehearsal.
        settings: How.
        learn: Does it.

    Raises:
        UserError: The file can't be written.
    """
    if path is None:
        return learn()
    key = _key(bundle, given, settings)
    with contextlib.suppress(UserError, KeyError, TypeError):
        kept = read_delta(path)
        if kept.about["key"] == key:
            return Learned(dict(kept.tensors), **kept.about["learned"])
    learned = learn()
    about = {"passes": learned.passes, "best": learned.best, "losses": learned.losses}
    Delta(learned.tensors, lineage_of(bundle), {"key": key, "learned": about}).save(path)
    return learned


def _key(bundle: Bundle, given: tuple[Decisions, Rehearsal], settings: Settings) -> str:
    """Return a digest of all that learning depends on; how it learns goes by this program's version."""
    site, rehearsal = given
    told = {name: value for name, value in asdict(settings).items() if name not in JUDGING}
    digest = hashlib.sha256(json.dumps([__version__, lineage_of(bundle), bundle.digest, told]).encode())
    for texts in (site.texts, rehearsal.texts):
        digest.update(json.dumps(texts).encode())
    for values in (site.targets, site.weights, site.units, rehearsal.targets):
        digest.update(values.tobytes())
    return digest.hexdigest()
