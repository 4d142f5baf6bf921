"""Comments to time scoring with: a file's, or made up."""

import random
from pathlib import Path

# Sentences of ours; shuffled together they have the lengths of real comments (median 35 tokens).
_SENTENCES = (
    "I disagree with the mayor about the bus lanes.",
    "You clearly did not read the article.",
    "Thanks for the link, that explains a lot!",
    "What a stupid idea, and what a waste of our taxes.",
    "My grandmother has lived in this street since 1962 and never saw anything like it.",
    "Oh please.",
    "The numbers in the third paragraph don't add up: 40% of 2,300 is not 1,150.",
    "Only an idiot would believe that.",
    "We had the same problem at our school, and the council did nothing for three years.",
    "lol, sure",
    "It's not about left or right, it's about who pays for the bridge.",
    "Damn, that goal was beautiful.",
    "Has anybody asked the people who actually work there?",
    "Shut up already.",
    "I respectfully think that both of you are wrong, and here is why.",
    "The Muslim community centre has opened its kitchen to everybody this winter.",
    "He lied in 2014, he lied in 2016, and he is lying now.",
    "Best comment so far :)",
    "If the company can't keep its promises, it should at least say so before the next election.",
    "These clowns couldn't run a lemonade stand...",
)


def read_comments(path: Path, column: str | None, count: int) -> list[str]:
    """Read up to `count` different comments of a CSV, TSV, JSON Lines or Parquet file.

    Args:
        path: The file.
        column: Where the comments are; looked for if None.
        count: How many are wanted.

    Raises:
        UserError: The file can't be read, or has too few comments to time anything.
    """
    from giantkiller.errors import UserError
    from giantkiller.files.tables import read_texts

    texts: dict[str, None] = {}
    for text in read_texts(path, text_column=column):
        texts[text] = None
        if len(texts) >= count:
            break
    if len(texts) < 100:
        raise UserError(f"{path} has {len(texts)} different comments; a measurement needs at least 100")
    return list(texts)


def made_up(count: int) -> list[str]:
    """Make different comments of one to twelve sentences, most of them short; the same ones every time."""
    dice = random.Random(0)
    made: dict[str, None] = {}
    while len(made) < count:
        sentences = dice.choices(_SENTENCES, k=min(12, 1 + int(dice.expovariate(0.4))))
        made[f"{' '.join(sentences)} {dice.choice(('No', 'Page', 'Line'))} {dice.randrange(10_000)}."] = None
    return list(made)
