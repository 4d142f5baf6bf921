import numpy as np
import pytest
import torch
from transformers import BertConfig, BertForSequenceClassification

from giantkiller.dendrites import compact
from giantkiller.dendrites.layers import DendriticLinear
from giantkiller.models import DendriticBertForSequenceClassification, masked_loss, tiny_config
from giantkiller.models.bert import CHECKS, phrase_hashes
from giantkiller.models.first_token import first_token
from giantkiller.models.inference import Tokens, predict

SMALL = {"vocab_size": 60, "hidden_size": 16, "intermediate_size": 24, "max_position_embeddings": 32}
DENDRITES = {
    "encoder.layer.0.output.dense": 1,
    "encoder.layer.1.attention.self.query": 2,
    "encoder.layer.1.attention.self.key": 1,
    "encoder.layer.1.attention.self.value": 1,
    "encoder.layer.1.intermediate.dense": 1,
    "pooler.dense": 1,
    "classifier": 1,
}
SHAPES = [
    {},
    {"dendrites": DENDRITES},
    {"pairs": 8, "phrases": 12},
    {"num_hidden_layers": 3, "num_attention_heads": 4},
    {"num_hidden_layers": 1},
    {"labels_view": "two"},
    {"labels_view": "two", "dendrites": DENDRITES, "pairs": 8, "phrases": 12},
]


def make(**changes):
    torch.manual_seed(0)
    model = DendriticBertForSequenceClassification(tiny_config(**{**SMALL, **changes}))
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if any(part in name for part in ("dendrite", "pairs", "phrases")):
                weight.normal_(0, 0.5)
            elif weight.ndim == 2:
                weight.mul_(10)  # small weights look at all tokens alike, whatever their queries
    if model.bert.phrases is not None:
        ids = batch()[0]
        last = phrase_hashes(ids[:, 2:], ids[:, 1:-1], ids[:, :-2])[2].flatten()  # of three tokens
        model.bert.phrases.checks[last % 12] = (last % CHECKS).to(torch.uint8)
        assert model.bert.phrases(*batch()).abs().max() > 0
    return model.eval()


def batch():
    torch.manual_seed(9)
    mask = torch.ones(4, 11, dtype=torch.long)
    mask[1, 5:] = 0
    mask[3, 1:] = 0
    return torch.randint(0, 60, (4, 11)), mask


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_logits_and_state_are_the_models_own(shape):
    model, (ids, mask) = make(**shape), batch()
    whole = model(input_ids=ids, attention_mask=mask, output_hidden_states=True)
    found = first_token(model, ids, mask, state=True)
    torch.testing.assert_close(found.logits, whole.logits)
    torch.testing.assert_close(found.state, whole.hidden_states[-1][:, 0])
    assert first_token(model, ids, mask).state is None


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_gradients_are_the_models_own(shape):
    ids, mask = batch()
    targets = torch.rand(4, 2 if "labels_view" in shape else 7)
    gradients = []
    for whole in (True, False):
        model = make(**shape)
        logits = (
            model(input_ids=ids, attention_mask=mask).logits
            if whole
            else first_token(model, ids, mask).logits
        )
        masked_loss(logits, targets).backward()
        gradients.append(
            {name: weight.grad for name, weight in model.named_parameters() if weight.requires_grad}
        )
    for name, gradient in gradients[0].items():
        torch.testing.assert_close(gradients[1][name], gradient, rtol=1e-4, atol=1e-6)


def test_pruned_dendrites_are_computed_too():
    model, (ids, mask) = make(dendrites=DENDRITES), batch()
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if name.endswith("dendrite_strength"):
                weight[..., ::2] = 0
    compact(model)
    whole = model(input_ids=ids, attention_mask=mask).logits
    torch.testing.assert_close(first_token(model, ids, mask).logits, whole)


def test_prediction_computes_one_token_a_text_in_the_last_layer():
    model, seen = make(), []
    model.bert.encoder.layer[1].intermediate.register_forward_hook(
        lambda m, inputs, _: seen.append(inputs[0].shape)
    )
    tokens = Tokens(np.array([2, 9, 3, 2, 3], np.int32), np.array([0, 3, 5]))
    predict(model, tokens)
    assert [shape[1:] for shape in seen] == [(1, 16)] * len(seen)
    assert seen


def test_the_last_layer_computes_one_token_a_text():
    model, (ids, mask) = make(dendrites=DENDRITES), batch()
    seen = {}
    for name, module in model.named_modules():
        if isinstance(module, DendriticLinear):
            module.register_forward_hook(
                lambda m, inputs, _, name=name: seen.__setitem__(name, inputs[0].shape)
            )
    first_token(model, ids, mask)
    assert seen["bert.encoder.layer.0.output.dense"] == (4, 11, 24)
    assert seen["bert.encoder.layer.1.intermediate.dense"] == (4, 1, 16)


@pytest.mark.parametrize(
    "name", ["attention_probs_dropout_prob", "hidden_dropout_prob", "classifier_dropout"]
)
def test_dropout_drops_while_training_alone(name):
    ids, mask = batch()
    none = {"attention_probs_dropout_prob": 0.0, "hidden_dropout_prob": 0.0}
    model = make(**{**none, name: 0.5})
    still = first_token(model, ids, mask).logits
    torch.testing.assert_close(first_token(model, ids, mask).logits, still)
    model.train()
    assert not torch.allclose(first_token(model, ids, mask).logits, still)


def test_other_models_are_computed_whole():
    ids, mask = batch()
    sizes = {"num_hidden_layers": 1, "num_attention_heads": 2, "num_labels": 3}
    model = BertForSequenceClassification(BertConfig(**SMALL, **sizes)).eval()
    found = first_token(model, ids, mask)
    assert found.state is None
    torch.testing.assert_close(found.logits, model(input_ids=ids, attention_mask=mask).logits)
