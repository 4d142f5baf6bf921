"""Texts on their way to the training loop: read, cleaned, merged into one row a text."""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from giantkiller.attributes import ATTRIBUTES, POSITIVE
from giantkiller.cleaning import clean_text
from giantkiller.data.augment.groups import sentences_about_groups
from giantkiller.data.augment.people import sentences_about_people
from giantkiller.data.augment.rewrites import draw_rewrites
from giantkiller.data.augment.templates import harsh_sentences, identity_sentences
from giantkiller.data.holdout import fold, is_held_out
from giantkiller.data.labelled import Labelled, read_labelled
from giantkiller.data.splits import published_splits
from giantkiller.errors import UserError
from giantkiller.training.recipe import Recipe
from giantkiller.training.settings import DataSettings, SourceSettings
from giantkiller.training.soft_labels import logits_of, states_of


@dataclass
class Corpus:
    """Cleaned texts with what is known about them."""

    texts: list[str]
    """n texts, cleaned."""
    keys: np.ndarray
    """(n,) str objects: texts with one key are one comment (`giantkiller.data.holdout`)."""
    targets: np.ndarray
    """(n, 7) float32, fractions of raters; NaN where nobody asked."""
    weights: np.ndarray
    """(n,) float32, weight of the row's targets in the loss."""
    soft: np.ndarray
    """(n, 7) float32, teacher logits; NaN where there are none."""
    soft_weights: np.ndarray
    """(n,) float32, weight of the row's soft labels in the loss."""
    soft_share: np.ndarray
    """(n,) float64, share of the soft labels where there are targets, too; NaN for the recipe's."""
    repeat: np.ndarray
    """(n,) int64, how often an epoch holds the row."""
    pairs: np.ndarray
    """(n,) int64, one number for rows that are twins; -1 for others."""
    quiet: np.ndarray
    """(n,) bool, whether phrases shall say little there."""
    source: np.ndarray
    """(n,) int64, number of the recipe's source."""
    restrain: np.ndarray
    """(n,) float32, weight of the squares of what phrases learned from quiet sources say there."""
    states: np.ndarray | None = None
    """(n, k) float16, a teacher's states, NaN where there are none; None if no row has any."""

    def __len__(self) -> int:
        return len(self.texts)

    def take(self, rows: np.ndarray) -> "Corpus":
        """Pick rows by index."""
        arrays = {name: values[rows] for name, values in self.arrays().items()}
        return Corpus([self.texts[i] for i in rows], **arrays)

    def arrays(self) -> dict[str, np.ndarray]:
        """Return all columns but the texts, by name; states only if there are any."""
        columns = {each.name: getattr(self, each.name) for each in fields(self) if each.name != "texts"}
        return {name: values for name, values in columns.items() if values is not None}


def make_corpus(
    texts: Sequence[str],
    targets: np.ndarray | None = None,
    states: np.ndarray | None = None,
    **columns: Any,
) -> Corpus:
    """Clean texts and make a corpus of them and of what is known about them.

    Args:
        texts: n comments as they were written.
        targets: (n, 7) fractions of raters; None if nobody was asked.
        states: (n, k) states of a teacher; None if there are none.
        columns: Other columns of a `Corpus`, an array or one value for all rows.

    Returns:
        The corpus; columns not given are neutral: no soft labels, weights of 1, no twins.
    """
    bar = tqdm(texts, desc="cleaning", delay=1, leave=False, disable=None)
    cleaned = [clean_text(text) for text in bar]
    n = len(cleaned)
    keys = np.empty(n, object)
    keys[:] = [fold(text) for text in cleaned]
    nothing = np.full((n, len(ATTRIBUTES)), np.nan, np.float32)
    neutral = {
        "targets": nothing if targets is None else np.array(targets, np.float32),
        "weights": np.ones(n, np.float32),
        "soft": nothing,
        "soft_weights": np.ones(n, np.float32),
        "soft_share": np.full(n, np.nan),
        "repeat": np.ones(n, np.int64),
        "pairs": np.full(n, -1, np.int64),
        "quiet": np.zeros(n, bool),
        "source": np.zeros(n, np.int64),
        "restrain": np.zeros(n, np.float32),
    }
    for name, values in columns.items():
        neutral[name] = np.broadcast_to(np.asarray(values, neutral[name].dtype), neutral[name].shape).copy()
    return Corpus(cleaned, keys, **neutral, states=None if states is None else states.astype(np.float16))


def load_corpora(recipe: Recipe, folder: Path) -> tuple[Corpus, Corpus]:
    """Read a recipe's training and validation texts.

    Texts that stand in several sources are merged into one row. Validation texts never train.

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
    parts: list[Corpus] = []
    wide: tuple[str, int] | None = None  # the first source with states, and how many
    pairs = 0
    for number, source in enumerate(data.sources):
        part = _read_source(source, recipe, folder, rng)
        if part.states is not None:
            here = str(source.file), part.states.shape[1]
            wide = wide or here
            if here[1] != wide[1]:
                raise UserError(
                    f"{here[0]} has {here[1]} states a row, {wide[0]} has {wide[1]}; "
                    "take the states of one teacher in all sources"
                )
        part.pairs[part.pairs >= 0] += pairs
        pairs = max(pairs, int(part.pairs.max(initial=-1)) + 1)
        part.source[:] = number
        parts.append(part)
    train = merge(parts)
    if data.validation:
        validation = _from_labelled(read_labelled(folder / data.validation), data)
        known = set(validation.keys)
        train = train.take(np.flatnonzero([key not in known for key in train.keys]))
    else:
        labelled = np.flatnonzero(~np.isnan(train.targets).all(axis=1))
        if not len(labelled):
            raise UserError(
                f"recipe {recipe.name}: no text has a target to validate by; name data.validation"
            )
        held = rng.choice(labelled, max(1, round(len(labelled) * data.validation_fraction)), replace=False)
        validation = train.take(np.sort(held))
        train = train.take(np.setdiff1d(np.arange(len(train)), held))
    if not len(train):
        raise UserError(f"recipe {recipe.name}: its files hold no text to train on; check data.sources")
    return repeated(train), validation


def find_source(folder: Path, name: str) -> Path:
    """Return where a source lies: in the data folder, or else where the working folder's path leads."""
    return Path(name) if Path(name).is_file() and not (folder / name).is_file() else folder / name


def merge(parts: Sequence[Corpus]) -> Corpus:
    """Join corpora; rows with one key become one row.

    Targets are averaged, weighted by the rows' weights, and so are soft labels by theirs; weights and soft
    shares are averaged plainly, over the rows that have the labels they are about. A row repeats as often
    and is restrained as much as the one of its parts that is most, belongs to the first of their sources and
    pairs, is quiet if all of them are, and has the first of their states, for those of several teachers have
    no meaningful mean.
    """
    whole = join(parts)
    if not len(whole):
        return whole
    numbers: dict[str, int] = {}  # of the keys, in order of first appearance
    group = np.array([numbers.setdefault(key, len(numbers)) for key in whole.keys])
    merged = whole.take(np.unique(group, return_index=True)[1])
    rated = ~np.isnan(whole.targets).all(axis=1)
    taught = ~np.isnan(whole.soft).all(axis=1)

    def mean(values: np.ndarray, weights: np.ndarray, count: np.ndarray | None = None) -> np.ndarray:
        """Average each group's rows, those that are not NaN; NaN where none is left."""
        there = ~np.isnan(values) if count is None else count
        total, share = (np.zeros((len(merged), *values.shape[1:])) for _ in range(2))
        np.add.at(total, group, np.where(there, values, 0) * weights)
        np.add.at(share, group, there * weights)
        with np.errstate(invalid="ignore"):
            return (total / share).astype(np.float32)

    plain = np.ones(len(whole), np.float32)
    merged.targets = mean(whole.targets, whole.weights[:, None])
    merged.soft = mean(whole.soft, whole.soft_weights[:, None])
    merged.weights = np.nan_to_num(mean(whole.weights, plain, rated), nan=1.0)
    merged.soft_weights = np.nan_to_num(mean(whole.soft_weights, plain, taught), nan=1.0)
    merged.soft_share = mean(whole.soft_share, plain, rated & ~np.isnan(whole.soft_share))
    np.maximum.at(merged.repeat, group, whole.repeat)
    np.logical_and.at(merged.quiet, group, whole.quiet)
    np.maximum.at(merged.restrain, group, whole.restrain)
    pairs = np.full(len(merged), -1, np.int64)
    for row in np.flatnonzero(whole.pairs >= 0)[::-1]:  # the first one is written last
        pairs[group[row]] = whole.pairs[row]
    merged.pairs = pairs
    if whole.states is not None and merged.states is not None:
        known = np.flatnonzero(has_states(whole))
        rows, first = np.unique(group[known], return_index=True)
        merged.states[rows] = whole.states[known[first]]
    return merged


def join(parts: Sequence[Corpus]) -> Corpus:
    """Put corpora one after the other; where one has states, the rows of those without have NaN."""
    if not parts:
        return make_corpus([])
    width = next((part.states.shape[1] for part in parts if part.states is not None), None)
    columns = [part.arrays() for part in parts]
    if width is not None:
        for part, each in zip(parts, columns, strict=True):
            each.setdefault("states", np.full((len(part), width), np.nan, np.float16))
    arrays = {name: np.concatenate([each[name] for each in columns]) for name in columns[0]}
    return Corpus([text for part in parts for text in part.texts], **arrays)


def has_states(corpus: Corpus) -> np.ndarray:
    """Return which rows have states, (n,) bool."""
    if corpus.states is None:
        return np.zeros(len(corpus), bool)
    return np.asarray(~np.isnan(corpus.states).any(axis=1))


def repeated(corpus: Corpus) -> Corpus:
    """Write rows as often as an epoch holds them; each copy of twins is a pair of its own."""
    if (corpus.repeat == 1).all():
        return corpus
    rows = np.repeat(np.arange(len(corpus)), corpus.repeat)
    begins = np.cumsum(corpus.repeat) - corpus.repeat
    copy = np.arange(len(rows)) - begins[rows]
    result = corpus.take(rows)
    result.repeat[:] = 1
    paired = result.pairs >= 0
    result.pairs[paired] += copy[paired] * (corpus.pairs.max() + 1)
    return result


def held_out(corpus: Corpus, fraction: float) -> np.ndarray:
    """Return which texts belong to the share that no run trains on, (n,) bool."""
    return np.array([is_held_out(key, fraction) for key in corpus.keys], bool)


def load_held_out(recipe: Recipe, folder: Path, apart_from: Sequence[str]) -> Corpus:
    """Read what the readout learns from: `readout.sources`, of files what is kept out of training.

    Made-up sentences are drawn by another seed than those that train.

    Args:
        recipe: The recipe.
        folder: Where its files lie.
        apart_from: Keys of texts to leave out, those of the validation file.

    Returns:
        Rows with a target of toxicity, or of what says so in its place (`toxic_by`); those of a source have
        weights that sum up to its own.

    Raises:
        UserError: If a file is missing, or a source's rows are all toxic or all harmless.
    """
    rng = np.random.default_rng(recipe.seed)
    known = set(apart_from)
    parts = []
    for number, source in enumerate(recipe.readout.sources):
        part = _read_source(source, recipe, folder, rng, train=False)
        part.targets[:, 0] = part.targets[:, ATTRIBUTES.index(source.toxic_by)]
        asked = ~np.isnan(part.targets[:, 0]) & (part.weights > 0)  # weak labels may count for nothing
        part = part.take(np.flatnonzero(asked & np.array([key not in known for key in part.keys], bool)))
        toxic = part.targets[:, 0] >= POSITIVE
        if toxic.all() or not toxic.any():
            name = source.file or f"made_up {source.made_up}"
            by = "" if source.toxic_by == "toxicity" else f" by {source.toxic_by}"
            raise UserError(
                f"readout.sources: of {name}'s comments held out none is toxic{by}, or none is not; "
                "leave it out"
            )
        part.weights *= np.float32(source.weight / part.weights.sum())
        part.source[:] = number
        parts.append(part)
    return join(parts)


def _read_source(
    source: SourceSettings, recipe: Recipe, folder: Path, rng: np.random.Generator, train: bool = True
) -> Corpus:
    """Read a source's rows that train, or those that are held out of training."""
    data = recipe.data
    if source.file is None:
        part = _made_up(source, recipe.seed if train else recipe.seed + 1)
    else:
        labelled = read_labelled(find_source(folder, source.file))
        part = _from_labelled(labelled, data, source)
        if recipe.loss.states and train:
            part.states = states_of(labelled, source.file)
        needed = [ATTRIBUTES.index(attribute) for attribute in source.require]
        useful = ~(np.isnan(part.targets).all(axis=1) & np.isnan(part.soft).all(axis=1)) | has_states(part)
        part = part.take(np.flatnonzero(useful & ~np.isnan(part.targets[:, needed]).any(axis=1)))
        part = part.take(np.flatnonzero(held_out(part, data.holdout_fraction) != train))
        if source.limit is not None and source.limit < len(part):
            part = part.take(np.sort(rng.choice(len(part), source.limit, replace=False)))
    part.weights *= np.float32(source.weight)
    part.soft_weights *= np.float32(source.weight)
    part.repeat *= source.repeat
    part.quiet[:] = source.quiet
    part.restrain[:] = source.restrain
    if source.soft_share is not None:
        part.soft_share[:] = source.soft_share
    return part


def _made_up(source: SourceSettings, seed: int) -> Corpus:
    assert source.limit is not None
    if source.made_up == "identities":
        return make_corpus(*identity_sentences(source.limit, seed))
    if source.made_up == "people":
        return make_corpus(*sentences_about_people(source.limit, seed))
    if source.made_up == "groups":
        filled = sentences_about_groups(source.limit, seed)
        return make_corpus(filled.texts, filled.targets, pairs=filled.pairs, repeat=filled.repeat)
    if source.made_up == "rewrites":
        texts, targets, pairs = draw_rewrites(source.limit, seed)
        return make_corpus(texts, targets, pairs=pairs)
    texts = harsh_sentences(source.limit, seed)
    return make_corpus(texts, np.zeros((len(texts), len(ATTRIBUTES))))


def _from_labelled(labelled: Labelled, data: DataSettings, source: SourceSettings | None = None) -> Corpus:
    """Keep what a run learns from: targets of its attributes, soft labels, pairs."""
    targets = np.array(labelled.targets, dtype=np.float32)
    for name, value in (source.labels if source else {}).items():
        column = targets[:, ATTRIBUTES.index(name)]
        column[np.isnan(column)] = value
    targets[:, [name not in data.attributes for name in ATTRIBUTES]] = np.nan
    columns: dict[str, Any] = {"soft": logits_of(labelled)}
    if labelled.kinds is not None:
        columns["weights"] = np.where(np.array(labelled.kinds) == "weak", data.weak_weight, 1)
    if "pair" in labelled.extra:
        columns["pairs"] = _numbered(labelled.extra["pair"])
    return make_corpus(labelled.texts, targets, **columns)


def _numbered(values: np.ndarray) -> np.ndarray:
    """Number the values of a column from 0 on; -1 where it is empty."""
    names = ["" if value is None or value != value else str(value) for value in values.tolist()]
    known = {name: i for i, name in enumerate(dict.fromkeys(name for name in names if name))}
    return np.array([known.get(name, -1) for name in names], np.int64)


def _published(recipe: Recipe, folder: Path) -> tuple[Corpus, Corpus]:
    file = recipe.data.files[0]
    labelled = read_labelled(find_source(folder, file))
    train, validation, _ = published_splits(labelled, seed=recipe.seed)
    corpus = _from_labelled(train, recipe.data)
    if recipe.loss.states:
        corpus.states = states_of(train, file)
    return corpus, _from_labelled(validation, recipe.data)
