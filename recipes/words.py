"""Write the word list that text cleaning reads: common words of comments, most common first.

Example: python recipes/words.py --data DATA > src/giantkiller/cleaning/words.txt
"""

import argparse
import re
import sys
from collections import Counter
from pathlib import Path

import pyarrow.parquet as parquet

TWO_LETTERS = (
    "ah am an as at be by do eh go ha he hi if im in is it la me my no of oh "
    "ok on or pm so to tv uh uk up us we yo"
)


def words(data: Path) -> list[str]:
    """Rank the words of the Civil Comments training texts (CC0) by how often they occur."""
    counts: Counter[str] = Counter()
    for text in parquet.read_table(data / "civil_train.parquet", columns=["text"])["text"].to_pylist():
        counts.update(re.findall(r"(?<![\w@#/.&-])[a-z]{2,}(?![\w@/&])", text.lower()))
    least = {2: 1, 3: 20}
    return [
        word
        for word, count in counts.most_common()
        if count >= least.get(len(word), 5) and (len(word) > 2 or word in TWO_LETTERS.split())
    ]


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    sys.stdout.write("\n".join(words(parser.parse_args().data)) + "\n")
