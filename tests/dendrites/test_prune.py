import copy

import pytest
import torch
from dendritic import grown
from torch import nn

from giantkiller.dendrites import (
    DendriteError,
    compact,
    parameters,
    perforate,
    prune,
)


def test_pruning_keeps_exactly_what_the_score_needs():
    """Only three dendrites touch the outputs that are scored."""
    torch.manual_seed(0)
    model = grown(dendrites=2)
    with torch.no_grad():
        model[0].dendrite_cascade.zero_()
        model[0].dendrite_cascade[0, 2] = 1.0
    x = torch.randn(6, 4, dtype=torch.float64)
    target = model(x).detach()[:, 1:3]
    model_after = copy.deepcopy(model)

    def score(model):
        return -round((model(x)[:, 1:3] - target).abs().max().item(), 9)

    result = prune(model_after, score)
    assert (result.kept, result.dropped) == (4, 6)
    assert result.score_before == result.score_after == 0
    assert model_after[0].dendrite_neuron.tolist() == [1, 2, 1, 2]
    assert result.after.dendrites == 4 * 6 + 1 == parameters(model_after).dendrites
    torch.testing.assert_close(model_after(x)[:, 1:3], target)


def test_tolerance_allows_more_to_go_and_the_limit_of_scores_holds():
    torch.manual_seed(0)
    x = torch.randn(50, 4, dtype=torch.float64)
    model = grown()
    target = model(x).detach()
    calls = []

    def score(model):
        calls.append(None)
        return -(model(x) - target).square().mean().item()

    kept = []
    for tolerance in (0.0, 0.05, 100.0):
        twin = copy.deepcopy(model)
        result = prune(twin, score, tolerance=tolerance)
        assert result.score_after >= result.score_before - tolerance
        kept.append(result.kept)
    assert kept[0] == 15
    assert kept[0] > kept[1] > kept[2] == 0
    calls.clear()
    result = prune(copy.deepcopy(model), score, tolerance=0.05, max_evaluations=4)
    assert result.evaluations == len(calls) <= 5


def test_the_weakest_go_first_when_evaluations_are_few():
    model = grown(neurons=8, dendrites=1)
    weak = torch.tensor([0, 1] * 4, dtype=torch.bool)
    with torch.no_grad():
        model[0].dendrite_strength[0] = torch.where(weak, 1e-6, 1.0)
    x = torch.randn(50, 4, dtype=torch.float64)
    target = model(x).detach()

    def score(model):
        return -(model(x) - target).abs().max().item()

    result = prune(model, score, tolerance=1e-3, max_evaluations=3)
    assert (result.dropped, result.kept) == (4, 4)
    assert model[0].dendrite_neuron.tolist() == [0, 2, 4, 6]


def test_a_dropped_dendrite_feeds_no_later_one():
    model = grown(dendrites=2)
    with torch.no_grad():
        model[0].dendrite_strength[0] = 1e-6
        model[0].dendrite_strength[1] = 1.0
        model[0].dendrite_cascade.fill_(1e-6)
    x = torch.randn(50, 4, dtype=torch.float64)
    target = model(x).detach()
    result = prune(model, lambda model: -(model(x) - target).abs().max().item(), tolerance=1e-3)
    assert (result.dropped, result.kept) == (5, 5)
    assert result.after.dendrites == 5 * (4 + 1 + 1), "no link is left"


def test_two_evaluations_are_the_fewest():
    prune(grown(), lambda model: 0.0, max_evaluations=2)
    with pytest.raises(DendriteError, match="max_evaluations >= 2"):
        prune(grown(), lambda model: 0.0, max_evaluations=1)


def test_a_failing_score_leaves_the_model_as_it_was():
    model = grown()
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    calls = []

    def score(model):
        calls.append(None)
        if len(calls) == 3:
            raise RuntimeError("broken")
        return float(-len(calls))

    with pytest.raises(RuntimeError, match="broken"):
        prune(model, score)
    assert all(torch.equal(before[name], tensor) for name, tensor in model.state_dict().items())


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (lambda: prune(nn.Linear(2, 1), lambda m: 0.0), "no dendrites to prune"),
        (lambda: prune(grown(), lambda m: float("nan")), "score of the unpruned model is nan"),
        (lambda: prune(grown(), lambda m: 0.0, tolerance=-1.0), "tolerance >= 0"),
        (lambda: perforate(sparse()), "dendritic already"),
    ],
)
def test_bad_input_is_said_in_a_sentence(make, sentence):
    with pytest.raises(DendriteError, match=sentence):
        make()


def sparse():
    model = grown()
    with torch.no_grad():
        model[0].dendrite_strength[:, 0] = 0
    compact(model)
    return model
