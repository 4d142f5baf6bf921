"""Labelled texts on their way to the training loop: read, merged, tokenized, batched."""

from collections.abc import Sequence, Set
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from tokenizers import Tokenizer
from tqdm import tqdm

from giantkiller.attributes import ATTRIBUTES
from giantkiller.cleaning import clean_text
from giantkiller.data.augment.attacks import ATTACKS, attack
from giantkiller.data.augment.templates import harsh_sentences, identity_sentences, mentions
from giantkiller.data.holdout import is_held_out, merge_key
from giantkiller.data.sources import Labelled, read_labelled
from giantkiller.data.splits import published_splits
from giantkiller.errors import UserError
from giantkiller.training.distill import read_soft_labels
from giantkiller.training.recipe import DataSettings, Recipe


@dataclass
class Corpus:
    """Texts with what is known about them."""

    texts: list[str]
    targets: np.ndarray
    """(n, 7) float32, fractions of raters; NaN where nobody asked."""
    weights: np.ndarray
    """(n,) float32, weight of the row's targets in the loss."""
    soft: np.ndarray
    """(n, 7) float32, teacher logits; NaN where there are none."""

    def __len__(self) -> int:
        return len(self.texts)

    def take(self, rows: np.ndarray) -> "Corpus":
        """Pick rows by index."""
        texts = [self.texts[i] for i in rows]
        return Corpus(texts, self.targets[rows], self.weights[rows], self.soft[rows])


@dataclass
class Tokens:
    """Token ids of many texts, one after the other."""

    ids: np.ndarray
    """(sum of lengths,) int32."""
    starts: np.ndarray
    """(n + 1,) int64, where each text's ids begin."""

    @property
    def lengths(self) -> np.ndarray:
        """(n,) tokens a text."""
        return np.diff(self.starts)

    def batch(self, rows: np.ndarray) -> tuple[torch.Tensor, torch.Tensor]:
        """Pad some texts to the longest of them.

        Args:
            rows: (b,) indices.

        Returns:
            input_ids and attention_mask, each (b, t) int64.
        """
        lengths = self.lengths[rows]
        ids = np.zeros((len(rows), int(lengths.max())), dtype=np.int64)
        mask = np.zeros_like(ids)
        for i, row in enumerate(rows):
            ids[i, : lengths[i]] = self.ids[self.starts[row] : self.starts[row + 1]]
            mask[i, : lengths[i]] = 1
        return torch.from_numpy(ids), torch.from_numpy(mask)


def load_corpora(recipe: Recipe, folder: Path) -> tuple[Corpus, Corpus]:
    """Read a recipe's training and validation texts.

    Texts that stand in several files are merged into one row: targets are averaged, weighted by
    the rows' weights. Validation texts never train.

    Args:
        recipe: The recipe.
        folder: Where its files lie.

    Returns:
        Training corpus, validation corpus.

    Raises:
        UserError: If a file is missing or lacks what the recipe needs.
    """
    data = recipe.data
    if data.protocol == "published":
        return _published(recipe, folder)
    rng = np.random.default_rng(recipe.seed)
    parts = []
    for name in data.train:
        part = _corpus(read_labelled(folder / name), data)
        needed = [ATTRIBUTES.index(attribute) for attribute in data.require]
        useful = ~np.isnan(part.targets).all(axis=1) & ~np.isnan(part.targets[:, needed]).any(axis=1)
        part = part.take(np.flatnonzero(useful))
        part = _without_held_out(part, data.holdout_fraction)
        if name in data.limit and data.limit[name] < len(part):
            part = part.take(np.sort(rng.choice(len(part), data.limit[name], replace=False)))
        parts.append(part)
    if data.identity_sentences:
        texts, targets = identity_sentences(data.identity_sentences, recipe.seed)
        parts.append(_made_up(texts, targets, data.made_up_weight))
    if data.harsh_sentences:
        texts = harsh_sentences(data.harsh_sentences, recipe.seed)
        targets = np.zeros((len(texts), len(ATTRIBUTES)), np.float32)
        parts.append(_made_up(texts, targets, data.made_up_weight))
    for name in data.soft_labels:
        texts, logits = read_soft_labels(find_soft_labels(folder, name))
        empty = np.full_like(logits, np.nan)
        part = Corpus(texts, empty, np.ones(len(texts), np.float32), logits)
        parts.append(_without_held_out(part, data.holdout_fraction))
    train = merge(parts)
    if data.validation:
        validation = _corpus(read_labelled(folder / data.validation), data)
        known = {merge_key(text) for text in validation.texts}
        train = train.take(
            np.array(
                [i for i, text in enumerate(train.texts) if merge_key(text) not in known], dtype=np.int64
            )
        )
    else:
        labelled = np.flatnonzero(~np.isnan(train.targets).all(axis=1))
        held = rng.choice(labelled, max(1, round(len(labelled) * data.validation_fraction)), replace=False)
        validation = train.take(np.sort(held))
        train = train.take(np.setdiff1d(np.arange(len(train)), held))
    plain = train
    if data.mentions:
        train = join([train, mentioning_copies(plain, data.mentions, recipe.seed)])
    if data.disguised:
        known = {merge_key(text) for text in (*train.texts, *validation.texts)}
        train = join([train, disguised_copies(plain, data.disguised, recipe.seed, known)])
    if not len(train):
        raise UserError(f"recipe {recipe.name}: its files hold no text to train on; check data.train")
    return train, validation


def find_soft_labels(folder: Path, name: str) -> Path:
    """Soft labels lie in the data folder, or else where the working folder's path leads."""
    return folder / name if (folder / name).is_file() else Path(name)


def merge(parts: Sequence[Corpus]) -> Corpus:
    """Join corpora; texts that differ by case and white space alone become one row.

    Targets are averaged, weighted by the rows' weights; so are the weights themselves, plainly; soft
    labels are averaged.
    """
    texts: list[str] = []
    places: dict[str, int] = {}
    rows = np.empty(sum(len(part) for part in parts), dtype=np.int64)
    at = 0
    for part in parts:
        for text in part.texts:
            place = places.setdefault(merge_key(text), len(texts))
            if place == len(texts):
                texts.append(text)
            rows[at] = place
            at += 1

    def mean(values: np.ndarray, weights: np.ndarray) -> np.ndarray:
        there = ~np.isnan(values)
        total = np.zeros((len(texts), values.shape[1]))
        share = np.zeros_like(total)
        np.add.at(total, rows, np.where(there, values, 0) * weights)
        np.add.at(share, rows, there * weights)
        with np.errstate(invalid="ignore"):
            return (total / share).astype(np.float32)

    if not parts:
        empty = np.empty((0, len(ATTRIBUTES)), np.float32)
        return Corpus([], empty, np.empty(0, np.float32), empty)
    weights = np.concatenate([part.weights for part in parts])[:, None]
    targets = np.concatenate([part.targets for part in parts])
    labelled = np.where(np.isnan(targets).all(axis=1), np.nan, 1)[:, None] * weights
    merged = mean(labelled, np.ones_like(weights))[:, 0]
    return Corpus(
        texts,
        mean(targets, weights),
        np.nan_to_num(merged, nan=1.0),
        mean(np.concatenate([part.soft for part in parts]), np.ones_like(weights)),
    )


def encode(tokenizer: Tokenizer, texts: Sequence[str], max_length: int) -> Tokens:
    """Clean and tokenize texts, cut to `max_length` tokens with the special ones counted in."""
    tokenizer.enable_truncation(max_length)
    tokenizer.no_padding()
    ids: list[np.ndarray] = []
    begins = range(0, len(texts), 4096)
    for begin in tqdm(begins, desc="tokenizing", delay=1, leave=False, disable=None):
        chunk = [clean_text(text) for text in texts[begin : begin + 4096]]
        ids += [np.array(code.ids, dtype=np.int32) for code in tokenizer.encode_batch_fast(chunk)]
    starts = np.concatenate([[0], np.cumsum([len(row) for row in ids])]).astype(np.int64)
    return Tokens(np.concatenate(ids) if ids else np.empty(0, np.int32), starts)


def plan_batches(lengths: np.ndarray, size: int, tokens: int | None, seed: Any) -> list[np.ndarray]:
    """Cut one epoch into length-bucketed batches, in random order.

    Texts are shuffled, then sorted by length inside chunks of many batches, so that a batch holds
    texts of about one length yet differs from epoch to epoch.

    Args:
        lengths: (n,) tokens a text.
        size: Texts a batch, unless `tokens` is given.
        tokens: Padded tokens a batch.
        seed: Seed of the order; anything `numpy.random.default_rng` takes.

    Returns:
        Arrays of indices; together each text once.
    """
    rng = np.random.default_rng(seed)
    order = rng.permutation(len(lengths))
    chunk = 64 * (size if tokens is None else max(1, int(tokens / max(1.0, lengths.mean()))))
    batches = []
    for begin in range(0, len(order), chunk):
        rows = order[begin : begin + chunk]
        rows = rows[np.argsort(-lengths[rows], kind="stable")]
        at = 0
        while at < len(rows):
            count = size if tokens is None else max(1, tokens // int(lengths[rows[at]]))
            batches.append(rows[at : at + count])
            at += count
    return [batches[i] for i in rng.permutation(len(batches))]


def join(parts: Sequence[Corpus]) -> Corpus:
    """Put corpora one after the other."""
    return Corpus(
        [text for part in parts for text in part.texts],
        np.concatenate([part.targets for part in parts]),
        np.concatenate([part.weights for part in parts]),
        np.concatenate([part.soft for part in parts]),
    )


def mentioning_copies(corpus: Corpus, share: float, seed: int) -> Corpus:
    """Copy some texts with a neutral sentence about an identity before or behind them, labels kept.

    Where groups are mentioned mostly by those who attack them, raters' labels and a teacher's alike tie the
    mention to toxicity; that it adds nothing is what these copies say.

    Args:
        corpus: n texts.
        share: Texts to copy, as a share of n.
        seed: Seed of the draw.
    """
    rng = np.random.default_rng([seed, len(corpus), 1])
    rows = rng.choice(len(corpus), round(len(corpus) * share), replace=False)
    copies = corpus.take(rows)
    pairs = zip(copies.texts, mentions(len(rows), seed), rng.random(len(rows)) < 0.5, strict=True)
    copies.texts = [f"{added} {text}" if first else f"{text} {added}" for text, added, first in pairs]
    return copies


def disguised_copies(corpus: Corpus, share: float, seed: int, known: Set[str]) -> Corpus:
    """Copy some texts with words misspelt or disguised, labels kept.

    People write so to get past a filter, and readers understand them all the same. Each copy gets one of
    `giantkiller.data.augment.attacks.ATTACKS`, drawn evenly. Copies that cleaning turns back into a known
    text are left out: they would only count it twice.

    Args:
        corpus: n texts.
        share: Texts to copy, as a share of n.
        seed: Seed of the draw.
        known: `merge_key` of the texts that no copy may equal.

    Returns:
        The copies, at most `share * n`.
    """
    rng = np.random.default_rng([seed, len(corpus)])
    rows = rng.choice(len(corpus), round(len(corpus) * share), replace=False)
    names = rng.choice(list(ATTACKS), len(rows))
    texts = [attack(corpus.texts[row], name, seed=seed) for row, name in zip(rows, names, strict=True)]
    new = [i for i, text in enumerate(texts) if merge_key(text) not in known]
    copies = corpus.take(rows[new])
    copies.texts = [texts[i] for i in new]
    return copies


def _made_up(texts: list[str], targets: np.ndarray, weight: float) -> Corpus:
    weights = np.full(len(texts), weight, np.float32)
    return Corpus(texts, targets, weights, np.full_like(targets, np.nan))


def _without_held_out(corpus: Corpus, fraction: float) -> Corpus:
    if not fraction:
        return corpus
    kept = [i for i, text in enumerate(corpus.texts) if not is_held_out(text, fraction)]
    return corpus.take(np.array(kept, dtype=np.int64))


def _corpus(labelled: Labelled, data: DataSettings) -> Corpus:
    targets = np.array(labelled.targets, dtype=np.float32)
    for column, name in enumerate(ATTRIBUTES):
        if name not in data.attributes:
            targets[:, column] = np.nan
    weights = np.ones(len(labelled.texts), dtype=np.float32)
    if labelled.kinds is not None:
        weights[np.array(labelled.kinds) == "weak"] = data.weak_weight
    return Corpus(list(labelled.texts), targets, weights, np.full_like(targets, np.nan))


def _published(recipe: Recipe, folder: Path) -> tuple[Corpus, Corpus]:
    labelled = read_labelled(folder / recipe.data.train[0])
    train, validation, _ = published_splits(labelled, seed=recipe.seed)
    return _corpus(train, recipe.data), _corpus(validation, recipe.data)
