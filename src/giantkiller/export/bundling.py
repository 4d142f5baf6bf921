"""From a checkpoint to a bundle."""

import itertools
import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from giantkiller import __version__
from giantkiller.attributes import ATTRIBUTES
from giantkiller.bundle import CARD, MODEL, TOKENIZER, Bundle, write_bundle
from giantkiller.cleaning import clean_text
from giantkiller.errors import UserError
from giantkiller.evaluation.settings import Settings, fit_settings
from giantkiller.evaluation.thresholds import PolicyAims
from giantkiller.export import card, vocabulary
from giantkiller.export.checkpoint import provenance_of, read_checkpoint
from giantkiller.export.fitting import export_figures, first_labels, is_trained, unseen
from giantkiller.export.onnx import WORDS, build
from giantkiller.export.quantize import KINDS, Float, batches, kernel, observe, open_session
from giantkiller.export.tokens import compact_tokenizer, encode, stand_in_rows
from giantkiller.policy import Policy

if TYPE_CHECKING:
    from giantkiller.data.labelled import Labelled

log = logging.getLogger(__name__)

OBSERVED = 2000  # texts that activation ranges are taken from


def export_bundle(
    checkpoint: str | Path,
    output: str | Path,
    *,
    validation: "Mapping[str, Labelled] | None" = None,
    quantize: str = "static",
    name: str | None = None,
    version: str | None = None,
    max_length: int | None = None,
    words_of: Mapping[str, Sequence[str]] | None = None,
    word_count: int = 1,
    aims: PolicyAims | None = None,
) -> Bundle:
    """Write the bundle of a checkpoint.

    Args:
        checkpoint: a Hugging Face folder with the seven attributes.
        output: the bundle's folder; a bundle that is there is replaced, anything else refused.
        validation: labelled comments by file name. They set the scale of activations, the calibration,
            thresholds and policy, and the figures on the card; each attribute takes the first file that has
            enough labels for it, so the one at the rate at which comments will come belongs first. Of a file
            that training used only the rows that it held out are taken, and attributes fitted on them never
            lead to `remove`: such files are enriched. Without any file, scores are the plain sigmoid,
            thresholds 0.5 and the policy empty.
        quantize: one of `KINDS`.
        name: the bundle's name; the checkpoint folder's if not given.
        version: the bundle's version; the package's if not given.
        max_length: tokens read of a comment; what training used if not given.
        words_of: comments by file name. Only the word embeddings that they use are kept; all other words are
            read as the unknown token, special tokens and single characters excepted. All are kept if not
            given.
        word_count: how often these comments must use a token for its embedding to be kept.
        aims: what the policy aims at; those of `PolicyAims` if not given.

    Raises:
        UserError: the checkpoint can't be read or exported, or the place can't be written.
    """
    if quantize not in KINDS:
        raise UserError(f"quantization {quantize!r} is unknown; it must be one of {', '.join(KINDS)}")
    if word_count < 1:
        raise UserError(f"the word count is {word_count}; it must be at least 1")
    source = read_checkpoint(checkpoint)
    length = max_length or source.max_length
    positions = source.model.config.max_position_embeddings
    if not 8 <= length <= positions:
        raise UserError(f"max length {length} does not fit the model: from 8 to {positions} tokens")
    parts = {file: unseen(source, file, part) for file, part in (validation or {}).items()}
    texts = [clean_text(text) for part in parts.values() for text in part.texts]
    rows = encode(source.tokenizer, texts, length)
    shape = {"max_length": length, "attributes": len(ATTRIBUTES)}
    weights = source.weights
    words: dict[str, Any] = {}
    if words_of:
        kept, words = vocabulary.choose_by(
            words_of, source.tokenizer, len(source.weights.tensors[WORDS]), word_count, length
        )
        weights = weights.with_words(kept, vocabulary.unknown(source.tokenizer))
        ends = itertools.accumulate(map(len, parts.values()))
        words["coverage"] = {
            file: vocabulary.coverage(rows[end - len(part) : end], kept)
            for (file, part), end in zip(parts.items(), ends, strict=True)
        }
    ranges = None
    if quantize == "static":
        seen = rows or stand_in_rows(source.tokenizer, length)
        step = max(1, len(seen) // OBSERVED)
        # With all words, so that dropping some changes no score of a comment that has none of them.
        ranges = observe(source.weights, [batch for _, batch in batches(seen[::step])], **shape)
    try:
        content = build(weights, kernel(quantize, ranges), **shape).SerializeToString()
    except ValueError as error:
        raise UserError(f"{checkpoint} can't be exported: {error}") from error
    settings: Settings | None = None
    figures: dict[str, Any] = {}
    if rows:
        reference = build(source.weights, Float(), **shape).SerializeToString()
        targets, origin = first_labels(parts)
        aims = aims or PolicyAims()
        # Training files are enriched: a precision reached on them is not one at the rate of real comments.
        enriched = {attribute: file for attribute, file in origin.items() if is_trained(source, file)}
        raw = logits(content, rows)
        settings = fit_settings(raw, targets, aims=aims, enriched=enriched)
        figures = export_figures(settings, aims, raw, logits(reference, rows), targets, origin)
    bundle_name = name or Path(checkpoint).resolve().name
    provenance = provenance_of(source, quantize)
    if words:
        provenance["vocabulary"] = words
    tokenizer = compact_tokenizer(source.tokenizer)
    bundle = Bundle(
        name=bundle_name,
        version=version or __version__,
        max_length=length,
        calibration=settings.calibration if settings else {},
        policy=settings.policy if settings else Policy({}),
        threshold=settings.threshold if settings else {},
        provenance=provenance,
        figures=figures,
    )
    files = {MODEL: content, TOKENIZER: tokenizer}
    text = card.render(bundle, {name: len(data) for name, data in files.items()})
    return write_bundle(output, bundle, {**files, CARD: text.encode()})


def logits(model: bytes, rows: Sequence[Sequence[int]]) -> NDArray[np.float32]:
    """Run an exported model over token ids: (rows, attributes)."""
    session = open_session(model)
    result = np.empty((len(rows), len(ATTRIBUTES)), np.float32)
    waiting = tqdm(list(batches(rows)), desc="scoring", unit="batch", delay=1, leave=False, disable=None)
    for group, batch in waiting:
        result[group] = session.run(["logits"], batch)[0]
    return result
