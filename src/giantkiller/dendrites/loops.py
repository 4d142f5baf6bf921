"""Training loops in the form that growth asks for: a plain one, and `transformers.Trainer` as it is."""

import inspect
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from giantkiller.dendrites import state as states
from giantkiller.dendrites.growth import Phase
from giantkiller.dendrites.layers import DendriteError


@dataclass
class PlainLoop:
    """Train over batches until the validation score stands still, and keep the best model.

    Use it as `Grower(model, fit=loop.fit, score=loop.score)`.

    Attributes:
        batches: what one epoch goes through; an iterable that can be gone through again, or a function.
        loss: the training loss of a batch.
        score: of a model on validation data; higher is better.
        optimizer: makes an optimizer for the parameters that learn in this phase.
        epochs: most epochs of a phase.
        patience: a phase ends after so many epochs in a row without a better score.
        scheduler: makes a learning rate scheduler for the optimizer, stepped once an epoch.
    """

    batches: Iterable[Any] | Callable[[], Iterable[Any]]
    loss: Callable[[nn.Module, Any], Tensor]
    score: Callable[[nn.Module], float]
    optimizer: Callable[[list[nn.Parameter]], torch.optim.Optimizer]
    epochs: int = 100
    patience: int = 3
    scheduler: Callable[[torch.optim.Optimizer], torch.optim.lr_scheduler.LRScheduler] | None = None

    def fit(self, model: nn.Module, phase: Phase | None = None) -> None:
        """Train one phase, in place.

        Raises:
            DendriteError: the batches are empty or can be gone through only once, or nothing learns.
        """
        learning = [parameter for parameter in model.parameters() if parameter.requires_grad]
        if not learning:
            raise DendriteError("no parameter of the model learns: unfreeze what is to be trained")
        if isinstance(self.batches, Iterator):
            raise DendriteError("the batches can be gone through only once: give a list or a function")
        optimizer = self.optimizer(learning)
        scheduler = self.scheduler(optimizer) if self.scheduler else None
        best, best_score, idle = states.take(model), -float("inf"), 0
        for _ in range(self.epochs):
            model.train()
            seen = 0
            for batch in self.batches() if callable(self.batches) else self.batches:
                optimizer.zero_grad()
                self.loss(model, batch).backward()
                optimizer.step()
                seen += 1
            if not seen:
                raise DendriteError("there are no batches: nothing to train on")
            if scheduler is not None:
                scheduler.step()
            score = float(self.score(model))
            if phase is not None:
                phase.report(score)
            idle += 1
            if score > best_score:
                best, best_score, idle = states.take(model), score, 0
            if idle >= self.patience:
                break
        states.put(model, best)


@dataclass
class TrainerLoop:
    """Train each phase with a fresh `transformers.Trainer`, all of whose settings stay the user's.

    Use it as `Grower(model, fit=loop.fit, score=loop.score)`. Optimizer, scheduler, early stopping and
    `load_best_model_at_end` are whatever the made trainer has. A phase whose trainer writes into
    `phase.folder` resumes from its last checkpoint there.

    Attributes:
        make: makes a trainer for a model, called `make(model)` or, if it has a parameter of that name,
            `make(model, phase=...)`; the phase is None for a trainer that only scores.
        metric: the name of the score among the metrics that `trainer.evaluate()` returns.
        higher_is_better: False for a loss, which then counts negative.
    """

    make: Callable[..., Any]
    metric: str = "eval_loss"
    higher_is_better: bool = False

    def fit(self, model: nn.Module, phase: Phase) -> None:
        """Train one phase, in place."""
        from transformers import TrainerCallback

        loop = self

        class Report(TrainerCallback):
            """Tell the growth each validation score."""

            def on_evaluate(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
                if loop.metric in kwargs.get("metrics", {}):
                    phase.report(loop._signed(kwargs["metrics"]))

        trainer = self._made(model, phase)
        trainer.add_callback(Report())
        trainer.train(resume_from_checkpoint=_last_checkpoint(trainer.args.output_dir, phase.folder))

    def score(self, model: nn.Module) -> float:
        """Score a model on the trainer's own evaluation data.

        Raises:
            DendriteError: the evaluation has no such metric.
        """
        metrics = self._made(model, None).evaluate()
        if self.metric not in metrics:
            known = ", ".join(sorted(metrics))
            raise DendriteError(f"the trainer's evaluation has no metric {self.metric!r}: it has {known}")
        return self._signed(metrics)

    def _made(self, model: nn.Module, phase: Phase | None) -> Any:
        wants_phase = "phase" in inspect.signature(self.make).parameters
        return self.make(model, **({"phase": phase} if wants_phase else {}))

    def _signed(self, metrics: dict[str, Any]) -> float:
        value = float(metrics[self.metric])
        return value if self.higher_is_better else -value


def _last_checkpoint(output: str | None, folder: Path | None) -> str | None:
    """Find where a killed phase left off, if its trainer wrote into the phase's own folder."""
    if output is None or folder is None or not Path(output).resolve().is_relative_to(folder.resolve()):
        return None
    from transformers.trainer_utils import get_last_checkpoint

    found: str | None = get_last_checkpoint(output) if Path(output).is_dir() else None
    return found
