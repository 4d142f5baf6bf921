import dataclasses

import numpy as np
import pytest
import torch

from giantkiller.attributes import ATTRIBUTES
from giantkiller.errors import UserError
from giantkiller.models import DendriticBertForSequenceClassification, tiny_config
from giantkiller.models.bert import CHECKS, Phrases, phrase_hashes
from giantkiller.models.inference import Tokens
from giantkiller.training.batches import Examples
from giantkiller.training.corpus import make_corpus, merge
from giantkiller.training.phrases import LEAST, LEAST_APART, fit_phrases, hashes_of, phrase_counts
from giantkiller.training.settings import PhraseSettings
from giantkiller.training.start_weights import average_weights

ROWS = [[2, 5, 6, 3], [2, 6, 5, 3], [2, 5, 6, 5, 6, 3], [2, 9, 3], [2, 6, 5, 8, 3], [2, 5, 6, 8, 3]]
TOXIC = np.array([1, 0, 1, np.nan, 0, 0.8])


def tokens(rows=ROWS):
    return Tokens(np.concatenate(rows).astype(np.int32), np.cumsum([0, *map(len, rows)]))


def examples(toxic=TOXIC):
    targets = np.full((len(toxic), 7), np.nan)
    targets[:, 0] = toxic
    return Examples(make_corpus([f"text {i}" for i in range(len(toxic))], targets), tokens())


def model(**config):
    torch.manual_seed(5)
    sizes = {"vocab_size": 20, "hidden_size": 32, "intermediate_size": 24, "max_position_embeddings": 16}
    return DendriticBertForSequenceClassification(tiny_config(**sizes, **config)).eval()


def test_counts_are_what_phrases_sum():
    known = np.unique(hashes_of(tokens()))[::2]
    rows = known % 997
    assert len(set(rows.tolist())) == len(known)
    phrases = Phrases(997, 1)
    with torch.no_grad():
        phrases.weight[rows] = torch.randn(len(known))
        phrases.checks[rows] = torch.from_numpy(known % CHECKS).to(torch.uint8)
        phrases.direction.fill_(1.0)
        summed = [float(phrases(torch.tensor([row]), None)) for row in ROWS]
        numbers = phrases.weight[rows].numpy()
    assert np.abs(summed).max() > 0.1
    np.testing.assert_allclose(phrase_counts(tokens(), known) @ numbers, summed, rtol=1e-4, atol=1e-5)


def living(count):
    made = model(dendrites={"classifier": count} if count else {})
    if count:
        with torch.no_grad():
            made.classifier.dendrite_strength.fill_(1.5)
    return made


SETTINGS = PhraseSettings(rows=997, gain=0.5, inverse_penalty=50.0)


@pytest.mark.parametrize("dendrites", [0, 1])
def test_fitted_phrases_move_toxicity_alone_and_know_the_order(dendrites):
    before, after = living(dendrites), living(dendrites)
    fit_phrases(after, examples(), SETTINGS)
    assert after.config.phrases == 997
    ids = torch.tensor([ROWS[0][:4], ROWS[1][:4]])
    with torch.no_grad():
        moved = (after(input_ids=ids).logits - before(input_ids=ids).logits).numpy()
    assert moved[0, 0] > 0.1 > -0.1 > moved[1, 0]
    assert np.abs(moved[:, 1:]).max() < 1e-4


def test_identity_attack_takes_its_share_and_no_other():
    before, after = living(1), living(1)
    fit_phrases(after, examples(), dataclasses.replace(SETTINGS, identity=0.3))
    ids = torch.tensor([ROWS[0][:4], ROWS[1][:4]])
    with torch.no_grad():
        moved = (after(input_ids=ids).logits - before(input_ids=ids).logits).numpy()
    identity = ATTRIBUTES.index("identity_attack")
    assert np.abs(moved[:, 0]).min() > 0.1
    np.testing.assert_allclose(moved[:, identity], 0.3 * moved[:, 0], atol=1e-4)
    assert np.abs(np.delete(moved, [0, identity], axis=1)).max() < 1e-4


def test_what_the_network_knows_is_not_learned_again():
    fresh, known = model(), model()
    with torch.no_grad():
        known.classifier.bias[0] = 4.0  # all is toxic, it says
    fit_phrases(fresh, examples(), dataclasses.replace(SETTINGS, trust=1.0))
    fit_phrases(known, examples(), dataclasses.replace(SETTINGS, trust=1.0))
    assert said(known, ROWS[:1])[0] < said(fresh, ROWS[:1])[0] - 0.1
    ignoring = [model(), model()]
    with torch.no_grad():
        ignoring[1].classifier.bias[0] = 4.0
    for each in ignoring:
        fit_phrases(each, examples(), dataclasses.replace(SETTINGS, trust=0.0))
    np.testing.assert_allclose(said(ignoring[0], ROWS), said(ignoring[1], ROWS), atol=1e-5)


def test_without_gain_nothing_moves():
    before, after = model(), model()
    fit_phrases(after, examples(), PhraseSettings(rows=97, gain=0.0))
    ids = torch.tensor([ROWS[0]])
    with torch.no_grad():
        assert torch.equal(after(input_ids=ids).logits, before(input_ids=ids).logits)


def said(of, rows):
    with torch.no_grad():
        told = [of.bert.phrases(torch.tensor([row]), None)[0] @ of.classifier.weight[0] for row in rows]
    return np.array([float(each) for each in told])


def with_quiet(row, weight):
    quiet = examples()
    quiet.corpus.quiet[row] = True
    quiet.corpus.weights[row] = weight
    return quiet


def test_quiet_rows_hold_phrases_back():
    free, held = model(), model()
    fit_phrases(free, examples(), SETTINGS)
    fit_phrases(held, with_quiet(2, 50.0), SETTINGS)
    assert abs(said(held, ROWS[2:3])[0]) < 0.3 * abs(said(free, ROWS[2:3])[0])


APART = PhraseSettings(rows=997, gain=0.0, apart=1.0, inverse_penalty=50.0)
COMMON, BAD, GOOD = [2, 7, 3], [2, 8, 3], [2, 9, 3]


def two_quiet_sources(restrain=0.0):
    """One is toxic mostly, the other seldom, and they have a phrase in common that tells nothing."""
    rows = [[2, 5, 3], [2, 6, 3]]
    rows += [COMMON] * 8 + [BAD] * 8 + [COMMON] * 8 + [GOOD] * 8
    targets = np.full((len(rows), 7), np.nan)
    targets[:, 0] = [1, 0, *[1] * 6, *[0] * 2, *[1] * 8, *[0] * 6, *[1] * 2, *[0] * 8]
    source = np.array([0, 0, *[1] * 16, *[2] * 16])
    columns = {"quiet": source > 0, "source": source, "restrain": np.where(source > 0, 0, restrain)}
    return rows, make_corpus([f"text {i}" for i in range(len(rows))], targets, **columns)


def test_quiet_sources_teach_apart_from_the_network_and_by_intercepts_of_their_own():
    rows, corpus = two_quiet_sources()
    apart, unmoved, less, never = model(), model(), model(), model()
    with torch.no_grad():  # what the network says of each text must not count
        apart.classifier.weight[0].mul_(50.0)
    fit_phrases(apart, Examples(corpus, tokens(rows)), APART)
    fit_phrases(unmoved, Examples(corpus, tokens(rows)), APART)
    fit_phrases(less, Examples(corpus, tokens(rows)), dataclasses.replace(APART, apart=0.25))
    fit_phrases(never, Examples(corpus, tokens(rows)), dataclasses.replace(APART, apart=0.0))
    told = said(unmoved, [BAD, GOOD])
    assert told[0] > 0.3 > -0.3 > told[1]
    np.testing.assert_allclose(said(apart, [BAD, GOOD]), told, rtol=1e-3)
    np.testing.assert_allclose(said(less, [BAD, GOOD]), 0.25 * told, rtol=1e-3)
    assert np.abs(said(never, rows)).max() == 0


def test_an_intercept_takes_what_a_source_has_more_of():
    rows, corpus = two_quiet_sources()
    each, shared = model(), model()
    fit_phrases(each, Examples(corpus, tokens(rows)), APART)
    corpus.source[:] = 1
    fit_phrases(shared, Examples(corpus, tokens(rows)), APART)
    gap = [np.ptp(said(one, [BAD, GOOD])) for one in (each, shared)]
    assert gap[0] < 0.95 * gap[1]  # with one intercept the phrases tell what the sources differ in


def test_a_source_restrains_what_is_learned_apart():
    told = []
    for restrain in (0.0, 50.0):
        rows, corpus = two_quiet_sources(restrain)
        rows[:2] = [BAD, GOOD]  # not quiet, and with the quiet ones' phrases
        held = model()
        fit_phrases(held, Examples(corpus, tokens(rows)), APART)
        told.append(said(held, [BAD])[0])
    assert abs(told[1]) < 0.5 * told[0]


def test_the_second_regression_takes_the_first_as_known():
    rows = [*[BAD] * 4, *[GOOD] * 4, *[BAD] * 8, *[GOOD] * 8]
    targets = np.full((len(rows), 7), np.nan)
    targets[:, 0] = [*[1] * 4, *[0] * 4, *[1] * 8, *[0] * 8]
    quiet = np.arange(len(rows)) >= 8
    columns = {"quiet": quiet, "source": quiet, "weights": np.where(quiet, 0.1, 1.0)}
    corpus = make_corpus([f"text {i}" for i in range(len(rows))], targets, **columns)
    both = dataclasses.replace(APART, gain=1.0, trust=1.0)
    alone, second, summed = model(), model(), model()
    fit_phrases(alone, Examples(corpus, tokens(rows)), APART)
    fit_phrases(second, Examples(corpus, tokens(rows)), dataclasses.replace(both, apart=0.0))
    fit_phrases(summed, Examples(corpus, tokens(rows)), both)
    apart = said(alone, [BAD])[0] + said(second, [BAD])[0]
    assert said(alone, [BAD])[0] > 0.3
    assert said(summed, [BAD])[0] < apart - 0.1


@pytest.mark.parametrize(("quiet", "least"), [(False, LEAST), (True, LEAST_APART)])
def test_a_phrase_that_occurs_too_seldom_has_no_number(quiet, least):
    told = []
    for times in (least - 1, least):
        rows = [[2, 5, 3], [2, 6, 3], [2, 5, 3], [2, 6, 3], *[[2, 4, 4, 11, 3]] * times]
        targets = np.full((len(rows), 7), np.nan)
        targets[:, 0] = [1, 0, 1, 0, *[1] * times]
        columns = {"quiet": np.arange(len(rows)) >= 4 if quiet else False, "source": [0] * 4 + [1] * times}
        corpus = make_corpus([f"text {i}" for i in range(len(rows))], targets, **columns)
        if quiet:  # another label, or the intercept takes it all
            corpus = merge([corpus, make_corpus(["else"], targets[1:2], quiet=True, source=1)])
            rows = [*rows, [2, 12, 3]]
        fitted = model()
        fit_phrases(fitted, Examples(corpus, tokens(rows)), dataclasses.replace(APART, gain=1.0, apart=quiet))
        word = int(phrase_hashes(11, 0, 0)[0])  # the token alone
        told.append(fitted.bert.phrases.weight[word % 997].item())
        assert fitted.bert.phrases.checks[word % 997] == word % CHECKS or not told[-1]
    assert told[0] == 0 != told[1]


def test_what_holds_where_nobody_was_asked_weighs_as_the_teachers_word_does():
    held = []
    for weight in (0.01, 50.0):
        corpus = examples().corpus
        corpus.quiet[2] = True
        corpus.targets[2] = np.nan
        corpus.soft[2] = 0.0
        corpus.soft_weights[2] = weight
        held.append(model())
        fit_phrases(held[-1], Examples(corpus, tokens()), SETTINGS)
    one, other = (abs(said(each, ROWS[2:3])[0]) for each in held)
    assert other < 0.3 * one


def test_learning_apart_without_a_label_is_refused():
    with pytest.raises(UserError, match="quiet source with labels"):
        fit_phrases(model(), examples(), dataclasses.replace(SETTINGS, apart=1.0))


def test_a_quiet_source_counts_by_its_weight():
    held = []
    for weight in (0.01, 50.0):
        free, quiet = examples().corpus, examples().corpus.take(np.array([2]))
        quiet.quiet[:] = True
        quiet.weights[:] = quiet.soft_weights[:] = weight
        loud = free.take(np.array([0, 1, 3, 4, 5]))
        corpus = merge([loud, quiet])
        rows = [*ROWS[:2], *ROWS[3:], ROWS[2]]
        held.append(model())
        fit_phrases(held[-1], Examples(corpus, tokens(rows)), SETTINGS)
    one, other = (abs(said(each, ROWS[2:3])[0]) for each in held)
    assert other < 0.3 * one


def test_of_phrases_that_share_a_row_the_one_that_says_most_keeps_it():
    free, crowded = model(), model()
    fit_phrases(free, examples(), dataclasses.replace(SETTINGS, rows=99_991))  # nothing shares a row
    fit_phrases(crowded, examples(), dataclasses.replace(SETTINGS, rows=1))
    taught = tokens([row for row, share in zip(ROWS, TOXIC, strict=True) if not np.isnan(share)])
    known = np.unique(hashes_of(taught))
    counts = phrase_counts(taught, known)
    numbers = free.bert.phrases.weight.detach().numpy()[known % 99_991]
    says = numbers**2 * np.asarray(counts.power(2).sum(axis=0)).ravel()
    kept = known % CHECKS == crowded.bert.phrases.checks.item()
    assert says[kept].max() == pytest.approx(says.max(), rel=1e-3)
    assert says.min() < 0.5 * says.max()


def test_a_text_without_tokens_says_nothing():
    none = Tokens(np.array([2, 5, 3], np.int32), np.array([0, 0, 3, 3]))
    counts = phrase_counts(none, np.unique(hashes_of(none))).toarray()
    assert counts.sum(axis=1) == pytest.approx([0, 9 / 3**0.5, 0], rel=1e-6)
    assert phrase_counts(none, np.zeros(0, np.int64)).shape == (3, 0)


def test_the_mean_of_weights_leaves_phrases_alone():
    one, other = model(phrases=7), model(phrases=7)
    with torch.no_grad():
        one.bert.phrases.weight.fill_(2.0)
        other.classifier.bias.fill_(4.0)
    average_weights(one, [other])
    assert one.classifier.bias.tolist() == [2.0] * 7
    assert one.bert.phrases.weight.tolist() == [2.0] * 7


def test_labels_of_one_kind_are_refused():
    with pytest.raises(UserError, match="lack one"):
        fit_phrases(model(), examples(np.zeros(6)), PhraseSettings(rows=97))
