"""Learning from decisions without forgetting: site and rehearsal side by side in every step."""

import itertools
import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional
from tqdm import tqdm

from giantkiller.adapt.decisions import Decisions
from giantkiller.adapt.methods import Learning, attach
from giantkiller.adapt.regression import learn_row
from giantkiller.adapt.rehearsal import Rehearsal
from giantkiller.adapt.settings import Settings
from giantkiller.batching import PADDED_TOKENS, plan
from giantkiller.bundle import Bundle
from giantkiller.calibration import Calibrator, sigmoid
from giantkiller.encoding import Encoder
from giantkiller.models.first_token import first_token
from giantkiller.models.inference import Tokens, predict, tokenize
from giantkiller.training.batches import plan_batches

log = logging.getLogger(__name__)

CHOOSING = 0.2
"""Share of the held-in decisions, and of the rehearsal, that choose the pass."""
STEPS = 25
"""Fewer decisions than fill these steps are gone over several times before a pass is measured."""
WARMUP = 20
REHEARSED = 240
"""Rehearsal texts that choose the pass, at most."""


@dataclass(frozen=True)
class Part:
    """Texts as a step needs them.

    Attributes:
        tokens: Their ids.
        targets: (n, 7) float32, a target for each attribute.
        weights: (n, 7) float32, what each target counts.
    """

    tokens: Tokens
    targets: NDArray[np.float32]
    weights: NDArray[np.float32]

    def batch(self, rows: NDArray[Any]) -> tuple[Tensor, ...]:
        """Return ids, mask, targets and weights of some rows."""
        ids, mask = self.tokens.batch(rows)
        return ids, mask, torch.from_numpy(self.targets[rows]), torch.from_numpy(self.weights[rows])


@dataclass(frozen=True)
class Learned:
    """What learning came to.

    Attributes:
        tensors: A delta's.
        passes: Over the decisions.
        best: The pass that was kept; 0 is the old model.
        losses: Of the held-in decisions that choose, before learning and after each pass.
    """

    tensors: dict[str, Tensor]
    passes: int
    best: int
    losses: list[float]


def learn(model: Any, bundle: Bundle, site: Decisions, rehearsal: Rehearsal, settings: Settings) -> Learned:
    """Let a part of a model learn from decisions.

    The loss is the cross-entropy of calibrated scores, so the bundle's calibration goes on meaning what it
    meant. What a decision says nothing of, and the rehearsal, have the old model's scores as targets
    (Li and Hoiem 2016, "Learning without forgetting"); of rehearsal texts with labels the target is the mean
    of both. Logistic regression rehearses those with labels only, with the old scores.

    Args:
        model: The bundle's, in float; changed in place.
        bundle: Whose calibration and tokenizer count.
        site: The decisions to learn from.
        rehearsal: What is not to be forgotten.
        settings: How.

    Raises:
        UserError: Logistic regression has decisions of one kind only.
    """
    if settings.method == "logistic":
        return Learned(learn_row(model, bundle, site, ~chosen_of(site), rehearsal), 1, 1, [])
    parts = (
        make_part(model, bundle, site.texts, site.targets, weights=site.weights, unasked=settings.unasked),
        make_part(model, bundle, rehearsal.texts, rehearsal.targets, share=0.5),
    )
    return fit(model, attach(model, settings), bundle, parts, chosen_of(site), settings)


def make_part(
    model: Any,
    bundle: Bundle,
    texts: Sequence[str],
    targets: NDArray[np.float32],
    *,
    weights: NDArray[np.float64] | None = None,
    share: float = 1.0,
    unasked: float = 1.0,
) -> Part:
    """Make of texts what a step needs, with the model's present scores where nobody judged.

    Args:
        model: The old model.
        bundle: Whose calibration and tokenizer count.
        texts: n texts.
        targets: (n, 7), NaN where nobody judged.
        weights: (n,) what each text counts; 1 if not given.
        share: Of the labels in a target, the rest being the old score's.
        unasked: What a target without a label counts.
    """
    tokens = tokenize(Encoder(bundle.tokenizer, bundle.max_length), texts, clean=True)
    old = sigmoid(Calibrator(bundle.calibration).lines(predict(model, tokens))).astype(np.float32)
    known = ~np.isnan(targets)
    mixed = np.where(known, share * np.nan_to_num(targets) + (1 - share) * old, old)
    counts = np.where(known, 1.0, unasked) * (1.0 if weights is None else weights[:, None])
    return Part(tokens, mixed.astype(np.float32), counts.astype(np.float32))


def fit(
    model: Any,
    learning: Learning,
    bundle: Bundle,
    parts: tuple[Part, Part],
    chosen: NDArray[np.bool_],
    settings: Settings,
) -> Learned:
    """Pass over the decisions until those that choose get no better; return the best pass.

    Args:
        model: What learns.
        learning: Its parameters that do.
        bundle: Whose calibration counts.
        parts: The decisions and the rehearsal.
        chosen: Which decisions choose the pass.
        settings: How.
    """
    calibrator = Calibrator(bundle.calibration)
    line = (
        torch.tensor(calibrator.slopes, dtype=torch.float32),
        torch.tensor(calibrator.intercepts, dtype=torch.float32),
    )
    chooses = chosen, _some(len(parts[1].targets), settings.seed)
    rehearsed = _endless(parts[1], np.flatnonzero(~chooses[1]), settings)
    site_rows = np.flatnonzero(~chooses[0])
    lengths = parts[0].tokens.lengths[site_rows]
    once = -(-len(site_rows) // settings.batch_size)
    repeats = max(1, STEPS // once)
    steps = settings.epochs * repeats * once
    optimizer = torch.optim.AdamW(learning.parameters.values(), lr=settings.rate, weight_decay=0.0)
    scheduler = torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda step: min(1.0, (step + 1) / WARMUP) * (1 - 0.9 * min(1.0, step / steps))
    )

    def measured() -> float:
        site, old = (_loss(model, part, rows, line) for part, rows in zip(parts, chooses, strict=True))
        return site + settings.rehearsal * old

    best, losses, idle = learning.capture(), [measured()], 0
    for epoch in tqdm(range(settings.epochs), desc="learning", unit="pass", leave=False, disable=None):
        plans = (
            plan_batches(lengths, settings.batch_size, None, [settings.seed, epoch, turn])
            for turn in range(repeats)
        )
        for rows in itertools.chain.from_iterable(plans):
            optimizer.zero_grad()
            loss = _step_loss(model, parts[0].batch(site_rows[rows]), line)
            if settings.rehearsal:
                loss = loss + settings.rehearsal * _step_loss(model, next(rehearsed), line)
            loss.backward()
            torch.nn.utils.clip_grad_norm_(learning.parameters.values(), 1.0)
            optimizer.step()
            scheduler.step()
        losses.append(measured())
        log.info("pass %d: loss %.4f", epoch + 1, losses[-1])
        idle += 1
        if losses[-1] <= min(losses[:-1]):
            best, idle = learning.capture(), 0
        if idle >= settings.patience:
            break
    learning.restore(best)
    return Learned(learning.tensors(), len(losses) - 1, int(np.argmin(losses)), losses)


def _step_loss(model: Any, batch: tuple[Tensor, ...], line: tuple[Tensor, Tensor]) -> Tensor:
    ids, mask, targets, weights = batch
    logits = first_token(model, ids, mask).logits * line[0] + line[1]
    each = functional.binary_cross_entropy_with_logits(logits, targets, reduction="none")
    return (each * weights).sum() / weights.sum()


def _loss(model: Any, part: Part, chosen: NDArray[np.bool_], line: tuple[Tensor, Tensor]) -> float:
    """Return the loss of some rows without learning from them."""
    rows = np.flatnonzero(chosen)
    total = counted = 0.0
    with torch.no_grad():
        for some in plan(part.tokens.lengths[rows].tolist(), PADDED_TOKENS, padded=True):
            batch = part.batch(rows[some])
            weight = float(batch[3].sum())
            total += float(_step_loss(model, batch, line)) * weight
            counted += weight
    return total / max(counted, 1e-9)


def _endless(part: Part, rows: NDArray[np.int64], settings: Settings) -> Iterator[tuple[Tensor, ...]]:
    for turn in itertools.count():
        lengths = part.tokens.lengths[rows]
        for some in plan_batches(lengths, -(-settings.batch_size // 2), None, [settings.seed, 1, turn]):
            yield part.batch(rows[some])


def chosen_of(site: Decisions) -> NDArray[np.bool_]:
    """Return which held-in decisions choose the pass and teach nothing; none where they are few."""
    inner = np.zeros(len(site), bool)
    rng = np.random.default_rng(0)
    for kind in (site.positive, ~site.positive):
        units = rng.permutation(np.unique(site.units[kind]))
        inner |= np.isin(site.units, units[: int(CHOOSING * len(units))])
    return inner if 1 <= int(inner.sum()) <= len(site) // 2 else np.zeros(len(site), bool)


def _some(count: int, seed: int) -> NDArray[np.bool_]:
    chosen = np.zeros(count, bool)
    rows = np.random.default_rng([seed, 2]).permutation(count)
    chosen[rows[: min(REHEARSED, int(CHOOSING * count))]] = True
    return chosen
