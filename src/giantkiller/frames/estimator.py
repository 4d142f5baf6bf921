"""A transformer for scikit-learn: texts in, scores out as features."""

from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from giantkiller.errors import MissingExtraError, UserError
from giantkiller.frames.scoring import Model, check_attributes, score_values, screener_of

try:
    from sklearn.base import BaseEstimator, TransformerMixin
except ImportError as error:
    raise MissingExtraError("scikit-learn", "judge") from error


class ToxicityTransformer(TransformerMixin, BaseEstimator):
    """Texts to scores, for pipelines of scikit-learn. There is nothing to fit.

    Args:
        model: A screener, or what `load_screener` takes: a folder, a hub id, None for the shipped bundle.
        attributes: Which scores, in which order; all seven if None.
    """

    def __init__(self, model: Model = None, attributes: Iterable[str] | None = None) -> None:
        self.model = model
        self.attributes = attributes

    def fit(self, X: Any, y: Any = None) -> "ToxicityTransformer":
        """Check the parameters."""
        check_attributes(self.attributes)
        return self

    def transform(self, X: Any) -> NDArray[np.float32]:
        """Score texts.

        Args:
            X: A sequence of str, or a table of one column; None and NaN are missing.

        Returns:
            Shape (n, attributes), float32; NaN where a text is missing.

        Raises:
            UserError: It has several columns, or a value that is no text; or an attribute is unknown.
        """
        if isinstance(X, str):
            raise UserError("`X` is one text; put it in brackets")
        values = X if isinstance(X, list) else np.asarray(X, dtype=object)
        if isinstance(values, np.ndarray):
            if values.ndim != 1 and not (values.ndim == 2 and values.shape[1] == 1):
                raise UserError(f"`X` has the shape {values.shape}; one column of texts is wanted")
            values = values.ravel().tolist()
        return score_values(screener_of(self.model), values, check_attributes(self.attributes), "X")

    def get_feature_names_out(self, input_features: Any = None) -> NDArray[Any]:
        """Return the names of the attributes."""
        return np.asarray(check_attributes(self.attributes), dtype=object)

    def __sklearn_is_fitted__(self) -> bool:
        return True

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.two_d_array = False
        tags.input_tags.string = True
        tags.input_tags.allow_nan = True
        tags.requires_fit = False
        tags.no_validation = True
        tags.transformer_tags.preserves_dtype = []
        return tags
