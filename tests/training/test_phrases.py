import numpy as np
import pytest
import torch

from giantkiller.attributes import ATTRIBUTES
from giantkiller.errors import UserError
from giantkiller.models import DendriticBertForSequenceClassification, tiny_config
from giantkiller.models.bert import Phrases
from giantkiller.models.inference import Tokens
from giantkiller.training.batches import Examples
from giantkiller.training.corpus import make_corpus
from giantkiller.training.phrases import fit_phrases, pair_counts
from giantkiller.training.recipe import PhraseSettings

ROWS = [[2, 5, 6, 3], [2, 6, 5, 3], [2, 5, 6, 5, 6, 3], [2, 9, 3], [2, 6, 5, 8, 3], [2, 5, 6, 8, 3]]
TOXIC = np.array([1, 0, 1, np.nan, 0, 0.8])


def tokens(rows=ROWS):
    return Tokens(np.concatenate(rows).astype(np.int32), np.cumsum([0, *map(len, rows)]))


def examples(toxic=TOXIC):
    targets = np.full((len(toxic), 7), np.nan)
    targets[:, 0] = toxic
    return Examples(make_corpus([f"text {i}" for i in range(len(toxic))], targets), tokens())


def model():
    torch.manual_seed(5)
    sizes = {"vocab_size": 20, "hidden_size": 16, "intermediate_size": 24, "max_position_embeddings": 16}
    return DendriticBertForSequenceClassification(tiny_config(**sizes)).eval()


def test_counts_are_what_phrases_sum():
    table = torch.randn(31)
    phrases = Phrases(31, 1)
    with torch.no_grad():
        phrases.weight.copy_(table)
        phrases.direction.fill_(1.0)
        summed = [float(phrases(torch.tensor([row]), None)) for row in ROWS]
    np.testing.assert_allclose(pair_counts(tokens(), 31) @ table.numpy(), summed, rtol=1e-4, atol=1e-5)


def test_fitted_phrases_move_toxicity_alone_and_know_the_order():
    before = model()
    after = model()
    fit_phrases(after, examples(), PhraseSettings(rows=997, gain=0.5, strength=10.0))
    assert after.config.phrases == 997
    ids = torch.tensor([ROWS[0][:4], ROWS[1][:4]])
    with torch.no_grad():
        moved = (after(input_ids=ids).logits - before(input_ids=ids).logits).numpy()
    told = (pair_counts(tokens(ROWS[:2]), 997) @ after.bert.phrases.weight.detach().numpy()) * 0.5
    np.testing.assert_allclose(moved[:, ATTRIBUTES.index("toxicity")], told, atol=1e-4)
    assert moved[0, 0] > 0.1 > -0.1 > moved[1, 0]
    assert np.abs(moved[:, 1:]).max() < 1e-4


def test_labels_of_one_kind_are_refused():
    with pytest.raises(UserError, match="lack one"):
        fit_phrases(model(), examples(np.zeros(6)), PhraseSettings(rows=97))
