import shutil

import numpy as np
import pytest
import torch
from bundles import tokenizer
from checkpoints import write_checkpoint

from giantkiller.bundle import DEFAULT
from giantkiller.cleaning import clean_text
from giantkiller.encoding import ID, Encoder
from giantkiller.errors import UserError
from giantkiller.evaluation.opponents import load
from giantkiller.models import inference
from giantkiller.models.loading import load_checkpoint, load_tokenizer, resolve
from giantkiller.training.teacher import as_teacher

TYPED = "you [SEP] idiot [MASK] [PAD] are [CLS]"


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    return write_checkpoint(tmp_path_factory.mktemp("made") / "small")


def test_sources_that_are_not_there_are_refused(tmp_path):
    with pytest.raises(UserError, match="pip install no-such-package"):
        resolve("package:no_such_package/model")
    with pytest.raises(UserError, match="no folder 'nowhere'"):
        resolve("package:giantkiller/nowhere")
    with pytest.raises(UserError, match="there is no model at"):
        load_checkpoint(str(tmp_path / "nothing"))


def test_training_and_scoring_read_typed_special_tokens_alike(tiny_bundle):
    """What somebody types is text: no id of a special token but the first and the last."""
    house = Encoder(tiny_bundle / "tokenizer.json", 32).encode([TYPED])[0]
    tokens = inference.tokenize(Encoder(tokenizer(), 32), [clean_text(TYPED)])
    assert tokens.ids.astype(ID).tobytes() == house
    special = {tokenizer().token_to_id(token) for token in ("[PAD]", "[CLS]", "[SEP]", "[MASK]")}
    assert not special & set(tokens.ids[1:-1].tolist())


def test_a_checkpoint_and_its_teacher_read_what_the_bundle_reads(checkpoint):
    ids = np.frombuffer(Encoder(tokenizer(), 48).encode([TYPED])[0], ID).astype(np.int64)
    model = load_checkpoint(str(checkpoint)).model
    with torch.no_grad():
        logits = model(input_ids=torch.from_numpy(ids[None])).logits.numpy()
    np.testing.assert_allclose(as_teacher(load_checkpoint(str(checkpoint)))([TYPED]), logits, atol=1e-5)
    np.testing.assert_allclose(load(str(checkpoint)).score([TYPED]), 1 / (1 + np.exp(-logits)), atol=1e-5)


def test_what_a_folder_holds_decides(checkpoint, tiny_bundle, tmp_path):
    assert resolve(str(checkpoint)) == str(checkpoint)
    with pytest.raises(UserError, match="was not built by this package"):
        resolve(str(tiny_bundle))
    with pytest.raises(UserError, match=r"neither a bundle .* nor a checkpoint"):
        resolve(str(tmp_path))


def test_the_shipped_checkpoint_can_be_named():
    assert load_checkpoint("default").labels[0] == "toxicity"


def test_a_bundle_is_its_checkpoint_rebuilt(tmp_path):
    folder = shutil.copytree(DEFAULT, tmp_path / "bundle")
    assert load_checkpoint(str(folder)).labels[0] == "toxicity"


def test_the_shipped_tokenizer_is_bert_uncased():
    assert load_tokenizer("default").tokenize("Hello, you") == ["hello", ",", "you"]


def test_longer_texts_are_cut_at_the_models_limit(checkpoint):
    classifier = load_checkpoint(str(checkpoint))
    assert classifier.max_length == 48
    logits = classifier.logits_function(max_length=500)
    np.testing.assert_array_equal(logits(["you " * 46]), logits(["you " * 400]))
    short = classifier.logits_function(max_length=8)
    np.testing.assert_array_equal(short(["you " * 6 + "idiot"]), short(["you " * 6 + "damn"]))
