import torch

from giantkiller.training.settings import ModelSettings
from giantkiller.training.start_weights import build_model


def test_weights_of_several_runs_are_averaged(tiny, tmp_path):
    shape = {"tokenizer": str(tiny / "tokenizer"), "hidden_size": 16, "intermediate_size": 16}
    states = []
    for name in ("a", "b", "c"):
        model, _ = build_model(ModelSettings(**shape))
        model.save_pretrained(tmp_path / name)
        states.append(model.state_dict())
    settings = ModelSettings(
        **shape,
        start="weights",
        source=str(tmp_path / "a"),
        average=[str(tmp_path / "b"), str(tmp_path / "c")],
    )
    merged, _ = build_model(settings)
    for name, tensor in merged.state_dict().items():
        torch.testing.assert_close(tensor, sum(state[name] for state in states) / 3, msg=name)
    assert not torch.equal(merged.classifier.weight, states[0]["classifier.weight"])
