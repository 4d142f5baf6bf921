"""Open toxicity screening with a dendritic BERT-Tiny.

from giantkiller import Screener

Screener().predict("You are an idiot")
"""

import importlib
from typing import TYPE_CHECKING, Any

__version__ = "0.15.0"
__all__ = [
    "ACTIONS",
    "ATTRIBUTES",
    "Policy",
    "Screener",
    "UserError",
    "Verdict",
    "__version__",
    "load_screener",
]

if TYPE_CHECKING:
    from giantkiller.attributes import ATTRIBUTES
    from giantkiller.errors import UserError
    from giantkiller.loading import load_screener
    from giantkiller.policy import ACTIONS, Policy, Verdict
    from giantkiller.screener import Screener

# Imported on first use: `import giantkiller` must not pay for numpy and onnxruntime.
_MODULES = {
    "ACTIONS": "policy",
    "ATTRIBUTES": "attributes",
    "Policy": "policy",
    "Screener": "screener",
    "UserError": "errors",
    "Verdict": "policy",
    "load_screener": "loading",
}


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module 'giantkiller' has no attribute {name!r}")
    return getattr(importlib.import_module(f"giantkiller.{_MODULES[name]}"), name)


def __dir__() -> list[str]:
    return __all__
