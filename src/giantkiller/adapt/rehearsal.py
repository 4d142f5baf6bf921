"""What must not be forgotten: texts that come with the package, and what they are labelled."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from giantkiller.attributes import ATTRIBUTES
from giantkiller.data.augment.templates import identity_sentences
from giantkiller.data.holdout import is_held_out, merge_key
from giantkiller.data.situations import read_situations

SITUATIONS = 2000
"""Situations that are rehearsed; each costs the time of the old model's scores for it."""
OWN = 3000
"""A site's own comments that are rehearsed, at most."""
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


def to_learn(unlabelled: list[str] | None = None) -> Rehearsal:
    """Return what is rehearsed while learning: situations and sentences that train, and a site's own texts.

    Args:
        unlabelled: The site's, for which the old model's scores are the targets.
    """
    situations = read_situations("train")
    drawn = np.random.default_rng(SEED).permutation(len(situations))[:SITUATIONS]
    situations = [situations[row] for row in np.sort(drawn)]
    texts, targets = _sentences(held_out=False)
    own = list(unlabelled or [])
    own = [own[row] for row in np.random.default_rng(SEED).permutation(len(own))[:OWN]]
    return Rehearsal(
        [*(each.text for each in situations), *texts, *own],
        np.concatenate(
            [
                np.array([each.targets for each in situations], np.float32),
                targets,
                np.full((len(own), len(ATTRIBUTES)), np.nan, np.float32),
            ]
        ),
    )


def to_judge() -> dict[str, Rehearsal]:
    """Return what is judged elsewhere than on the site: name to texts of which learning saw none.

    The situations are those of the validation split, harmful or not; the sentences about identities are
    those that a hash holds out.
    """
    situations = read_situations("validation")
    targets = np.full((len(situations), len(ATTRIBUTES)), np.nan, np.float32)
    targets[:, ATTRIBUTES.index("toxicity")] = [each.harmful for each in situations]
    return {
        "situations": Rehearsal([each.text for each in situations], targets),
        "sentences": Rehearsal(*_sentences(held_out=True)),
    }


def _sentences(*, held_out: bool) -> tuple[list[str], NDArray[np.float32]]:
    texts, targets = identity_sentences(SENTENCES, SEED)
    kept = [row for row, text in enumerate(texts) if is_held_out(merge_key(text), HELD_OUT) is held_out]
    return [texts[row] for row in kept], targets[kept]
