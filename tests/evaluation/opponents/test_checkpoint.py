import shutil

import numpy as np
import pytest

from giantkiller.errors import UserError
from giantkiller.evaluation import opponents


def test_a_checkpoint_scores_as_it_does_by_hand_whatever_its_neighbours(checkpoint):
    import torch
    import transformers

    name = str(checkpoint / "tuned")
    model = opponents.load(name)
    texts = ["you are an idiot", "thanks", "", "you are " * 50]
    scores = model.score(texts)
    assert np.isnan(scores[:, 1:]).all()
    tokenizer = transformers.AutoTokenizer.from_pretrained(name)
    plain = transformers.AutoModelForSequenceClassification.from_pretrained(name).eval()
    for row, text in enumerate(texts):
        batch = tokenizer(text, return_tensors="pt", truncation=True, max_length=16)
        with torch.no_grad():
            logits = plain(input_ids=batch["input_ids"], attention_mask=batch["attention_mask"]).logits
        assert scores[row, 0] == pytest.approx(torch.softmax(logits, dim=-1)[0, 1].item(), abs=1e-5)
    assert model.about.parameters == sum(p.numel() for p in plain.parameters())
    assert model.about.fine_tuned is True


def test_only_what_was_trained_here_reads_cleaned_text(checkpoint, tmp_path):
    here = shutil.copytree(checkpoint / "tuned", tmp_path / "here")
    (here / "training").mkdir()
    (here / "training" / "record.json").write_text("{}")
    written, meant = "you are an i.d.i.o.t", "you are an idiot"
    ours, theirs = (
        opponents.load(str(name)).score([written, meant])[:, 0] for name in (here, checkpoint / "tuned")
    )
    assert ours[0] == ours[1] == theirs[1] != theirs[0]


def test_a_folder_that_holds_no_classifier(tmp_path):
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(UserError, match="could not be loaded"):
        opponents.load(str(tmp_path))
