"""What must not be forgotten: texts that come with the package, and what they are labelled."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from giantkiller.adapt.decisions import TOXICITY
from giantkiller.attributes import ATTRIBUTES
from giantkiller.data.augment.templates import identity_sentences
from giantkiller.data.holdout import is_held_out, merge_key
from giantkiller.data.situations import Situation, read_situations

SITUATIONS = 2000
"""Situations that are rehearsed, at most; each costs the time of the old model's scores for it."""
FEWEST = 600
"""At least, beside real comments, of which as many are rehearsed as situations."""
SENTENCES = 1600
HELD_OUT = 0.2
SEED = 20261129


@dataclass(frozen=True)
class Rehearsal:
    """Labelled texts.

    Attributes:
        texts: The texts.
        targets: float32 (n, 7), NaN where only the old model's scores count.
    """

    texts: list[str]
    targets: NDArray[np.float32]

    def __len__(self) -> int:
        return len(self.texts)

    @property
    def labelled(self) -> bool:
        """Whether anybody said what is toxic among them."""
        return not bool(np.isnan(self.targets[:, TOXICITY]).all())

    def labels(self, old: NDArray[np.floating]) -> NDArray[np.float64]:
        """Return the labels for toxicity; without any, who is in the tenth that a model scores highest.

        Args:
            old: (n,) that model's scores.
        """
        if self.labelled:
            return self.targets[:, TOXICITY].astype(np.float64)
        labels = np.zeros(len(old))
        labels[np.argsort(-old, kind="stable")[: max(1, len(old) // 10)]] = 1
        return labels


def unlabelled(texts: list[str]) -> Rehearsal:
    """Return texts for which only the old model's scores count."""
    return Rehearsal(texts, np.full((len(texts), len(ATTRIBUTES)), np.nan, np.float32))


def to_learn(comments: Sequence[str] = ()) -> Rehearsal:
    """Return what is rehearsed while learning: situations and sentences that train, and real comments.

    Args:
        comments: Those for which the old model's scores are the targets.
    """
    count = min(SITUATIONS, max(FEWEST, len(comments))) if comments else SITUATIONS
    situations = _training(count)
    texts, targets = _sentences(held_out=False)
    some = np.sort(np.random.default_rng(SEED).permutation(len(texts))[: count // 2])
    texts, targets = [texts[row] for row in some], targets[some]
    return Rehearsal(
        [*(each.text for each in situations), *texts, *comments],
        np.concatenate(
            [
                np.array([each.targets for each in situations], np.float32),
                targets,
                np.full((len(comments), len(ATTRIBUTES)), np.nan, np.float32),
            ]
        ),
    )


def to_choose() -> dict[str, Rehearsal]:
    """Return half of the situations of the validation split, of which the model learned nothing."""
    return {"situations": _harmful(_validation(judging=False))}


def to_judge() -> dict[str, Rehearsal]:
    """Return what is judged elsewhere than on the site: name to texts of which learning saw none.

    The situations are the other half of the validation split, twins together; the sentences about identities
    are those that a hash holds out.
    """
    return {
        "situations": _harmful(_validation(judging=True)),
        "sentences": Rehearsal(*_sentences(held_out=True)),
    }


def _training(count: int) -> list[Situation]:
    """Return so many of the situations that train, drawn once for all."""
    situations = read_situations("train")
    drawn = np.random.default_rng(SEED).permutation(len(situations))[:count]
    return [situations[row] for row in np.sort(drawn)]


def _validation(*, judging: bool) -> list[Situation]:
    situations = read_situations("validation")
    return [each for each in situations if is_held_out(each.pair or merge_key(each.text), 0.5) is judging]


def _harmful(situations: Sequence[Situation]) -> Rehearsal:
    targets = np.full((len(situations), len(ATTRIBUTES)), np.nan, np.float32)
    targets[:, TOXICITY] = [each.harmful for each in situations]
    return Rehearsal([each.text for each in situations], targets)


def _sentences(*, held_out: bool) -> tuple[list[str], NDArray[np.float32]]:
    texts, targets = identity_sentences(SENTENCES, SEED)
    kept = [row for row, text in enumerate(texts) if is_held_out(merge_key(text), HELD_OUT) is held_out]
    return [texts[row] for row in kept], targets[kept]
