"""Learn from the people who decide: a site's decisions become a small update of a bundle, if it is better."""

from giantkiller.errors import MissingExtraError

try:
    import torch  # noqa: F401
except ImportError as error:
    raise MissingExtraError("torch", "train") from error

from giantkiller.adapt.adapter import Adaptation, Adapter
from giantkiller.adapt.compose import merge
from giantkiller.adapt.decisions import Decisions, read_decisions
from giantkiller.adapt.delta import Delta, read_delta
from giantkiller.adapt.settings import METHODS, Settings

__all__ = [
    "METHODS",
    "Adaptation",
    "Adapter",
    "Decisions",
    "Delta",
    "Settings",
    "merge",
    "read_decisions",
    "read_delta",
]
