"""How toxic a model's output is, in the form of the metrics of the library evaluate."""

from collections.abc import Iterable
from typing import Any

from giantkiller.errors import UserError
from giantkiller.frames.scoring import Model, check_attributes, score_values, screener_of


class ToxicityMetric:
    """The toxicity of predictions; called as `evaluate.load("toxicity")` is.

    Args:
        model: A screener, or what `load_screener` takes: a folder, a hub id, None for the shipped bundle.
        attribute: Which of the seven scores.

    Raises:
        UserError: The bundle can't be read, or the attribute is unknown.
    """

    name = "toxicity"

    def __init__(self, model: Model = None, *, attribute: str = "toxicity") -> None:
        self._attributes = check_attributes(attribute)
        self._screener = screener_of(model)

    def compute(
        self, *, predictions: Iterable[str], aggregation: str = "all", threshold: float = 0.5
    ) -> dict[str, Any]:
        """Score predictions.

        Args:
            predictions: The texts.
            aggregation: "all", "maximum" or "ratio".
            threshold: The score from which on a text counts for "ratio".

        Returns:
            {"toxicity": [scores]}, {"max_toxicity": score}, or {"toxicity_ratio": share of the texts}.

        Raises:
            UserError: The aggregation is another, a prediction is no text, or there is none to aggregate.
        """
        if aggregation not in ("all", "maximum", "ratio"):
            raise UserError(f"`aggregation` is {aggregation!r}, none of all, maximum, ratio")
        if isinstance(predictions, str):
            raise UserError("`predictions` is one text; put it in brackets")
        texts = list(predictions)
        if not texts and aggregation != "all":
            raise UserError(f"`predictions` is empty: there is no {aggregation} of nothing")
        if None in texts:
            raise UserError("`predictions` holds None; leave it out")
        scores = score_values(self._screener, texts, self._attributes, "predictions")[:, 0]
        if aggregation == "maximum":
            return {"max_toxicity": float(scores.max())}
        if aggregation == "ratio":
            return {"toxicity_ratio": float((scores >= threshold).mean())}
        return {"toxicity": scores.tolist()}
