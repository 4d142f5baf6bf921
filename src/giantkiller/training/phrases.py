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
from giantkiller.training.settings import PhraseSettings

log = logging.getLogger(__name__)

TOXICITY, IDENTITY = ATTRIBUTES.index("toxicity"), ATTRIBUTES.index("identity_attack")
LEAST, LEAST_APART = 2, 5
"""Times that a phrase must occur to have a number, in sources that are not quiet or in quiet ones that have
targets; at a text's beginning, where 0 stands before, shorter and longer ones are the same and count each."""
STEPS = 120
"""Of the optimizer (L-BFGS), at most: with numbers scaled by the loss's curvature it is done by then."""
TINY = 1e-3
"""Added to curvatures, which may be 0."""

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


def taught_rows(corpus: Corpus, settings: PhraseSettings) -> NDArray[np.intp]:
    """Return which of the quiet rows phrases learn from apart, counted among these; none without `apart`.

    Raises:
        UserError: They shall, and none has a target.
    """
    if not settings.apart:
        return np.zeros(0, np.intp)
    taught = np.flatnonzero(~np.isnan(corpus.targets[corpus.quiet, TOXICITY]))
    if not len(taught):
        raise UserError(
            "phrases.apart needs a quiet source with labels of toxicity; mark one, or set it to 0"
        )
    return taught


def fit_phrases(model: Any, train: Examples, settings: PhraseSettings) -> None:
    """Give a model phrases, the sum of two logistic regressions.

    One, times `apart`, is fitted to the targets of quiet sources as if there were no network: a network
    knows the texts that it learned from, and what it leaves there says little about others. Each source has
    an intercept of its own, which is dropped; squares hold back what the regression says on rows of other
    sources that `restrain` it. The other, times `gain`, is fitted to those sources; known to it are `trust`
    times the logits of the network and the one apart together, and squares hold it back on quiet rows.

    The rarer a phrase is in sources that are not quiet, by the logarithm, the less a large number costs. Both
    are fitted twice: of the phrases that share a row, the one that said most the first time keeps it. The
    direction moves toxicity's logit by what they say, that of identity_attack by `identity` of it, and no
    other; it is at right angles to the classifier's other weights and to its dendrites'.

    Args:
        model: A `DendriticBertForSequenceClassification`, changed in place; phrases that it has go.
        train: Texts; those of quiet sources restrain, and learn apart where they have a target for toxicity;
            of the others those count that have one.
        settings: Of the recipe.

    Raises:
        UserError: The targets of sources that are not quiet are all of one kind, or no quiet source has any
            to learn apart.
    """
    corpus = train.corpus
    rows, toxic = toxic_rows(corpus)
    calm = np.flatnonzero(corpus.quiet)
    taught = taught_rows(corpus, settings)
    learned, quiet = take_tokens(train.tokens, rows), take_tokens(train.tokens, calm)
    drop_phrases(model)
    logits = predict(model, learned)[:, TOXICITY].astype(np.float64)
    rated = ~np.isnan(corpus.targets).all(axis=1)
    weights = np.where(rated, corpus.weights, corpus.soft_weights).astype(np.float64)
    taught_toxic = corpus.targets[calm[taught], TOXICITY] >= POSITIVE
    sources = one_hot(corpus.source[calm[taught]])
    penalty = 1 / settings.inverse_penalty
    known = np.union1d(
        frequent_phrases(learned, LEAST), frequent_phrases(take_tokens(quiet, taught), LEAST_APART)
    )
    for first in (True, False):
        counts = phrase_counts(learned, known)
        texts = np.bincount(counts.indices, minlength=len(known))
        rare = rarity(texts, len(rows))
        scaled, held = (each.multiply(rare).tocsr() for each in (counts, phrase_counts(quiet, known)))
        alone = np.zeros(len(known))
        if len(taught):
            task = Task(taught_toxic, weights[calm[taught]], np.zeros(len(taught)), penalty)
            alone = settings.apart * regression(
                held[taught], task, scaled, corpus.restrain[rows], intercepts=sources
            )
        task = Task(toxic, weights[rows], settings.trust * (logits + scaled @ alone), penalty)
        said = alone + settings.gain * regression(scaled, task, held, weights[calm])
        if first:
            seen = scaled.power(2).sum(axis=0) + held[taught].power(2).sum(axis=0)
            order = np.argsort(-(said**2) * np.asarray(seen).ravel(), kind="stable")
            known = np.sort(known[order[np.unique(known[order] % settings.rows, return_index=True)[1]]])
    _attach(model, known, said * rare, settings)
    log.info(
        "phrases: %d fitted to %d texts and, apart, to %d; held by %d",
        len(known), len(rows), len(taught), len(calm),
    )  # fmt: skip


def rarity(texts: NDArray[np.int64], rows: int) -> Floats:
    """Return what each phrase's counts are scaled by, (k,), the rarer the more and at most 1.

    Args:
        texts: (k,) how many texts have it.
        rows: Of so many.
    """
    rare = 1 + np.log((1 + rows) / (1 + texts))  # as TF-IDF has it
    return np.asarray(rare / rare.max(initial=1))


def take_tokens(tokens: Tokens, rows: NDArray[np.intp]) -> Tokens:
    """Pick texts by index."""
    lengths = tokens.lengths[rows]
    starts = np.concatenate([[0], np.cumsum(lengths)])
    places = np.arange(starts[-1]) + np.repeat(tokens.starts[rows] - starts[:-1], lengths)
    return Tokens(tokens.ids[places], starts, tokens.pad_id)


def frequent_phrases(tokens: Tokens, least: int) -> NDArray[np.int64]:
    """Return the numbers of the phrases that occur at least so often, (k,), rising."""
    hashes, times = np.unique(hashes_of(tokens), return_counts=True)
    return np.asarray(hashes[times >= least])


def one_hot(numbers: NDArray[np.int64]) -> Any:
    """Return (n, k) sparse float64, a 1 a row in the column of its number among the k that occur."""
    from scipy.sparse import csr_matrix

    columns = np.unique(numbers, return_inverse=True)[1]
    shape = len(numbers), int(columns.max(initial=-1)) + 1
    return csr_matrix((np.ones(len(numbers)), columns, np.arange(len(numbers) + 1)), shape=shape)


@dataclass
class Task:
    """What numbers of phrases are fitted to, of n rows."""

    toxic: NDArray[np.bool_]  # (n,)
    weights: Floats  # (n,)
    offset: Floats  # (n,), logits that are taken as known
    penalty: float


def regression(counts: Any, task: Task, held: Any, held_weights: Floats, *, intercepts: Any = None) -> Floats:
    """Return each phrase's number, (k,), for counts (n, k) and (m, k).

    Least weighted cross-entropy of `offset` plus what phrases say, plus half of `penalty` times their squared
    numbers, plus half of the weighted squares of what they say on held rows. `intercepts` (n, j) cost
    nothing and are not returned. The optimizer sees each number divided by the root of about its curvature,
    so that frequent and rare phrases settle equally soon.
    """
    from scipy.optimize import minimize
    from scipy.sparse import csr_matrix, hstack
    from scipy.special import expit

    k = counts.shape[1]
    if intercepts is not None:
        counts = hstack([counts, intercepts], format="csr")
        held = hstack([held, csr_matrix((held.shape[0], intercepts.shape[1]))], format="csr")
    costs = np.where(np.arange(counts.shape[1]) < k, task.penalty, 0.0)
    across, held_across = counts.T.tocsr(), held.T.tocsr()
    unsure = np.clip(expit(task.offset), 0.1, 0.9)
    curvature = across.power(2) @ (task.weights * unsure * (1 - unsure)) + costs
    scale = (curvature + held_across.power(2) @ held_weights + TINY) ** -0.5

    def loss(scaled: Floats) -> tuple[float, Floats]:
        numbers = scaled * scale
        logits, beside = task.offset + counts @ numbers, held @ numbers
        value = (
            task.weights @ (np.logaddexp(0, logits) - task.toxic * logits)
            + costs @ numbers**2 / 2
            + held_weights @ beside**2 / 2
        )
        slope = across @ (task.weights * (expit(logits) - task.toxic)) + costs * numbers
        return float(value), (slope + held_across @ (held_weights * beside)) * scale

    found = minimize(loss, np.zeros(counts.shape[1]), jac=True, method="L-BFGS-B", options={"maxiter": STEPS})
    return np.asarray((found.x * scale)[:k])


@torch.no_grad()
def _attach(model: Any, known: NDArray[np.int64], numbers: Floats, settings: PhraseSettings) -> None:
    weight = model.classifier.weight
    phrases = Phrases(settings.rows, weight.shape[1])
    rows = torch.from_numpy(known % settings.rows)
    phrases.weight[rows] = torch.from_numpy(numbers).float()
    phrases.checks[rows] = torch.from_numpy(known % CHECKS).to(torch.uint8)
    model.config.phrases = settings.rows
    model.bert.phrases = phrases.to(weight.device)
    aim = torch.zeros(len(what_reads(model)))
    aim[TOXICITY], aim[IDENTITY] = 1.0, settings.identity
    point_phrases(model, aim)


def what_reads(model: Any) -> torch.Tensor:
    """Return the classifier's weights and then its dendrites', (logits and dendrites, hidden)."""
    classifier = model.classifier
    dendrites = getattr(classifier, "dendrite_weight", None)
    return (
        torch.cat([classifier.weight] if dendrites is None else [classifier.weight, dendrites]).float().cpu()
    )


@torch.no_grad()
def point_phrases(model: Any, aim: torch.Tensor) -> None:
    """Turn the phrases' direction so that each of `what_reads` reads `aim` times what they say, in place."""
    model.bert.phrases.direction.copy_(torch.linalg.pinv(what_reads(model)) @ aim)


def drop_phrases(model: Any) -> None:
    """Take a model's phrases from it, in place."""
    model.config.phrases = 0
    model.bert.phrases = None
