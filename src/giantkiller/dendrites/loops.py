"""Training loops in the form that growth asks for: a plain one, and `transformers.Trainer` as it is."""

import inspect
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from giantkiller.dendrites import state as states
from giantkiller.dendrites.exceptions import DendriteError
from giantkiller.dendrites.growth import GrowthPhase


@dataclass
class PlainLoop:
    """Train over batches until the validation score stops rising, and keep the best model.

    Use it as `Grower(model, fit=loop.fit, score=loop.score)`.

    Attributes:
        batches: The batches of one epoch; an iterable that can be iterated again (a list, a DataLoader), or a
            function that makes one.
        loss: Returns the training loss of a batch.
        score: Returns the validation score of a model; higher is better.
        optimizer: Makes an optimizer for the parameters that learn in this phase.
        epochs: Maximum number of epochs of a phase.
        patience: Number of epochs in a row without a better score after which a phase ends.
        scheduler: Makes a learning rate scheduler for the optimizer, stepped once an epoch.
    """

    batches: Iterable[Any] | Callable[[], Iterable[Any]]
    loss: Callable[[nn.Module, Any], Tensor]
    score: Callable[[nn.Module], float]
    optimizer: Callable[[list[nn.Parameter]], torch.optim.Optimizer]
    epochs: int = 100
    patience: int = 3
    scheduler: Callable[[torch.optim.Optimizer], torch.optim.lr_scheduler.LRScheduler] | None = None

    def fit(self, model: nn.Module, phase: GrowthPhase | None = None) -> None:
        """Train one phase, in place.

        Raises:
            DendriteError: If the batches are empty or can be iterated only once, or nothing learns.
        """
        learning = [parameter for parameter in model.parameters() if parameter.requires_grad]
        if not learning:
            raise DendriteError("no parameter of the model learns: unfreeze what is to be trained")
        if isinstance(self.batches, Iterator):
            raise DendriteError("batches can be iterated only once: pass a list or a function")
        optimizer = self.optimizer(learning)
        scheduler = self.scheduler(optimizer) if self.scheduler else None
        best, best_score, idle = states.capture(model), -float("inf"), 0
        for _ in range(self.epochs):
            model.train()
            steps = 0
            for batch in self.batches() if callable(self.batches) else self.batches:
                optimizer.zero_grad()
                self.loss(model, batch).backward()
                optimizer.step()
                steps += 1
            if not steps:
                raise DendriteError("there are no batches: nothing to train on")
            if scheduler is not None:
                scheduler.step()
            score = float(self.score(model))
            if phase is not None:
                phase.report(score)
            idle += 1
            if score > best_score:
                best, best_score, idle = states.capture(model), score, 0
            if idle >= self.patience:
                break
        states.restore(model, best)


@dataclass
class TrainerLoop:
    """Train each phase with a fresh `transformers.Trainer`, all of whose settings stay the user's.

    Use it as `Grower(model, fit=loop.fit, score=loop.score)`. Optimizer, scheduler, early stopping and
    `load_best_model_at_end` are whatever the made trainer has. A phase whose trainer writes into
    `phase.folder` resumes from its last checkpoint there.

    Attributes:
        make: Makes a trainer for a model, called `make(model)` or, if it has a parameter of that name,
            `make(model, phase=...)`; the phase is None for a trainer that only scores.
        metric: Name of the score among the metrics that `trainer.evaluate()` returns.
        higher_is_better: False for a loss, whose negative is then the score.
    """

    make: Callable[..., Any]
    metric: str = "eval_loss"
    higher_is_better: bool = False

    def fit(self, model: nn.Module, phase: GrowthPhase) -> None:
        """Train one phase, in place."""
        from transformers import TrainerCallback

        loop = self

        class Report(TrainerCallback):
            """Report each validation score to the growth."""

            def on_evaluate(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
                if loop.metric in kwargs.get("metrics", {}):
                    phase.report(loop._signed(kwargs["metrics"]))

        trainer = self._trainer(model, phase)
        trainer.add_callback(Report())
        trainer.train(resume_from_checkpoint=_last_checkpoint(trainer.args.output_dir, phase.folder))

    def score(self, model: nn.Module) -> float:
        """Score a model on the trainer's own evaluation data.

        Raises:
            DendriteError: If the evaluation has no such metric.
        """
        metrics = self._trainer(model, None).evaluate()
        if self.metric not in metrics:
            known = ", ".join(sorted(metrics))
            raise DendriteError(f"the trainer's evaluation has no metric {self.metric!r}: it has {known}")
        return self._signed(metrics)

    def _trainer(self, model: nn.Module, phase: GrowthPhase | None) -> Any:
        wants_phase = "phase" in inspect.signature(self.make).parameters
        return self.make(model, **({"phase": phase} if wants_phase else {}))

    def _signed(self, metrics: dict[str, Any]) -> float:
        value = float(metrics[self.metric])
        return value if self.higher_is_better else -value


def _last_checkpoint(output: str | None, folder: Path | None) -> str | None:
    """Return the last checkpoint of a killed phase, if its trainer wrote into the phase's own folder."""
    if output is None or folder is None or not Path(output).resolve().is_relative_to(folder.resolve()):
        return None
    from transformers.trainer_utils import get_last_checkpoint

    found: str | None = get_last_checkpoint(output) if Path(output).is_dir() else None
    return found
