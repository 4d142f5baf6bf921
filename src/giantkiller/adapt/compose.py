"""A bundle and its deltas become another bundle."""

import errno
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from transformers import AutoModelForSequenceClassification
from transformers.utils import logging as transformers_logging

from giantkiller.adapt.delta import LINEAGE, Delta, lineage_of, read_delta
from giantkiller.bundle import CARD, MODEL, TOKENIZER, Bundle, read_bundle, write_bundle
from giantkiller.data.situations import read_situations
from giantkiller.errors import UserError
from giantkiller.export import card, vocabulary
from giantkiller.export.bundling import Draft, build_model, start_draft
from giantkiller.export.checkpoint import Checkpoint, read_checkpoint
from giantkiller.export.weights import WORDS
from giantkiller.models.loading import load_pretrained
from giantkiller.models.rebuild import rebuild_checkpoint


@dataclass(frozen=True)
class Composed:
    """A bundle that is not written yet.

    Attributes:
        bundle: What its manifest will say.
        model: Its graph.
        tokenizer: Its tokenizer, the base's to the byte.
    """

    bundle: Bundle
    model: bytes
    tokenizer: bytes

    def write(self, folder: str | Path, about: Sequence[Mapping[str, Any]] = ()) -> Bundle:
        """Write it: all of it or nothing.

        Args:
            folder: The bundle's folder; a bundle that is there is replaced, anything else refused.
            about: What is known of each delta.

        Raises:
            UserError: The place can't be written.
        """
        adapted = {**self.bundle.provenance["adapted"], "deltas": [dict(each) for each in about]}
        bundle = replace(self.bundle, provenance={**self.bundle.provenance, "adapted": adapted})
        files = {MODEL: self.model, TOKENIZER: self.tokenizer}
        text = card.render(bundle, {name: len(data) for name, data in files.items()})
        return write_bundle(folder, bundle, {**files, CARD: text.encode()})


def merge(
    base: str | Path | None,
    deltas: Sequence[str | Path | Delta],
    output: str | Path,
    *,
    name: str | None = None,
) -> Bundle:
    """Write the bundle that is a bundle with deltas, in their order.

    Calibration, thresholds and policies stay the base's. The same base and deltas give the same bundle, to
    the byte.

    Args:
        base: A bundle: its folder or hub id, None or "default" for the shipped one.
        deltas: Files or deltas, each learned on what the ones before it make of the base.
        output: The bundle's folder.
        name: The bundle's name.

    Raises:
        UserError: A delta is damaged or was learned on another model, or the place can't be written.
    """
    bundle = read_bundle(base)
    read = [each if isinstance(each, Delta) else read_delta(each) for each in deltas]
    return compose(bundle, read, name).write(output, [each.about for each in read])


def compose(bundle: Bundle, deltas: Sequence[Delta], name: str | None = None) -> Composed:
    """Make the graph of a bundle with deltas.

    Args:
        bundle: The base, as read.
        deltas: In order.
        name: Of what comes out; the base's with "-adapted" if not given.

    Raises:
        UserError: A delta was learned on another model, or the base was not built by this package.
    """
    if not deltas:
        raise UserError("`deltas` is empty; name at least one")
    lineage = lineage_of(bundle)
    for delta in deltas:
        delta.check_base(lineage, bundle.name)
        lineage = (*lineage, delta.digest)
    with temporary_folder() as folder:
        model = load_model(bundle, folder / "base")
        for delta in deltas:
            delta.apply(model)
        source = _saved(model, folder / "base", folder / "merged")
    draft = start_draft(source, {}, bundle.max_length)
    kept = _kept_words(draft)
    if not kept.all():
        draft.weights = draft.weights.with_words(kept, vocabulary.unknown_id(source.tokenizer))
    # Texts that come with the package, so that everybody gets the same graph of the same delta.
    draft.rows = draft.encoder.encode(situation.text for situation in read_situations("train"))
    build_model(draft, str(bundle.provenance.get("quantization", "static")))
    return Composed(_describe(bundle, source, lineage, name), draft.model, bundle.tokenizer.read_bytes())


FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
"""What the system says where there is no room for a file."""


@contextmanager
def temporary_folder() -> Iterator[Path]:
    """Make a folder that is gone afterwards.

    Raises:
        UserError: The disk is full.
    """
    try:
        with tempfile.TemporaryDirectory(prefix="giantkiller-") as folder:
            yield Path(folder)
    except (OSError, SafetensorError) as error:
        if isinstance(error, OSError) and error.errno not in FULL:
            raise
        reason = (isinstance(error, OSError) and error.strerror) or error
        raise UserError(
            f"can't write to the temporary folder {tempfile.gettempdir()}: {reason}; make space, or name "
            "another folder by TMPDIR"
        ) from error


def load_model(bundle: Bundle, folder: Path) -> Any:
    """Return a bundle's model in float, in evaluation mode; its checkpoint is written to a folder.

    Raises:
        UserError: The bundle was not built by this package.
    """
    transformers_logging.disable_progress_bar()
    rebuild_checkpoint(bundle, folder)
    return load_pretrained(AutoModelForSequenceClassification, str(folder)).eval()


def _saved(model: Any, base: Path, folder: Path) -> Checkpoint:
    model.save_pretrained(folder)
    for file in base.glob("*token*"):
        (folder / file.name).write_bytes(file.read_bytes())
    return read_checkpoint(folder)


def _kept_words(draft: Draft) -> NDArray[np.bool_]:
    """Find the words that the base kept: dropped ones came back with the unknown token's embedding."""
    words = draft.weights.tensors[WORDS]
    unknown = vocabulary.unknown_id(draft.source.tokenizer)
    kept = np.asarray((words != words[unknown]).any(axis=1))
    kept[unknown] = True
    return kept


def _describe(bundle: Bundle, source: Checkpoint, lineage: tuple[str, ...], name: str | None) -> Bundle:
    counts = {layer: count for layer, count in source.model.config.dendrites.items() if count}
    old = bundle.provenance.get("adapted")
    first = old["base"] if isinstance(old, dict) and "base" in old else f"{bundle.name} {bundle.version}"
    own = {
        "parameters": int(sum(p.numel() for p in source.model.parameters())),
        "dendrites": counts,
        "dendrite_activation": source.model.config.dendrite_activation,
        "adapted": {"base": first, LINEAGE: list(lineage)},
    }
    notes = {key: bundle.figures[key] for key in ("policy", "policy aims") if key in bundle.figures}
    return replace(
        bundle,
        name=name or (bundle.name if bundle.name.endswith("-adapted") else f"{bundle.name}-adapted"),
        provenance={**bundle.provenance, **own},
        figures=notes,  # what was measured of the base says nothing of this one
    )
