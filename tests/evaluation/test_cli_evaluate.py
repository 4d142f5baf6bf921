import http.server
import json
import shutil
import threading

import numpy as np
import pytest
from click.testing import CliRunner

from giantkiller.cli import compare, evaluate
from giantkiller.errors import UserError
from giantkiller.evaluation import opponents
from giantkiller.models.labels import label_columns


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


def run(command, *args):
    result = CliRunner().invoke(command, [str(arg) for arg in args], catch_exceptions=False)
    return result


def test_a_table_of_scores_joined_by_id(folder):
    result = run(evaluate.command, folder / "test_scores.csv", "--data", folder / "test.csv", "--samples", 30)
    assert result.exit_code == 0
    assert "toxicity: 300 labelled, 75 positive" in result.stdout
    assert "roc auc" in result.stdout
    assert "confusion" in result.stdout


def test_json_and_a_column_of_the_file(folder):
    result = run(evaluate.command, "column:theirs", "--data", folder / "test.csv", "--samples", 0, "--json")
    report = json.loads(result.stdout)
    assert report["attributes"]["toxicity"]["rows"] == 300
    assert report["attributes"]["toxicity"]["roc_auc"]["low"] is None
    assert report["model"]["name"] == "theirs"


def test_a_report_with_thresholds_chosen_on_validation(folder, tmp_path):
    result = run(
        evaluate.command, "column:theirs", "--data", folder / "test.csv", "--validation", folder / "val.csv",
        "--choose", "recall=0.8", "--samples", 20, "-o", tmp_path / "out",
        "--beside", folder / "test_scores.csv",
    )  # fmt: skip
    assert result.exit_code == 0
    report = json.loads((tmp_path / "out" / "report.json").read_text())
    assert list(report["attributes"]["toxicity"]["at"]) == ["0.5", "validation", "recall=0.8"]
    assert report["validation"]["rows"] == 400
    assert "worse ROC-AUC" in report["comparison"]["verdict"]
    assert report["comparison"]["verdict"] in result.stdout
    assert "Beside test_scores.csv" in (tmp_path / "out" / "report.html").read_text()
    assert report["policy"]["consequences"]["caught"]["value"] > 0.7
    assert (tmp_path / "out" / "report.html").stat().st_size > 100_000


def test_compare_two_stored_scores(folder):
    result = run(
        compare.command, folder / "test_scores.csv", "column:theirs", "--data", folder / "test.csv",
        "--samples", 30, "--json",
    )  # fmt: skip
    report = json.loads(result.stdout)
    assert report["figures"]["roc_auc"]["difference"]["value"] > 0.1
    assert "speed" not in report
    assert "better ROC-AUC" in report["verdict"]
    shown = run(compare.command, folder / "test_scores.csv", "column:theirs", "--data", folder / "test.csv")
    assert "DeLong's test" in shown.stdout


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


@pytest.mark.parametrize("path", ["/score", "/v1alpha1/comments:analyze?key=k"])
def test_a_service_that_scores(folder, service, path):
    result = run(evaluate.command, service + path, "--data", folder / "test.csv", "--samples", 0, "--json")
    assert json.loads(result.stdout)["attributes"]["toxicity"]["roc_auc"]["value"] == 1


@pytest.mark.parametrize(
    ("path", "says"),
    [
        ("/short", "without one toxicity score for each comment"),
        ("/words", "that is no number"),
        ("/text", "not JSON"),
        ("/broken", "can't be asked"),
    ],
)
def test_a_service_that_does_not(service, path, says):
    with pytest.raises(UserError, match=says):
        opponents.load(service + path).score(["a", "b"])


def test_a_service_that_is_not_there_and_a_key_that_stays_secret():
    with pytest.raises(UserError, match="can't be asked") as caught:
        opponents.load("http://user:secret@127.0.0.1:9/v1/comments:analyze?key=secret").score(["a"])
    assert "secret" not in str(caught.value)


def write(folder, name, text):
    (folder / name).write_text(text)
    return folder / name


@pytest.mark.parametrize(
    ("scores", "says"),
    [
        ("toxicity\n0.5\n", "1 rows of scores for 300 comments"),
        ("id,toxicity\ntest0,0.5\ntest0,0.5\n", "the same id in two rows"),
        ("id,toxicity\ntest0,0.5\n", "no score for 299 of 300 ids"),
        ("id,likes\ntest0,3\n", "no column of scores"),
        ("id,toxicity\ntest0,high\n", "holds words"),
    ],
)
def test_stored_scores_that_do_not_fit(folder, tmp_path, scores, says):
    with pytest.raises(UserError, match=says):
        run(evaluate.command, write(tmp_path, "s.csv", scores), "--data", folder / "test.csv")


@pytest.mark.parametrize(
    ("args", "says"),
    [
        (["column:nothing", "--data", "test.csv"], "no column 'nothing'"),
        (["column:theirs", "--data", "."], "is a folder"),
        (["./nowhere", "--data", "test.csv"], "no model at ./nowhere"),
        (["column:theirs", "--data", "test.csv", "--suite", "hatecheck"], "has no hatecheck.parquet"),
        (["column:theirs", "--data", "test.csv", "--training", "."], "has no log.jsonl"),
        (["column:theirs", "--data", "none.csv"], "no such file"),
        ([".", "--data", "test.csv"], "neither a bundle"),
    ],
)
def test_what_evaluate_refuses(folder, args, says, monkeypatch):
    monkeypatch.chdir(folder)
    with pytest.raises(UserError, match=says) as caught:
        run(evaluate.command, *args)
    assert "\n" not in str(caught.value)


def test_choosing_without_validation_is_refused(folder):
    result = run(evaluate.command, "column:theirs", "--data", folder / "test.csv", "--choose", "recall=0.9")
    assert result.exit_code == 2
    assert "--choose needs --validation" in result.stderr


@pytest.mark.parametrize(
    ("labels", "columns", "softmax"),
    [
        ({0: "toxic", 1: "identity_hate"}, {"toxicity": 0, "identity_attack": 1}, False),
        ({0: "Toxic", 1: "Obscene", 2: "other"}, {"toxicity": 0, "obscene": 1}, False),
        ({0: "non-toxic", 1: "toxic"}, {"toxicity": 1}, True),
        ({0: "toxic", 1: "neutral"}, {"toxicity": 0}, True),
        ({0: "LABEL_0", 1: "LABEL_1"}, {"toxicity": 1}, True),
        ({0: "toxicity"}, {"toxicity": 0}, False),
        ({0: "toxicity", 1: "insult"}, {"toxicity": 0, "insult": 1}, False),
    ],
)  # fmt: skip
def test_labels_of_other_peoples_models(labels, columns, softmax):
    assert label_columns("m", labels) == (columns, softmax)


def test_labels_that_are_none_of_ours():
    with pytest.raises(UserError, match="has the labels cat, dog, fish"):
        label_columns("m", {0: "cat", 1: "dog", 2: "fish"})


@pytest.fixture(scope="module")
def insults(tmp_path_factory):
    """Comments that the tiny bundle and the tiny checkpoint can read."""
    lines = ["text,toxicity"] + [
        f"you are {'an idiot' if n % 3 == 0 else 'here'} {n},{int(n % 3 == 0)}" for n in range(90)
    ]
    path = tmp_path_factory.mktemp("insults") / "insults.csv"
    path.write_text("\n".join(lines) + "\n")
    return path


def test_a_bundle_gets_its_card_from_the_report_and_stays_valid(tmp_path, insults):
    pytest.importorskip("onnx")
    from bundles import build

    from giantkiller import Screener

    bundle = build(tmp_path / "bundle")
    before = Screener(bundle).predict("you are an idiot")
    result = run(
        evaluate.command, bundle, "--data", insults, "--samples", 20, "-o", tmp_path / "out", "--write-card"
    )
    assert result.exit_code == 0
    assert "(bundle)" in result.stdout
    after = Screener(bundle)  # verifies the checksum of every file
    assert after.predict("you are an idiot") == before
    assert after.bundle.figures["test"]["attributes"]["toxicity"]["roc_auc"]["value"] == 1
    assert (bundle / "README.md").read_text() == (tmp_path / "out" / "card.md").read_text()
    report = json.loads((tmp_path / "out" / "report.json").read_text())
    assert report["policy"]["consequences"]["remove"]["comments"]["value"] == 0
    refused = CliRunner().invoke(evaluate.command, ["column:x", "--data", str(insults), "--write-card"])
    assert refused.exit_code == 2


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


def test_a_checkpoint_scores_as_it_does_by_hand_whatever_its_neighbours(checkpoint):
    import torch
    import transformers

    name = str(checkpoint / "tuned")
    model = opponents.load(name)
    texts = ["you are an idiot", "thanks", "", "you are " * 50]
    scores = model.score(texts)
    assert np.isnan(scores[:, 1:]).all()
    tokenizer = transformers.AutoTokenizer.from_pretrained(name)
    plain = transformers.AutoModelForSequenceClassification.from_pretrained(name).eval()
    for row, text in enumerate(texts):
        batch = tokenizer(text, return_tensors="pt", truncation=True, max_length=16)
        with torch.no_grad():
            logits = plain(input_ids=batch["input_ids"], attention_mask=batch["attention_mask"]).logits
        assert scores[row, 0] == pytest.approx(torch.softmax(logits, dim=-1)[0, 1].item(), abs=1e-5)
    assert model.about["parameters"] == sum(p.numel() for p in plain.parameters())
    assert model.about["fine_tuned"] is True


def test_only_what_was_trained_here_reads_cleaned_text(checkpoint, tmp_path):
    here = shutil.copytree(checkpoint / "tuned", tmp_path / "here")
    (here / "training").mkdir()
    (here / "training" / "record.json").write_text("{}")
    written, meant = "you are an i.d.i.o.t", "you are an idiot"
    ours, theirs = (
        opponents.load(str(name)).score([written, meant])[:, 0] for name in (here, checkpoint / "tuned")
    )
    assert ours[0] == ours[1] == theirs[1] != theirs[0]


def test_a_giant_that_nobody_fine_tuned_is_called_so(checkpoint, insults):
    result = run(
        compare.command, checkpoint / "tuned", checkpoint / "untuned", "--data", insults, "--samples", 20,
        "--rounds", 1, "--batch", 8, "--json",
    )  # fmt: skip
    report = json.loads(result.stdout)
    assert report["models"][1]["fine_tuned"] is False
    assert "was not fine-tuned" in report["verdict"]
    assert report["speed"]["models"][str(checkpoint / "untuned")]["times_slower"]["value"] > 0
    assert report["models"][0]["memory"] > 10_000_000


def test_a_hub_that_cannot_be_reached_is_said_at_once(monkeypatch):
    constants = pytest.importorskip("huggingface_hub.constants")
    monkeypatch.setattr(constants, "ENDPOINT", "http://127.0.0.1:9")
    with pytest.raises(UserError, match="the hub can't be reached"):
        opponents.load("nobody/has-this-model")


def test_a_folder_that_holds_no_classifier(tmp_path):
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(UserError, match="can't be loaded as a text classifier"):
        opponents.load(str(tmp_path))
