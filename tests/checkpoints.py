"""Recipes and checkpoints small enough to make many times in a test."""

import csv
from pathlib import Path

import numpy as np
import torch
from bundles import tokenizer as bundle_tokenizer
from bundles import vocabulary
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors
from transformers import (
    AutoModelForSequenceClassification,
    AutoTokenizer,
    BertConfig,
    BertForSequenceClassification,
    PreTrainedTokenizerFast,
)

from giantkiller.attributes import ATTRIBUTES
from giantkiller.cleaning import clean_text
from giantkiller.models import DendriticBertForSequenceClassification, tiny_config

EXAMPLES = Path(__file__).parents[1] / "examples"

RECIPE = """
name = "tiny"
seed = 3

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
    """Write labelled.csv, a word-level tokenizer of its words, and two recipes.

    Of two attributes alone: judging the tiny model's seven took longer than training it.
    """
    with (EXAMPLES / "labelled.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    with (folder / "labelled.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, ["text", "toxicity", "insult"], extrasaction="ignore")
        writer.writeheader()
        writer.writerows(rows)
    words = {word.lower() for row in rows for word in row["text"].split()}
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


def reference_logits(folder, texts):
    model = AutoModelForSequenceClassification.from_pretrained(folder).eval()
    tokenize = AutoTokenizer.from_pretrained(folder)
    with torch.no_grad():
        return np.concatenate(
            [
                model(**tokenize([clean_text(t)], truncation=True, return_tensors="pt")).logits.numpy()
                for t in texts
            ]
        )


def texts(count=120):
    rng = np.random.default_rng(5)
    words = [w for w in vocabulary() if w.isalpha()]
    return [" ".join(rng.choice(words, size)) for size in rng.integers(1, 70, count)]


def write_balanced(folder: Path) -> Path:
    """Write a checkpoint that calls three comments in ten toxic."""
    write_checkpoint(folder)
    model = AutoModelForSequenceClassification.from_pretrained(folder)
    with torch.no_grad():
        model.classifier.weight.mul_(4)
        model.classifier.bias.zero_()
        model.save_pretrained(folder)
        model.classifier.bias.copy_(
            -torch.tensor(np.quantile(reference_logits(folder, texts()), 0.7, axis=0))
        )
    model.save_pretrained(folder)
    return folder


def write_labelled(checkpoint: Path, path: Path) -> Path:
    """Write comments whose labels a model gets right more often than not, for two attributes."""
    logits = reference_logits(checkpoint, texts())
    noisy = logits + np.random.default_rng(1).normal(0, 0.3 * logits.std(0), logits.shape)
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["text", "toxicity", "insult"])
        for text, row in zip(texts(), noisy > np.quantile(noisy, 0.7, axis=0), strict=True):
            writer.writerow([text, int(row[0]), int(row[ATTRIBUTES.index("insult")])])
    return path
