"""Which output of a classifier is which attribute."""

from collections.abc import Sequence

from giantkiller.attributes import ATTRIBUTES, attribute_of
from giantkiller.errors import UserError


def label_columns(name: str, labels: Sequence[str]) -> tuple[dict[str, int], bool]:
    """Find the attributes among a classifier's labels.

    Args:
        name: The classifier's, for the error.
        labels: Names of its outputs, in order.

    Returns:
        Attribute to output, and whether outputs exclude each other (softmax).

    Raises:
        UserError: None of them is an attribute.
    """
    if len(labels) == 2:
        toxic = [
            column
            for column, label in enumerate(labels)
            if "tox" in label.lower() and not label.lower().startswith(("non", "not", "neutral"))
        ]
        if len(toxic) == 1 and attribute_of(labels[1 - toxic[0]]) is None:
            return {"toxicity": toxic[0]}, True
    found: dict[str, int] = {}
    for column, label in enumerate(labels):
        attribute = attribute_of(label)
        if attribute:
            found.setdefault(attribute, column)
    if found:
        return found, False
    if set(labels) == {"LABEL_0", "LABEL_1"}:
        return {"toxicity": 1}, True
    raise UserError(
        f"{name} has the labels {', '.join(labels[:8])}, none of which is an attribute; "
        f"set id2label in its config.json to names among {', '.join(ATTRIBUTES)}"
    )
