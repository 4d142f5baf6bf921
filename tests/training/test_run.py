import dataclasses
import json
import signal
import subprocess
import sys
import time

import pytest
import torch
from transformers import AutoModelForSequenceClassification, AutoTokenizer

from giantkiller.attributes import ATTRIBUTES
from giantkiller.dendrites import dendritic_layers, read_ledger
from giantkiller.errors import UserError
from giantkiller.training import loop
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
    assert record["parameters"] == sum(p.numel() for p in model.parameters())
    assert json.loads((folder / "training" / "record.json").read_text()) == json.loads(json.dumps(record))


def test_it_learns(finished):
    _, record = finished
    assert record["validation"]["ap_toxicity"] > 0.9


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


def test_same_recipe_same_model(finished, tiny, tmp_path):
    folder, _ = finished
    train(read_recipe(tiny / "growing.toml"), tiny, tmp_path / "again")
    one = (folder / "model.safetensors").read_bytes()
    assert one == (tmp_path / "again" / "model.safetensors").read_bytes()


COMMAND = "from giantkiller.cli.main import main; main()"


@pytest.mark.parametrize("stop", [signal.SIGKILL, signal.SIGINT])
def test_a_killed_run_resumes_to_the_same_model(finished, tiny, tmp_path, stop):
    folder, _ = finished
    out = tmp_path / "out"
    command = [sys.executable, "-c", COMMAND, "train", tiny / "growing.toml", "-d", tiny, "-o", out]
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


def test_patience_stops_early(tiny, tmp_path):
    text = (tiny / "recipe.toml").read_text().replace("epochs = 6", "epochs = 200\npatience = 2")
    (tmp_path / "r.toml").write_text(text)
    train(read_recipe(tmp_path / "r.toml"), tiny, tmp_path / "out")
    records = [json.loads(line) for line in (tmp_path / "out/training/log.jsonl").read_text().splitlines()]
    assert [record["best"] for record in records[-2:]] == [False, False]
    assert records[-1]["epoch"] < 200


def test_a_used_output_folder_is_refused(finished, tiny):
    folder, _ = finished
    with pytest.raises(UserError, match="not empty"):
        train(read_recipe(tiny / "recipe.toml"), tiny, folder)
    with pytest.raises(UserError, match="already holds a finished checkpoint"):
        train(read_recipe(tiny / "recipe.toml"), tiny, folder, resume=True)


def test_another_recipes_state_is_not_resumed(tiny, tmp_path, monkeypatch):
    whole = loop.batch_loss

    def stop(*arguments):
        signal.raise_signal(signal.SIGINT)
        return whole(*arguments)

    out = tmp_path / "out"
    with monkeypatch.context() as patch:
        patch.setattr(loop, "batch_loss", stop)
        with pytest.raises(KeyboardInterrupt):
            train(read_recipe(tiny / "recipe.toml"), tiny, out)
    (tmp_path / "r.toml").write_text((tiny / "recipe.toml").read_text().replace("seed = 3", "seed = 4"))
    with pytest.raises(UserError, match="another recipe"):
        train(read_recipe(tmp_path / "r.toml"), tiny, out, resume=True)


def test_a_damaged_state_is_refused(tiny, tmp_path):
    state = tmp_path / "out" / "training" / "base" / "state.pt"
    state.parent.mkdir(parents=True)
    state.write_bytes(b"no state")
    with pytest.raises(UserError, match="cannot be read"):
        train(read_recipe(tiny / "recipe.toml"), tiny, tmp_path / "out", resume=True)


def test_a_loss_that_is_no_number_is_refused(tiny, tmp_path, monkeypatch):
    monkeypatch.setattr(loop, "batch_loss", lambda logits, *_: (logits * torch.tensor(float("nan"))).sum())
    with pytest.raises(UserError, match="lower optim"):
        train(read_recipe(tiny / "recipe.toml"), tiny, tmp_path / "out")


def test_data_with_one_class_cannot_choose(tiny, tmp_path):
    (tmp_path / "labelled.csv").write_text("text,toxicity\n" + "".join(f"word {i},0\n" for i in range(40)))
    with pytest.raises(UserError, match="both classes"):
        train(read_recipe(tiny / "recipe.toml"), tmp_path, tmp_path / "out")


def test_dendrites_can_learn_alone(tiny, tmp_path):
    recipe = read_recipe(tiny / "growing.toml")
    growth = dataclasses.replace(recipe.growth, freeze=True, min_gain=-1.0, max_dendrites=1)
    train(dataclasses.replace(recipe, growth=growth), tiny, tmp_path / "grown")
    plain = dataclasses.replace(recipe, growth=dataclasses.replace(growth, max_dendrites=0))
    train(plain, tiny, tmp_path / "plain")
    grown, plain = (
        AutoModelForSequenceClassification.from_pretrained(tmp_path / name) for name in ("grown", "plain")
    )
    weights = plain.state_dict()
    assert all(
        torch.equal(value, weights[name]) for name, value in grown.state_dict().items() if name in weights
    )
    assert all(layer.dendrite_strength.abs().max() > 0 for layer in dendritic_layers(grown).values())


def test_strengths_can_learn_faster_than_the_rest(tiny, tmp_path):
    recipe = read_recipe(tiny / "growing.toml")
    growth = dataclasses.replace(recipe.growth, min_gain=-1.0)
    moved = {}
    for rate in (0.0, 1.0, 20.0):
        optim = dataclasses.replace(recipe.optim, epochs=1, strength_rate=rate)
        train(dataclasses.replace(recipe, optim=optim, growth=growth), tiny, tmp_path / str(rate))
        model = AutoModelForSequenceClassification.from_pretrained(tmp_path / str(rate))
        layers = dendritic_layers(model).values()
        moved[rate] = max(layer.dendrite_strength.abs().max().item() for layer in layers)
    assert 0 == moved[0.0] < 4 * moved[1.0] < moved[20.0]


def test_growth_begins_on_given_weights(tiny, tmp_path):
    text = (tiny / "growing.toml").read_text().replace("epochs = 6", "epochs = 0")
    (tmp_path / "r.toml").write_text(
        text.replace("[optim]", f'start = "weights"\nsource = "{tmp_path / "plain"}"\n[optim]')
    )
    plain = (tiny / "recipe.toml").read_text().replace("epochs = 6", "epochs = 1")
    (tmp_path / "plain.toml").write_text(plain)
    train(read_recipe(tmp_path / "plain.toml"), tiny, tmp_path / "plain")
    train(read_recipe(tmp_path / "r.toml"), tiny, tmp_path / "out")
    records = [
        json.loads(line) for line in (tmp_path / "out" / "training" / "log.jsonl").read_text().splitlines()
    ]
    assert {record["phase"] for record in records} == {"growth-1"}
    before = read_ledger(tmp_path / "out" / "training" / "growth").attempts[0].score
    figures = json.loads((tmp_path / "plain" / "training" / "record.json").read_text())["validation"]
    assert before == pytest.approx(figures["ap_toxicity"])


def test_growth_by_correlation(tiny, tmp_path):
    text = (
        tiny / "growing.toml"
    ).read_text() + 'rule = "correlation"\ncandidates = 2\npasses = 2\nerror_batches = 3\n'
    (tmp_path / "r.toml").write_text(text)
    train(read_recipe(tmp_path / "r.toml"), tiny, tmp_path / "out")
    attempt = read_ledger(tmp_path / "out" / "training" / "growth").attempts[1]
    assert attempt.correlations
    assert all(0 < value <= 1 for value in attempt.correlations.values())


def test_a_pattern_that_fits_no_layer_is_refused_before_training(tiny, tmp_path):
    (tmp_path / "r.toml").write_text((tiny / "growing.toml").read_text() + 'where = "nosuchlayer"\n')
    with pytest.raises(UserError, match="no layer fits 'nosuchlayer'"):
        train(read_recipe(tmp_path / "r.toml"), tiny, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_place_that_cannot_be_written_is_said_in_one_sentence(tiny, tmp_path):
    (tmp_path / "file").write_text("")
    out = tmp_path / "file" / "out"
    command = [sys.executable, "-c", COMMAND, "train", tiny / "recipe.toml", "-d", tiny, "-o", out]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    assert str(tmp_path / "file") in done.stderr.splitlines()[-1]
