"""The training loop: one phase of training, resumable to the bit."""

import logging
import math
import re
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from sklearn.metrics import average_precision_score, roc_auc_score
from tqdm import tqdm
from transformers import get_linear_schedule_with_warmup

from giantkiller.attributes import ATTRIBUTES, POSITIVE
from giantkiller.errors import UserError
from giantkiller.training.corpus import Corpus, Tokens, plan_batches
from giantkiller.training.distill import label_loss
from giantkiller.training.recipe import LossSettings, OptimSettings

log = logging.getLogger(__name__)


@dataclass
class Examples:
    """A corpus and its tokens, ready to train on or to score."""

    corpus: Corpus
    tokens: Tokens


@dataclass
class Phase:
    """What one call of `fit` is told besides model and data."""

    folder: Path
    """Where its resumable state lies."""
    name: str
    """What the log calls it."""
    seed: int
    digest: str
    """Identity of the recipe; a state of another one is not resumed."""
    checkpoint_seconds: float = 120.0
    write: Callable[[dict[str, Any]], None] = field(default=lambda record: None)
    """Takes the log's records."""


@torch.no_grad()
def predict(
    model: torch.nn.Module, tokens: Tokens, batch_tokens: int = 4096, width: int = len(ATTRIBUTES)
) -> np.ndarray:
    """Logits of tokenized texts, in their order, on the model's device.

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
    order = np.argsort(-tokens.lengths, kind="stable")
    result = np.empty((len(order), width), dtype=np.float32)
    at = 0
    while at < len(order):
        rows = order[at : at + max(1, batch_tokens // max(1, int(tokens.lengths[order[at]])))]
        ids, mask = tokens.batch(rows)
        logits = model(input_ids=ids.to(device), attention_mask=mask.to(device)).logits
        result[rows] = logits.float().cpu().numpy()
        at += len(rows)
    model.train(training)
    return result


def validate(logits: np.ndarray, targets: np.ndarray) -> dict[str, float]:
    """Average precision and ROC-AUC of each attribute that has both classes.

    Args:
        logits: (n, 7).
        targets: (n, 7), NaN where missing.

    Returns:
        `ap_toxicity`, `auc_toxicity`, ...
    """
    figures = {}
    for column, name in enumerate(ATTRIBUTES):
        there = ~np.isnan(targets[:, column])
        truth = targets[there, column] >= POSITIVE
        if truth.any() and not truth.all():
            scores = logits[there, column]
            figures[f"ap_{name}"] = float(average_precision_score(truth, scores))
            figures[f"auc_{name}"] = float(roc_auc_score(truth, scores))
    return figures


def choose_by(figures: dict[str, float]) -> float:
    """The figure that early stopping and growth go by: toxicity's average precision, else the first one.

    Raises:
        UserError: If no attribute has both classes.
    """
    for name in ATTRIBUTES:
        if f"ap_{name}" in figures:
            return figures[f"ap_{name}"]
    raise UserError("the validation texts hold no attribute with both classes; choose other validation data")


def fit(
    model: torch.nn.Module,
    train: Examples,
    validation: Examples,
    optim: OptimSettings,
    loss: LossSettings,
    phase: Phase,
) -> float:
    """Train in place, to the best validation score; continue if a state lies in the phase's folder.

    Args:
        model: A sequence classifier with seven logits.
        train: Training texts.
        validation: Texts that choose the best weights.
        optim: Optimizer, batches, early stopping.
        loss: Loss.
        phase: Where state and log go.

    Returns:
        The best validation score; the model holds its weights.

    Raises:
        UserError: If the phase's state belongs to another recipe, or the loss stops being a number.
    """
    device = next(model.parameters()).device
    bf16 = use_bf16(optim.precision, device)
    lengths = train.tokens.lengths
    per_epoch = len(plan_batches(lengths, optim.batch_size, optim.batch_tokens, [phase.seed, 0]))
    steps = max(1, math.ceil(per_epoch * optim.epochs))
    optimizer = _optimizer(model, optim)
    warmup = optim.warmup_steps if optim.warmup_steps is not None else round(steps * optim.warmup_fraction)
    schedule = get_linear_schedule_with_warmup(optimizer, min(warmup, steps), steps)
    state = _State(phase.folder / "state.pt", phase.digest)
    torch.manual_seed(phase.seed)
    progress: dict[str, Any] = {"step": 0, "best": -math.inf, "since": 0, "seconds": 0.0, "running": None}
    best_weights = {name: value.clone() for name, value in model.state_dict().items()}
    loaded = state.load(device)
    if loaded:
        model.load_state_dict(loaded["model"])
        optimizer.load_state_dict(loaded["optimizer"])
        schedule.load_state_dict(loaded["schedule"])
        torch.set_rng_state(loaded["rng"].cpu())
        best_weights, progress = loaded["best_weights"], loaded["progress"]

    def save() -> None:
        state.save(
            {
                "model": model.state_dict(),
                "optimizer": optimizer.state_dict(),
                "schedule": schedule.state_dict(),
                "rng": torch.get_rng_state(),
                "best_weights": best_weights,
                "progress": {**progress, "seconds": spent()},
            }
        )

    began, before = time.monotonic(), float(progress["seconds"])

    def spent() -> float:
        return before + time.monotonic() - began

    every = max(1, math.ceil(per_epoch / optim.evaluations))
    model.train()
    saved = time.monotonic()
    bar = tqdm(total=steps, initial=progress["step"], desc=phase.name, unit="step", disable=None)
    batches, epoch = [], -1
    done = bool(loaded and loaded["progress"].get("done"))
    with bar, interrupts_between_steps() as interrupted:
        while not done and progress["step"] < steps:
            if progress["step"] // per_epoch != epoch:
                epoch = progress["step"] // per_epoch
                batches = plan_batches(lengths, optim.batch_size, optim.batch_tokens, [phase.seed, epoch])
            # Epochs differ a little in their number of batches; the first one's count is the measure.
            rows = batches[min(progress["step"] % per_epoch, len(batches) - 1)]
            ids, mask = train.tokens.batch(rows)
            with torch.autocast(device.type, torch.bfloat16, enabled=bf16):
                logits = model(input_ids=ids.to(device), attention_mask=mask.to(device)).logits
            value = batch_loss(logits.float(), train.corpus, rows, loss)
            optimizer.zero_grad(set_to_none=True)
            value.backward()
            if optim.clip:
                torch.nn.utils.clip_grad_norm_(model.parameters(), optim.clip)
            optimizer.step()
            schedule.step()
            progress["step"] += 1
            number = float(value.detach())
            if not math.isfinite(number):
                raise UserError(
                    f"the loss of {phase.name} is {number} at step {progress['step']}; "
                    f"lower optim.learning_rate"
                )
            running = progress["running"]
            progress["running"] = number if running is None else 0.98 * running + 0.02 * number
            bar.update()
            bar.set_postfix(loss=f"{progress['running']:.4f}", best=f"{progress['best']:.4f}", refresh=False)
            if progress["step"] % every == 0 or progress["step"] == steps:
                figures = validate(predict(model, validation.tokens), validation.corpus.targets)
                score = choose_by(figures)
                better = score > progress["best"]
                if better:
                    best_weights = {name: value.clone() for name, value in model.state_dict().items()}
                    progress["best"] = score
                progress["since"] = 0 if better else progress["since"] + 1
                record = {
                    "phase": phase.name,
                    "step": progress["step"],
                    "epoch": round(progress["step"] / per_epoch, 3),
                    "loss": round(progress["running"], 6),
                    "learning_rate": schedule.get_last_lr()[0],
                    "seconds": round(spent(), 1),
                    "best": better,
                    **{name: round(figure, 6) for name, figure in figures.items()},
                }
                phase.write(record)
                log.info(
                    "%s: step %d of %d, loss %.4f, validation AP %.4f%s",
                    phase.name,
                    progress["step"],
                    steps,
                    progress["running"],
                    score,
                    " (best)" if better else "",
                )
                if optim.patience is not None and progress["since"] >= optim.patience:
                    done = True
            if time.monotonic() - saved > phase.checkpoint_seconds:
                save()
                saved = time.monotonic()
            if interrupted():
                save()
                raise KeyboardInterrupt
    progress["done"] = True
    model.load_state_dict(best_weights)
    save()
    return float(progress["best"])


@contextmanager
def interrupts_between_steps() -> Iterator[Callable[[], bool]]:
    """Hold the first Ctrl-C back until the loop asks, so that no half-made step is ever saved.

    A second one stops at once, without saving. Where interrupts are ignored, as in background jobs, they
    stay so; outside the main thread nothing is held back.

    Yields:
        Whether an interrupt is waiting.
    """
    waiting = False

    def hold(number: int, frame: Any) -> None:
        nonlocal waiting
        if waiting:
            raise KeyboardInterrupt
        waiting = True

    before = signal.getsignal(signal.SIGINT)
    if before is signal.SIG_IGN or threading.current_thread() is not threading.main_thread():
        yield lambda: False
        return
    signal.signal(signal.SIGINT, hold)
    try:
        yield lambda: waiting
    finally:
        signal.signal(signal.SIGINT, before)


def batch_loss(logits: torch.Tensor, corpus: Corpus, rows: np.ndarray, loss: LossSettings) -> torch.Tensor:
    """Mix the losses against targets and soft labels.

    Args:
        logits: (b, 7) of the batch.
        corpus: Where the batch comes from.
        rows: (b,) its rows there.
        loss: The settings.

    Returns:
        A scalar.
    """
    targets, weights, soft = (
        torch.from_numpy(array[rows]).to(logits.device)
        for array in (corpus.targets, corpus.weights, corpus.soft)
    )
    return label_loss(logits, targets, weights, soft, loss)


def _optimizer(model: torch.nn.Module, optim: OptimSettings) -> torch.optim.AdamW:
    decayed: list[torch.nn.Parameter] = []
    plain: list[torch.nn.Parameter] = []
    strengths: list[torch.nn.Parameter] = []
    for name, parameter in model.named_parameters():
        if parameter.requires_grad:
            # Biases, layer norms and dendrite strengths are not pulled to zero.
            if name.endswith("dendrite_strength"):
                strengths.append(parameter)
            elif parameter.ndim < 2 or re.search(r"LayerNorm|cascade", name):
                plain.append(parameter)
            else:
                decayed.append(parameter)
    groups = [
        {"params": decayed, "weight_decay": optim.weight_decay},
        {"params": plain, "weight_decay": 0.0},
        {"params": strengths, "weight_decay": 0.0, "lr": optim.learning_rate * optim.strength_rate},
    ]
    return torch.optim.AdamW(groups, lr=optim.learning_rate, fused=True)


def use_bf16(precision: str, device: torch.device) -> bool:
    """Tell whether to run under bf16 autocast; `auto` does on GPUs that have it."""
    if precision == "auto":
        return device.type == "cuda" and torch.cuda.is_bf16_supported()
    return precision == "bf16"


class _State:
    """A phase's resumable state: one file, replaced whole."""

    def __init__(self, path: Path, digest: str) -> None:
        self.path, self.digest = path, digest

    def load(self, device: torch.device) -> dict[str, Any] | None:
        if not self.path.exists():
            return None
        try:
            # weights_only: nothing in the file is executed.
            content = torch.load(self.path, map_location=device, weights_only=True)
        except Exception:
            raise UserError(
                f"the training state {self.path} cannot be read; delete it, or train without --resume"
            ) from None
        if content["digest"] != self.digest:
            raise UserError(
                f"the training state {self.path} belongs to another recipe or other data; "
                f"choose another output folder, or train without --resume"
            )
        return dict(content)

    def save(self, content: dict[str, Any]) -> None:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        unfinished = self.path.with_suffix(".part")
        torch.save({"digest": self.digest, **content}, unfinished)
        unfinished.replace(self.path)
