import dataclasses
import json

import pytest
import torch
from transformers import AutoModelForSequenceClassification

from giantkiller.dendrites import dendritic_layers, read_ledger
from giantkiller.errors import UserError
from giantkiller.training.recipe import read_recipe
from giantkiller.training.run import train


def test_dendrites_can_learn_alone(tiny, tmp_path):
    recipe = read_recipe(tiny / "growing.toml")
    recipe = dataclasses.replace(recipe, optim=dataclasses.replace(recipe.optim, epochs=1))
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
    text = (tiny / "growing.toml").read_text().replace("epochs = 6", "epochs = 1")
    rule = 'rule = "correlation"\ncandidates = 2\npasses = 2\nerror_batches = 3\n'
    (tmp_path / "r.toml").write_text(text + rule)
    train(read_recipe(tmp_path / "r.toml"), tiny, tmp_path / "out")
    attempt = read_ledger(tmp_path / "out" / "training" / "growth").attempts[1]
    assert attempt.correlations
    assert all(0 < value <= 1 for value in attempt.correlations.values())


def test_a_pattern_that_fits_no_layer_is_refused_before_training(tiny, tmp_path):
    (tmp_path / "r.toml").write_text((tiny / "growing.toml").read_text() + 'where = "nosuchlayer"\n')
    with pytest.raises(UserError, match="no layer fits 'nosuchlayer'"):
        train(read_recipe(tmp_path / "r.toml"), tiny, tmp_path / "out")
    assert not (tmp_path / "out").exists()
