"""Fitting what phrases of one to three tokens say on their own (`giantkiller.models.bert.Phrases`)."""

import logging
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from giantkiller.attributes import ATTRIBUTES, POSITIVE
from giantkiller.errors import UserError
from giantkiller.models.bert import CHECKS, Phrases, phrase_hashes
from giantkiller.models.inference import Tokens, predict
from giantkiller.training.batches import Examples
from giantkiller.training.corpus import Corpus
from giantkiller.training.recipe import PhraseSettings

log = logging.getLogger(__name__)

TOXICITY = ATTRIBUTES.index("toxicity")
LEAST = 2
"""Times that a phrase must occur to have a number; at a text's beginning, where 0 stands before, shorter and
longer ones are the same and count each."""
STEPS = 50
"""Of the optimizer (L-BFGS), at most."""

Floats = NDArray[np.float64]


def hashes_of(tokens: Tokens) -> NDArray[np.int64]:
    """Return the numbers of all phrases, (3, sum of lengths), as `Phrases` counts them."""
    ids = tokens.ids.astype(np.int64)
    place = np.arange(len(ids)) - np.repeat(tokens.starts[:-1], tokens.lengths)
    before, earlier = (
        np.where(place >= steps, np.roll(ids, steps), 0) if len(ids) else ids for steps in (1, 2)
    )
    return np.stack(phrase_hashes(ids, before, earlier))


def phrase_counts(tokens: Tokens, known: NDArray[np.int64]) -> Any:
    """Count each text's phrases.

    Args:
        tokens: Of n texts.
        known: (k,) numbers of the phrases that count, rising.

    Returns:
        (n, k) sparse float64; a text's counts are divided by the square root of its tokens, so that its
        product with the phrases' numbers is what `Phrases` makes of them.
    """
    from scipy.sparse import csr_matrix

    hashes = hashes_of(tokens).T.ravel()  # a token's three side by side
    columns = np.minimum(np.searchsorted(known, hashes), max(0, len(known) - 1))
    counted = known[columns] == hashes if len(known) else np.zeros(len(hashes), bool)
    values = np.repeat(np.maximum(tokens.lengths, 1) ** -0.5, 3 * tokens.lengths)[counted]
    starts = np.concatenate([[0], np.cumsum(counted)])[3 * tokens.starts]
    counts = csr_matrix((values, columns[counted], starts), shape=(len(tokens.lengths), len(known)))
    counts.sum_duplicates()
    return counts


def toxic_rows(corpus: Corpus) -> tuple[NDArray[np.intp], NDArray[np.bool_]]:
    """Return the rows that phrases learn from, and whether each is toxic.

    Raises:
        UserError: They are all of one kind.
    """
    shares = corpus.targets[:, TOXICITY]
    known = np.flatnonzero(~np.isnan(shares) & ~corpus.quiet)
    toxic = np.asarray(shares[known] >= POSITIVE)
    if toxic.all() or not toxic.any():
        raise UserError(
            "phrases need comments that are toxic, and others; sources that are not quiet lack one of them"
        )
    return known, toxic


def fit_phrases(model: Any, train: Examples, settings: PhraseSettings) -> None:
    """Give a model phrases, fitted to what the network leaves unexplained.

    Logistic regression, with `trust` times the network's logits of toxicity added. On quiet rows phrases
    shall say `pull` times what the network's logit lacks to the teacher's, or nothing where no teacher
    spoke. A phrase's share of the penalty on large numbers falls with the logarithm of how rare it is. It is
    fitted twice: of the phrases that share a row, the one that said most the first time keeps it. The
    direction moves the logit of toxicity by `gain` times what they say; it is at right angles to the
    classifier's other weights and to its dendrites'.

    Args:
        model: A `DendriticBertForSequenceClassification`, changed in place; phrases that it has go.
        train: Texts; those of quiet sources restrain, of the others those count that have a target for
            toxicity.
        settings: Of the recipe.

    Raises:
        UserError: The targets are all of one kind.
    """
    rows, toxic = toxic_rows(train.corpus)
    calm = np.flatnonzero(train.corpus.quiet)
    learned, quiet = take_tokens(train.tokens, rows), take_tokens(train.tokens, calm)
    drop_phrases(model)
    lacks = train.corpus.soft[calm, TOXICITY] - predict(model, quiet)[:, TOXICITY]
    task = _Task(
        toxic=toxic,
        weights=train.corpus.weights[rows].astype(np.float64),
        offset=settings.trust * predict(model, learned)[:, TOXICITY].astype(np.float64),
        aim=settings.pull * np.nan_to_num(lacks.astype(np.float64)),
        quiet_weights=np.where(
            np.isnan(train.corpus.soft[calm, TOXICITY]),
            train.corpus.weights[calm],
            train.corpus.soft_weights[calm],
        ).astype(np.float64),
        penalty=1 / settings.inverse_penalty,
    )
    known, times = np.unique(hashes_of(learned), return_counts=True)
    known = known[times >= LEAST]
    for first in (True, False):
        counts = phrase_counts(learned, known)
        texts = np.bincount(counts.indices, minlength=len(known))
        rare = 1 + np.log((1 + len(rows)) / (1 + texts))  # as TF-IDF has it
        rare /= rare.max(initial=1)
        scaled, held = (each.multiply(rare).tocsr() for each in (counts, phrase_counts(quiet, known)))
        said = _regression(scaled, held, task)
        if first:
            sums = said**2 * np.asarray(scaled.power(2).sum(axis=0)).ravel()
            order = np.argsort(-sums, kind="stable")
            known = np.sort(known[order[np.unique(known[order] % settings.rows, return_index=True)[1]]])
    _attach(model, known, said * rare, settings)
    log.info("phrases: %d fitted to %d texts, held by %d", len(known), len(rows), len(calm))


def take_tokens(tokens: Tokens, rows: NDArray[np.intp]) -> Tokens:
    """Pick texts by index."""
    lengths = tokens.lengths[rows]
    starts = np.concatenate([[0], np.cumsum(lengths)])
    places = np.arange(starts[-1]) + np.repeat(tokens.starts[rows] - starts[:-1], lengths)
    return Tokens(tokens.ids[places], starts, tokens.pad_id)


@dataclass
class _Task:
    """What numbers of phrases are fitted to, of n rows and m quiet ones."""

    toxic: NDArray[np.bool_]  # (n,)
    weights: Floats  # (n,)
    offset: Floats  # (n,), logits that are taken as known
    aim: Floats  # (m,), what phrases shall say
    quiet_weights: Floats  # (m,)
    penalty: float


def _regression(counts: Any, quiet: Any, task: _Task) -> Floats:
    """Return each phrase's number, (k,), for counts (n, k) and (m, k).

    Least weighted cross-entropy of `offset` plus what phrases say, plus half of the weighted squares of what
    they say on quiet rows beside `aim`, plus half of `penalty` times their own.
    """
    from scipy.optimize import minimize
    from scipy.special import expit

    across, quiet_across = counts.T.tocsr(), quiet.T.tocsr()

    def loss(numbers: Floats) -> tuple[float, Floats]:
        logits, beside = task.offset + counts @ numbers, quiet @ numbers - task.aim
        value = (
            task.weights @ (np.logaddexp(0, logits) - task.toxic * logits)
            + task.quiet_weights @ beside**2 / 2
            + task.penalty / 2 * numbers @ numbers
        )
        slope = across @ (task.weights * (expit(logits) - task.toxic))
        return float(value), slope + quiet_across @ (task.quiet_weights * beside) + task.penalty * numbers

    found = minimize(loss, np.zeros(counts.shape[1]), jac=True, method="L-BFGS-B", options={"maxiter": STEPS})
    return np.asarray(found.x)


@torch.no_grad()
def _attach(model: Any, known: NDArray[np.int64], numbers: Floats, settings: PhraseSettings) -> None:
    weight = model.classifier.weight
    dendrites = getattr(model.classifier, "dendrite_weight", None)
    reads = torch.cat([weight] if dendrites is None else [weight, dendrites]).float().cpu()
    aim = torch.zeros(len(reads))  # logits, then dendrites
    aim[TOXICITY] = settings.gain
    phrases = Phrases(settings.rows, weight.shape[1])
    rows = torch.from_numpy(known % settings.rows)
    phrases.weight[rows] = torch.from_numpy(numbers).float()
    phrases.checks[rows] = torch.from_numpy(known % CHECKS).to(torch.uint8)
    phrases.direction.copy_(torch.linalg.pinv(reads) @ aim)
    model.config.phrases = settings.rows
    model.bert.phrases = phrases.to(weight.device)


def drop_phrases(model: Any) -> None:
    """Take a model's phrases from it, in place."""
    model.config.phrases = 0
    model.bert.phrases = None
