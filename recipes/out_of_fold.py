# ruff: noqa: T201
"""Soft labels of a network and of a linear model that never saw the text's own label.

    python recipes/out_of_fold.py runs/mean-11 --gain 0.2 -o runs/out-of-fold \\
        --learn DATA/civil_train.parquet=3 --learn DATA/wiki_train.parquet \\
        --label runs/own/civil.parquet --label runs/own/wiki.parquet

A network has little new to say of texts that it learned from. Logistic regression on phrases of one to
three tokens, fitted to all parts of the learned texts but one, says something new of those in that part.
Texts to label that were not learned get the word of a regression on all that were; all situations of one
writer are in one part, and a comment's sentences in that of a comment that has them. A tenth of the rated
texts, by their keys, and weak labels are not learned.

With `--characters` it is a linear model of two to five characters inside of words (TF-IDF), which knows what
words that phrases never saw are made of. With `--rescale` the sum is put back to the scale of the logits that
were there before, by least squares: what is new is the order, and no threshold moves.

A file to label has texts and maybe a network's logits in columns `logit_toxicity`, ...; if it has none of the
attribute, the checkpoint says them. `--gain` times the regression's logit is added to the attribute's, and
the output folder gets a file of the same name, in place of one that is there: so a second call adds another
attribute.
"""

import argparse
import sys
import zlib
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix, diags
from sklearn.feature_extraction.text import HashingVectorizer, TfidfTransformer
from sklearn.linear_model import SGDClassifier

from giantkiller.attributes import ATTRIBUTES, POSITIVE
from giantkiller.cleaning import clean_text
from giantkiller.data.augment.sentences import split_sentences
from giantkiller.data.holdout import is_held_out, merge_key
from giantkiller.data.labelled import read_labelled
from giantkiller.data.situations import read_situations
from giantkiller.errors import UserError
from giantkiller.models.inference import Tokens, predict, tokenize
from giantkiller.models.loading import load_checkpoint
from giantkiller.training.phrases import Task, frequent_phrases, one_hot, phrase_counts, rarity, regression
from giantkiller.training.soft_labels import logits_of, write_soft_labels

HOLDOUT = 0.1
"""The share of rated texts that no run learns from."""
LEAST = 3
"""Times that a phrase must occur in the learned texts."""
COLUMNS = 2**21
"""Of hashed characters."""
MOST = 12.0
"""A linear model's logit counts no further than this."""

Floats = NDArray[np.float64]


class Parts:
    """Says which part of the learned texts each text belongs to; texts that were not learned to none."""

    def __init__(self, learned: list[str], count: int) -> None:
        self.count = count
        self._writers = {merge_key(each.text): int(each.writer[1:]) for each in read_situations("train")}
        self._learned = {merge_key(text) for text in learned}
        sentences = {
            merge_key(sentence): merge_key(text) for text in learned for sentence in split_sentences(text)
        }
        self._comments = {key: text for key, text in sentences.items() if key not in self._learned}

    def of(self, texts: list[str]) -> NDArray[np.int64]:
        """Return (n,) numbers of parts; `count` where a text was not learned."""
        keys = [self._comments.get(key, key) for key in map(merge_key, texts)]
        numbers = [self._writers.get(key, zlib.crc32(key.encode())) % self.count for key in keys]
        learned = [key in self._learned for key in keys]
        return np.where(learned, numbers, self.count)


def read_learned(named: list[str], attribute: str) -> tuple[list[str], NDArray[np.bool_], Floats, Any]:
    """Read FILE[=WEIGHT]: n texts, whether each is toxic, weights (n,), and files, one-hot (n, files).

    Raises:
        UserError: A file can't be read, a weight is no number, or nothing is rated.
    """
    texts, toxic, weights, files = [], [], [], []
    for place, name in enumerate(named):
        path, _, weight = name.partition("=")
        try:
            each = float(weight or 1)
        except ValueError:
            raise UserError(f"--learn {name}: {weight!r} is no number; write FILE=WEIGHT, or FILE") from None
        labelled = read_labelled(path)
        shares = labelled.targets[:, ATTRIBUTES.index(attribute)]
        weak = np.array(labelled.kinds or [""] * len(labelled)) == "weak"
        for row in np.flatnonzero(~np.isnan(shares) & ~weak):
            if not is_held_out(merge_key(labelled.texts[row]), HOLDOUT):
                texts.append(labelled.texts[row])
                toxic.append(shares[row] >= POSITIVE)
                weights.append(each)
                files.append(place)
    if not texts:
        raise UserError(f"{', '.join(named)}: nobody was asked about {attribute} there")
    return texts, np.array(toxic), np.array(weights), one_hot(np.array(files))


class PhraseModel:
    """Logistic regression on phrases of one to three tokens."""

    def __init__(self, tokens: Tokens, penalty: float) -> None:
        self._known, self._penalty = frequent_phrases(tokens, LEAST), penalty
        counts = phrase_counts(tokens, self._known)
        times = np.bincount(counts.indices, minlength=len(self._known))
        self._rare = diags(rarity(times, len(tokens.lengths)))

    def inputs(self, texts: list[str], tokens: Tokens) -> Any:
        """Return what it reads of n texts, (n, k) sparse."""
        return (phrase_counts(tokens, self._known) @ self._rare).tocsr()

    def fit(self, inputs: Any, toxic: NDArray[np.bool_], weights: Floats, files: Any) -> Floats:
        """Return a number for each input, (k,)."""
        task = Task(toxic, weights, np.zeros(len(toxic)), self._penalty)
        nothing = csr_matrix((0, inputs.shape[1]))
        return regression(inputs, task, nothing, np.zeros(0), intercepts=files)


class CharacterModel:
    """Logistic regression on two to five characters inside of words, by averaged gradient descent."""

    def __init__(self, texts: list[str]) -> None:
        self._counts = HashingVectorizer(
            analyzer="char_wb", ngram_range=(2, 5), n_features=COLUMNS, norm=None, alternate_sign=False
        )
        self._scale = TfidfTransformer(sublinear_tf=True).fit(self._counts.transform(map(clean_text, texts)))

    def inputs(self, texts: list[str], tokens: Tokens) -> Any:
        """Return what it reads of n texts, (n, k) sparse."""
        return self._scale.transform(self._counts.transform(map(clean_text, texts)))

    def fit(self, inputs: Any, toxic: NDArray[np.bool_], weights: Floats, files: Any) -> Floats:
        """Return a number for each input, (k,).

        Raises:
            UserError: The texts are all toxic, or none is.
        """
        if toxic.all() or not toxic.any():
            raise UserError(
                "--characters: some part leaves texts of one kind; learn more, or in fewer --parts"
            )
        model = SGDClassifier(
            loss="log_loss", alpha=2e-6, max_iter=10, tol=None, average=True, random_state=0
        )
        model.fit(inputs, toxic, sample_weight=weights)
        return np.asarray(model.coef_[0])


def main() -> None:
    """Read what is asked for, and do it."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("network", help="a checkpoint; its tokens make the phrases")
    parser.add_argument(
        "--learn", action="append", required=True, metavar="FILE[=WEIGHT]", help="rated comments"
    )
    parser.add_argument("--label", action="append", required=True, metavar="FILE", help="texts to label")
    parser.add_argument("--attribute", default="toxicity", choices=ATTRIBUTES)
    parser.add_argument("--gain", type=float, required=True, help="of the linear model's logit")
    parser.add_argument("--characters", action="store_true", help="learn from these in place of phrases")
    parser.add_argument("--rescale", action="store_true", help="keep the scale of the logits")
    parser.add_argument("--parts", type=int, default=5, help="of the learned texts")
    parser.add_argument("--inverse-penalty", type=float, default=17.0, help="of phrases, as in recipes")
    parser.add_argument("-o", "--output", type=Path, required=True, help="a folder")
    options = parser.parse_args()
    written = {(options.output / Path(name).name).resolve() for name in options.label}
    learned = {Path(name.partition("=")[0]).resolve() for name in options.learn}
    if written & learned or len(written) < len(options.label):
        parser.error("the output folder would lose a file that is learned, or two to label have one name")
    try:
        run(options)
    except UserError as error:
        sys.exit(f"out_of_fold.py: {error}")


def run(options: argparse.Namespace) -> None:
    """Fit, and label file by file."""
    network = load_checkpoint(options.network)
    encoder = network.encoder()
    texts, toxic, weights, files = read_learned(options.learn, options.attribute)
    tokens = tokenize(encoder, texts, clean=True)
    model = CharacterModel(texts) if options.characters else PhraseModel(tokens, 1 / options.inverse_penalty)
    inputs, parts = model.inputs(texts, tokens), Parts(texts, options.parts)
    part = parts.of(texts)
    numbers = []
    for left_out in range(options.parts + 1):  # nothing is of the last
        rows = np.flatnonzero(part != left_out)
        numbers.append(model.fit(inputs[rows], toxic[rows], weights[rows], files[rows]))
        print(f"fitted {left_out + 1} of {options.parts + 1}", flush=True)
    options.output.mkdir(parents=True, exist_ok=True)
    for name in options.label:
        labelled = read_labelled(name)
        tokens = tokenize(encoder, labelled.texts, clean=True)
        inputs, part = model.inputs(labelled.texts, tokens), parts.of(labelled.texts)
        said = np.zeros(len(labelled))
        for number, weight in enumerate(numbers):
            said[part == number] = inputs[part == number] @ weight
        logits = logits_of(labelled)
        column = logits[:, ATTRIBUTES.index(options.attribute)]  # a view: what is written to it is kept
        if np.isnan(column).all():
            column[:] = predict(network.model, tokens)[:, ATTRIBUTES.index(options.attribute)]
        column[:] = added(column, options.gain * np.clip(said, -MOST, MOST), options.rescale)
        file = options.output / Path(name).name
        write_soft_labels(file, labelled.texts, lambda some, whole=logits: whole, chunk=len(labelled))
        print(f"{file}: {len(labelled)} texts", flush=True)


def added(logits: Floats, more: Floats, rescale: bool) -> Floats:
    """Return the sum; if it is rescaled, the line that foretells it from the logits is the diagonal."""
    both = logits + more
    if not rescale:
        return both
    known = ~np.isnan(logits)
    if np.ptp(logits[known]) == 0:
        raise UserError("--rescale: the logits are all the same; there is no scale to keep")
    slope, start = np.polyfit(logits[known], both[known], 1)
    return np.asarray((both - start) / slope)


if __name__ == "__main__":
    main()
