"""A recipe small enough to run many times in a test."""

import csv
from pathlib import Path

import pytest
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors
from transformers import PreTrainedTokenizerFast

EXAMPLES = Path(__file__).parents[2] / "examples"

RECIPE = """
name = "tiny"
seed = 3
checkpoint_seconds = 0.0

[data]
train = ["labelled.csv"]
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


@pytest.fixture(scope="session")
def tiny(tmp_path_factory) -> Path:
    """A folder with labelled.csv, a word-level tokenizer of its words, and recipe.toml."""
    folder = tmp_path_factory.mktemp("tiny")
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
