import numpy as np
import onnx
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from giantkiller.encoding import pack
from giantkiller.errors import UserError
from giantkiller.export.kernels import KINDS, Float, Static, by_row, by_row_in_pairs, make_kernel
from giantkiller.export.onnx import build
from giantkiller.export.running import batched, observe, open_session
from giantkiller.export.weights import Weights
from giantkiller.models import DendriticBertForSequenceClassification, tiny_config
from giantkiller.models.bert import CHECKS, phrase_hashes

PARTS = (
    "attention.self.query",
    "attention.self.key",
    "attention.self.value",
    "attention.output.dense",
    "intermediate.dense",
    "output.dense",
)
NAMES = [
    *(f"encoder.layer.{layer}.{part}" for layer in range(3) for part in PARTS),
    "pooler.dense",
    "classifier",
]
WORDS, LONGEST = 50, 40
SHAPE = {"max_length": LONGEST, "attributes": 7}


def make(counts, layers=2, activation="tanh", hidden=32, heads=2, hidden_act="gelu", pairs=0, phrases=0):
    torch.manual_seed(3)
    config = tiny_config(
        dendrites={name: count for name, count in counts.items() if f"layer.{layers}" not in name},
        dendrite_activation=activation,
        hidden_act=hidden_act,
        vocab_size=WORDS,
        hidden_size=hidden,
        num_hidden_layers=layers,
        num_attention_heads=heads,
        intermediate_size=48,
        max_position_embeddings=LONGEST,
        pairs=pairs,
        phrases=phrases,
    )
    model = DendriticBertForSequenceClassification(config).eval()
    with torch.no_grad():
        for weight in model.parameters():
            weight.add_(torch.randn_like(weight) * 0.15)
    return model


def weights_of(model):
    config = model.config
    return Weights(
        {name: value.numpy() for name, value in model.state_dict().items()},
        layers=config.num_hidden_layers,
        heads=config.num_attention_heads,
        epsilon=config.layer_norm_eps,
        activation=config.dendrite_activation,
        hidden_activation=config.hidden_act,
    )


def rows(count=9, seed=0):
    rng = np.random.default_rng(seed)
    return [rng.integers(1, WORDS, size).tolist() for size in rng.integers(1, LONGEST, count)]


def run(session, texts):
    result = np.empty((len(texts), 7), np.float32)
    for group, batch in batched(list(map(pack, texts)), 200):
        result[group] = session.run(["logits"], batch)[0]
    return result


def torch_logits(model, texts):
    result = np.empty((len(texts), 7), np.float32)
    with torch.no_grad():
        for i, row in enumerate(texts):
            result[i] = model(input_ids=torch.tensor([row])).logits.numpy()[0]
    return result


@pytest.mark.parametrize(
    ("counts", "layers"),
    [
        ({}, 1),
        ({}, 2),
        (dict.fromkeys(NAMES, 1), 2),
        (dict.fromkeys(NAMES, 3), 3),
        ({name: i % 3 for i, name in enumerate(NAMES)}, 3),
        ({"encoder.layer.1.attention.self.key": 2}, 2),
        ({"encoder.layer.1.attention.self.value": 1}, 2),
        ({"encoder.layer.1.attention.self.key": 1, "encoder.layer.1.attention.self.value": 2}, 2),
        ({"encoder.layer.0.attention.self.query": 2, "encoder.layer.0.attention.self.value": 1}, 2),
        ({"pooler.dense": 4, "classifier": 1}, 1),
    ],
)
def test_the_float_graph_equals_the_checkpoint(counts, layers):
    model = make(counts, layers)
    graph = build(weights_of(model), Float(), **SHAPE)
    onnx.checker.check_model(graph)
    texts = rows()
    expected = torch_logits(model, texts)
    assert expected.std() > 0.1
    np.testing.assert_allclose(run(open_session(graph, 1), texts), expected, atol=3e-5)


def test_embeddings_of_pairs_are_exported():
    model = make({"pooler.dense": 1}, pairs=37)
    texts = rows(30)
    expected = torch_logits(model, texts)
    graph = build(weights_of(model), Float(), **SHAPE)
    onnx.checker.check_model(graph)
    np.testing.assert_allclose(run(open_session(graph, 1), texts), expected, atol=3e-5)
    with torch.no_grad():
        model.bert.pairs.weight.zero_()
    assert np.abs(expected - torch_logits(model, texts)).max() > 0.1


@pytest.mark.parametrize("pairs", [0, 37])
@pytest.mark.parametrize("kind", KINDS)
def test_phrases_are_exported(kind, pairs):
    model = make({"pooler.dense": 1}, pairs=pairs, phrases=41)
    texts = rows(30)
    with torch.no_grad():
        model.bert.phrases.weight.mul_(60)
        model.bert.phrases.checks.copy_(torch.arange(41) % 5)
        for row in texts:  # the last token of each text, or it and those before, has a row of its own
            last = (np.array([0, 0, *row], np.int64)[-step] for step in (1, 2, 3))
            number = int(phrase_hashes(*last)[len(row) % 3])
            model.bert.phrases.checks[number % 41] = number % CHECKS
    expected = torch_logits(model, texts)
    graph = build(weights_of(model), make_kernel(kind, observed(model, texts)), **SHAPE)
    onnx.checker.check_model(graph)
    got = run(open_session(graph, 1), texts)
    with torch.no_grad():
        model.bert.phrases.weight.zero_()
    told = np.abs(expected - torch_logits(model, texts)).max()
    assert told > 0.5
    assert np.abs(got - expected).max() < (3e-5 if kind == "none" else 0.15 * told)


def test_a_text_that_phrases_move_far_costs_others_no_precision():
    model = make({}, phrases=41)
    texts = rows(30)
    last = (np.array([0, 0, *texts[0]], np.int64)[-step] for step in (1, 2, 3))
    number = int(phrase_hashes(*last)[2])
    with torch.no_grad():
        model.bert.phrases.checks.fill_(CHECKS + 1)  # no phrase's
        model.bert.phrases.checks[number % 41] = number % CHECKS
        model.bert.phrases.weight[number % 41] = 0.0
    wrong = []
    for strength in (0.0, 2000.0):
        with torch.no_grad():
            model.bert.phrases.weight[number % 41] = strength
        graph = build(weights_of(model), make_kernel("static", observed(model, texts)), **SHAPE)
        off = run(open_session(graph, 1), texts[1:]) - torch_logits(model, texts[1:])
        wrong.append(np.abs(off).max())
    assert wrong[1] < 1.5 * wrong[0]


@pytest.mark.parametrize("kind", KINDS)
def test_phrases_that_say_nothing_and_texts_of_padding_alone_are_numbers(kind):
    model = make({}, phrases=41)
    with torch.no_grad():
        model.bert.phrases.weight.zero_()
    texts = rows(10)
    graph = build(weights_of(model), make_kernel(kind, observed(model, texts)), **SHAPE)
    session = open_session(graph, 1)
    np.testing.assert_allclose(
        run(session, texts), torch_logits(model, texts), atol=3e-5 if kind == "none" else 0.3
    )
    nothing = {"input_ids": np.zeros((1, 4), np.int64), "attention_mask": np.zeros((1, 4), np.int64)}
    assert np.isfinite(session.run(["logits"], nothing)[0]).all()


@pytest.mark.parametrize("activation", ["sigmoid", "relu", "gelu"])
def test_every_dendrite_activation(activation):
    model = make(dict.fromkeys(NAMES, 2), activation=activation)
    texts = rows()
    graph = build(weights_of(model), Float(), **SHAPE)
    np.testing.assert_allclose(run(open_session(graph, 1), texts), torch_logits(model, texts), atol=5e-5)


@pytest.mark.parametrize("kind", KINDS)
def test_a_relu_inside_is_exported(kind):
    model = make(dict.fromkeys(NAMES, 1), hidden_act="relu")
    texts = rows(30)
    graph = build(weights_of(model), make_kernel(kind, observed(model, texts)), **SHAPE)
    # Where inputs of products are clipped to their range, zero at its lower end, the ReLU is left out.
    assert any(node.op_type == "Relu" for node in graph.graph.node) == (kind != "static")
    expected = torch_logits(model, texts)
    got = run(open_session(graph, 1), texts)
    assert np.abs(got - expected).max() < 0.2 * expected.std()


def test_every_constant_is_used_and_every_name_unique():
    for counts in ({}, dict.fromkeys(NAMES, 2)):
        model = make(counts)
        for kind in KINDS:
            graph = build(weights_of(model), make_kernel(kind, observed(model, rows())), **SHAPE).graph
            read = {name for node in graph.node for name in node.input}
            assert {constant.name for constant in graph.initializer} <= read
            written = [name for node in graph.node for name in node.output]
            assert len(written) == len(set(written))


def test_other_widths_and_heads():
    model = make(dict.fromkeys(NAMES, 1), hidden=24, heads=3)
    texts = rows()
    graph = build(weights_of(model), Float(), **SHAPE)
    np.testing.assert_allclose(run(open_session(graph, 1), texts), torch_logits(model, texts), atol=3e-5)


def test_dendrites_without_strength_cost_nothing():
    model = make(dict.fromkeys(NAMES, 1))
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if name.endswith("dendrite_strength"):
                weight.zero_()
    plain = make({})
    plain.load_state_dict({k: v for k, v in model.state_dict().items() if "dendrite" not in k})
    with_them, without = (build(weights_of(each), Float(), **SHAPE) for each in (model, plain))
    assert with_them.SerializeToString() == without.SerializeToString()


def observed(model, texts):
    return observe(weights_of(model), [batch for _, batch in batched(list(map(pack, texts)))], **SHAPE)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("count", [0, 2])
def test_quantized_graphs_stay_close(kind, count):
    model = make(dict.fromkeys(NAMES, count))
    texts = rows(40)
    graph = build(weights_of(model), make_kernel(kind, observed(model, texts)), **SHAPE)
    expected = torch_logits(model, texts)
    got = run(open_session(graph, 1), texts)
    assert np.abs(got - expected).max() < 0.2 * expected.std()


@pytest.fixture(scope="module")
def sessions():
    model = make(dict.fromkeys(NAMES, 1))
    ranges = observed(model, rows(40))
    return {
        kind: open_session(build(weights_of(model), make_kernel(kind, ranges), **SHAPE), 1) for kind in KINDS
    }


@settings(max_examples=25, deadline=None)
@given(
    st.lists(st.integers(1, WORDS - 1), min_size=1, max_size=LONGEST),
    st.integers(0, 2**32 - 1),
    st.integers(1, 5),
)
def test_a_rows_logits_do_not_depend_on_its_neighbours(sessions, row, seed, neighbours):
    """Neighbours of the same length: bit for bit. Padding: to rounding, since sums get longer by zeros."""
    rng = np.random.default_rng(seed)
    ids = np.concatenate([[row], rng.integers(0, WORDS, (neighbours, len(row)))]).astype(np.int64)
    for kind, session in sessions.items():
        alone = session.run(None, {"input_ids": ids[:1], "attention_mask": np.ones_like(ids[:1])})[0]
        among = session.run(None, {"input_ids": ids, "attention_mask": np.ones_like(ids)})[0]
        padded = np.pad(ids, [(0, 0), (0, LONGEST - len(row))], constant_values=7)
        mask = np.pad(np.ones_like(ids), [(0, 0), (0, LONGEST - len(row))])
        long = session.run(None, {"input_ids": padded, "attention_mask": mask})[0]
        if kind == "static":
            assert np.array_equal(alone[0], among[0]), kind
        np.testing.assert_allclose(among[0], alone[0], atol=1e-4 if kind == "none" else 2e-2)
        np.testing.assert_allclose(long[0], alone[0], atol=1e-4 if kind == "none" else 2e-2)


def test_inputs_beyond_the_observed_range_are_clipped_and_finite():
    model = make({})
    ranges = {name: (low / 4, high / 4) for name, (low, high) in observed(model, rows(20)).items()}
    got = run(open_session(build(weights_of(model), Static(ranges), **SHAPE), 1), rows())
    assert np.isfinite(got).all()


@given(st.lists(st.lists(st.floats(-50, 50, width=32), min_size=4, max_size=4), min_size=1, max_size=6))
def test_rows_are_quantized_to_half_a_step(table):
    table = np.asarray(table, np.float32)
    values, scale = by_row(table)
    assert values.dtype == np.int8
    assert (np.abs(values * scale[:, None] - table) <= 0.5001 * scale[:, None] + 1e-9).all()


@given(st.integers(1, 9), st.integers(1, 5), st.integers(0, 2**32 - 1), st.sampled_from([1, 3, 8]))
def test_no_pair_of_weights_can_overflow_16_bits(width, rows_, seed, tail):
    table = (np.random.default_rng(seed).normal(size=(rows_, width)) ** tail).astype(np.float32)
    values, scale = by_row_in_pairs(table)
    pairs = np.abs(np.pad(values.astype(int), [(0, 0), (0, width % 2)])).reshape(rows_, -1, 2).sum(axis=2)
    assert pairs.max() * 255 <= 32767
    assert (np.abs(values * scale[:, None] - table) <= 0.5001 * scale[:, None] + 1e-9).all()


def test_no_pair_in_attention_can_overflow_16_bits():
    model = make({})
    ranges = {name: (low / 4, high / 4) for name, (low, high) in observed(model, rows(20)).items()}
    graph = build(weights_of(model), Static(ranges), **SHAPE)
    kinds = {
        "layer0_shares_small": onnx.TensorProto.UINT8,
        "layer0_key_clipped_small": onnx.TensorProto.INT8,
    }
    graph.graph.output.extend(
        onnx.helper.make_tensor_value_info(name, kind, None) for name, kind in kinds.items()
    )
    session = open_session(graph, 1)
    furthest = 0
    for _, inputs in batched(list(map(pack, rows(40)))):
        shares, key = session.run(list(kinds), inputs)
        furthest = max(furthest, int(np.abs(key.astype(int)).max()))
        even = shares[..., : shares.shape[-1] // 2 * 2].astype(int)
        assert even.reshape(*even.shape[:-1], -1, 2).sum(axis=-1).max(initial=0) * 127 <= 32767
    assert furthest == 64  # clipped, and 2 * 255 * 64 fits


def test_unknown_quantization_and_missing_ranges_are_refused():
    with pytest.raises(UserError, match="static, none"):
        make_kernel("int3")
    with pytest.raises(UserError, match="ranges"):
        make_kernel("static")


def test_an_activation_that_cannot_be_exported_is_refused():
    weights = weights_of(make({}))
    odd = Weights(weights.tensors, weights.layers, weights.heads, weights.epsilon, "tanh", "mish")
    with pytest.raises(ValueError, match="mish"):
        build(odd, Float(), **SHAPE)
