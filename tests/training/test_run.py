import json
import signal
import subprocess
import sys
import time

import pytest
from transformers import AutoModelForSequenceClassification, AutoTokenizer

from giantkiller.attributes import ATTRIBUTES
from giantkiller.dendrites import dendritic_layers, read_ledger
from giantkiller.errors import UserError
from giantkiller.training.recipe import read_recipe
from giantkiller.training.run import train


@pytest.fixture(scope="module")
def finished(tiny, tmp_path_factory):
    folder = tmp_path_factory.mktemp("finished") / "out"
    record = train(read_recipe(tiny / "growing.toml"), tiny, folder)
    return folder, record


def test_a_run_leaves_a_hugging_face_folder(finished):
    folder, record = finished
    model = AutoModelForSequenceClassification.from_pretrained(folder)
    tokenizer = AutoTokenizer.from_pretrained(folder)
    assert list(model.config.id2label.values()) == list(ATTRIBUTES)
    logits = model(**tokenizer(["You are such a clown."], return_tensors="pt")).logits
    assert logits.shape == (1, 7)
    assert record.parameters == sum(p.numel() for p in model.parameters())
    assert json.loads((folder / "training" / "record.json").read_text()) == json.loads(
        json.dumps(record.to_dict())
    )


def test_it_learns(finished):
    _, record = finished
    assert record.validation["ap_toxicity"] > 0.9


def test_growth_leaves_a_ledger_and_living_dendrites(finished):
    folder, _ = finished
    ledger = read_ledger(folder / "training" / "growth")
    assert ledger.reason
    model = AutoModelForSequenceClassification.from_pretrained(folder)
    if any(attempt.kept for attempt in ledger.attempts[1:]):
        assert all(layer.dendrite_strength.abs().max() > 0 for layer in dendritic_layers(model).values())


def test_the_log_tells_each_validation(finished):
    folder, _ = finished
    records = [json.loads(line) for line in (folder / "training" / "log.jsonl").read_text().splitlines()]
    assert {record["phase"] for record in records} == {"base", "growth-1"}
    for record in records:
        assert {"step", "epoch", "loss", "learning_rate", "seconds", "ap_toxicity", "auc_toxicity"} <= set(
            record
        )


def test_phrases_are_fitted_last_and_stay_where_a_run_starts_from_them(tiny, tmp_path):
    text = (tiny / "recipe.toml").read_text()
    (tmp_path / "phrases.toml").write_text(text + "[phrases]\nrows = 64\n")
    with_phrases = train(read_recipe(tmp_path / "phrases.toml"), tiny, tmp_path / "one")
    first = AutoModelForSequenceClassification.from_pretrained(tmp_path / "one")
    table = first.bert.phrases.weight
    assert first.config.phrases == len(table) == 64
    assert table.abs().max() > 0
    start = f'[model]\nstart = "weights"\nsource = "{tmp_path / "one"}"\n'
    (tmp_path / "more.toml").write_text(text.replace("[model]\n", start))
    train(read_recipe(tmp_path / "more.toml"), tiny, tmp_path / "two")
    second = AutoModelForSequenceClassification.from_pretrained(tmp_path / "two")
    assert second.bert.phrases.weight.equal(table)
    assert second.bert.phrases.checks.equal(first.bert.phrases.checks)
    assert not second.classifier.weight.equal(first.classifier.weight)
    assert with_phrases.parameters == sum(p.numel() for p in first.parameters())


@pytest.mark.slow
def test_same_recipe_same_model(finished, tiny, tmp_path):
    folder, _ = finished
    train(read_recipe(tiny / "growing.toml"), tiny, tmp_path / "again")
    one = (folder / "model.safetensors").read_bytes()
    assert one == (tmp_path / "again" / "model.safetensors").read_bytes()


COMMAND = "from giantkiller.cli.main import main; main()"


@pytest.mark.slow
@pytest.mark.parametrize("stop", [signal.SIGKILL, signal.SIGINT])
def test_a_killed_run_resumes_to_the_same_model(finished, tiny, tmp_path, stop):
    folder, _ = finished
    out, recipe = tmp_path / "out", tmp_path / "growing.toml"
    recipe.write_text("checkpoint_seconds = 0.0\n" + (tiny / "growing.toml").read_text())
    command = [sys.executable, "-c", COMMAND, "train", recipe, "-d", tiny, "-o", out]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    wanted = out / "training" / "growth" if stop == signal.SIGKILL else out / "training" / "base" / "state.pt"
    while process.poll() is None and not wanted.exists():
        time.sleep(0.02)
    process.send_signal(stop)
    _, told = process.communicate()
    assert process.returncode != 0
    assert not (out / "config.json").exists()
    if stop == signal.SIGINT:
        assert "Traceback" not in told
        assert "--resume" in told
    subprocess.run([*command, "--resume"], check=True, capture_output=True)
    one, other = (path / "model.safetensors" for path in (folder, out))
    assert one.read_bytes() == other.read_bytes()
    lines = [
        [(r["phase"], r["step"], r["loss"]) for r in map(json.loads, path.read_text().splitlines())]
        for path in (folder / "training" / "log.jsonl", out / "training" / "log.jsonl")
    ]
    assert lines[0] == lines[1]


def test_a_used_output_folder_is_refused(finished, tiny):
    folder, _ = finished
    with pytest.raises(UserError, match="not empty"):
        train(read_recipe(tiny / "recipe.toml"), tiny, folder)
    with pytest.raises(UserError, match="already holds a finished checkpoint"):
        train(read_recipe(tiny / "recipe.toml"), tiny, folder, resume=True)


def test_data_with_one_class_cannot_choose(tiny, tmp_path):
    (tmp_path / "labelled.csv").write_text("text,toxicity\n" + "".join(f"word {i},0\n" for i in range(40)))
    with pytest.raises(UserError, match="both classes"):
        train(read_recipe(tiny / "recipe.toml"), tmp_path, tmp_path / "out")


def test_the_record_names_each_file_with_its_digest(finished):
    _, record = finished
    assert set(record.data) == {"labelled.csv"}
    assert len(record.data["labelled.csv"]) == 64
    assert record.soft_labelled == 0
