"""Growth of dendrites around our training loop."""

import dataclasses
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

import torch

from giantkiller.dendrites import (
    CorrelationRule,
    DendriteError,
    Errors,
    GradientRule,
    Grower,
    GrowthPhase,
    Ledger,
    perforate,
)
from giantkiller.errors import UserError
from giantkiller.models.inference import predict
from giantkiller.training.batches import Examples, plan_batches
from giantkiller.training.loop import Phase, fit
from giantkiller.training.loss import batch_loss
from giantkiller.training.recipe import Recipe
from giantkiller.training.settings import GrowthSettings
from giantkiller.training.validation import choose_by, validate


def prepare(model: Any, settings: GrowthSettings) -> None:
    """Make the layers that will grow dendritic, before training: a wrong pattern should not cost a night.

    Args:
        model: Changed in place; its outputs stay.
        settings: Which layers, and the dendrites' activation.

    Raises:
        UserError: If no layer fits the pattern.
    """
    try:
        perforate(model, where=settings.where, activation=settings.activation)
    except DendriteError as error:
        raise UserError(f"growth.where: {error}") from None


def grow(
    model: Any, train: Examples, validation: Examples, recipe: Recipe, base: Phase, folder: Path
) -> Ledger:
    """Grow dendrites on a trained model, in place, as a recipe's `growth` table says.

    Args:
        model: A trained, perforated model; it ends as the best one that growth found.
        train: Training texts.
        validation: Texts that decide whether an attempt is kept.
        recipe: The recipe; its loss and batches serve here too.
        base: The phase that trained the model.
        folder: Where ledger and states go, so that a killed growth resumes.

    Returns:
        The ledger.

    Raises:
        UserError: As `fit` does, or if the folder holds the growth of another run.
    """
    settings = recipe.growth
    optim = dataclasses.replace(
        recipe.optim, epochs=settings.epochs, learning_rate=settings.learning_rate, warmup_steps=None
    )

    def train_again(model: Any, phase: GrowthPhase) -> None:
        assert phase.folder is not None
        ours = dataclasses.replace(base, folder=phase.folder, name=f"growth-{phase.number}", seed=phase.seed)
        with plain_weights_frozen(model) if settings.freeze else nullcontext():
            fit(model, train, validation, optim, recipe.loss, ours)

    def score(model: Any) -> float:
        return choose_by(validate(predict(model, validation.tokens), validation.corpus.targets))

    grower = Grower(
        model,
        fit=train_again,
        score=score,
        rule=_rule(settings),
        max_dendrites=settings.max_dendrites,
        min_gain=settings.min_gain,
        tries=settings.tries,
        errors=errors_of(train, recipe),
        folder=folder,
        recipe={"digest": base.digest},
        seed=recipe.seed,
        trained=True,
    )
    try:
        return grower.run()
    except DendriteError as error:
        raise UserError(str(error)) from None


def _rule(settings: GrowthSettings) -> CorrelationRule | GradientRule:
    if settings.rule == "gradient":
        return GradientRule()
    return CorrelationRule(
        candidates=settings.candidates, passes=settings.passes, frozen=settings.frozen_inputs
    )


@contextmanager
def plain_weights_frozen(model: torch.nn.Module) -> Iterator[None]:
    """Let dendrites learn alone; weights that were frozen before stay so afterwards."""
    plain = [
        weight
        for name, weight in model.named_parameters()
        if weight.requires_grad and not name.rpartition(".")[2].startswith("dendrite_")
    ]
    for weight in plain:
        weight.requires_grad_(False)
    try:
        yield
    finally:
        for weight in plain:
            weight.requires_grad_(True)


def errors_of(train: Examples, recipe: Recipe) -> Errors:
    """Show the correlation rule the training batches, in one order, padding masked; states are no error."""
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")

    def batches() -> Iterator[Any]:
        optim = recipe.optim
        plan = plan_batches(train.tokens.lengths, optim.batch_size, optim.batch_tokens, [recipe.seed, 0])
        for rows in plan[: recipe.growth.error_batches]:
            ids, mask = train.tokens.batch(rows)
            yield rows, ids.to(device), mask.to(device)

    def loss(model: Any, batch: Any) -> torch.Tensor:
        rows, ids, mask = batch
        # Whole, not for the first token alone: errors are told a token, by the mask.
        logits = model(input_ids=ids, attention_mask=mask).logits
        return batch_loss(logits.float(), train.corpus, rows, recipe.loss)

    return Errors(batches, loss, mask=lambda batch: batch[2].bool())
