"""Open toxicity screening with a dendritic BERT-Tiny."""

from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"
__all__ = ["Screener", "UserError", "__version__"]

if TYPE_CHECKING:
    from giantkiller.errors import UserError
    from giantkiller.screener import Screener


def __getattr__(name: str) -> Any:
    # Imported on first use: `import giantkiller` must not pay for numpy and onnxruntime.
    if name == "Screener":
        from giantkiller.screener import Screener

        return Screener
    if name == "UserError":
        from giantkiller.errors import UserError

        return UserError
    raise AttributeError(f"module 'giantkiller' has no attribute {name!r}")
