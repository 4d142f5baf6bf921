import json

import numpy as np
import pytest
from transformers import BertModel

from giantkiller.attributes import ATTRIBUTES
from giantkiller.errors import UserError
from giantkiller.models.loading import load_checkpoint
from giantkiller.training.teacher import as_teacher, average


def test_a_teachers_labels_find_their_attributes(toxic_bert):
    logits = as_teacher(load_checkpoint(str(toxic_bert)))(["you clown", "thanks"])
    known = [
        ATTRIBUTES.index(a) for a in ("toxicity", "severe_toxicity", "obscene", "threat", "identity_attack")
    ]
    assert logits.shape == (2, 7)
    assert np.isfinite(logits[:, known]).all()
    assert np.isnan(np.delete(logits, known, axis=1)).all()


def test_logits_do_not_depend_on_the_batch(toxic_bert):
    teacher = as_teacher(load_checkpoint(str(toxic_bert)))
    texts = ["you clown", "thanks for the article on the bridge repair, I learned a lot", "shut up"]
    together = teacher(texts)
    alone = np.concatenate([teacher([text]) for text in texts])
    np.testing.assert_allclose(together, alone, atol=1e-5)


def test_average_counts_only_teachers_that_know():
    def one(texts):
        return np.full((len(texts), 7), 1.0, np.float32)

    def other(texts):
        values = np.full((len(texts), 7), 3.0, np.float32)
        values[:, 6] = np.nan
        return values

    mean = average([one, other])(["a"])
    np.testing.assert_array_equal(mean[0], [2, 2, 2, 2, 2, 2, 1])


def test_foreign_labels_are_refused(toxic_bert, tmp_path):
    for path in toxic_bert.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    config = json.loads((tmp_path / "config.json").read_text())
    config["id2label"] = {str(i): f"LABEL_{i}" for i in range(6)}
    config["label2id"] = {f"LABEL_{i}": i for i in range(6)}
    (tmp_path / "config.json").write_text(json.dumps(config))
    with pytest.raises(UserError, match="none of which is an attribute"):
        as_teacher(load_checkpoint(str(tmp_path)))


def test_typed_special_tokens_are_plain_text(toxic_bert):
    """[MASK] is not in the word-level vocabulary as a word, so it reads as any other unknown word."""
    teacher = as_teacher(load_checkpoint(str(toxic_bert)))
    np.testing.assert_array_equal(teacher(["you [MASK] clown [SEP]"]), teacher(["you zzz clown zzzz"]))


def test_of_two_outputs_that_exclude_each_other_the_difference_is_the_logit(toxic_bert, tiny, tmp_path):
    from checkpoints import write_foreign
    from transformers import AutoTokenizer

    from giantkiller.evaluation.opponents import load

    write_foreign(tmp_path, AutoTokenizer.from_pretrained(tiny / "tokenizer"), ["non-toxic", "toxic"])
    logits = as_teacher(load_checkpoint(str(tmp_path)))(["you clown", "thanks"])[:, 0]
    scores = load(str(tmp_path)).score(["you clown", "thanks"])[:, 0]
    np.testing.assert_allclose(1 / (1 + np.exp(-logits)), scores, rtol=1e-6)


def test_a_model_without_a_trained_classifier_is_refused(toxic_bert, tmp_path):
    for path in toxic_bert.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    config = json.loads((tmp_path / "config.json").read_text())
    BertModel.from_pretrained(toxic_bert).save_pretrained(tmp_path)
    (tmp_path / "config.json").write_text(json.dumps(config))
    with pytest.raises(UserError, match="no trained classifier"):
        as_teacher(load_checkpoint(str(tmp_path)))


def test_a_teacher_and_a_judged_model_read_labels_alike(tiny, tmp_path):
    """Any case, blanks and dashes: `soft-labels M` takes what `evaluate M` takes."""
    from checkpoints import write_foreign
    from transformers import AutoTokenizer

    from giantkiller.evaluation.opponents import load

    labels = ["Toxic", "Severe Toxic", "IDENTITY-HATE", "spam"]
    write_foreign(tmp_path, AutoTokenizer.from_pretrained(tiny / "tokenizer"), labels)
    taught = np.isfinite(as_teacher(load_checkpoint(str(tmp_path)))(["you clown"])[0])
    judged = np.isfinite(load(str(tmp_path)).score(["you clown"])[0])
    assert [name for name, known in zip(ATTRIBUTES, taught, strict=True) if known] == [
        "toxicity", "severe_toxicity", "identity_attack",
    ]  # fmt: skip
    assert taught.tolist() == judged.tolist()
