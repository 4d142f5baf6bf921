"""Other systems' label names, and which attribute each is."""

from giantkiller.attributes import ATTRIBUTES, OTHER_NAMES
from giantkiller.errors import UserError


def label_columns(name: str, labels: dict[int, str]) -> tuple[dict[str, int], bool]:
    """Which output is which attribute, and whether outputs exclude each other (softmax)."""
    if len(labels) == 2:
        toxic = [
            column
            for column, label in labels.items()
            if "tox" in label.lower() and not label.lower().startswith(("non", "not", "neutral"))
        ]
        if len(toxic) == 1 and attribute_of(labels[1 - toxic[0]]) is None:
            return {"toxicity": toxic[0]}, True
    found: dict[str, int] = {}
    for column, label in labels.items():
        attribute = attribute_of(label)
        if attribute:
            found.setdefault(attribute, column)
    if found:
        return found, False
    if set(labels.values()) == {"LABEL_0", "LABEL_1"}:
        return {"toxicity": 1}, True
    raise UserError(
        f"{name} has the labels {', '.join(list(labels.values())[:8])}, none of which is one of ours: "
        f"rename one in its config.json ({', '.join(ATTRIBUTES)})"
    )


def attribute_of(label: str) -> str | None:
    """Our name for a label, whatever its capitals and blanks."""
    for spelling in (label, label.lower(), label.lower().replace(" ", "_").replace("-", "_")):
        if spelling in ATTRIBUTES:
            return spelling
        if spelling in OTHER_NAMES:
            return OTHER_NAMES[spelling]
    return None
