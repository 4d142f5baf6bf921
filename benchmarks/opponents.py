"""Other ways to score comments, built in place: right shapes, random weights, which is exact for speed.

Each function returns a callable that takes a list of texts and does everything from text to scores.
"""

import logging
import tempfile
import warnings
from pathlib import Path

import numpy as np
import onnxruntime
import torch
from tokenizers import Tokenizer
from transformers import BertConfig, BertForSequenceClassification

BASE = {}
MINILM = {"hidden_size": 384, "num_hidden_layers": 6, "num_attention_heads": 12, "intermediate_size": 1536}
TINY = {"hidden_size": 128, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 512}
MAX_LENGTH = 128  # as the published card cuts


def bert(shape, labels=7):
    torch.manual_seed(0)
    return BertForSequenceClassification(BertConfig(num_labels=labels, **shape)).eval()


def eager(model, tokenizer_file, batch=32):
    """PyTorch, float32, batches of 32 padded to 128 tokens: the published card's way."""
    tokenizer = Tokenizer.from_file(str(tokenizer_file))
    tokenizer.enable_truncation(MAX_LENGTH)
    tokenizer.enable_padding(length=MAX_LENGTH)

    def score(texts):
        result = []
        for begin in range(0, len(texts), batch):
            encoded = tokenizer.encode_batch(texts[begin : begin + batch])
            ids = torch.tensor([e.ids for e in encoded])
            mask = torch.tensor([e.attention_mask for e in encoded])
            with torch.no_grad():
                result.append(torch.sigmoid(model(input_ids=ids, attention_mask=mask).logits))
        return torch.cat(result).numpy()

    return score


def exported(model, folder, quantized=True):
    """The usual export: traced by torch, dynamic int8 by onnxruntime's own tool; returns the file."""
    from onnxruntime.quantization import QuantType, quantize_dynamic

    plain, small = Path(folder) / "plain.onnx", Path(folder) / "int8.onnx"
    ids = torch.ones(2, 16, dtype=torch.long)
    axes = {name: {0: "batch", 1: "tokens"} for name in ("input_ids", "attention_mask")}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            model, (ids, torch.ones_like(ids)), str(plain), input_names=list(axes), output_names=["logits"],
            dynamic_axes=axes, opset_version=17, dynamo=False,
        )  # fmt: skip
    if not quantized:
        return plain
    logging.disable(logging.WARNING)
    quantize_dynamic(plain, small, weight_type=QuantType.QInt8, per_channel=True)
    logging.disable(logging.NOTSET)
    return small


def runtime(file, tokenizer_file, threads, *, batch=None, budget=None):
    """onnxruntime, padded to the longest of a batch: batches of `batch` in file order, or sorted by length
    and cut at `budget` tokens."""
    tokenizer = Tokenizer.from_file(str(tokenizer_file))
    tokenizer.enable_truncation(MAX_LENGTH)
    tokenizer.no_padding()
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(str(file), options, providers=["CPUExecutionProvider"])

    def score(texts):
        rows = [encoding.ids for encoding in tokenizer.encode_batch_fast(texts)]
        order = range(len(rows)) if batch else sorted(range(len(rows)), key=lambda i: len(rows[i]))
        groups = [[]]
        for i in order:
            full = len(groups[-1]) == batch if batch else len(rows[i]) * (len(groups[-1]) + 1) > budget
            if groups[-1] and full:
                groups.append([])
            groups[-1].append(i)
        result = [None] * len(rows)
        for group in groups:
            ids = np.zeros((len(group), max(len(rows[i]) for i in group)), np.int64)
            mask = np.zeros_like(ids)
            for line, i in enumerate(group):
                ids[line, : len(rows[i])] = rows[i]
                mask[line, : len(rows[i])] = 1
            logits = session.run(None, {"input_ids": ids, "attention_mask": mask})[0]
            for i, row in zip(group, logits, strict=True):
                result[i] = row
        return 1 / (1 + np.exp(-np.stack(result)))

    return score


def bert_runtime(shape, tokenizer_file, threads, **batching):
    """The usual export of a BERT, loaded into onnxruntime."""
    with tempfile.TemporaryDirectory() as folder:
        return runtime(exported(bert(shape), folder), tokenizer_file, threads, **batching)


def linear_words(texts, labels):
    """TF-IDF and logistic regression as a scoring function."""
    pipeline = fit_words(texts, labels)
    return lambda batch: pipeline.predict_proba(batch)[:, 1]


def fit_words(texts, labels):
    """TF-IDF of words and pairs, and logistic regression (scikit-learn), fitted on the given rows."""
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline

    vectors = TfidfVectorizer(ngram_range=(1, 2), min_df=2, sublinear_tf=True, max_features=200_000)
    pipeline = make_pipeline(vectors, LogisticRegression(C=4.0, max_iter=200))
    return pipeline.fit(texts, labels)


def static_embedding(tokenizer_file, width=256, labels=7):
    """Mean of token vectors, one linear layer: what model2vec's classifiers do."""
    tokenizer = Tokenizer.from_file(str(tokenizer_file))
    tokenizer.enable_truncation(512)
    tokenizer.no_padding()
    rng = np.random.default_rng(0)
    table = rng.normal(size=(tokenizer.get_vocab_size(), width)).astype(np.float32)
    head = rng.normal(size=(width, labels)).astype(np.float32)

    def score(texts):
        rows = [encoding.ids for encoding in tokenizer.encode_batch_fast(texts, add_special_tokens=False)]
        means = np.stack([table[row].mean(axis=0) if row else np.zeros(width, np.float32) for row in rows])
        return 1 / (1 + np.exp(-(means @ head)))

    return score
