"""From a recipe to a checkpoint: starting weights, training, growth."""

import dataclasses
import hashlib
import json
import logging
import os
import shutil
import time
from pathlib import Path
from typing import Any

import torch

from giantkiller import __version__
from giantkiller.errors import UserError
from giantkiller.training.corpus import Corpus, encode, find_soft_labels, load_corpora
from giantkiller.training.fit import Examples, Phase, choose_by, fit, predict, validate
from giantkiller.training.growing import grow, prepare
from giantkiller.training.recipe import Recipe
from giantkiller.training.warmstart import build_model

log = logging.getLogger(__name__)


def train(recipe: Recipe, data: Path, output: Path, resume: bool = False) -> dict[str, Any]:
    """Train what a recipe describes and write a checkpoint.

    Args:
        recipe: The recipe.
        data: Folder that its file names are relative to.
        output: The checkpoint's folder: a Hugging Face folder, with `training/` for logs and state.
        resume: Continue an interrupted run of the same recipe and data.

    Returns:
        The run's record, which also lies in `training/record.json`.

    Raises:
        UserError: If data, recipe or output folder are unfit.
    """
    work = output / "training"
    if output.exists() and not output.is_dir():
        raise UserError(f"the output {output} is a file; name a folder for the checkpoint")
    if (output / "config.json").exists() and resume:
        raise UserError(f"{output} already holds a finished checkpoint; nothing to resume")
    if output.is_dir() and any(output.iterdir()) and not resume:
        raise UserError(f"the output folder {output} is not empty; name a new one, or continue with --resume")
    torch.manual_seed(recipe.seed)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    model, tokenizer = build_model(recipe.model)
    if recipe.growth.max_dendrites:
        prepare(model, recipe.growth)
    corpora = load_corpora(recipe, data)
    train_set, validation = (
        Examples(corpus, encode(tokenizer.backend_tokenizer, corpus.texts, recipe.data.max_length))
        for corpus in corpora
    )
    digest = _digest(recipe, *corpora)
    log.info(
        "%s: %d training texts (%d tokens), %d validation texts, %d parameters",
        recipe.name,
        len(train_set.corpus),
        len(train_set.tokens.ids),
        len(validation.corpus),
        sum(parameter.numel() for parameter in model.parameters()),
    )
    began = time.monotonic()
    work.mkdir(parents=True, exist_ok=True)
    write = _Log(work / "log.jsonl", resume)
    phase = Phase(work / "base", "base", recipe.seed, digest, recipe.checkpoint_seconds, write)
    model.to(device)
    if recipe.optim.epochs:
        fit(model, train_set, validation, recipe.optim, recipe.loss, phase)
    if recipe.growth.max_dendrites:
        ledger = grow(model, train_set, validation, recipe, phase, work / "growth")
        log.info("%s", ledger.table())
    figures = validate(predict(model, validation.tokens), validation.corpus.targets)
    record = {
        "recipe": dataclasses.asdict(recipe),
        "digest": digest,
        "data": {name: _sha256(path) for name, path in _files(recipe, data).items()},
        "texts": len(train_set.corpus),
        "tokens": len(train_set.tokens.ids),
        "validation": figures,
        "parameters": sum(parameter.numel() for parameter in model.parameters()),
        "seconds": round(time.monotonic() - began, 1),
        "versions": {"giantkiller": __version__, "torch": torch.__version__},
        "device": str(device),
    }
    _save(model, tokenizer, record, output, recipe.data.max_length)
    for folder in (work / "base", work / "growth"):
        for state in folder.rglob("state.pt"):
            state.unlink()
    log.info("%s: validation AP %.4f, written to %s", recipe.name, choose_by(figures), output)
    return record


def _save(model: Any, tokenizer: Any, record: dict[str, Any], output: Path, max_length: int) -> None:
    """Write the Hugging Face folder; config.json, which marks it as finished, comes last."""
    unfinished = output / "training" / "unfinished"
    shutil.rmtree(unfinished, ignore_errors=True)
    model.cpu().save_pretrained(unfinished)
    tokenizer.model_max_length = max_length
    tokenizer.backend_tokenizer.no_truncation()
    tokenizer.backend_tokenizer.no_padding()
    tokenizer.save_pretrained(unfinished)
    (unfinished / "recipe.json").write_text(json.dumps(record["recipe"], indent=2) + "\n")
    (output / "training" / "record.json").write_text(json.dumps(record, indent=2) + "\n")
    for path in sorted(unfinished.iterdir(), key=lambda path: path.name == "config.json"):
        path.replace(output / path.name)
    unfinished.rmdir()


class _Log:
    """Appends records to a JSON Lines file; a resumed run repeats no record."""

    def __init__(self, path: Path, resume: bool) -> None:
        self.path = path
        self.seen: set[tuple[str, int]] = set()
        if resume and path.exists():
            records = []
            for line in path.read_text().splitlines():
                try:
                    records.append(json.loads(line))
                except json.JSONDecodeError:  # the line that the kill cut
                    continue
            self.seen = {(record["phase"], record["step"]) for record in records}
            path.write_text("".join(json.dumps(record) + "\n" for record in records))

    def __call__(self, record: dict[str, Any]) -> None:
        if (record["phase"], record["step"]) in self.seen:
            return
        with self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(record) + "\n")
            file.flush()
            os.fsync(file.fileno())


def _files(recipe: Recipe, folder: Path) -> dict[str, Path]:
    data = recipe.data
    labelled = [*data.train, *([data.validation] if data.validation else [])]
    return {name: folder / name for name in labelled} | {
        name: find_soft_labels(folder, name) for name in data.soft_labels
    }


def _digest(recipe: Recipe, *corpora: Corpus) -> str:
    """Identify a run: its settings, and the texts, targets, weights and soft labels it sees."""
    sha = hashlib.sha256(recipe.digest().encode())
    for corpus in corpora:
        for text in corpus.texts:
            sha.update(text.encode("utf-8", "replace") + b"\0")
        for array in (corpus.targets, corpus.weights, corpus.soft):
            sha.update(array.tobytes())
    return sha.hexdigest()


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        sha = hashlib.sha256()
        while block := file.read(1 << 20):
            sha.update(block)
    return sha.hexdigest()
