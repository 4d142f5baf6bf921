"""The training loop: one phase of training, resumable to the bit."""

import dataclasses
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
from tqdm import tqdm
from transformers import get_linear_schedule_with_warmup

from giantkiller.atomic import replace_file
from giantkiller.errors import UserError
from giantkiller.models.first_token import first_token
from giantkiller.models.inference import predict, use_bf16
from giantkiller.training.batches import Examples, plan_batches
from giantkiller.training.loss import batch_loss
from giantkiller.training.settings import LossSettings, OptimSettings
from giantkiller.training.states import make_head, state_loss
from giantkiller.training.validation import choose_by, validate

log = logging.getLogger(__name__)


class DivergedError(UserError):
    """The loss is no number any more: the run cannot go on, nor be resumed."""


@dataclass
class Phase:
    """What one call of `fit` needs besides model and data."""

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


@dataclass
class Progress:
    """How far a phase has come."""

    step: int = 0
    """Optimizer steps taken."""
    best: float = -math.inf
    """The best validation score so far."""
    since: int = 0
    """Validations since then."""
    running: float | None = None
    """Moving average of the loss."""
    seconds: float = 0.0
    """Seconds spent in earlier calls, and in this one when saved."""
    done: bool = False


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
        UserError: If the phase's state belongs to another recipe, `loss.states` is set but no text has
            states, or the loss stops being a number.
    """
    loop = _Loop(model, train, validation, optim, loss, phase)
    loop.resume()
    loop.run()
    return loop.progress.best


class _Loop:
    """A phase under way: model, head, optimizer, schedule and progress, which are saved together."""

    def __init__(
        self,
        model: torch.nn.Module,
        train: Examples,
        validation: Examples,
        optim: OptimSettings,
        loss: LossSettings,
        phase: Phase,
    ) -> None:
        self.model, self.train, self.validation = model, train, validation
        self.optim, self.loss, self.phase = optim, loss, phase
        self.device = next(model.parameters()).device
        self.bf16 = use_bf16(optim.precision, self.device)
        # Epochs differ a little in their number of batches; the first one's count is the measure.
        self.per_epoch = len(self.plan(0))
        self.steps = max(1, math.ceil(self.per_epoch * optim.epochs))
        self.every = max(1, math.ceil(self.per_epoch / optim.evaluations))
        warmup = optim.warmup_steps
        if warmup is None:
            warmup = round(self.steps * optim.warmup_fraction)
        self.head = make_head(model, train.corpus, loss)
        self.parameters = [*model.parameters(), *(self.head.parameters() if self.head else ())]
        self.optimizer = make_optimizer(model, optim, self.head)
        self.schedule = get_linear_schedule_with_warmup(self.optimizer, min(warmup, self.steps), self.steps)
        self.state = phase.folder / "state.pt"
        self.progress = Progress()
        self.best_weights = self.copy_weights()
        self.began = time.monotonic()
        self.saved = self.began
        torch.manual_seed(phase.seed)

    def plan(self, epoch: int) -> list[np.ndarray]:
        """Plan an epoch's batches; twins share one where they are contrasted."""
        return plan_batches(
            self.train.tokens.lengths,
            self.optim.batch_size,
            self.optim.batch_tokens,
            [self.phase.seed, epoch],
            self.train.corpus.pairs if self.loss.contrast else None,
        )

    def copy_weights(self) -> dict[str, torch.Tensor]:
        """Copy the model's weights."""
        return {name: value.clone() for name, value in self.model.state_dict().items()}

    def run(self) -> None:
        """Train until the steps are done, patience ends, or an interrupt comes."""
        progress = self.progress
        self.model.train()
        bar = tqdm(total=self.steps, initial=progress.step, desc=self.phase.name, unit="step", disable=None)
        batches, epoch = [], -1
        with bar, interrupts_between_steps() as interrupted:
            while not progress.done and progress.step < self.steps:
                if progress.step // self.per_epoch != epoch:
                    epoch = progress.step // self.per_epoch
                    batches = self.plan(epoch)
                self.step(batches[min(progress.step % self.per_epoch, len(batches) - 1)])
                bar.update()
                bar.set_postfix(loss=f"{progress.running:.4f}", best=f"{progress.best:.4f}", refresh=False)
                if progress.step % self.every == 0 or progress.step == self.steps:
                    self.evaluate()
                if time.monotonic() - self.saved > self.phase.checkpoint_seconds:
                    self.save()
                if interrupted():
                    self.save()
                    raise KeyboardInterrupt
        progress.done = True
        self.model.load_state_dict(self.best_weights)
        self.save()

    def step(self, rows: np.ndarray) -> None:
        """Take one optimizer step on a batch."""
        ids, mask = self.train.tokens.batch(rows)
        ids, mask = ids.to(self.device), mask.to(self.device)
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.bf16):
            logits, state = first_token(self.model, ids, mask, state=self.head is not None)
        value = batch_loss(logits.float(), self.train.corpus, rows, self.loss)
        if self.head:
            assert state is not None
            mapped = self.head(state.float())
            value = value + self.loss.states * state_loss(mapped, self.train.corpus, rows)
        self.optimizer.zero_grad(set_to_none=True)
        value.backward()
        if self.optim.clip:
            torch.nn.utils.clip_grad_norm_(self.parameters, self.optim.clip)
        self.optimizer.step()
        self.schedule.step()
        progress = self.progress
        progress.step += 1
        number = float(value.detach())
        if not math.isfinite(number):
            raise DivergedError(
                f"the loss of {self.phase.name} is {number} at step {progress.step}; "
                "lower optim.learning_rate"
            )
        progress.running = number if progress.running is None else 0.98 * progress.running + 0.02 * number

    def evaluate(self) -> None:
        """Validate, keep the weights if they are the best so far, and write it down."""
        progress = self.progress
        figures = validate(predict(self.model, self.validation.tokens), self.validation.corpus.targets)
        score = choose_by(figures)
        better = score > progress.best
        if better:
            self.best_weights = self.copy_weights()
            progress.best = score
        progress.since = 0 if better else progress.since + 1
        assert progress.running is not None
        self.phase.write(
            {
                "phase": self.phase.name,
                "step": progress.step,
                "epoch": round(progress.step / self.per_epoch, 3),
                "loss": round(progress.running, 6),
                "learning_rate": self.schedule.get_last_lr()[0],
                "seconds": round(self.spent(), 1),
                "best": better,
                **{name: round(figure, 6) for name, figure in figures.items()},
            }
        )
        log.info(
            "%s: step %d of %d, loss %.4f, validation AP %.4f%s",
            self.phase.name,
            progress.step,
            self.steps,
            progress.running,
            score,
            " (best)" if better else "",
        )
        if self.optim.patience is not None and progress.since >= self.optim.patience:
            progress.done = True

    def spent(self) -> float:
        """Return the seconds spent on this phase, earlier calls included."""
        return self.progress.seconds + time.monotonic() - self.began

    def save(self) -> None:
        """Write the resumable state: one file, replaced whole."""
        content = {
            "digest": self.phase.digest,
            "model": self.model.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "schedule": self.schedule.state_dict(),
            "rng": torch.get_rng_state(),
            "best_weights": self.best_weights,
            "head": self.head.state_dict() if self.head else None,
            "progress": dataclasses.asdict(dataclasses.replace(self.progress, seconds=self.spent())),
        }
        with replace_file(self.state) as temporary:
            torch.save(content, temporary)
        self.saved = time.monotonic()

    def resume(self) -> None:
        """Continue from the state, if there is one.

        Raises:
            UserError: If it is damaged, or of another recipe.
        """
        if not self.state.exists():
            return
        content = read_state(self.state, self.phase.digest, self.device)
        self.model.load_state_dict(content["model"])
        self.optimizer.load_state_dict(content["optimizer"])
        self.schedule.load_state_dict(content["schedule"])
        torch.set_rng_state(content["rng"].cpu())
        self.best_weights = content["best_weights"]
        if self.head:
            self.head.load_state_dict(content["head"])
        self.progress = Progress(**content["progress"])


def read_state(path: Path, digest: str, device: torch.device) -> dict[str, Any]:
    """Read a phase's state.

    Raises:
        UserError: If it is damaged, or of another recipe.
    """
    try:
        # weights_only: nothing in the file is executed.
        content = torch.load(path, map_location=device, weights_only=True)
        theirs = content["digest"]
    except Exception:
        raise UserError(
            f"the training state {path} cannot be read; delete it, or train without `resume`"
        ) from None
    if theirs != digest:
        raise UserError(
            f"the training state {path} belongs to another recipe or other data; "
            f"choose another `output` folder, or train without `resume`"
        )
    return dict(content)


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


def make_optimizer(
    model: torch.nn.Module, optim: OptimSettings, head: torch.nn.Module | None = None
) -> torch.optim.AdamW:
    """Make the optimizer, of a head's weights, too.

    Biases, layer norms and dendrite strengths are not pulled to zero.
    """
    decayed: list[torch.nn.Parameter] = []
    plain: list[torch.nn.Parameter] = []
    strengths: list[torch.nn.Parameter] = []
    for name, parameter in [*model.named_parameters(), *(head.named_parameters() if head else ())]:
        if parameter.requires_grad:
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
