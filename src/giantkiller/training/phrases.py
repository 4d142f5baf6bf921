"""Fitting what pairs of tokens say on their own (`giantkiller.models.bert.Phrases`)."""

import logging
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from giantkiller.attributes import ATTRIBUTES, POSITIVE
from giantkiller.errors import UserError
from giantkiller.models.bert import PAIR_FACTORS, PAIR_PRIME, Phrases
from giantkiller.models.inference import Tokens
from giantkiller.training.batches import Examples
from giantkiller.training.corpus import Corpus
from giantkiller.training.recipe import PhraseSettings

log = logging.getLogger(__name__)

TOXICITY = ATTRIBUTES.index("toxicity")


def pair_counts(tokens: Tokens, rows: int) -> Any:
    """Count each text's hashed pairs of tokens.

    Args:
        tokens: Of n texts.
        rows: Of the table that pairs are hashed to.

    Returns:
        (n, rows) sparse float32; a text's counts are divided by the square root of its tokens, so that its
        product with a table is what `Phrases` makes of that table.
    """
    from scipy.sparse import csr_matrix

    ids = tokens.ids.astype(np.int64)
    before = np.concatenate([[0], ids[:-1]])
    before[tokens.starts[:-1][tokens.lengths > 0]] = 0
    first, second = PAIR_FACTORS[0]
    columns = (before * first + ids * second) % PAIR_PRIME % rows
    values = np.repeat(np.maximum(tokens.lengths, 1) ** -0.5, tokens.lengths).astype(np.float32)
    counts = csr_matrix((values, columns, tokens.starts), shape=(len(tokens.lengths), rows))
    counts.sum_duplicates()
    return counts


def toxic_rows(corpus: Corpus) -> tuple[NDArray[np.intp], NDArray[np.bool_]]:
    """Return the rows that have a target for toxicity, and whether each is toxic.

    Raises:
        UserError: They are all of one kind.
    """
    shares = corpus.targets[:, TOXICITY]
    known = np.flatnonzero(~np.isnan(shares))
    toxic = np.asarray(shares[known] >= POSITIVE)
    if toxic.all() or not toxic.any():
        raise UserError("phrases need comments that are toxic, and others; the sources lack one of them")
    return known, toxic


def fit_phrases(model: Any, train: Examples, settings: PhraseSettings) -> None:
    """Give a model phrases, their table fitted by logistic regression apart from the network.

    Fitted together with the network, or to what it gets wrong, it would learn next to nothing: the network
    knows the texts that it learned from. The direction moves the logit of toxicity by `gain` times what
    the table says; it is at right angles to the classifier's other weights and to its dendrites'. The
    regression's intercept is left to calibration.

    Args:
        model: A `DendriticBertForSequenceClassification`, changed in place; phrases that it has go.
        train: Texts that learn; those count that have a target for toxicity.
        settings: Of the recipe.

    Raises:
        UserError: The targets are all of one kind.
    """
    from sklearn.linear_model import LogisticRegression

    known, toxic = toxic_rows(train.corpus)
    counts = pair_counts(train.tokens, settings.rows)[known]
    # liblinear: made for tables of mostly rare features, and the same on every run.
    found = LogisticRegression(C=settings.inverse_penalty, solver="liblinear", max_iter=100).fit(
        counts, toxic, sample_weight=train.corpus.weights[known]
    )
    weight = model.classifier.weight
    dendrites = getattr(model.classifier, "dendrite_weight", None)
    seen = [weight] if dendrites is None else [weight, dendrites]
    phrases = Phrases(settings.rows, weight.shape[1])
    with torch.no_grad():
        reads = torch.cat(seen).float().cpu()  # (logits and dendrites, hidden)
        aim = torch.zeros(len(reads))
        aim[TOXICITY] = settings.gain
        phrases.weight.copy_(torch.from_numpy(found.coef_[0]))
        phrases.direction.copy_(torch.linalg.pinv(reads) @ aim)
    model.config.phrases = settings.rows
    model.bert.phrases = phrases.to(weight.device)
    log.info("phrases: %d numbers fitted to %d texts", settings.rows, len(known))


def drop_phrases(model: Any) -> None:
    """Take a model's phrases from it, in place."""
    model.config.phrases = 0
    model.bert.phrases = None
