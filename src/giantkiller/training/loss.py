"""The loss: raters' targets, a teacher's logits, and the contrast between twins.

Hinton, Vinyals & Dean 2015, "Distilling the knowledge in a neural network"; squared error between
logits is that paper's high-temperature limit (section 2.1).
"""

import numpy as np
import torch
from torch.nn import functional as F

from giantkiller.attributes import ATTRIBUTES, POSITIVE
from giantkiller.training.corpus import Corpus
from giantkiller.training.settings import LossSettings

TOXICITY = ATTRIBUTES.index("toxicity")


def batch_loss(logits: torch.Tensor, corpus: Corpus, rows: np.ndarray, loss: LossSettings) -> torch.Tensor:
    """Compute the loss of a batch.

    Args:
        logits: (b, 7) of the batch.
        corpus: Where the batch comes from.
        rows: (b,) its rows there.
        loss: The settings.

    Returns:
        A scalar.
    """
    targets, weights, soft, soft_weights, shares = (
        torch.from_numpy(array[rows]).to(logits.device)
        for array in (corpus.targets, corpus.weights, corpus.soft, corpus.soft_weights, corpus.soft_share)
    )
    shares = torch.where(torch.isnan(shares), loss.soft_share, shares)
    value = label_loss(logits, targets, weights, soft, soft_weights, shares, loss.positive_weight)
    if loss.contrast and (corpus.pairs[rows] >= 0).any():
        pairs = torch.from_numpy(corpus.pairs[rows]).to(logits.device)
        twins = twin_loss(logits[:, TOXICITY], targets[:, TOXICITY], pairs, loss.margin)
        value = value + loss.contrast * twins
    return value


def label_loss(
    logits: torch.Tensor,
    targets: torch.Tensor,
    weights: torch.Tensor,
    soft: torch.Tensor,
    soft_weights: torch.Tensor,
    shares: torch.Tensor,
    positive_weight: float = 1.0,
) -> torch.Tensor:
    """Average over all labels that are there, raters' and teacher's, by weight.

    Where a text has both for an attribute, the teacher's counts its row's share and the raters' the rest;
    where it has one, that one counts fully. With hard targets alone and a positive weight this is the
    class-weighted cross-entropy of a two-logit model whose first logit is 0.

    Args:
        logits: (b, 7).
        targets: (b, 7) fractions of raters, NaN where missing: they train by cross-entropy.
        weights: (b,) weight of each row's targets.
        soft: (b, 7) teacher logits, NaN where missing: they train by squared error.
        soft_weights: (b,) weight of each row's soft labels.
        shares: (b,) the teacher's share of each row.
        positive_weight: Weight of a positive target against a negative one.

    Returns:
        A scalar; 0 where no label is there.
    """
    rated, taught = ~torch.isnan(targets), ~torch.isnan(soft)
    target, teacher = torch.where(rated, targets, 0.0), torch.where(taught, soft, 0.0)
    share, rest = (part[:, None].to(logits.dtype) for part in (shares, 1 - shares))
    hard_scale = rated * torch.where(taught, rest, 1.0) * weights[:, None]
    hard_scale = hard_scale * (1 + (positive_weight - 1) * target)
    soft_scale = taught * torch.where(rated, share, 1.0) * soft_weights[:, None]
    hard = F.binary_cross_entropy_with_logits(logits, target, reduction="none")
    near = (logits - teacher) ** 2
    total = (hard * hard_scale + near * soft_scale).sum()
    return total / (hard_scale + soft_scale).sum().clamp_min(1e-12)


def twin_loss(
    logits: torch.Tensor, targets: torch.Tensor, pairs: torch.Tensor, margin: float
) -> torch.Tensor:
    """Average how far a toxic text's logit fails to lie above its harmless twin's by a margin.

    Args:
        logits: (b,) toxicity logits.
        targets: (b,) fractions of raters, NaN where missing.
        pairs: (b,) one number for texts that are twins, -1 for others.
        margin: In logits.

    Returns:
        A scalar: the mean of max(0, margin - difference) over all couples of a toxic text and a harmless one
        with the same number; 0 where there is none.
    """
    toxic, harmless = targets >= POSITIVE, targets < POSITIVE  # NaN is neither
    couples = (pairs[:, None] == pairs[None, :]) & (pairs >= 0)[:, None]
    couples &= toxic[:, None] & harmless[None, :]  # (b, b)
    short = F.relu(margin - (logits[:, None] - logits[None, :]))
    return (short * couples).sum() / couples.sum().clamp_min(1)
