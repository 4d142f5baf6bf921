"""Write the word lists that text cleaning reads: common words of comments, most common first, and with
`--spared` the words that only look like misspelt ones.

Example: python recipes/words.py --data DATA > src/giantkiller/cleaning/words.txt
         python recipes/words.py --data DATA --spared > src/giantkiller/cleaning/spared.txt
"""

import argparse
import re
import sys
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

import pyarrow.parquet as parquet
from tokenizers import Tokenizer

from giantkiller.bundle.finding import DEFAULT
from giantkiller.cleaning import lexicon, spelling

TWO_LETTERS = (
    "ah am an as at be by do eh go ha he hi if im in is it la me my no of oh "
    "ok on or pm so to tv uh uk up us we yo"
)

REAL = (
    "negros tats manic bobs rapping rapped boos twas chins moneys lairs crepes waker soot dyes cray morn "
    "hatter hatted tash catskill catskills penistone indiewire thandie squaddies homophones eggshell "
    "hellion candied candies propanal shittier sluttier beardie burnaby analagous pais haer foos raed "
    "quer paks loer peds spis cockburn hitchcock middlesex woodcock shuttlecock scunthorpe clitheroe "
    "lightwater therapist therapists cocktails cockatoo cockatoos rushdie seashell seashells hellbent "
    "hangover hangman screenshot snapshot slingshot gaylord psychoanalysis psychotherapist psychosexual "
    "psychohistory homoerotic foolhardy blackjack blackstone diehard dumbfounded compasses psychotherapy "
    "matsushita killoran hatters dykstra cocksure deadlock deadlocks trashcan trashcans heartburn "
    "dumbbell dumbbells pussycat pussycats psychoanalyst psychosocial eggshells"
)
"""Words, and names of places and people, that one rule or another would make into abuse."""


def count(data: Path, *files: str) -> Counter[str]:
    """Count the words of files of comments."""
    counts: Counter[str] = Counter()
    for file in files:
        for text in parquet.read_table(data / file, columns=["text"])["text"].to_pylist():
            counts.update(re.findall(r"(?<![\w@#/.&-])[a-z]{2,}(?![\w@/&])", text.lower()))
    return counts


def words(counts: Counter[str]) -> list[str]:
    """Rank the words of the Civil Comments training texts (CC0) by how often they occur."""
    least = {2: 1, 3: 20}
    return [
        word
        for word, count in counts.most_common()
        if count >= least.get(len(word), 5) and (len(word) > 2 or word in TWO_LETTERS.split())
    ]


def spared(counts: Counter[str], vocabulary: Iterable[str]) -> list[str]:
    """Find what would be mended and is a word: BERT knows it, or it stands three times and more.

    "Idoit" and "dickface" do, too: what would become a word that people disguise, or have one, is none unless
    BERT knows it.
    """
    known = {*filter(re.compile("[a-z]+").fullmatch, vocabulary), *REAL.split()}
    seen = known | {word for word, count in counts.items() if count > 2}
    meant = {word: spelling.guess(word) for word in seen if 3 < len(word) <= 60}
    disguised = lexicon.disguised_words()
    return sorted(
        word
        for word, guess in meant.items()
        if guess
        and word not in lexicon.words()
        and (word in known or disguised.keys().isdisjoint(guess.split()))
    )


def main() -> None:
    """Print one of the lists."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--spared", action="store_true")
    args = parser.parse_args()
    counts = count(args.data, "civil_train.parquet")
    if args.spared:
        counts += count(args.data, "wiki_train.parquet")
        tokenizer = Tokenizer.from_file(str(DEFAULT / "tokenizer.json"))  # BERT's whole vocabulary
        listed = spared(counts, tokenizer.get_vocab())
    else:
        listed = words(counts)
    sys.stdout.write("\n".join(listed) + "\n")


if __name__ == "__main__":
    main()
