"""From a checkpoint to what others load: a bundle, or a Hugging Face folder."""

import itertools
import json
import logging
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from tokenizers import Tokenizer
from tqdm import tqdm

from giantkiller import __version__
from giantkiller.attributes import ATTRIBUTES, POSITIVE
from giantkiller.bundle import Bundle, Calibration, write_bundle
from giantkiller.errors import UserError
from giantkiller.export import card, vocabulary
from giantkiller.export import gate as gating
from giantkiller.export.checkpoint import Checkpoint, read_checkpoint
from giantkiller.export.onnx import WORDS, build
from giantkiller.export.quantize import KINDS, Float, batches, kernel, observe, open_session
from giantkiller.judging import calibration, thresholds
from giantkiller.judging.metrics import MIN_CLASS, TooFewRowsError, measure
from giantkiller.policy import Policy
from giantkiller.text import clean_text

if TYPE_CHECKING:
    from giantkiller.data.sources import Labelled

log = logging.getLogger(__name__)

CHUNK = 10_000  # texts tokenized at once
OBSERVED = 2000  # texts that activation ranges are taken from
STAND_IN_TEXTS = 256
REMOVE_PRECISION, REVIEW_RECALL, MONITOR_RECALL = 0.9, 0.7, 0.9
"""What the policy aims at. Reviewing nine toxic comments in ten would mean reading a third of all."""


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
    gate_texts: Mapping[str, Sequence[str]] | None = None,
    remove_precision: float = REMOVE_PRECISION,
    review_recall: float = REVIEW_RECALL,
    monitor_recall: float = MONITOR_RECALL,
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
        gate_texts: comments by file name that a gate learns on, see `giantkiller.gate`; no gate if not given.
        remove_precision: share of the comments removed by an attribute that must be toxic.
        review_recall: share of an attribute's toxic comments that must be removed or reviewed.
        monitor_recall: share of them that must not be allowed without a trace.

    Raises:
        UserError: the checkpoint can't be read or exported, or the place can't be written.
    """
    if quantize not in KINDS:
        raise UserError(f"quantization {quantize!r} is unknown; it must be one of {', '.join(KINDS)}")
    if not 0 < review_recall <= monitor_recall <= 1 or not 0 < remove_precision <= 1:
        raise UserError("the policy's aims are shares above 0, and review's recall is at most monitor's")
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
        kept, words = choose_words(source, words_of, word_count, length)
        weights = weights.with_words(kept, vocabulary.unknown(source.tokenizer))
        ends = itertools.accumulate(map(len, parts.values()))
        words["coverage"] = {
            file: vocabulary.coverage(rows[end - len(part) : end], kept)
            for (file, part), end in zip(parts.items(), ends, strict=True)
        }
    ranges = None
    if quantize == "static":
        seen = rows or _stand_in_rows(source.tokenizer, length)
        step = max(1, len(seen) // OBSERVED)
        # With all words, so that dropping some changes no score of a comment that has none of them.
        ranges = observe(source.weights, [batch for _, batch in batches(seen[::step])], **shape)
    try:
        content = build(weights, kernel(quantize, ranges), **shape).SerializeToString()
    except ValueError as error:
        raise UserError(f"{checkpoint} can't be exported: {error}") from error
    settings: dict[str, Any] = {}
    figures: dict[str, Any] = {}
    targets = np.empty((0, len(ATTRIBUTES)))
    if rows:
        reference = build(source.weights, Float(), **shape).SerializeToString()
        targets, origin = first_labels(parts)
        aims = {
            "remove_precision": remove_precision,
            "review_recall": review_recall,
            "monitor_recall": monitor_recall,
        }
        settings, figures = _fit(logits(content, rows), logits(reference, rows), targets, origin, aims)
        # Training files are enriched: a precision reached on them is not one at the rate of real comments.
        for attribute, actions in settings.get("policy", {}).items():
            if attribute in origin and is_trained(source, origin[attribute]):
                actions.pop("remove", None)
    gate = None
    about_gate: dict[str, Any] = {}
    if gate_texts:
        from giantkiller.data.holdout import is_held_out

        known = set(texts)
        cleaned = dict.fromkeys(clean_text(text) for part in gate_texts.values() for text in part)
        lessons = [text for text in cleaned if text not in known]
        learn = encode(source.tokenizer, lessons, length)
        gate, about_gate = gating.make(
            gating.Judged(learn, logits(content, learn)),
            np.array([is_held_out(text, gating.HELD_OUT) for text in lessons], bool),
            gating.Judged(rows, logits(content, rows)),
            targets[:, 0] >= POSITIVE,
            size=len(source.weights.tensors[WORDS]),
            policy=settings.get("policy", {}),
            lines=settings.get("calibration", {}),
        )
        about_gate["files"] = {file: len(part) for file, part in gate_texts.items()}
    bundle_name = name or Path(checkpoint).resolve().name
    provenance = _provenance(source, quantize)
    if words:
        provenance["vocabulary"] = words
    if gate:
        provenance["gate"] = about_gate
    tokenizer = compact_tokenizer(source.tokenizer)
    sizes = {"model.onnx": len(content), "tokenizer.json": len(tokenizer)}
    if gate:
        sizes["gate.bin"] = gate.weights.nbytes
    text = card.render(
        name=bundle_name,
        version=version or __version__,
        max_length=length,
        provenance=provenance,
        figures=figures,
        sizes=sizes,
        **{key: settings.get(key, {}) for key in ("threshold", "policy")},
    )
    return write_bundle(
        output,
        model=content,
        tokenizer=tokenizer,
        card=text,
        name=bundle_name,
        version=version or __version__,
        max_length=length,
        calibration={a: Calibration(**line) for a, line in settings.get("calibration", {}).items()},
        policy=Policy(settings.get("policy", {})),
        threshold=settings.get("threshold", {}),
        provenance=provenance,
        figures=figures,
        gate=(gate.manifest(), gate.weights.tobytes()) if gate else None,
    )


def choose_words(
    source: Checkpoint, words_of: Mapping[str, Sequence[str]], least: int, length: int
) -> tuple[NDArray[np.bool_], dict[str, Any]]:
    """Choose the word embeddings that comments use.

    Args:
        source: the checkpoint.
        words_of: comments by file name.
        least: how often they must use a token for it to stay.
        length: tokens read of a comment.

    Returns:
        whether each token id stays, and what to write down about it.
    """
    size = len(source.weights.tensors[WORDS])
    counts = np.zeros(size, np.int64)
    for file, texts in words_of.items():
        for begin in tqdm(range(0, len(texts), CHUNK), desc=file, delay=1, leave=False, disable=None):
            cleaned = [clean_text(text) for text in texts[begin : begin + CHUNK]]
            counts += vocabulary.count(encode(source.tokenizer, cleaned, length), size)
    kept = vocabulary.choose(source.tokenizer, counts, least)
    return kept, {
        "rows": int(kept.sum()),
        "of": size,
        "used_at_least": least,
        "files": {file: len(texts) for file, texts in words_of.items()},
    }


def is_trained(source: Checkpoint, file: str) -> bool:
    """Tell whether the checkpoint, by its own record, may have been trained on a file's rows.

    Soft labels don't say which files their texts are from: where a recipe holds a share of all texts out, any
    file but the one that it chose by may be theirs.
    """
    data = source.record.get("recipe", {}).get("data", {})
    if file in {Path(name).name for name in data.get("train", [])}:
        return True
    chosen_by = Path(data.get("validation") or "").name
    return bool(data.get("soft_labels") and data.get("holdout_fraction")) and file != chosen_by


def unseen(source: Checkpoint, file: str, part: "Labelled") -> "Labelled":
    """Leave out the rows of a file that the checkpoint's training, by its own record, has seen."""
    from giantkiller.data.holdout import is_held_out

    if not is_trained(source, file):
        return part
    fraction = source.record["recipe"]["data"].get("holdout_fraction", 0.0)
    kept = part.take(np.asarray([is_held_out(text, fraction) for text in part.texts], bool))
    if not len(kept):
        raise UserError(f"{file} was trained on; calibration needs rows that training has not seen")
    return kept


def first_labels(parts: "Mapping[str, Labelled]") -> tuple[NDArray[np.float64], dict[str, str]]:
    """Choose for each attribute the first file with enough labels for it.

    Returns:
        targets of all files' rows one after the other, (rows, 7), NaN where a row's file was not chosen; and
        attribute to the chosen file's name.
    """
    targets = np.concatenate([part.targets for part in parts.values()]).astype(np.float64)
    ends = np.cumsum([len(part) for part in parts.values()])
    origin: dict[str, str] = {}
    for place, attribute in enumerate(ATTRIBUTES):
        for (file, part), end in zip(parts.items(), ends, strict=True):
            column = part.targets[:, place]
            positives = int((column >= POSITIVE).sum())
            if min(positives, int((column < POSITIVE).sum())) >= MIN_CLASS:
                origin[attribute] = file
                targets[: end - len(part), place] = np.nan
                targets[end:, place] = np.nan
                break
        else:
            targets[:, place] = np.nan
    return targets, origin


def export_huggingface(checkpoint: str | Path, output: str | Path, *, labels: str = "two") -> Path:
    """Write a checkpoint as a Hugging Face folder that loads without this package (trust_remote_code=True).

    Args:
        checkpoint: a Hugging Face folder with the seven attributes.
        output: the new folder; must not exist, or be empty.
        labels: "two" for the logits [0, z_toxicity], "attributes" for all seven.

    Raises:
        UserError: the checkpoint can't be read, or the place can't be written.
    """
    output = Path(output)
    if output.exists() and (not output.is_dir() or any(output.iterdir())):
        raise UserError(f"{output} exists and is not empty; name another folder")
    source = read_checkpoint(checkpoint)
    from transformers import AutoTokenizer

    model, config = source.model, source.model.config
    config.labels_view = labels
    config.show_view()
    tokenizer = AutoTokenizer.from_pretrained(source.folder)
    tokenizer.model_max_length = source.max_length
    try:
        output.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=output.parent, prefix=f".{output.name}.") as beside:
            fresh = Path(beside) / "new"
            model.save_pretrained(fresh)
            tokenizer.save_pretrained(fresh)
            text = card.render_huggingface(
                output.name, labels, source.max_length, _provenance(source, "none")
            )
            (fresh / "README.md").write_text(text, encoding="utf-8")
            if output.exists():
                output.rmdir()
            fresh.rename(output)
    except OSError as error:
        raise UserError(f"can't write {output}: {error.strerror or error}") from error
    return output


def encode(tokenizer: Tokenizer, texts: Sequence[str], max_length: int) -> list[list[int]]:
    """Tokenize cleaned texts, cut to a number of tokens, special ones included."""
    tokenizer.enable_truncation(max_length)
    try:
        # "[SEP]" in a comment is six characters that somebody typed, not the end of it.
        tokenizer.encode_special_tokens = True
        # A chunk at a time: encodings are much larger than the ids in them.
        parts = (texts[begin : begin + CHUNK] for begin in range(0, len(texts), CHUNK))
        return [encoding.ids for part in parts for encoding in tokenizer.encode_batch_fast(list(part))]
    finally:
        tokenizer.encode_special_tokens = False
        tokenizer.no_truncation()


def logits(model: bytes, rows: Sequence[Sequence[int]]) -> NDArray[np.float32]:
    """Run an exported model over token ids: (rows, attributes)."""
    session = open_session(model)
    result = np.empty((len(rows), len(ATTRIBUTES)), np.float32)
    waiting = tqdm(list(batches(rows)), desc="scoring", unit="batch", delay=1, leave=False, disable=None)
    for group, batch in waiting:
        result[group] = session.run(["logits"], batch)[0]
    return result


def compact_tokenizer(tokenizer: Tokenizer) -> bytes:
    """Give a tokenizer's JSON without the blanks."""
    return json.dumps(json.loads(tokenizer.to_str()), ensure_ascii=False, separators=(",", ":")).encode()


def _stand_in_rows(tokenizer: Tokenizer, max_length: int) -> list[list[int]]:
    """Random words of the vocabulary: what activations are observed on when nobody gave real comments."""
    log.warning(
        "no validation data: activation ranges are taken from random words, scores are not calibrated"
    )
    words = sorted(word for word in tokenizer.get_vocab() if word.isalpha() and word.isascii())
    rng = np.random.default_rng(0)
    lengths = rng.integers(1, max_length, STAND_IN_TEXTS)
    return encode(tokenizer, [" ".join(rng.choice(words, size)) for size in lengths], max_length)


def _fit(
    raw: NDArray[np.float32],
    reference: NDArray[np.float32],
    targets: NDArray[np.float64],
    origin: Mapping[str, str],
    aims: Mapping[str, float],
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Fit calibration, thresholds and policy on the exported model's own logits; report what export cost."""
    try:
        lines, line_notes = calibration.fit_lines(raw, targets)
        scores = calibration.apply_lines(raw, lines)
        policy, policy_notes = thresholds.fit_policy(scores, targets, **aims)
        decisions = thresholds.fit_decisions(scores, targets)
    except UserError as reason:
        log.warning("exported without calibration: %s", reason)
        return {}, {}
    settings = {"calibration": lines, "threshold": decisions, "policy": policy}
    figures: dict[str, Any] = {
        "validation": {},
        "calibration": line_notes,
        "policy": policy_notes,
        "policy aims": dict(aims),
        "largest logit change": round(float(np.abs(raw - reference).max()), 4),
    }
    for place, attribute in enumerate(ATTRIBUTES):
        try:
            ours, theirs = (
                measure(calibration.sigmoid(z[:, place]), targets[:, place], samples=0, name=attribute)
                for z in (raw, reference)
            )
        except TooFewRowsError:
            continue
        figures["validation"][attribute] = {
            "file": origin[attribute],
            "rows": ours["rows"],
            "positives": ours["positives"],
            "roc_auc": round(ours["roc_auc"].value, 4),
            "average_precision": round(ours["average_precision"].value, 4),
            "average_precision_lost": round(
                theirs["average_precision"].value - ours["average_precision"].value, 5
            ),
        }
    return settings, figures


def _provenance(source: Checkpoint, quantize: str) -> dict[str, Any]:
    """Say where the weights come from, from what training recorded."""
    counts = {name: count for name, count in source.model.config.dendrites.items() if count}
    known = ("recipe", "data", "texts", "seconds", "device", "versions", "growth")
    return {
        "exported_by": f"giantkiller {__version__}",
        "quantization": quantize,
        "parameters": int(sum(p.numel() for p in source.model.parameters())),
        "dendrites": counts,
        "dendrite_activation": source.model.config.dendrite_activation,
        "training": {key: source.record[key] for key in known if key in source.record},
    }
