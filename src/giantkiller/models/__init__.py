"""The dendritic BERT, registered with the Auto classes on import."""

from typing import Any

from giantkiller.errors import MissingExtraError

try:
    from transformers import AutoConfig, AutoModel, AutoModelForSequenceClassification
except ImportError as error:
    raise MissingExtraError("transformers", "train") from error

from giantkiller.attributes import ATTRIBUTES
from giantkiller.models.bert import (
    PERFORABLE,
    DendriticBertConfig,
    DendriticBertForSequenceClassification,
    DendriticBertModel,
    masked_loss,
)

__all__ = [
    "PERFORABLE",
    "DendriticBertConfig",
    "DendriticBertForSequenceClassification",
    "DendriticBertModel",
    "masked_loss",
    "tiny_config",
]

AutoConfig.register("dendritic_bert", DendriticBertConfig, exist_ok=True)
AutoModel.register(DendriticBertConfig, DendriticBertModel, exist_ok=True)
AutoModelForSequenceClassification.register(
    DendriticBertConfig, DendriticBertForSequenceClassification, exist_ok=True
)


def tiny_config(**changes: Any) -> DendriticBertConfig:
    """The config of BERT-Tiny (Turc et al. 2019): 2 layers of 128, 2 heads, 512 inside, uncased vocabulary.

    changes: any other config values.
    """
    settings: dict[str, Any] = {
        "vocab_size": 30522,
        "hidden_size": 128,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "intermediate_size": 512,
        "max_position_embeddings": 512,
        "attributes": ATTRIBUTES,
    }
    return DendriticBertConfig(**{**settings, **changes})
