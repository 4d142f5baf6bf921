"""Recipes and checkpoints small enough to make many times in a test."""

import csv
from pathlib import Path

import torch
from bundles import tokenizer as bundle_tokenizer
from bundles import vocabulary
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors
from transformers import BertConfig, BertForSequenceClassification, PreTrainedTokenizerFast

from giantkiller.models import DendriticBertForSequenceClassification, tiny_config

EXAMPLES = Path(__file__).parents[1] / "examples"

RECIPE = """
name = "tiny"
seed = 3
checkpoint_seconds = 0.0

[data]
sources = [{{ file = "labelled.csv" }}]
validation_fraction = 0.3
max_length = 32

[model]
tokenizer = "{tokenizer}"
hidden_size = 16
intermediate_size = 16

[optim]
epochs = 6
learning_rate = 5e-3
batch_size = 16
evaluations = 2
"""

GROWTH = """
[growth]
max_dendrites = 1
epochs = 1
learning_rate = 5e-3
tries = 1
"""


def write_tiny(folder: Path) -> Path:
    """Write labelled.csv, a word-level tokenizer of its words, and two recipes."""
    (folder / "labelled.csv").write_bytes((EXAMPLES / "labelled.csv").read_bytes())
    with (folder / "labelled.csv").open(newline="") as file:
        words = {word.lower() for row in csv.DictReader(file) for word in row["text"].split()}
    vocabulary = {
        word: i for i, word in enumerate(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *sorted(words)])
    }
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer()
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    tokenizer.post_processor = processors.BertProcessing(("[SEP]", 3), ("[CLS]", 2))
    PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        cls_token="[CLS]",
        sep_token="[SEP]",
        pad_token="[PAD]",
        unk_token="[UNK]",
        mask_token="[MASK]",
    ).save_pretrained(folder / "tokenizer")
    text = RECIPE.format(tokenizer=folder / "tokenizer")
    (folder / "recipe.toml").write_text(text)
    (folder / "growing.toml").write_text(text + GROWTH)
    return folder


def write_foreign(folder: Path, tokenizer, labels) -> Path:
    """Write a BERT classifier of another system, with random weights."""
    config = BertConfig(
        vocab_size=len(tokenizer),
        hidden_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=16,
        num_labels=len(labels),
        id2label=dict(enumerate(labels)),
        label2id={label: i for i, label in enumerate(labels)},
    )
    BertForSequenceClassification(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


COUNTS = {"encoder.layer.0.intermediate.dense": 1, "encoder.layer.1.attention.self.key": 2, "classifier": 1}


def write_checkpoint(folder: Path, **changes) -> Path:
    """Write a dendritic BERT with random weights and the tokenizer of the tiny bundle."""
    torch.manual_seed(0)
    settings = {
        "vocab_size": len(vocabulary()),
        "hidden_size": 32,
        "intermediate_size": 48,
        "max_position_embeddings": 64,
        "dendrites": COUNTS,
    }
    model = DendriticBertForSequenceClassification(tiny_config(**{**settings, **changes}))
    with torch.no_grad():
        for weight in model.parameters():
            weight.add_(torch.randn_like(weight) * 0.2)
    model.save_pretrained(folder)
    PreTrainedTokenizerFast(
        tokenizer_object=bundle_tokenizer(),
        model_max_length=48,
        pad_token="[PAD]",
        cls_token="[CLS]",
        sep_token="[SEP]",
        unk_token="[UNK]",
    ).save_pretrained(folder)
    return folder
