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
    before[tokens.starts[:-1]] = 0
    first, second = PAIR_FACTORS[0]
    columns = (before * first + ids * second) % PAIR_PRIME % rows
    values = np.repeat(1 / np.sqrt(tokens.lengths), tokens.lengths).astype(np.float32)
    counts = csr_matrix((values, columns, tokens.starts), shape=(len(tokens.lengths), rows))
    counts.sum_duplicates()
    return counts


def fit_phrases(model: Any, train: Examples, settings: PhraseSettings) -> None:
    """Give a model phrases, their table fitted by logistic regression apart from the network.

    Fitted together with the network, or to what it gets wrong, it would learn next to nothing: the network
    knows the texts that it learned from. One direction of what the classifier reads moves the logit of
    toxicity by `gain` times the table's own, and no other logit.

    Args:
        model: A `DendriticBertForSequenceClassification`, changed in place; phrases that it has go.
        train: Texts that learn; those count that raters labelled for toxicity.
        settings: Of the recipe.

    Raises:
        UserError: The labels are all of one kind.
    """
    from sklearn.linear_model import LogisticRegression

    shares = train.corpus.targets[:, TOXICITY]
    known = np.flatnonzero(~np.isnan(shares))
    toxic: NDArray[np.bool_] = shares[known] >= POSITIVE
    if toxic.all() or not toxic.any():
        raise UserError(
            "phrases are fitted to comments that raters call toxic and others; the sources lack one"
        )
    counts = pair_counts(train.tokens, settings.rows)[known]
    # liblinear: a table of mostly rare pairs in seconds, the same on every run.
    found = LogisticRegression(C=settings.strength, solver="liblinear", max_iter=100).fit(
        counts, toxic, sample_weight=train.corpus.weights[known]
    )
    aim = torch.zeros(len(ATTRIBUTES))
    aim[TOXICITY] = settings.gain
    weight = model.classifier.weight
    phrases = Phrases(settings.rows, weight.shape[1])
    with torch.no_grad():
        phrases.weight.copy_(torch.from_numpy(found.coef_[0]))
        phrases.direction.copy_(torch.linalg.pinv(weight.float().cpu()) @ aim)
    model.config.phrases = settings.rows
    model.bert.phrases = phrases.to(weight.device)
    log.info("phrases: %d numbers fitted to %d texts", settings.rows, len(known))
