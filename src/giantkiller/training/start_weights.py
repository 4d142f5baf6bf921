"""Starting weights: random, given, or projected from a bigger model."""

import logging
import re
from collections.abc import Sequence
from typing import Any

import torch
from transformers import AutoConfig, AutoModel, AutoModelForSequenceClassification

from giantkiller.attributes import ATTRIBUTES
from giantkiller.errors import UserError
from giantkiller.models import DendriticBertConfig, DendriticBertForSequenceClassification
from giantkiller.models.loading import load_pretrained, load_tokenizer
from giantkiller.training.settings import ModelSettings

log = logging.getLogger(__name__)

LABELS: dict[str, Any] = {
    "num_labels": len(ATTRIBUTES),
    "id2label": dict(enumerate(ATTRIBUTES)),
    "label2id": {name: i for i, name in enumerate(ATTRIBUTES)},
    "problem_type": "multi_label_classification",
}


def build_model(settings: ModelSettings) -> tuple[Any, Any]:
    """Build the model that a recipe trains, with its tokenizer.

    Args:
        settings: Architecture and starting weights.

    Returns:
        A sequence classifier with seven logits, and a fast tokenizer of transformers.

    Raises:
        UserError: If weights or tokenizer cannot be loaded.
    """
    tokenizer = load_tokenizer(settings.tokenizer or settings.source or "default")
    if settings.kind == "auto":
        model = load_pretrained(AutoModelForSequenceClassification, str(settings.source), **LABELS)
        for module in model.modules():
            if isinstance(module, torch.nn.Dropout):
                module.p = settings.dropout
    else:
        config = _config(settings, tokenizer)
        if settings.start == "weights":
            model = load_pretrained(
                DendriticBertForSequenceClassification, str(settings.source), config=config
            )
            others = [
                load_pretrained(DendriticBertForSequenceClassification, source, config=config)
                for source in settings.average
            ]
            average_weights(model, others)
        else:
            model = DendriticBertForSequenceClassification(config)
        if settings.start == "project":
            project_embeddings(model, load_pretrained(AutoModel, str(settings.source)))
    if model_phrases := getattr(getattr(model, "bert", None), "phrases", None):
        model_phrases.requires_grad_(False)  # they are fitted apart, or stay
    if settings.frozen:
        freeze(model, settings.frozen)
    return model, tokenizer


def _config(settings: ModelSettings, tokenizer: Any) -> DendriticBertConfig:
    """Return the architecture: of the starting weights where they have dendrites, else the recipe's."""
    config = DendriticBertConfig(
        vocab_size=len(tokenizer),
        hidden_size=settings.hidden_size,
        num_hidden_layers=settings.layers,
        num_attention_heads=settings.heads,
        intermediate_size=settings.intermediate_size,
        pad_token_id=tokenizer.pad_token_id,
        **LABELS,
    )
    if settings.start == "weights":
        there = load_pretrained(AutoConfig, str(settings.source))
        config.max_position_embeddings = there.max_position_embeddings
        if isinstance(there, DendriticBertConfig) and there.dendrites:
            config = there
        config.phrases = getattr(there, "phrases", 0)
    config.pairs = settings.pairs or getattr(config, "pairs", 0)
    config.hidden_dropout_prob = config.attention_probs_dropout_prob = settings.dropout
    return config


@torch.no_grad()
def average_weights(model: torch.nn.Module, others: Sequence[torch.nn.Module]) -> None:
    """Set a model's weights to the mean of its own and others'.

    Models that one model was trained on to, in different orders or by different settings, lie so near each
    other that their mean is often better than any of them (Wortsman et al. 2022, "Model soups", section 3.1).

    Phrases stay the model's own: the mean of two tables along two directions says neither's.

    Args:
        model: Changed in place.
        others: Models with the same parameters.
    """
    states = [other.state_dict() for other in others]
    for name, tensor in model.state_dict().items():
        if tensor.is_floating_point() and "phrases." not in name:
            tensor.copy_(torch.stack([tensor, *(state[name] for state in states)]).mean(dim=0))


def freeze(model: torch.nn.Module, pattern: str) -> None:
    """Stop the parameters whose name matches a regular expression from training.

    Raises:
        UserError: If none matches.
    """
    hits = [parameter for name, parameter in model.named_parameters() if re.search(pattern, name)]
    if not hits:
        raise UserError(f"model.frozen = {pattern!r} matches no parameter of the model")
    for parameter in hits:
        parameter.requires_grad_(False)


@torch.no_grad()
def project_embeddings(model: Any, teacher: Any) -> float:
    """Start the word and position embeddings from a bigger BERT's with the same vocabulary.

    The word embeddings' first principal components are the new axes; positions go through the same
    projection, so that both keep their relation.

    Args:
        model: A `DendriticBertForSequenceClassification`, changed in place.
        teacher: A BERT encoder of larger width.

    Returns:
        The share of the word embeddings' variance that the projection keeps.

    Raises:
        UserError: If the vocabularies differ.
    """
    ours, theirs = model.bert.embeddings, teacher.embeddings
    words = theirs.word_embeddings.weight.double()
    width = ours.word_embeddings.weight.shape[1]
    if len(words) != len(ours.word_embeddings.weight) or words.shape[1] < width:
        raise UserError(
            f"embeddings of {len(words)} x {words.shape[1]} cannot start a model with "
            f"{len(ours.word_embeddings.weight)} words of width {width}; vocabularies must be equal"
        )
    centred = words - words.mean(0)
    values, axes = torch.linalg.eigh(centred.T @ centred)
    axes = axes[:, -width:].flip(1)
    # The sign of an eigenvector is arbitrary; fixed, so that every machine starts alike.
    axes = axes * torch.sign(axes[axes.abs().argmax(0), torch.arange(width)])
    kept = float(values[-width:].sum() / values.sum())
    ours.word_embeddings.weight.copy_(centred @ axes)
    positions = theirs.position_embeddings.weight.double()
    count = min(len(positions), len(ours.position_embeddings.weight))
    ours.position_embeddings.weight[:count] = ((positions - positions.mean(0)) @ axes)[:count].float()
    log.info("projected embeddings keep %.1f %% of the variance", 100 * kept)
    return kept
