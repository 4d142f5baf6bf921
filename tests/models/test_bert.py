import json
import subprocess
import sys
import textwrap

import pytest
import torch
from torch import nn
from transformers import (
    AutoConfig,
    AutoModel,
    AutoModelForSequenceClassification,
    BertConfig,
    BertForSequenceClassification,
)

from giantkiller.attributes import ATTRIBUTES
from giantkiller.dendrites import compact, sparse_layers
from giantkiller.dendrites.layers import DendriticLinear
from giantkiller.models import DendriticBertForSequenceClassification, masked_loss, tiny_config
from giantkiller.models.bert import CHECKS, phrase_hashes

NAMES = [
    *(
        f"encoder.layer.{layer}.{part}"
        for layer in range(2)
        for part in (
            "attention.self.query",
            "attention.self.key",
            "attention.self.value",
            "attention.output.dense",
            "intermediate.dense",
            "output.dense",
        )
    ),
    "pooler.dense",
    "classifier",
]
SMALL = {"vocab_size": 60, "hidden_size": 16, "intermediate_size": 24, "max_position_embeddings": 32}


def make(dendrites, seed=0, **changes):
    torch.manual_seed(seed)
    model = DendriticBertForSequenceClassification(tiny_config(dendrites=dendrites, **{**SMALL, **changes}))
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if "dendrite" in name:
                weight.normal_(0, 0.5)
    return model.eval()


def batch():
    torch.manual_seed(9)
    mask = torch.ones(4, 11, dtype=torch.long)
    mask[1, 5:] = 0
    return {"input_ids": torch.randint(0, 60, (4, 11)), "attention_mask": mask}


@pytest.mark.parametrize(
    "counts", [{}, dict.fromkeys(NAMES, 1), dict.fromkeys(NAMES[::3], 3), {"classifier": 2}]
)
def test_a_saved_model_comes_back_bit_for_bit(tmp_path, counts):
    model = make(counts)
    model.save_pretrained(tmp_path)
    again = AutoModelForSequenceClassification.from_pretrained(tmp_path)
    assert type(again) is DendriticBertForSequenceClassification
    with torch.no_grad():
        assert torch.equal(model(**batch()).logits, again(**batch()).logits)
    assert again.config.dendrites == counts
    assert [again.config.id2label[i] for i in range(7)] == list(ATTRIBUTES)
    assert again.config.problem_type == "multi_label_classification"


def test_dendrites_grown_after_construction_are_recorded_on_saving(tmp_path):
    model = make({})
    grown = DendriticLinear(16, 16, dendrites=2)
    with torch.no_grad():
        for weight in grown.parameters():
            weight.normal_()
    model.bert.pooler.dense = grown
    model.save_pretrained(tmp_path)
    assert json.loads((tmp_path / "config.json").read_text())["dendrites"] == {"pooler.dense": 2}
    again = AutoModelForSequenceClassification.from_pretrained(tmp_path)
    with torch.no_grad():
        assert torch.equal(model(**batch()).logits, again(**batch()).logits)


def pruned():
    """Two dendrites a neuron on two layers, of which some have no effect and are dropped."""
    model = make(dict.fromkeys(("encoder.layer.0.output.dense", "pooler.dense", "classifier"), 2))
    with torch.no_grad():
        for layer in (model.bert.encoder.layer[0].output.dense, model.bert.pooler.dense):
            layer.dendrite_strength[:, ::2] = 0
            layer.dendrite_cascade[0, 1::4] = 0
    compact(model)
    assert len(sparse_layers(model)) == 2
    return model


def test_a_pruned_model_comes_back_bit_for_bit(tmp_path):
    model = pruned()
    model.save_pretrained(tmp_path)
    again = AutoModelForSequenceClassification.from_pretrained(tmp_path)
    assert list(sparse_layers(again)) == list(sparse_layers(model))
    assert again.config.dendrites == {"classifier": 2}
    with torch.no_grad():
        assert torch.equal(model(**batch()).logits, again(**batch()).logits)
        encoder = AutoModel.from_pretrained(tmp_path).eval()
        assert torch.equal(encoder(**batch()).pooler_output, model.bert(**batch()).pooler_output)


def test_pairs_tell_the_order_of_two_tokens_and_come_back_bit_for_bit(tmp_path):
    model = make({}, pairs=64)
    with torch.no_grad():
        model.bert.pairs.weight.normal_()
    there, back = model.bert.pairs(torch.tensor([[5, 7, 9], [7, 5, 9]]))
    assert not torch.equal(there[1], back[1])  # 7 after 5, 5 after 7
    assert not torch.equal(there[2], back[2])  # 9 after 7, 9 after 5
    model.save_pretrained(tmp_path)
    again = AutoModelForSequenceClassification.from_pretrained(tmp_path)
    with torch.no_grad():
        assert torch.equal(model(**batch()).logits, again(**batch()).logits)


def test_phrases_count_their_own_whatever_the_padding_and_come_back_bit_for_bit(tmp_path):
    model = make({}, phrases=64)
    phrases = model.bert.phrases
    one, two, three = (int(each) for each in phrase_hashes(9, 7, 5))
    told = {}
    for name, number in {"one": one, "two": two, "three": three}.items():
        with torch.no_grad():
            phrases.weight.zero_()
            phrases.weight[number % 64] = 3.0
            phrases.checks.fill_(number % CHECKS)
            phrases.direction.fill_(2.0)
            told[name] = [
                float(phrases(torch.tensor([ids]), None)[0, 0]) * len(ids) ** 0.5
                for ids in ([5, 7, 9], [4, 7, 9], [4, 4, 9], [4, 9, 7])
            ]
    assert told["one"] == pytest.approx([6, 6, 6, 6], abs=1e-5)
    assert told["two"] == pytest.approx([6, 6, 0, 0], abs=1e-5)
    assert told["three"] == pytest.approx([6, 0, 0, 0], abs=1e-5)
    ids, more = torch.tensor([[5, 7, 9]]), torch.tensor([[5, 7, 9, 0, 0]])
    assert torch.equal(phrases(ids, None), phrases(more, torch.tensor([[1, 1, 1, 0, 0]])))
    phrases.checks.add_(1)  # the same row, another phrase's
    assert not phrases(ids, None).any()
    with torch.no_grad():
        as_tuple = model.bert(**batch(), return_dict=False)
        assert torch.equal(as_tuple[1], model.bert(**batch()).pooler_output)
    model.save_pretrained(tmp_path)
    again = AutoModelForSequenceClassification.from_pretrained(tmp_path)
    with torch.no_grad():
        assert torch.equal(model(**batch()).logits, again(**batch()).logits)


def test_the_bare_encoder_loads_from_the_same_folder(tmp_path):
    model = make(dict.fromkeys(NAMES, 1))
    model.save_pretrained(tmp_path)
    encoder = AutoModel.from_pretrained(tmp_path).eval()
    with torch.no_grad():
        assert torch.equal(encoder(**batch()).pooler_output, model.bert(**batch()).pooler_output)


def test_a_plain_bert_checkpoint_loads_straight_in(tmp_path):
    torch.manual_seed(1)
    sizes = {"num_hidden_layers": 2, "num_attention_heads": 2, **SMALL}
    plain = BertForSequenceClassification(BertConfig(num_labels=7, **sizes)).eval()
    plain.save_pretrained(tmp_path)
    for counts in ({}, dict.fromkeys(NAMES, 2)):  # new dendrites have strength zero
        ours = DendriticBertForSequenceClassification.from_pretrained(
            tmp_path, config=tiny_config(dendrites=counts, **SMALL)
        )
        with torch.no_grad():
            assert torch.allclose(ours(**batch()).logits, plain(**batch()).logits, atol=1e-6)
        assert all(
            not m.dendrite_strength.any() and m.dendrite_weight.any()
            for m in ours.modules()
            if isinstance(m, DendriticLinear)
        )


def test_two_labels_show_the_same_toxicity(tmp_path):
    model = make(dict.fromkeys(NAMES, 1))
    model.save_pretrained(tmp_path)
    two = AutoModelForSequenceClassification.from_pretrained(tmp_path, labels_view="two")
    with torch.no_grad():
        logits, pair = model(**batch()).logits, two(**batch()).logits
    assert pair.shape == (4, 2)
    assert torch.allclose(torch.softmax(pair, -1)[:, 1], torch.sigmoid(logits[:, 0]), atol=1e-7)
    assert two.config.id2label == {0: "non-toxic", 1: "toxic"}
    two.save_pretrained(tmp_path / "two")
    again = AutoModelForSequenceClassification.from_pretrained(tmp_path / "two")
    with torch.no_grad():
        assert torch.equal(again(**batch()).logits, pair)
    back = AutoModelForSequenceClassification.from_pretrained(tmp_path / "two", labels_view="attributes")
    with torch.no_grad():
        assert torch.equal(back(**batch()).logits, logits)
    assert AutoConfig.from_pretrained(tmp_path / "two").num_labels == 2


def test_an_unknown_view_is_refused():
    with pytest.raises(ValueError, match="labels_view"):
        tiny_config(labels_view="three")


def test_missing_targets_neither_count_nor_train():
    logits = torch.tensor([[1.0, -2.0], [0.5, 3.0]], requires_grad=True)
    targets = torch.tensor([[0.25, float("nan")], [float("nan"), 1.0]])
    loss = masked_loss(logits, targets)
    expected = nn.functional.binary_cross_entropy_with_logits(
        logits[[0, 1], [0, 1]], torch.tensor([0.25, 1.0])
    )
    assert torch.isclose(loss, expected)
    loss.backward()
    assert logits.grad[0, 1] == 0
    assert logits.grad[1, 0] == 0
    assert logits.grad[0, 0] != 0
    assert masked_loss(logits, torch.full((2, 2), float("nan"))) == 0


@pytest.mark.parametrize("view", ["attributes", "two"])
def test_forward_gives_a_loss_for_labels(view):
    model = make({"classifier": 1}, labels_view=view)
    targets = torch.rand(4, 7)
    targets[:, 3] = float("nan")
    loss = model(**batch(), labels=targets).loss
    loss.backward()
    assert loss.isfinite()
    assert model.classifier.weight.grad[0].any()
    assert not model.classifier.weight.grad[3].any()


def test_two_labels_train_on_class_indices():
    model = make({}, labels_view="two")
    labels = torch.tensor([0, 1, 1, 0])
    output = model(**batch(), labels=labels)
    assert torch.isclose(output.loss, nn.functional.cross_entropy(output.logits, labels))


def test_tuple_output():
    model = make({})
    logits = model(**batch(), return_dict=False)[0]
    assert torch.equal(logits, model(**batch()).logits)


REMOTE = """
    import sys
    class Blocked:
        def find_spec(self, name, path=None, target=None):
            if name.split(".")[0] == "giantkiller":
                raise ImportError("blocked")
    sys.meta_path.insert(0, Blocked())
    try:
        import giantkiller
    except ImportError:
        pass
    else:
        raise SystemExit("giantkiller was not blocked")
    import torch
    from transformers import AutoModel, AutoModelForSequenceClassification
    model = AutoModelForSequenceClassification.from_pretrained(sys.argv[1], trust_remote_code=True)
    mask = torch.ones(4, 11, dtype=torch.long)
    mask[1, 5:] = 0
    ids = torch.load(sys.argv[2] + "/ids.pt", weights_only=True)
    with torch.no_grad():
        torch.save(model(input_ids=ids, attention_mask=mask).logits, sys.argv[2] + "/logits.pt")
    model.save_pretrained(sys.argv[2] + "/again")
    AutoModel.from_pretrained(sys.argv[1], trust_remote_code=True)
"""


@pytest.mark.slow
@pytest.mark.parametrize("kind", [lambda: make(dict.fromkeys(NAMES, 2)), pruned], ids=["grown", "pruned"])
def test_the_folder_alone_is_enough(kind, tmp_path, monkeypatch):
    model = kind()
    model.save_pretrained(tmp_path / "model")
    torch.save(batch()["input_ids"], tmp_path / "ids.pt")
    monkeypatch.setenv("HF_MODULES_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(REMOTE), str(tmp_path / "model"), str(tmp_path)],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    with torch.no_grad():
        logits = model(**batch()).logits
    # Not to the bit: torch's products depend on where in memory the weights happen to lie.
    torch.testing.assert_close(
        torch.load(tmp_path / "logits.pt", weights_only=True), logits, rtol=0, atol=1e-5
    )
    # What was saved without the package is a whole checkpoint again.
    again = AutoModelForSequenceClassification.from_pretrained(tmp_path / "again")
    with torch.no_grad():
        torch.testing.assert_close(again(**batch()).logits, logits, rtol=0, atol=1e-5)
    assert (tmp_path / "again" / "dendritic_sparse.py").exists()


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::UserWarning")
def test_dynamic_quantization_runs_and_stays_close():
    model = make({"pooler.dense": 1})
    small = torch.ao.quantization.quantize_dynamic(model, {nn.Linear}, dtype=torch.qint8)
    with torch.no_grad():
        assert (small(**batch()).logits - model(**batch()).logits).abs().max() < 0.1
    kinds = [type(m).__module__ for m in small.modules()]
    assert sum("quantized.dynamic" in kind for kind in kinds) == 13  # all linears but the dendritic one
