"""The settings of an adaptation."""

from dataclasses import dataclass

from giantkiller.errors import UserError

LEARNING_RATES = {"low-rank": 6e-3, "head": 3e-2, "dendrites": 6e-3, "bias": 1e-2, "full": 6e-4}
"""AdamW's learning rate, by method: of two, what gained more on sites for tuning (docs/results/adapt.md)."""

METHODS = ("logistic", "low-rank", "head", "dendrites")
"""What learns while the base stays frozen; a study may also ask for "bias" and "full"."""


@dataclass(frozen=True)
class Settings:
    """How to learn from decisions, and what counts as better.

    Attributes:
        method: "logistic" fits the last layer's row for toxicity anew, by logistic regression on the frozen
            features; "low-rank" adds a product of two thin matrices to each linear layer (LoRA, Hu et al.
            2021); "head" moves the last layer alone; "dendrites" grows one on each neuron of the layers that
            have none.
        rank: Of the low-rank update.
        epochs: At most so many passes over the decisions; the best one by held-in decisions is kept.
        patience: Passes in a row without a better one after which learning ends.
        batch_size: Decisions a step, and half as many texts of the rehearsal.
        learning_rate: That of the method, if not given.
        rehearsal: Weight of what must not be forgotten, against the decisions'.
        unasked: Weight of the old model's scores for the attributes that a decision doesn't judge.
        held_out: Share of the decisions that judge what the others teach; each part does, in turns, where the
            regression learns and no times are known.
        tolerance: Average precision that may be lost elsewhere.
        agreement: How far the average precision of the new scores may fall below 1 where the site's own
            comments are guarded and the tenth that the old model scores highest stands for labels.
        samples: Bootstrap samples.
        examples: Most comments quoted of each kind in the report.
        seed: Of every random draw.
    """

    method: str = "logistic"
    rank: int = 48
    epochs: int = 6
    patience: int = 2
    batch_size: int = 32
    learning_rate: float | None = None
    rehearsal: float = 1.0
    unasked: float = 0.1
    held_out: float = 0.3
    tolerance: float = 0.005
    agreement: float = 0.025
    samples: int = 1000
    examples: int = 20
    seed: int = 0

    def __post_init__(self) -> None:
        if self.method not in (*METHODS, *LEARNING_RATES):
            raise UserError(f"`method` is {self.method!r}; it must be one of {', '.join(METHODS)}")
        if self.learning_rate is not None and not 0 < self.learning_rate < 1:
            raise UserError(f"`learning_rate` is {self.learning_rate:g}; it must lie between 0 and 1")
        for name, least in (("rank", 1), ("epochs", 1), ("patience", 1), ("batch_size", 1), ("samples", 1)):
            if getattr(self, name) < least:
                raise UserError(f"`{name}` is {getattr(self, name)}; it must be at least {least}")
        if not 0.1 <= self.held_out <= 0.9:
            raise UserError(f"`held_out` is {self.held_out:g}; it must lie between 0.1 and 0.9")

    @property
    def rate(self) -> float:
        """The learning rate that counts; logistic regression has none."""
        return self.learning_rate or LEARNING_RATES[self.method]

    def limit(self, labelled: bool) -> float:
        """Return what average precision may lose on texts with labels, or on those without any."""
        return self.tolerance if labelled else self.agreement
