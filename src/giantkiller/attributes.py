"""The seven attributes: their order, what they mean, and their names in other systems."""

ATTRIBUTES = (
    "toxicity",
    "severe_toxicity",
    "obscene",
    "threat",
    "insult",
    "identity_attack",
    "sexual_explicit",
)
"""The order of every array, table and file in this project."""

POSITIVE = 0.5
"""A target counts as positive from this fraction of raters on."""

DEFINITIONS = {
    "toxicity": "rude, disrespectful or unreasonable; likely to make people leave the discussion",
    "severe_toxicity": "very hateful, aggressive or disrespectful; likely to make people leave or give up",
    "obscene": "swear words, curses or other profane language",
    "threat": "an intention to inflict pain, injury or violence on somebody",
    "insult": "inflammatory, demeaning or negative about a person or a group",
    "identity_attack": "negative or hateful about somebody because of their identity",
    "sexual_explicit": "sexual acts, body parts or other lewd content",
}
"""What raters were asked, shortened from the Civil Comments annotation instructions."""

OTHER_NAMES = {
    # Jigsaw unintended bias 2019 (Kaggle) calls toxicity "target"; Jigsaw 2018 has five other names.
    "target": "toxicity",
    "toxic": "toxicity",
    "severe_toxic": "severe_toxicity",
    "obscenity": "obscene",
    "profanity": "obscene",
    "identity_hate": "identity_attack",
    "sexually_explicit": "sexual_explicit",
    # Perspective API
    "TOXICITY": "toxicity",
    "SEVERE_TOXICITY": "severe_toxicity",
    "PROFANITY": "obscene",
    "THREAT": "threat",
    "INSULT": "insult",
    "IDENTITY_ATTACK": "identity_attack",
    "SEXUALLY_EXPLICIT": "sexual_explicit",
}
"""Attribute names elsewhere (Jigsaw 2018 and 2019, Perspective, Detoxify) and ours for them."""


def attribute_of(label: str) -> str | None:
    """Return our name for a label of any system, however it is spelled; None for what is no attribute."""
    for spelling in (label, label.lower(), label.lower().replace(" ", "_").replace("-", "_")):
        if spelling in ATTRIBUTES:
            return spelling
        if spelling in OTHER_NAMES:
            return OTHER_NAMES[spelling]
    return None
