"""A bundle that computes something a reader can check by hand."""

import string
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from onnx import TensorProto, helper, numpy_helper
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors

from giantkiller.attributes import ATTRIBUTES
from giantkiller.bundle import CARD, MODEL, TOKENIZER, Bundle, write_bundle
from giantkiller.policy import Policy

# What each known word adds to the logits; any other token adds nothing.
WEIGHTS = {
    "idiot": {"toxicity": 6.0, "insult": 6.5},
    "stupid": {"toxicity": 4.5, "insult": 5.0},
    "damn": {"toxicity": 2.0, "obscene": 6.0},
    "hurt": {"toxicity": 3.0, "threat": 7.0},
    "thanks": {"toxicity": -3.0, "insult": -3.0},
}
BIAS = -4.0
POLICY = Policy(
    {
        "toxicity": {"monitor": 0.3, "review": 0.6, "remove": 0.99},
        "threat": {"review": 0.5, "remove": 0.9},
    }
)


def vocabulary() -> list[str]:
    """Special tokens, the known words, then single characters, so that any ASCII word has pieces."""
    signs = string.ascii_lowercase + string.digits
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    return [*special, *WEIGHTS, "you", "are", *signs, *(f"##{c}" for c in signs), *string.punctuation]


def tokenizer() -> Tokenizer:
    """BERT's uncased tokenizer over the small vocabulary."""
    ids = {token: i for i, token in enumerate(vocabulary())}
    made = Tokenizer(models.WordPiece(ids, unk_token="[UNK]"))
    made.normalizer = normalizers.BertNormalizer(lowercase=True)
    made.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    made.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", ids["[CLS]"]), ("[SEP]", ids["[SEP]"])]
    )
    made.add_special_tokens(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"])
    return made


def graph() -> bytes:
    """logits = BIAS + the sum over tokens of mask * weight."""
    table = np.zeros((len(vocabulary()), len(ATTRIBUTES)), np.float32)
    for word, weights in WEIGHTS.items():
        for attribute, weight in weights.items():
            table[vocabulary().index(word), ATTRIBUTES.index(attribute)] = weight
    nodes = [
        helper.make_node("Gather", ["table", "input_ids"], ["rows"]),
        helper.make_node("Cast", ["attention_mask"], ["mask"], to=TensorProto.FLOAT),
        helper.make_node("Unsqueeze", ["mask", "last"], ["column"]),
        helper.make_node("Mul", ["rows", "column"], ["masked"]),
        helper.make_node("ReduceSum", ["masked", "tokens"], ["sums"], keepdims=0),
        helper.make_node("Add", ["sums", "bias"], ["logits"]),
    ]
    made = helper.make_graph(
        nodes,
        "tiny",
        [
            helper.make_tensor_value_info(name, TensorProto.INT64, ["batch", "tokens"])
            for name in ("input_ids", "attention_mask")
        ],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["batch", len(ATTRIBUTES)])],
        [
            numpy_helper.from_array(table, "table"),
            numpy_helper.from_array(np.array(BIAS, np.float32), "bias"),
            numpy_helper.from_array(np.array([-1]), "last"),
            numpy_helper.from_array(np.array([1]), "tokens"),
        ],
    )
    model = helper.make_model(made, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    return bytes(model.SerializeToString())


def build(folder: Path, max_length: int = 32, files: dict[str, bytes] | None = None, **changes: Any) -> Path:
    """Write the bundle, with other files or other entries in its manifest."""
    bundle = Bundle(name="tiny", version="1", max_length=max_length, policy=POLICY)
    ours = {MODEL: graph(), TOKENIZER: tokenizer().to_str().encode(), CARD: b"# Tiny\n"}
    write_bundle(folder, replace(bundle, **changes), ours | (files or {}))
    return folder
