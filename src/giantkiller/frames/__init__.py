"""Scores for data frames, databases and the libraries around them.

`score` adds scores to a pandas, Polars or PyArrow frame or a Hugging Face dataset; `register` makes
functions of them in DuckDB. `pipeline` is shaped like that of transformers, `ToxicityMetric` like those of
evaluate; `giantkiller.frames.estimator` has a transformer for scikit-learn.
"""

from giantkiller.frames.dataframes import score
from giantkiller.frames.duck import register
from giantkiller.frames.metric import ToxicityMetric
from giantkiller.frames.pipeline import TextClassifier, pipeline

__all__ = ["TextClassifier", "ToxicityMetric", "pipeline", "register", "score"]
