import pytest
import torch
from torch import nn

from giantkiller.dendrites import (
    CorrelationRule,
    DendriteError,
    Errors,
    GradientRule,
    Grower,
    Placement,
    counts,
    dendritic_layers,
    parameters,
    perforate,
)
from giantkiller.dendrites.placement import cost

SCOUT = CorrelationRule(candidates=2, passes=2)


class Halves(nn.Module):
    """Two layers side by side; one of them misses a target that dendrites can reach, one is right."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.wrong = nn.Linear(2, 2)
        self.right = nn.Linear(2, 2)
        perforate(self)

    def forward(self, x):
        return torch.cat((self.wrong(x), self.right(x)), 1)


def data():
    torch.manual_seed(1)
    x = torch.randn(300, 2)
    model = Halves()
    with torch.no_grad():
        # The wrong half lacks a bump along one direction; the right half has noise only.
        missing = torch.cat((torch.tanh(3 * x[:, :1] - x[:, 1:]).repeat(1, 2), 0.5 * torch.randn(300, 2)), 1)
        return x, model(x) + missing


X, Y = data()
ERRORS = Errors([None], lambda model, _: (model(X) - Y).square().mean())


def test_the_layer_at_which_error_remains_comes_first():
    model = Halves()
    ranked = Placement(scout=SCOUT).rank(model, ["right", "wrong"], errors=ERRORS, seed=0)
    assert list(ranked) == ["wrong", "right"]
    assert ranked["wrong"] > 0.5 > ranked["right"]
    assert counts(model) == {}


def test_growth_begins_there_and_goes_elsewhere_after_a_failure():
    model = Halves()
    scores = iter([0.0, -1.0, -1.0, -1.0])
    ledger = Grower(
        model,
        fit=lambda model: None,
        score=lambda model: next(scores),
        errors=ERRORS,
        placement=Placement(layers=1, scout=SCOUT),
        tries=3,
    ).run()
    assert [list(a.grown) for a in ledger.attempts[1:]] == [["wrong"], ["right"], ["wrong"]]
    assert ledger.attempts[1].correlations.keys() == {"wrong", "right"}


def test_a_budget_in_parameters_is_never_exceeded():
    model = Halves()
    one = cost(model.wrong, 1)
    assert one == 2 * (2 + 2)
    count = iter(range(100))
    ledger = Grower(
        model,
        fit=lambda model: None,
        score=lambda model: float(next(count)),
        errors=ERRORS,
        placement=Placement(layers=2, scout=SCOUT),
        budget=3 * one + 2,
        max_dendrites=5,
    ).run()
    assert counts(model) == {"wrong": 2, "right": 1}
    assert parameters(model).dendrites == 3 * one + 2 <= 3 * one + 2
    assert ledger.reason == "the budget of 26 parameters is used up"


@pytest.mark.parametrize("dendrites", [1, 2, 3])
def test_the_cost_is_what_growth_adds(dendrites):
    model = Halves()
    for _ in range(2):
        before, price = parameters(model).dendrites, cost(model.wrong, dendrites)
        GradientRule(dendrites).grow(model, ["wrong"])
        assert parameters(model).dendrites - before == price


def test_without_placement_the_first_layers_that_fit_grow():
    model = Halves()
    Grower(model, fit=lambda model: None, score=lambda model: parameters(model).total, budget=9).run()
    assert counts(model) == {"wrong": 1}


def test_placement_needs_errors():
    with pytest.raises(DendriteError, match="needs errors"):
        Grower(Halves(), fit=lambda m: None, score=lambda m: 0.0, placement=Placement(scout=SCOUT)).run()
    assert all(layer.dendrites == 0 for layer in dendritic_layers(Halves()).values())
