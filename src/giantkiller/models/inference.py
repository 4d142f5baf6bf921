"""Texts to token ids to logits, by a torch model."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from tqdm import tqdm

from giantkiller.attributes import ATTRIBUTES
from giantkiller.batching import PADDED_TOKENS, plan
from giantkiller.encoding import ID, Encoder
from giantkiller.models.first_token import first_token

CHUNK = 4096  # texts tokenized between two steps of the progress bar


@dataclass
class Tokens:
    """Token ids of many texts, one after the other."""

    ids: np.ndarray
    """(sum of lengths,) int32."""
    starts: np.ndarray
    """(n + 1,) int64, where each text's ids begin."""
    pad_id: int = 0

    @property
    def lengths(self) -> np.ndarray:
        """(n,) tokens a text."""
        return np.diff(self.starts)

    def batch(self, rows: np.ndarray) -> tuple[torch.Tensor, torch.Tensor]:
        """Pad some texts to the longest of them.

        Args:
            rows: (b,) indices.

        Returns:
            input_ids and attention_mask, each (b, t) int64.
        """
        lengths = self.lengths[rows]
        ids = np.full((len(rows), int(lengths.max())), self.pad_id, dtype=np.int64)
        mask = np.zeros_like(ids)
        for i, row in enumerate(rows):
            ids[i, : lengths[i]] = self.ids[self.starts[row] : self.starts[row + 1]]
            mask[i, : lengths[i]] = 1
        return torch.from_numpy(ids), torch.from_numpy(mask)


def tokenize(encoder: Encoder, texts: Sequence[str], *, clean: bool = False, pad_id: int = 0) -> Tokens:
    """Turn texts into token ids.

    Args:
        encoder: The model's.
        texts: n texts.
        clean: Clean them first.
        pad_id: What batches are padded with.

    Returns:
        Their ids, special tokens included.
    """
    encode = encoder.encode if clean else encoder.encode_cleaned
    rows: list[bytes] = []
    for begin in tqdm(range(0, len(texts), CHUNK), desc="tokenizing", delay=1, leave=False, disable=None):
        rows += encode(texts[begin : begin + CHUNK])
    lengths = np.fromiter(map(len, rows), np.int64, len(rows)) // ID.itemsize
    return Tokens(np.frombuffer(b"".join(rows), ID), np.concatenate([[0], np.cumsum(lengths)]), pad_id)


@torch.no_grad()
def predict(
    model: torch.nn.Module, tokens: Tokens, batch_tokens: int = PADDED_TOKENS, width: int = len(ATTRIBUTES)
) -> np.ndarray:
    """Compute the logits of tokenized texts, in their order, on the model's device.

    Args:
        model: A sequence classifier.
        tokens: n texts.
        batch_tokens: Padded tokens a batch.
        width: Logits a text.

    Returns:
        (n, width) float32.
    """
    device = next(model.parameters()).device
    training = model.training
    model.eval()
    lengths = tokens.lengths.tolist()
    result = np.empty((len(lengths), width), dtype=np.float32)
    for rows in plan(lengths, batch_tokens, padded=True):
        ids, mask = tokens.batch(np.array(rows))
        logits = first_token(model, ids.to(device), mask.to(device)).logits
        result[rows] = logits.float().cpu().numpy()
    model.train(training)
    return result


def use_bf16(precision: str, device: torch.device) -> bool:
    """Return whether to run under bf16 autocast; `auto` does on GPUs that have it."""
    if precision == "auto":
        return device.type == "cuda" and torch.cuda.is_bf16_supported()
    return precision == "bf16"
