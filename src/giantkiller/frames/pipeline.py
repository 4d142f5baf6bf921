"""A classifier that is called as the text-classification pipeline of transformers is."""

from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Any

import numpy as np

from giantkiller.attributes import ATTRIBUTES
from giantkiller.errors import UserError
from giantkiller.frames.scoring import Model, screener_of

_BATCH = 4096
_UNSET: Any = object()


def pipeline(model: Model = None, *, top_k: int | None = _UNSET) -> "TextClassifier":
    """Make what `transformers.pipeline("text-classification", ...)` makes, of a bundle and without torch.

    Args:
        model: A screener, or what `load_screener` takes: a folder, a hub id, None for the shipped bundle.
        top_k: How many attributes to return, those with the highest scores first; all if None.

    Raises:
        UserError: The bundle can't be read, or `top_k` is less than 1.
    """
    return TextClassifier(model, top_k=top_k)


class TextClassifier:
    """Texts to labels with scores, in the shapes that transformers gives them.

    `classify("text")` is `[{"label": "toxicity", "score": 0.95}]`, `classify(["a", "b"])` one such dictionary
    for each; with `top_k`, also None for all, a text gives a list of them. A generator gives a generator.

    Args:
        model: A screener, or what `load_screener` takes: a folder, a hub id, None for the shipped bundle.
        top_k: How many attributes to return, those with the highest scores first; all if None.
    """

    task = "text-classification"

    def __init__(self, model: Model = None, *, top_k: int | None = _UNSET) -> None:
        _check_top_k(top_k)
        self.screener = screener_of(model)
        self.top_k = top_k

    def __call__(self, inputs: Any, *, top_k: int | None = _UNSET, batch_size: int = _BATCH) -> Any:
        """Classify a text, a list of texts, or an iterable of them.

        Args:
            inputs: A str, a {"text": str}, a list of these, or an iterator of these.
            top_k: As for the class, for this call.
            batch_size: Texts of an iterator that are scored at a time.

        Raises:
            UserError: Something in it is no text, or `top_k` is less than 1.
        """
        _check_top_k(top_k)
        if isinstance(inputs, str | dict):
            found = self._classify([inputs], top_k)[0]
            return [found] if top_k is _UNSET and self.top_k is _UNSET else found
        if isinstance(inputs, list | tuple):
            return self._classify(inputs, top_k)
        return self._stream(inputs, top_k, batch_size)

    def _stream(self, inputs: Iterable[Any], top_k: int | None, batch_size: int) -> Iterator[Any]:
        rest = iter(inputs)
        while batch := list(islice(rest, max(1, batch_size))):
            yield from self._classify(batch, top_k)

    def _classify(self, inputs: Iterable[Any], top_k: int | None) -> list[Any]:
        most = self.top_k if top_k is _UNSET else top_k
        texts: list[Any] = [each.get("text") if isinstance(each, dict) else each for each in inputs]
        scores = self.screener.scores(texts)
        best = np.argsort(-scores, axis=1, kind="stable")[:, : 1 if most is _UNSET else most]
        found = [
            [{"label": ATTRIBUTES[i], "score": score} for i, score in zip(order, row, strict=True)]
            for order, row in zip(
                best.tolist(), np.take_along_axis(scores, best, axis=1).tolist(), strict=True
            )
        ]
        return [labels[0] for labels in found] if most is _UNSET else found


def _check_top_k(top_k: int | None) -> None:
    if top_k is not _UNSET and top_k is not None and top_k < 1:
        raise UserError(f"`top_k` is {top_k}; it must be at least 1, or None for all")
