"""What a command says when the package it needs was left out of the install."""

import importlib.util

from giantkiller.errors import MissingExtraError


def need_extra(extra: str, *modules: str) -> None:
    """Refuse, before anything heavy is imported, when a module of an extra is missing.

    Args:
        extra: The extra that brings the modules.
        modules: Import names.

    Raises:
        MissingExtraError: If one is not installed.
    """
    names = {"sklearn": "scikit-learn"}
    for module in modules:
        if importlib.util.find_spec(module) is None:
            raise MissingExtraError(names.get(module, module), extra)
