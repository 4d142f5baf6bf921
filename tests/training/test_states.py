import csv
import json
import signal

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from safetensors.torch import load_file

from giantkiller.data.labelled import read_labelled
from giantkiller.errors import UserError
from giantkiller.training import loop
from giantkiller.training.augment import disguised_copies, mentioning_copies
from giantkiller.training.corpus import has_states, join, load_corpora, make_corpus, merge
from giantkiller.training.recipe import Recipe, read_recipe
from giantkiller.training.run import train
from giantkiller.training.settings import DataSettings, LossSettings, SourceSettings
from giantkiller.training.soft_labels import states_of
from giantkiller.training.states import StateHead, state_loss

NAN = float("nan")


def write(path, texts, states, dtype=np.float32, **columns):
    states = np.asarray(states, dtype)
    named = {f"state_{i}": pa.array(column) for i, column in enumerate(states.T)}
    pq.write_table(pa.table({"text": texts, **columns, **named}), path)


def load(folder, *files, weight=1.0):
    data = DataSettings([SourceSettings(file) for file in files], validation="val.csv")
    return load_corpora(Recipe("a", data, loss=LossSettings(states=weight)), folder)[0]


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "val.csv").write_text("text,toxicity\nfour,0\n")
    (tmp_path / "plain.csv").write_text("text,toxicity\none,0\nTwo,1\n")
    return tmp_path


# Reading.


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_states_are_read_in_the_order_of_their_numbers(tmp_path, dtype):
    states = np.random.default_rng(0).normal(size=(3, 12))
    write(tmp_path / "s.parquet", ["a", "b", "c"], states, dtype)
    read = states_of(read_labelled(tmp_path / "s.parquet"), "s.parquet")
    assert read.dtype == np.float16
    np.testing.assert_array_equal(read, states.astype(dtype).astype(np.float16))


def test_a_row_that_lacks_one_state_has_none(tmp_path):
    (tmp_path / "s.csv").write_text("text,state_0,state_1\na,1,2\nb,,3\nc,4,nan\n")
    read = states_of(read_labelled(tmp_path / "s.csv"), "s.csv")
    np.testing.assert_array_equal(read, [[1, 2], [NAN, NAN], [NAN, NAN]])


def test_a_file_without_states_has_none(folder):
    assert states_of(read_labelled(folder / "plain.csv"), "plain.csv") is None


@pytest.mark.parametrize(
    ("rows", "problem"),
    [
        ("text,state_0,state_2\na,1,2\n", r"s\.csv has 2 columns of states, but no 'state_1'"),
        ("text,state_0\na,Ohio\n", r"s\.csv: the column 'state_0' holds words"),
        ("text,state_0\na,1e6\n", r"s\.csv: the column 'state_0' holds a value beyond 65504"),
        ("text,state_0\na,inf\n", r"s\.csv: the column 'state_0' holds a value beyond 65504"),
    ],
)
def test_unfit_states_are_refused(folder, rows, problem):
    (folder / "s.csv").write_text(rows)
    with pytest.raises(UserError, match=problem):
        load(folder, "plain.csv", "s.csv")


# Corpora.


def test_sources_with_and_without_states_mix(folder):
    write(folder / "s.parquet", ["two", "six"], [[1, 2], [3, 4]])
    train = load(folder, "plain.csv", "s.parquet")
    assert train.texts == ["one", "Two", "six"]
    assert train.states.dtype == np.float16
    np.testing.assert_array_equal(train.states, [[NAN, NAN], [1, 2], [3, 4]])
    np.testing.assert_array_equal(train.targets[:, 0], [0, 1, NAN])


def test_states_that_weigh_nothing_are_not_read(folder):
    write(folder / "s.parquet", ["two", "six"], [[1, 2], [3, 4]])
    train = load(folder, "plain.csv", "s.parquet", weight=0)
    assert train.states is None
    assert train.texts == ["one", "Two"]


def test_sources_of_different_widths_are_refused_by_name(folder):
    write(folder / "s.parquet", ["six"], [[3, 4]])
    write(folder / "t.parquet", ["seven"], [[3, 4, 5]])
    with pytest.raises(UserError, match=r"t\.parquet has 3 states a row, s\.parquet has 2"):
        load(folder, "s.parquet", "plain.csv", "t.parquet")


def test_merging_keeps_the_first_states_of_a_text():
    parts = [
        make_corpus(["a", "b"], states=np.array([[NAN, NAN], [1, 1]])),
        make_corpus(["c"]),
        make_corpus(["A", "B"], states=np.array([[2, 2], [3, 3]])),
        make_corpus(["a", "c"], states=np.array([[4, 4], [5, 5]])),
    ]
    merged = merge(parts)
    assert merged.texts == ["a", "b", "c"]
    np.testing.assert_array_equal(merged.states, [[2, 2], [1, 1], [5, 5]])
    assert merge([make_corpus(["a"]), make_corpus(["b"])]).states is None


def test_disguised_copies_keep_states_and_mentioning_ones_have_none():
    texts = [f"a zorblatt xylofrant number {i}" for i in range(40)]  # words that are not mended
    plain = make_corpus(texts, states=np.arange(80).reshape(40, 2))
    disguised = disguised_copies(plain, 0.5, 1, set(plain.keys))
    assert len(disguised)
    assert has_states(disguised).all()
    whole = join([plain, mentioning_copies(plain, 0.5, 1)])
    assert has_states(whole).tolist() == [True] * 40 + [False] * 20
    assert has_states(plain).all()


# The loss.


def test_the_loss_is_the_mean_over_rows_that_have_states():
    corpus = make_corpus(["a", "b", "c"], states=np.array([[1, 2], [NAN, NAN], [3, 5]]))
    mapped = torch.tensor([[3.0, 4.0], [8.0, 8.0], [3.0, 2.0]], requires_grad=True)
    value = state_loss(mapped, corpus, np.array([2, 1, 0]))  # off by (0, -1), nothing, (2, 0)
    assert float(value.detach()) == pytest.approx((1 / 2 + 4 / 2) / 2)
    value.backward()
    np.testing.assert_allclose(mapped.grad, [[0, -0.5], [0, 0], [1, 0]])


def test_a_batch_without_states_costs_nothing():
    corpus = make_corpus(["a", "b"], states=np.array([[1, 2], [NAN, NAN]]))
    mapped = torch.ones(2, 2, requires_grad=True)
    value = state_loss(mapped, corpus, np.array([1, 1]))
    value.backward()
    assert float(value.detach()) == 0
    assert (mapped.grad == 0).all()


# Training.


def recipe(path, weight, columns=True):
    """The tiny recipe, with the states of its texts as a second source."""
    text = (path.parent / "recipe.toml").read_text()
    source = '{ file = "labelled.csv" }'
    assert source in text
    if columns:
        text = text.replace(source, source + ', { file = "states.parquet" }')
    path.write_text(text + f"\n[loss]\nstates = {weight}\n")
    return read_recipe(path)


@pytest.fixture(scope="module")
def taught(tiny, tmp_path_factory):
    """The tiny data, and states that tell which words a text has; every third text has none."""
    folder = tmp_path_factory.mktemp("taught")
    for name in ("labelled.csv", "recipe.toml"):
        (folder / name).write_bytes((tiny / name).read_bytes())
    with (folder / "labelled.csv").open(newline="") as file:
        texts = [row["text"] for row in csv.DictReader(file)]
    words = sorted({word for text in texts for word in text.lower().split()})
    vectors = dict(zip(words, np.random.default_rng(0).normal(size=(len(words), 4)), strict=True))
    states = np.array([np.mean([vectors[word] for word in text.lower().split()], axis=0) for text in texts])
    states[::3] = NAN
    write(folder / "states.parquet", texts, states)
    return folder


@pytest.fixture(scope="module")
def run(taught):
    """A finished run, and its loss of states, step by step."""
    terms = []

    def watch(*arguments):
        terms.append(state_loss(*arguments))
        return terms[-1]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(loop, "state_loss", watch)
        train(recipe(taught / "finished.toml", 2.0), taught, taught / "finished")
    return taught / "finished", [float(term.detach()) for term in terms]


def test_the_head_reads_the_state_of_the_first_token(taught, tmp_path, monkeypatch):
    whole, read, found, told = loop.first_token, StateHead.forward, [], []

    def watch(model, ids, mask, state):
        found.append(whole(model, ids, mask, state=state))
        return found[-1]

    def head(self, state):
        told.append(state is found[-1].state)
        return read(self, state)

    monkeypatch.setattr(loop, "first_token", watch)
    monkeypatch.setattr(StateHead, "forward", head)
    train(recipe(taught / "watched.toml", 2.0), taught, tmp_path / "out")
    assert all(told)
    assert len(told) == len(found) > 0


@pytest.fixture(scope="module")
def plain(taught):
    """A run of the same texts with a weight of zero."""
    train(recipe(taught / "zero.toml", 0.0), taught, taught / "zero")
    return taught / "zero"


def losses(folder):
    lines = (folder / "training" / "log.jsonl").read_text().splitlines()
    return [json.loads(line)["loss"] for line in lines]


def weights(folder):
    return (folder / "model.safetensors").read_bytes()


def test_states_are_learned(run):
    _, terms = run
    assert np.mean(terms[-5:]) < 0.9 * np.mean(terms[:5])


def test_the_head_is_not_saved_with_the_model(run, plain):
    finished, _ = run
    with_states, without = (load_file(path / "model.safetensors") for path in (finished, plain))
    assert with_states.keys() == without.keys()
    assert not any(torch.equal(with_states[name], without[name]) for name in with_states if "query" in name)
    assert not list(finished.rglob("state.pt"))


def test_a_weight_of_zero_changes_no_bit(taught, plain, tmp_path):
    train(read_recipe(taught / "recipe.toml"), taught, tmp_path / "before")
    assert weights(plain) == weights(tmp_path / "before")
    assert losses(plain) == losses(tmp_path / "before")


def test_an_interrupted_run_resumes_to_the_same_bits(taught, run, tmp_path, monkeypatch):
    finished, _ = run
    whole, steps = loop.batch_loss, []

    def stop(*arguments):
        steps.append(1)
        if len(steps) == 20:
            signal.raise_signal(signal.SIGINT)
        return whole(*arguments)

    settings = recipe(taught / "resumed.toml", 2.0)
    with monkeypatch.context() as patch:
        patch.setattr(loop, "batch_loss", stop)
        with pytest.raises(KeyboardInterrupt):
            train(settings, taught, tmp_path / "out")
    state = torch.load(tmp_path / "out" / "training" / "base" / "state.pt", weights_only=True)
    assert state["head"]["linear.weight"].abs().sum() > 0
    train(settings, taught, tmp_path / "out", resume=True)
    assert weights(tmp_path / "out") == weights(finished)
    assert losses(tmp_path / "out") == losses(finished)


def test_a_weight_without_states_is_refused(taught, tmp_path):
    with pytest.raises(UserError, match=r"loss\.states is set, but no source"):
        train(recipe(taught / "none.toml", 1.0, columns=False), taught, tmp_path / "out")
