"""What is known of a model besides its scores."""

from collections.abc import Iterator
from dataclasses import dataclass, fields


@dataclass(frozen=True)
class ModelFacts:
    """What is known of a model besides its scores; None where it is not known.

    Attributes:
        parameters: How many.
        disk: Bytes of what is loaded.
        max_length: Tokens read of a comment.
        quantization: How its weights are stored.
        fine_tuned: False where its classifier is random: its scores then say nothing about the model.
        trained_on: Names of its training files.
        missing_weights: Weights that its file lacks.
        labels: What it calls its outputs.
    """

    parameters: int | None = None
    disk: int | None = None
    max_length: int | None = None
    quantization: str | None = None
    fine_tuned: bool | None = None
    trained_on: str | None = None
    missing_weights: tuple[str, ...] | None = None
    labels: tuple[str, ...] | None = None

    def known(self) -> Iterator[tuple[str, object]]:
        """Yield what is known, by name."""
        for each in fields(self):
            value = getattr(self, each.name)
            if value not in (None, ()):
                yield each.name, ", ".join(value) if isinstance(value, tuple) else value
