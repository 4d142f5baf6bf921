"""A checkpoint that screens as a bundle does, on torch."""

import hashlib
import json
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from giantkiller.attributes import ATTRIBUTES, POSITIVE
from giantkiller.batching import BATCH_TOKENS
from giantkiller.bundle import Bundle, FileRecord
from giantkiller.calibration import Calibration
from giantkiller.encoding import Encoder
from giantkiller.errors import UserError
from giantkiller.models.first_token import first_token
from giantkiller.models.loading import Classifier, load_checkpoint
from giantkiller.policy import Policy
from giantkiller.screener import WINDOW, Logits, Screener


class CheckpointScreener(Screener):
    """A `Screener` of a checkpoint: scores are the plain sigmoid, calibrated by nothing.

    Of two batches of other sizes torch may round differently: a text's scores don't depend on its neighbours
    beyond that. Batches run one after the other, each on as many cores as torch is given.

    Args:
        model: A checkpoint folder or a hub id.
        threads: Cores that torch uses, for all that it does in this process; as it is set if None.
        policy: What decides instead of sending to review what any attribute calls positive.
        batch_tokens: Tokens run together.
        window: Texts that are sorted by length together.

    Raises:
        UserError: It can't be loaded or run, lacks weights, or doesn't score all seven attributes.
    """

    _step = 1  # some models count positions from the padding's own id

    def __init__(
        self,
        model: str | Path | None = None,
        *,
        threads: int | None = None,
        policy: Policy | str | None = None,
        batch_tokens: int = BATCH_TOKENS,
        window: int = WINDOW,
    ) -> None:
        if threads:
            torch.set_num_threads(threads)
        super().__init__(model, threads=1, policy=policy, batch_tokens=batch_tokens, window=window)

    def _open(self, model: str | Path | None) -> tuple[Bundle, Encoder, Logits]:
        classifier = load_checkpoint(str(model))
        columns, _ = classifier.columns
        if absent := [attribute for attribute in ATTRIBUTES if attribute not in columns]:
            raise UserError(
                f"{model} gives no score for {', '.join(absent)}, and screening needs all seven; "
                "evaluation judges it by those that it gives"
            )
        if classifier.missing:
            raise UserError(
                f"{model} lacks weights ({', '.join(classifier.missing[:3])}): its scores would be random; "
                "fine-tune it first"
            )
        order = [columns[attribute] for attribute in ATTRIBUTES]

        def logits(ids: NDArray[np.int64], mask: NDArray[np.int64]) -> NDArray[np.float32]:
            rows, seen = torch.from_numpy(ids), torch.from_numpy(mask)
            with torch.inference_mode():
                result = first_token(classifier.model, rows, seen).logits
            return np.ascontiguousarray(result.float().numpy()[:, order])

        return describe_checkpoint(classifier), classifier.encoder(), logits


def describe_checkpoint(classifier: Classifier) -> Bundle:
    """Describe a checkpoint as the manifest of a bundle would; its digest covers all of its files."""
    columns, _ = classifier.columns
    given = [attribute for attribute in ATTRIBUTES if attribute in columns]
    records = {path.name: FileRecord.of(path) for path in classifier.files}
    listed = json.dumps({name: record.sha256 for name, record in records.items()})
    return Bundle(
        name=Path(classifier.name).resolve().name if Path(classifier.name).is_dir() else classifier.name,
        version="checkpoint",
        max_length=classifier.max_length,
        calibration=dict.fromkeys(ATTRIBUTES, Calibration()),
        policy=Policy({attribute: {"review": POSITIVE} for attribute in given}),
        threshold=dict.fromkeys(ATTRIBUTES, POSITIVE),
        provenance={
            "parameters": sum(weight.numel() for weight in classifier.model.parameters()),
            "dendrites": {
                name: count
                for name, count in (getattr(classifier.model.config, "dendrites", None) or {}).items()
                if count
            },
            "labels": classifier.labels,
        },
        files=records,
        folder=classifier.folder,
        digest=hashlib.sha256(listed.encode()).hexdigest(),
    )
