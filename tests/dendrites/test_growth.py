import random
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from giantkiller.dendrites import (
    DendriteError,
    GradientRule,
    Grower,
    counts,
    dendritic_layers,
    perforate,
    read_ledger,
)


class Killed(BaseException):
    """Stands for a process that ends there and then."""


def problem():
    """Two rings of points, which a small layer cannot tell apart well."""
    draw = torch.Generator().manual_seed(3)
    angle = torch.rand(120, generator=draw) * 6.2832
    radius = torch.cat((torch.full((60,), 0.5), torch.full((60,), 1.0)))
    x = torch.stack((radius * angle.cos(), radius * angle.sin()), 1)
    return x + 0.05 * torch.randn(120, 2, generator=draw), (radius > 0.7).float()


X, Y = problem()


def small(seed=0):
    torch.manual_seed(seed)
    model = nn.Sequential(nn.Linear(2, 3), nn.Tanh(), nn.BatchNorm1d(3), nn.Linear(3, 1))
    perforate(model, nn.Linear)
    return model


def fit(model, steps=40):
    """Shuffles with the global generator, as most training does."""
    optimizer = torch.optim.Adam((p for p in model.parameters() if p.requires_grad), lr=0.05)
    model.train()
    for _ in range(steps):
        rows = torch.randperm(len(X))[:60]
        loss = nn.functional.binary_cross_entropy_with_logits(model(X[rows]).squeeze(1), Y[rows])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()


@torch.no_grad()
def score(model):
    model.eval()
    return -nn.functional.binary_cross_entropy_with_logits(model(X).squeeze(1), Y).item()


def tensors(model):
    return {name: tensor.clone() for name, tensor in model.state_dict().items()}


def same(one, other):
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


def plain(ledger):
    """A ledger without what the clock decides."""
    return [(a.number, a.grown, a.before, a.score, a.kept, a.parameters) for a in ledger.attempts]


def test_growth_keeps_what_helps_and_the_model_ends_as_the_best_one():
    model = small()
    ledger = Grower(model, fit=fit, score=score, max_dendrites=2, tries=2).run()
    assert ledger.best is not None
    assert ledger.best.number > 0, "dendrites help on this problem"
    assert score(model) == ledger.best.score == max(a.score for a in ledger.attempts)
    assert counts(model) == ledger.best.grown
    assert ledger.attempts[1].grown == {"0": 1, "3": 1}
    assert ledger.attempts[1].dendrite_parameters == 3 * (2 + 2) + 1 * (3 + 2)
    assert ledger.reason == "no layer may have more than 2 dendrites"


def test_a_rejected_attempt_gives_the_best_model_back_bit_for_bit():
    model = small()
    after = []

    def scored(model):
        after.append(tensors(model))
        return -float(len(after))

    ledger = Grower(model, fit=fit, score=scored, max_dendrites=3, tries=2).run()
    assert [a.kept for a in ledger.attempts] == [True, False, False]
    assert ledger.reason == "2 attempts in a row did not add 0 to the score"
    assert same(tensors(model), after[0])
    assert not same(after[1], after[2]), "another try draws other dendrites"
    assert all(p.requires_grad for p in model.parameters())


@pytest.mark.parametrize(("gain", "kept"), [(0.5, True), (1.0, True), (1.5, False), (-0.5, True)])
def test_an_attempt_must_add_min_gain(gain, kept):
    scores = iter([-3.0, -2.0, -2.0, -2.0])
    ledger = Grower(
        small(), fit=lambda model: None, score=lambda model: next(scores), min_gain=gain, max_dendrites=1
    ).run()
    assert ledger.attempts[1].kept is kept


@pytest.mark.parametrize(("loss", "kept"), [(0.0, True), (0.4, True), (0.6, False), (float("nan"), False)])
def test_a_negative_min_gain_accepts_that_loss(loss, kept):
    scores = iter([1.0, 1.0 - loss, 1.0])
    ledger = Grower(
        small(), fit=lambda model: None, score=lambda model: next(scores), min_gain=-0.5, max_dendrites=1
    ).run()
    assert ledger.attempts[1].kept is kept


def test_a_score_that_stands_still_is_no_gain():
    ledger = Grower(small(), fit=lambda model: None, score=lambda model: 0.0).run()
    assert [a.kept for a in ledger.attempts] == [True, False]


def test_a_score_that_is_not_a_number_is_never_kept():
    scores = iter([1.0, float("nan")])
    ledger = Grower(small(), fit=lambda model: None, score=lambda model: next(scores)).run()
    assert [a.kept for a in ledger.attempts] == [True, False]


def test_no_file_is_written_unless_asked(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Grower(small(), fit=fit, score=score).run()
    assert list(tmp_path.iterdir()) == []


def test_the_callers_random_numbers_go_on_as_if_nothing_had_run():
    torch.manual_seed(1), random.seed(1), np.random.seed(1)
    expected = torch.rand(1).item(), random.random(), np.random.rand()
    model = small()
    torch.manual_seed(1), random.seed(1), np.random.seed(1)
    Grower(model, fit=fit, score=score).run()
    assert (torch.rand(1).item(), random.random(), np.random.rand()) == expected


def test_the_training_is_told_its_phase(tmp_path):
    phases = []

    def told(model, phase):
        phases.append(phase)
        (phase.folder / "checkpoint").write_text("mine")
        phase.report(0.1 * phase.number)

    scores = iter([1.0, 2.0, 3.0])
    ledger = Grower(
        small(), fit=told, score=lambda model: next(scores), max_dendrites=2, folder=tmp_path / "run"
    ).run()
    assert [phase.number for phase in phases] == [0, 1, 2]
    assert [phase.grown for phase in phases] == [{}, {"0": 1, "3": 1}, {"0": 2, "3": 2}]
    assert len({phase.seed for phase in phases}) == 3
    assert [score for _, score in ledger.attempts[2].curve] == [0.2]
    assert sorted(p.name for p in (tmp_path / "run").iterdir()) == ["best-002.safetensors", "ledger.json"]


def killing(function, when):
    """The function, killed at its n-th call, counted over all calls of it."""
    calls = []

    def run(*args):
        calls.append(None)
        if len(calls) == when:
            raise Killed
        return function(*args)

    return run


@pytest.mark.slow
@pytest.mark.parametrize("where", ["fit", "score"])
@pytest.mark.parametrize("when", [1, 2, 3, 4])
def test_a_killed_growth_resumes_to_the_same_end(tmp_path, where, when):
    def grow(model, folder, kill=None):
        functions = {"fit": fit, "score": score}
        if kill is not None:
            functions[where] = killing(functions[where], kill)
        return Grower(model, **functions, max_dendrites=3, tries=2, folder=folder, seed=7).run()

    whole = small()
    expected = grow(whole, None)
    assert len(expected.attempts) >= 4
    with pytest.raises(Killed):
        grow(small(), tmp_path, when)
    # The process that resumes starts from other weights: those of the folder count.
    resumed = small(seed=99)
    ledger = grow(resumed, tmp_path)
    assert plain(ledger) == plain(expected)
    assert same(tensors(resumed), tensors(whole))
    assert plain(read_ledger(tmp_path)) == plain(expected)


@pytest.mark.parametrize("victim", ["best-", "ledger", "start"])
def test_killed_while_writing_it_resumes_to_the_same_end(tmp_path, monkeypatch, victim):
    whole = small()
    expected = Grower(whole, fit=fit, score=score, max_dendrites=2, tries=2).run()
    replaced = []

    def replace(old, new):
        if victim in Path(new).name:
            replaced.append(new)
            if len(replaced) == 2:
                raise Killed
        return old.rename(new)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "replace", replace)
        with pytest.raises(Killed):
            Grower(small(), fit=fit, score=score, max_dendrites=2, tries=2, folder=tmp_path).run()
    resumed = small(seed=99)
    ledger = Grower(resumed, fit=fit, score=score, max_dendrites=2, tries=2, folder=tmp_path).run()
    assert plain(ledger) == plain(expected)
    assert same(tensors(resumed), tensors(whole))


def test_a_resumed_attempt_does_not_grow_again(tmp_path):
    grown = []

    class Counting(GradientRule):
        def grow(self, *args, **kwargs):
            grown.append(kwargs["seed"])
            return super().grow(*args, **kwargs)

    with pytest.raises(Killed):
        Grower(small(), fit=killing(fit, 2), score=score, rule=Counting(), folder=tmp_path).run()
    Grower(small(), fit=fit, score=score, rule=Counting(), folder=tmp_path).run()
    assert len(grown) == 1


def test_a_finished_growth_goes_on_when_asked_for_more(tmp_path):
    whole = small()
    expected = Grower(whole, fit=fit, score=score, max_dendrites=2).run()
    Grower(small(), fit=fit, score=score, max_dendrites=1, folder=tmp_path).run()
    resumed = small()
    ledger = Grower(resumed, fit=fit, score=score, max_dendrites=2, folder=tmp_path).run()
    assert plain(ledger) == plain(expected)
    assert same(tensors(resumed), tensors(whole))


def test_a_failing_training_leaves_the_best_model():
    model = small()
    calls = []

    def failing(model):
        fit(model)
        calls.append(tensors(model))
        if len(calls) == 2:
            raise RuntimeError("out of memory")

    with pytest.raises(RuntimeError, match="out of memory"):
        Grower(model, fit=failing, score=score).run()
    assert counts(model) == {}
    assert same(tensors(model), calls[0] | {k: v for k, v in tensors(model).items() if k not in calls[0]})


def test_a_trained_model_is_only_scored_at_first():
    model, fitted = small(), []
    before = score(model)
    ledger = Grower(model, fit=fitted.append, score=score, trained=True).run()
    assert ledger.attempts[0].score == before
    assert len(fitted) == 1


def test_another_model_or_recipe_is_refused_and_the_model_stays(tmp_path):
    Grower(small(), fit=fit, score=score, folder=tmp_path, recipe={"lr": 0.1}).run()
    other = nn.Sequential(nn.Linear(2, 4), nn.Linear(4, 1))
    perforate(other)
    before = tensors(other)
    with pytest.raises(DendriteError, match="another model"):
        Grower(other, fit=fit, score=score, folder=tmp_path, recipe={"lr": 0.1}).run()
    assert same(tensors(other), before)
    for changed in (
        {"recipe": {"lr": 0.2}},
        {"rule": GradientRule(scale=0.5)},
        {"seed": 1},
        {"min_gain": 0.1},
    ):
        with pytest.raises(DendriteError, match="another recipe"):
            Grower(
                small(), **({"fit": fit, "score": score, "folder": tmp_path, "recipe": {"lr": 0.1}} | changed)
            ).run()


def test_a_damaged_state_is_refused(tmp_path):
    Grower(small(), fit=fit, score=score, folder=tmp_path).run()
    next(tmp_path.glob("best-*")).write_bytes(b"junk")
    with pytest.raises(DendriteError, match="no saved state"):
        Grower(small(), fit=fit, score=score, folder=tmp_path, max_dendrites=2).run()


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (lambda: Grower(nn.Linear(2, 1), fit=fit, score=score), "call perforate"),
        (lambda: Grower(small(), fit=fit, score=score, tries=0), "tries >= 1"),
        (lambda: Grower(small(), fit=fit, score=score, min_gain=float("nan")), "finite min_gain"),
        (lambda: Grower(small(), fit=fit, score=lambda m: float("nan")).run(), "score of the model before"),
        (lambda: Grower(small(), fit=fit, score=score, recipe={"a": object()}).run(), "JSON types"),
        (lambda: GradientRule().grow(small(), ["7"]), "no dendritic layer '7'"),
    ],
)
def test_bad_input_is_said_in_a_sentence(make, sentence):
    with pytest.raises(DendriteError, match=sentence):
        make()


def test_gradient_rule_lets_everything_learn_again():
    model = small()
    rule = GradientRule(dendrites=2, scale=0.1)
    layer = dendritic_layers(model)["0"]
    layer.grow()
    layer.detached = True
    layer.dendrite_weight.requires_grad_(False)
    growth = rule.grow(model, ["0"], seed=4)
    assert growth.grown == {"0": 3}
    assert not layer.detached
    assert layer.dendrite_weight.requires_grad
    assert layer.dendrite_weight[3:].abs().max() <= 0.1 / 2**0.5
