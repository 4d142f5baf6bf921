"""From a checkpoint to a bundle, in steps over a draft."""

import itertools
import json
import logging
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tokenizers import Tokenizer

from giantkiller import __version__
from giantkiller.attributes import ATTRIBUTES, POSITIVE
from giantkiller.bundle import CARD, DISTRIBUTION, MODEL, TOKENIZER, Bundle, score_distribution, write_bundle
from giantkiller.calibration import calibrate, sigmoid
from giantkiller.data.labelled import Labelled
from giantkiller.data.situations import read_situations
from giantkiller.encoding import Encoder
from giantkiller.errors import UserError
from giantkiller.evaluation.metrics import TooFewRowsError, measure
from giantkiller.evaluation.presets import DEFAULT_PRESET, PRESETS, fit_preset
from giantkiller.evaluation.settings import FittedSettings, fit_settings
from giantkiller.evaluation.thresholds import PolicyAims
from giantkiller.export import card, vocabulary
from giantkiller.export.calibration_rows import first_labels, is_trained, unseen
from giantkiller.export.checkpoint import Checkpoint, provenance_of, read_checkpoint
from giantkiller.export.kernels import Float, make_kernel
from giantkiller.export.onnx import build
from giantkiller.export.running import batched, logits_of, observe
from giantkiller.export.weights import WORDS, Weights
from giantkiller.policy import Policy

log = logging.getLogger(__name__)

OBSERVED = 2000  # texts that activation ranges are taken from
STAND_IN_TEXTS = 256
MUCH_LOST = 0.05
"""So much average precision lost to quantization is said at once, not only on the card."""


@dataclass(frozen=True)
class Ranking:
    """How well a bundle ranks the comments that one attribute was fitted on; it stands on the card.

    Attributes:
        file: Where they come from.
        rows: Comments with a label.
        positives: Those that are positive.
        roc_auc: Of the exported model.
        average_precision: Of the exported model.
        average_precision_lost: Against float32 with all words.
    """

    file: str
    rows: int
    positives: int
    roc_auc: float
    average_precision: float
    average_precision_lost: float


@dataclass
class Draft:
    """A bundle in the making.

    Attributes:
        source: The checkpoint.
        max_length: Tokens read of a comment.
        parts: Labelled comments by file name, without those that training saw.
        rows: Their token ids, one file after the other.
        weights: What the graph is built from.
        words: Which words stay, where some are dropped.
        model: The exported graph.
        settings: Calibration, thresholds and policy; None without labelled comments.
        figures: How well the exported model ranks, and what export cost.
        policies: The presets by name, where they were asked for.
    """

    source: Checkpoint
    max_length: int
    parts: Mapping[str, Labelled]
    encoder: Encoder
    rows: list[bytes]
    weights: Weights
    words: vocabulary.KeptWords | None = None
    model: bytes = b""
    settings: FittedSettings | None = None
    figures: dict[str, Any] = field(default_factory=dict)
    policies: dict[str, Policy] = field(default_factory=dict)

    @property
    def shape(self) -> dict[str, int]:
        """What `build` wants to know besides weights and kernel."""
        return {"max_length": self.max_length, "attributes": len(ATTRIBUTES)}


def export_bundle(
    checkpoint: str | Path,
    output: str | Path,
    *,
    validation: Mapping[str, Labelled] | None = None,
    quantize: str = "static",
    name: str | None = None,
    version: str | None = None,
    max_length: int | None = None,
    words_of: Mapping[str, Sequence[str]] | None = None,
    word_times: int = 1,
    aims: PolicyAims | None = None,
    presets: bool = False,
) -> Bundle:
    """Write the bundle of a checkpoint.

    Args:
        checkpoint: What `giantkiller.models.loading.resolve` understands; a BERT with the seven attributes.
        output: The bundle's folder; a bundle that is there is replaced, anything else refused.
        validation: Labelled comments by file name. They set the scale of activations, the calibration,
            thresholds and policy, and the figures on the card; each attribute takes the first file that has
            enough labels for it, so the one at the rate at which comments will come belongs first. Of a file
            that training used only the rows that it held out are taken, and attributes fitted on them never
            lead to `remove`: such files are enriched. Without any file, scores are the plain sigmoid,
            thresholds 0.5 and the policy empty.
        quantize: One of `giantkiller.export.kernels.KINDS`.
        name: The bundle's name; the checkpoint folder's if not given.
        version: The bundle's version; the package's if not given.
        max_length: Tokens read of a comment; what training used if not given.
        words_of: Comments by file name. Only the word embeddings that they use are kept; all other words are
            read as the unknown token, special tokens and single characters excepted; pairs and phrases still
            tell them apart. All are kept if not given.
        word_times: How often these comments must use a word that is kept.
        aims: What the policy aims at; those of `PolicyAims` if not given.
        presets: Fit the policies of `giantkiller.evaluation.presets`, `forum` being the bundle's own, and
            none by aims. The first file must hold ordinary comments labelled for toxicity.

    Raises:
        UserError: The checkpoint can't be read or exported, nothing can be fitted on the labelled comments,
            or the place can't be written.
    """
    draft = start_draft(read_checkpoint(checkpoint), validation or {}, max_length)
    if words_of:
        drop_words(draft, words_of, word_times)
    build_model(draft, quantize)
    if draft.rows:
        fit_to_labels(draft, aims or PolicyAims())
    if presets:
        fit_presets(draft)
    provenance = provenance_of(draft.source, quantize)
    if draft.words:
        provenance["vocabulary"] = asdict(draft.words)
        dropped = draft.words.of - draft.words.rows
        provenance["parameters"] -= dropped * draft.weights.tensors[WORDS].shape[1]
    settings = draft.settings
    bundle = Bundle(
        name=name or draft.source.name,
        version=version or __version__,
        max_length=draft.max_length,
        calibration=settings.calibration if settings else {},
        policy=draft.policies.get(DEFAULT_PRESET) or (settings.policy if settings else Policy({})),
        policies=draft.policies,
        threshold=settings.threshold if settings else {},
        provenance=provenance,
        figures=draft.figures,
    )
    files = {MODEL: draft.model, TOKENIZER: compact_tokenizer(draft.source.tokenizer)}
    text = card.render(bundle, {file: len(data) for file, data in files.items()})
    return write_bundle(output, bundle, {**files, CARD: text.encode()})


def start_draft(source: Checkpoint, validation: Mapping[str, Labelled], max_length: int | None) -> Draft:
    """Encode the labelled comments that training has not seen.

    Raises:
        UserError: The length does not fit the model, or training has seen all of a file.
    """
    length = max_length or source.max_length
    positions = source.model.config.max_position_embeddings
    if not 8 <= length <= positions:
        raise UserError(f"`max_length` {length} does not fit the model: from 8 to {positions} tokens")
    parts = {file: unseen(source.record, file, part) for file, part in validation.items()}
    encoder = Encoder(source.tokenizer, length)
    rows = encoder.encode(text for part in parts.values() for text in part.texts)
    return Draft(source, length, parts, encoder, rows, source.weights)


def drop_words(draft: Draft, words_of: Mapping[str, Sequence[str]], times: int) -> None:
    """Keep the word embeddings that comments use; see `export_bundle`."""
    tokenizer, size = draft.source.tokenizer, len(draft.weights.tensors[WORDS])
    kept = vocabulary.used_words(words_of, draft.encoder, tokenizer, size, times)
    draft.weights = draft.weights.with_words(kept, vocabulary.unknown_id(tokenizer))
    ends = itertools.accumulate(map(len, draft.parts.values()))
    draft.words = vocabulary.KeptWords(
        rows=int(kept.sum()),
        of=size,
        times=times,
        files={file: len(texts) for file, texts in words_of.items()},
        coverage={
            file: vocabulary.coverage(draft.rows[end - len(part) : end], kept)
            for (file, part), end in zip(draft.parts.items(), ends, strict=True)
        },
    )


def build_model(draft: Draft, quantize: str) -> None:
    """Build the graph, quantized by what its activations are on the labelled comments.

    Raises:
        UserError: The model has a part that can't be exported.
    """
    ranges = None
    if quantize == "static":
        rows = draft.rows or _stand_in_rows(draft)
        # With all words, so that dropping some changes no score of a comment that has none of them.
        batches = (inputs for _, inputs in batched(rows[:: max(1, len(rows) // OBSERVED)]))
        ranges = observe(draft.source.weights, batches, **draft.shape)
    kernel = make_kernel(quantize, ranges)
    try:
        draft.model = build(draft.weights, kernel, **draft.shape).SerializeToString()
    except ValueError as error:
        raise UserError(f"{draft.source.name} can't be exported: {error}") from error


def fit_to_labels(draft: Draft, aims: PolicyAims) -> None:
    """Fit calibration, thresholds and policy on the exported model's own logits.

    Raises:
        UserError: The labelled comments are too few for any attribute.
    """
    targets, origin = first_labels(draft.parts)
    # Training files are enriched: a precision reached on them is not one at the rate of real comments.
    enriched = {
        attribute: file for attribute, file in origin.items() if is_trained(draft.source.record, file)
    }
    exported = logits_of(draft.model, draft.rows)
    reference = logits_of(build(draft.source.weights, Float(), **draft.shape), draft.rows)
    draft.settings = fit_settings(exported, targets, aims=aims, enriched=enriched)
    # Comments as they come, a service's reference.
    file, part = next(iter(draft.parts.items()))
    first = calibrate(exported[: len(part)], draft.settings.calibration)
    ranks = _ranking(exported, reference, targets, origin)
    draft.figures = {
        "validation": {name: asdict(row) for name, row in ranks.items()},
        "calibration": draft.settings.methods,
        "policy": draft.settings.notes,
        "policy aims": asdict(aims),
        "largest logit change": round(float(np.abs(exported - reference).max()), 4),
        DISTRIBUTION: score_distribution(file, first),
    }


def fit_presets(draft: Draft) -> None:
    """Fit the presets on the first file's comments and on the situations of the validation split.

    Raises:
        UserError: There is no first file, it has no comments labelled for toxicity, or the model's scores
            for toxicity rank comments the wrong way round.
    """
    first = next(iter(draft.parts.values()), None)
    if first is None or draft.settings is None:
        raise UserError("`presets` need labelled comments in `validation`: name a file with toxicity first")
    refused = draft.settings.wrong_way_round
    if "toxicity" in refused:
        raise UserError(f"`presets` go by toxicity, which can't be fitted: {refused['toxicity']}")
    column = ATTRIBUTES.index("toxicity")
    labels = np.asarray(first.targets, dtype=np.float64)[:, column]
    known = ~np.isnan(labels)
    staged = read_situations("validation")
    situations = draft.encoder.encode([situation.text for situation in staged])

    def scores(rows: list[bytes]) -> NDArray[np.float64]:
        assert draft.settings is not None
        # In float32, as the screener returns them: a threshold must fall between the same two scores there.
        single = calibrate(logits_of(draft.model, rows), draft.settings.calibration).astype(np.float32)
        return single.astype(np.float64)

    ordinary = scores([row for row, kept in zip(draft.rows, known, strict=False) if kept])
    toxic, harmful = labels[known] >= POSITIVE, [situation.harmful for situation in staged]
    staged_scores = scores(situations)
    draft.policies = {
        name: fit_preset(preset, ordinary, toxic, staged_scores, harmful, without=refused)
        for name, preset in PRESETS.items()
    }
    draft.figures["policy"] = _preset_notes(draft.policies[DEFAULT_PRESET], refused)
    draft.figures["policy aims"] = {name: asdict(preset) for name, preset in PRESETS.items()}


def _preset_notes(policy: Policy, refused: Mapping[str, str]) -> dict[str, str]:
    """Say of each attribute why it has no actions in the default preset, or no `remove`.

    What `fit_settings` noted is about thresholds fitted by aims, which the presets replace; what it refused
    holds for both.
    """
    where = f"in the default policy, `{DEFAULT_PRESET}`"
    notes = {}
    for attribute in ATTRIBUTES:
        if attribute in refused:
            notes[attribute] = f"{attribute} leads to no action: {refused[attribute]}"
        elif attribute not in policy:
            notes[attribute] = f"nothing is flagged by {attribute} alone {where}"
        elif "remove" not in policy[attribute]:
            notes[attribute] = (
                f"nothing is removed by {attribute} alone {where}: a person reviews what it flags"
            )
    return notes


def _ranking(
    exported: NDArray[np.float32],
    reference: NDArray[np.float32],
    targets: NDArray[np.float64],
    origin: Mapping[str, str],
) -> dict[str, Ranking]:
    """Measure how well the exported model ranks, and what it lost against float32 with all words."""
    found = {}
    for column, attribute in enumerate(ATTRIBUTES):
        try:
            ours, theirs = (
                measure(sigmoid(logits[:, column]), targets[:, column], samples=0, name=attribute)
                for logits in (exported, reference)
            )
        except TooFewRowsError:
            continue
        lost = theirs.average_precision.value - ours.average_precision.value
        if lost > MUCH_LOST:
            log.warning("%s loses %.2f of average precision in eight bits: export float32", attribute, lost)
        found[attribute] = Ranking(
            file=origin[attribute],
            rows=ours.rows,
            positives=ours.positives,
            roc_auc=round(ours.roc_auc.value, 4),
            average_precision=round(ours.average_precision.value, 4),
            average_precision_lost=round(lost, 5),
        )
    return found


def compact_tokenizer(tokenizer: Tokenizer) -> bytes:
    """Return a tokenizer's JSON without the blanks."""
    return json.dumps(json.loads(tokenizer.to_str()), ensure_ascii=False, separators=(",", ":")).encode()


def _stand_in_rows(draft: Draft) -> list[bytes]:
    """Random words of the vocabulary: what activations are observed on when nobody gave real comments."""
    log.warning(
        "no labelled comments: activation ranges are taken from random words, scores are not calibrated"
    )
    words = sorted(word for word in draft.source.tokenizer.get_vocab() if word.isalpha() and word.isascii())
    rng = np.random.default_rng(0)
    lengths = rng.integers(1, draft.max_length, STAND_IN_TEXTS)
    return draft.encoder.encode_cleaned(" ".join(rng.choice(words, size)) for size in lengths)
