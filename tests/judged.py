"""Fixtures of the tests that judge models: stored scores, a service, a checkpoint."""

import http.server
import json
import threading

import numpy as np
import pytest


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    root = tmp_path_factory.mktemp("judged")
    rng = np.random.default_rng(0)
    for name, rows in (("test", 300), ("val", 400)):
        lines, scores = ["id,text,toxicity,theirs"], ["id,toxicity,insult"]
        for n in range(rows):
            toxic = n % 4 == 0
            good, poor = (1 / (1 + np.exp(-rng.normal(apart * toxic - 1, 1))) for apart in (3, 1))
            lines.append(f"{name}{n},comment number {n} {'fool' if toxic else ''},{int(toxic)},{poor:.4f}")
            scores.append(f"{name}{n},{good:.4f},{poor:.4f}")
        (root / f"{name}.csv").write_text("\n".join(lines) + "\n")
        (root / f"{name}_scores.csv").write_text("\n".join([scores[0], *scores[:0:-1]]) + "\n")
    return root


class Handler(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if "comments:analyze" in self.path:
            value = 0.9 if "fool" in asked["comment"]["text"] else 0.1
            answer = {"attributeScores": {"TOXICITY": {"summaryScore": {"value": value}}}}
        elif self.path == "/short":
            answer = {"scores": {"toxicity": [0.5]}}
        elif self.path == "/words":
            answer = {"scores": {"toxicity": ["high"] * len(asked["texts"])}}
        else:
            answer = {"scores": {"toxicity": [0.9 if "fool" in text else 0.1 for text in asked["texts"]]}}
        body = b"no" if self.path == "/text" else json.dumps(answer).encode()
        self.send_response(500 if self.path == "/broken" else 200)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args):
        pass


@pytest.fixture(scope="module")
def service():
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()


@pytest.fixture(scope="module")
def insults(tmp_path_factory):
    """Comments that the tiny bundle and the tiny checkpoint can read."""
    lines = ["text,toxicity"] + [
        f"you are {'an idiot' if n % 3 == 0 else 'here'} {n},{int(n % 3 == 0)}" for n in range(90)
    ]
    path = tmp_path_factory.mktemp("insults") / "insults.csv"
    path.write_text("\n".join(lines) + "\n")
    return path


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    """A random BERT of a few thousand weights, saved as Hugging Face saves one."""
    transformers = pytest.importorskip("transformers")
    from bundles import tokenizer, vocabulary

    root = tmp_path_factory.mktemp("checkpoint")
    config = transformers.BertConfig(
        vocab_size=len(vocabulary()), hidden_size=8, num_hidden_layers=1, num_attention_heads=2,
        intermediate_size=8, max_position_embeddings=16, id2label={0: "non-toxic", 1: "toxic"},
        label2id={"non-toxic": 0, "toxic": 1},
    )  # fmt: skip
    fast = transformers.PreTrainedTokenizerFast(
        tokenizer_object=tokenizer(),
        pad_token="[PAD]",
        unk_token="[UNK]",
        cls_token="[CLS]",
        sep_token="[SEP]",
    )
    transformers.BertForSequenceClassification(config).save_pretrained(root / "tuned")
    transformers.BertModel(config).save_pretrained(root / "untuned")
    for folder in ("tuned", "untuned"):
        fast.save_pretrained(root / folder)
    return root
