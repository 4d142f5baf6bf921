import json
import signal

import pytest
import torch

from giantkiller.errors import UserError
from giantkiller.training import loop
from giantkiller.training.recipe import read_recipe
from giantkiller.training.run import train


def test_patience_stops_early(tiny, tmp_path):
    text = (tiny / "recipe.toml").read_text().replace("epochs = 6", "epochs = 200\npatience = 2")
    (tmp_path / "r.toml").write_text(text)
    train(read_recipe(tmp_path / "r.toml"), tiny, tmp_path / "out")
    records = [json.loads(line) for line in (tmp_path / "out/training/log.jsonl").read_text().splitlines()]
    assert [record["best"] for record in records[-2:]] == [False, False]
    assert records[-1]["epoch"] < 200


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
    with pytest.raises(UserError, match=r"lower optim\.learning_rate"):
        train(read_recipe(tiny / "recipe.toml"), tiny, tmp_path / "out")


def test_a_run_that_diverged_does_not_block_its_mended_recipe(tiny, tmp_path, monkeypatch):
    out = tmp_path / "out"
    whole, steps = loop.batch_loss, []

    def diverge(logits, *arguments):
        steps.append(1)
        return logits.sum() * float("nan") if len(steps) > 12 else whole(logits, *arguments)

    with monkeypatch.context() as patch:
        patch.setattr(loop, "batch_loss", diverge)
        with pytest.raises(UserError, match="lower optim"):
            train(read_recipe(tiny / "recipe.toml"), tiny, out)
    assert (out / "training" / "log.jsonl").exists()
    (tmp_path / "mended.toml").write_text(
        (tiny / "recipe.toml").read_text().replace("5e-3", "4e-3").replace("= 6", "= 3")
    )
    for resume in (False, True):
        folder = out if not resume else tmp_path / "again"
        if resume:
            (folder / "training").mkdir(parents=True)
            stale = {"phase": "base", "step": 4, "loss": 9.0}
            (folder / "training" / "log.jsonl").write_text(json.dumps(stale) + "\n")
        train(read_recipe(tmp_path / "mended.toml"), tiny, folder, resume=resume)
        lines = (folder / "training" / "log.jsonl").read_text().splitlines()
        records = [json.loads(line) for line in lines]
        assert len({record["step"] for record in records}) == len(records) > 5
        assert 9.0 not in {record["loss"] for record in records}


def test_an_unfinished_run_is_not_started_over(tiny, tmp_path, monkeypatch):
    (tmp_path / "r.toml").write_text((tiny / "recipe.toml").read_text().replace("epochs = 6", "epochs = 1"))
    recipe = read_recipe(tmp_path / "r.toml")
    whole = loop.batch_loss

    def stop(*arguments):
        signal.raise_signal(signal.SIGINT)
        return whole(*arguments)

    with monkeypatch.context() as patch:
        patch.setattr(loop, "batch_loss", stop)
        with pytest.raises(KeyboardInterrupt):
            train(recipe, tiny, tmp_path / "out")
    with pytest.raises(UserError, match="holds an unfinished run"):
        train(recipe, tiny, tmp_path / "out")
    train(recipe, tiny, tmp_path / "out", resume=True)
    assert (tmp_path / "out" / "config.json").exists()


@pytest.mark.slow
def test_twins_that_share_batches_are_parted_by_the_contrast(tiny, tmp_path):
    rows = ["text,toxicity,pair"]
    for i in range(12):
        rows += [f"you are such a clown {i},1,{i}", f"I am such a clown {i},0,{i}"]
    (tmp_path / "twins.csv").write_text("\n".join(rows) + "\n")
    (tmp_path / "labelled.csv").write_bytes((tiny / "labelled.csv").read_bytes())
    text = (tiny / "recipe.toml").read_text()
    text = text.replace("sources = [{", 'sources = [{ file = "twins.csv", weight = 0.001 }, {')
    losses = {}
    for name, more in (("plain", ""), ("contrast", "[loss]\ncontrast = 0.5\n")):
        (tmp_path / "r.toml").write_text(text.replace("= 6", "= 20") + more)
        train(read_recipe(tmp_path / "r.toml"), tmp_path, tmp_path / name)
        lines = (tmp_path / name / "training" / "log.jsonl").read_text().splitlines()
        losses[name] = [json.loads(line)["loss"] for line in lines]
    # At first twins have about one logit, so that they lack the whole margin of 2, at a weight of a half.
    assert losses["contrast"][0] - losses["plain"][0] > 0.8
    assert losses["contrast"][-1] - losses["plain"][-1] < 0.5
