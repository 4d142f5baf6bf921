"""A judge that a reader can check by hand, and the files that it screens."""

import csv
import gzip
import io

import numpy as np

from giantkiller.attributes import ATTRIBUTES
from giantkiller.files import Verdicts

ADDED = [*ATTRIBUTES, "action", "attribute", "error"]


def by_length(texts):
    """A judge that can be checked by hand: the score is the length in thousands of characters."""
    assert all(isinstance(text, str) for text in texts)
    scores = np.array([[len(text) / 1000] * 7 for text in texts], dtype=np.float32)
    long = [len(text) >= 500 for text in texts]
    return Verdicts(
        scores, ["remove" if it else "allow" for it in long], ["insult" if it else None for it in long]
    )


def write(path, content):
    data = content if isinstance(content, bytes) else content.encode()
    path.write_bytes(gzip.compress(data) if path.name.endswith(".gz") else data)
    return path


def read(path):
    data = path.read_bytes()
    return (gzip.decompress(data) if path.name.endswith(".gz") else data).decode()


def read_csv(path, delimiter=","):
    return list(csv.DictReader(io.StringIO(read(path), newline=""), delimiter=delimiter))


def leftovers(folder):
    return [path.name for path in folder.iterdir() if path.name.startswith(".")]
