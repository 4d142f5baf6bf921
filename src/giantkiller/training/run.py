"""From a recipe to a checkpoint: starting weights, training, growth."""

import dataclasses
import hashlib
import json
import logging
import os
import shutil
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from giantkiller import __version__
from giantkiller.attributes import POSITIVE
from giantkiller.bundle import CONFIG, FileRecord
from giantkiller.cleaning import clean_text
from giantkiller.data.augment.rewrites import read_rewrites
from giantkiller.data.augment.softened import softened
from giantkiller.encoding import Encoder
from giantkiller.errors import UserError
from giantkiller.models.inference import Tokens, predict, tokenize
from giantkiller.training.augment import augment
from giantkiller.training.batches import Examples
from giantkiller.training.corpus import Corpus, find_source, has_states, load_corpora, load_held_out
from giantkiller.training.growth import grow, prepare
from giantkiller.training.loop import DivergedError, Phase, fit
from giantkiller.training.phrases import TOXICITY, drop_phrases, fit_phrases, taught_rows, toxic_rows
from giantkiller.training.readout import Pairs, fit_readout
from giantkiller.training.recipe import Recipe
from giantkiller.training.start_weights import build_model
from giantkiller.training.validation import choose_by, validate

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class RunRecord:
    """What was trained, on what, and how good it is.

    Attributes:
        recipe: The recipe.
        data: The SHA-256 of each file of its data.
        texts: How many trained.
        soft_labelled: How many of them have a teacher's logits or states.
        tokens: Of the texts that trained.
        validation: Average precision and ROC-AUC of each attribute, as `validate` names them.
        parameters: Of the model.
        versions: Of this package and of torch.
        digest: Of recipe and data together.
        seconds: It took.
        device: Where it ran.
    """

    recipe: Recipe
    data: dict[str, str]
    texts: int
    soft_labelled: int
    tokens: int
    validation: dict[str, float]
    parameters: int
    versions: dict[str, str]
    digest: str
    seconds: float
    device: str

    def to_dict(self) -> dict[str, Any]:
        """Return the record as JSON can hold it."""
        return dataclasses.asdict(self)


def train(recipe: Recipe, data: Path, output: Path, resume: bool = False) -> RunRecord:
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
    _check_output(output, resume)
    torch.manual_seed(recipe.seed)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    model, tokenizer, train_set, validation = _begin(recipe, data)
    told, pairs = _held_out(recipe, data, tokenizer, validation.corpus)
    began = time.monotonic()
    work = output / "training"
    work.mkdir(parents=True, exist_ok=True)
    phase = Phase(
        work / "base",
        "base",
        recipe.seed,
        _digest(recipe, train_set.corpus, validation.corpus, *([told.corpus] if told else [])),
        recipe.checkpoint_seconds,
        _Log(work / "log.jsonl", resume and _has_state(work)),
    )
    model.to(device)
    try:
        if recipe.optim.epochs:
            fit(model, train_set, validation, recipe.optim, recipe.loss, phase)
        if recipe.growth.max_dendrites:
            ledger = grow(model, train_set, validation, recipe, phase, work / "growth")
            for line in ledger.table().split("\n"):
                log.info("%s", line)
        if recipe.phrases.rows:
            fit_phrases(model, train_set, recipe.phrases)
        if told is not None:
            fit_readout(model, told, validation.tokens, pairs, recipe.readout)
    except DivergedError:
        _forget(work)
        raise
    taught = train_set.corpus
    record = RunRecord(
        recipe=recipe,
        data={name: FileRecord.of(path).sha256 for name, path in _files(recipe, data).items()},
        texts=len(taught),
        soft_labelled=int((~np.isnan(taught.soft).all(axis=1) | has_states(taught)).sum()),
        tokens=len(train_set.tokens.ids),
        validation=validate(predict(model, validation.tokens), validation.corpus.targets),
        parameters=_size(model),
        versions={"giantkiller": __version__, "torch": torch.__version__},
        digest=phase.digest,
        seconds=round(time.monotonic() - began, 1),
        device=str(device),
    )
    _save(model, tokenizer, record, output, recipe.data.max_length)
    _forget(work)
    log.info("%s: validation AP %.4f, written to %s", recipe.name, choose_by(record.validation), output)
    return record


def _begin(recipe: Recipe, data: Path) -> tuple[Any, Any, Examples, Examples]:
    """Return model, tokenizer, training and validation texts; refuse early what would fail hours later."""
    model, tokenizer = build_model(recipe.model)
    if recipe.growth.max_dendrites:
        prepare(model, recipe.growth)
    train_set, validation = _examples(recipe, data, tokenizer)
    if recipe.phrases.rows:
        toxic_rows(train_set.corpus)  # before training, whose hours a missing label would cost
        taught_rows(train_set.corpus, recipe.phrases)
        drop_phrases(model)
    choose_by(validate(np.zeros_like(validation.corpus.targets), validation.corpus.targets))
    log.info(
        "%s: %d training texts (%d tokens), %d validation texts, %d parameters",
        recipe.name,
        len(train_set.corpus),
        len(train_set.tokens.ids),
        len(validation.corpus),
        _size(model),
    )
    return model, tokenizer, train_set, validation


def _examples(recipe: Recipe, data: Path, tokenizer: Any) -> tuple[Examples, Examples]:
    """Read, augment and tokenize a recipe's training and validation texts."""
    train, validation = load_corpora(recipe, data)
    train = augment(train, validation, recipe.data, recipe.seed)
    encoder = Encoder(tokenizer.backend_tokenizer, recipe.data.max_length)
    pad_id = tokenizer.pad_token_id or 0
    return (
        Examples(train, tokenize(encoder, train.texts, pad_id=pad_id)),
        Examples(validation, tokenize(encoder, validation.texts, pad_id=pad_id)),
    )


def _held_out(
    recipe: Recipe, data: Path, tokenizer: Any, validation: Corpus
) -> tuple[Examples | None, Pairs | None]:
    """Read what the readout learns from, and pairs of rude and softer comments."""
    if not recipe.readout.sources:
        return None, None
    corpus = load_held_out(recipe, data, validation.keys.tolist())
    encoder = Encoder(tokenizer.backend_tokenizer, recipe.data.max_length)
    pad_id = tokenizer.pad_token_id or 0

    def tokens(texts: list[str]) -> Tokens:
        return tokenize(encoder, texts, pad_id=pad_id)

    pairs = None
    if recipe.readout.softened:
        own = np.array([source.toxic_by == "toxicity" for source in recipe.readout.sources])
        toxic = (corpus.targets[:, TOXICITY] >= POSITIVE) & own[corpus.source]
        chosen = [text for text, rude in zip(corpus.texts, toxic, strict=True) if rude]
        rude = [(text, soft) for text in chosen if (soft := softened(text)) is not None]
        written = list(map(clean_text, read_rewrites()[0]))
        above, below = zip(*rude, *zip(written[::2], written[1::2], strict=True), strict=True)
        pairs = Pairs(tokens(list(above)), tokens(list(below)))
    return Examples(corpus, tokens(corpus.texts)), pairs


def _size(model: Any) -> int:
    return sum(parameter.numel() for parameter in model.parameters())


def _check_output(output: Path, resume: bool) -> None:
    """Refuse a folder that holds anything but what an interrupted or failed run left."""
    if output.exists() and not output.is_dir():
        raise UserError(f"`output` {output} is a file; name a folder for the checkpoint")
    if (output / CONFIG).exists() and resume:
        raise UserError(f"{output} already holds a finished checkpoint; nothing to resume")
    if resume or not output.is_dir():
        return
    left = {entry.name for entry in output.iterdir()}
    if left == {"training"}:
        if _has_state(output / "training"):
            raise UserError(
                f"{output} holds an unfinished run; continue it with `resume`, or delete the folder"
            )
        # A run that failed before its first state, or diverged, left nothing that could be continued.
        shutil.rmtree(output / "training")
    elif left:
        raise UserError(f"the folder `output` {output} is not empty; name a new one")


def _has_state(work: Path) -> bool:
    return any(work.rglob("state.pt"))


def _forget(work: Path) -> None:
    """Delete the states of phases, which nothing will resume."""
    for state in work.rglob("state.pt"):
        state.unlink()


def _save(model: Any, tokenizer: Any, record: RunRecord, output: Path, max_length: int) -> None:
    """Write the Hugging Face folder; config.json, which marks it as finished, comes last."""
    unfinished = output / "training" / "unfinished"
    shutil.rmtree(unfinished, ignore_errors=True)
    model.cpu().save_pretrained(unfinished)
    tokenizer.model_max_length = max_length
    tokenizer.backend_tokenizer.no_truncation()
    tokenizer.backend_tokenizer.no_padding()
    tokenizer.save_pretrained(unfinished)
    (unfinished / "recipe.json").write_text(json.dumps(dataclasses.asdict(record.recipe), indent=2) + "\n")
    (output / "training" / "record.json").write_text(json.dumps(record.to_dict(), indent=2) + "\n")
    for path in sorted(unfinished.iterdir(), key=lambda path: path.name == "config.json"):
        path.replace(output / path.name)
    unfinished.rmdir()


class _Log:
    """Appends records to a JSON Lines file; a resumed run goes on with its file and repeats no record."""

    def __init__(self, path: Path, resume: bool) -> None:
        self.path = path
        self.seen: set[tuple[str, int]] = set()
        if not resume:
            path.unlink(missing_ok=True)
        elif path.exists():
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
    named = [*recipe.data.files, *(each.file for each in recipe.readout.sources if each.file)]
    files = {name: find_source(folder, name) for name in named}
    if recipe.data.validation:
        files[recipe.data.validation] = folder / recipe.data.validation
    return files


def _digest(recipe: Recipe, *corpora: Corpus) -> str:
    """Identify a run: its settings, and all that it sees of its texts."""
    sha = hashlib.sha256(recipe.digest().encode())
    for corpus in corpora:
        for text in corpus.texts:
            sha.update(text.encode("utf-8", "replace") + b"\0")
        for name, array in corpus.arrays().items():
            if name != "keys":
                sha.update(array.tobytes())
    return sha.hexdigest()
