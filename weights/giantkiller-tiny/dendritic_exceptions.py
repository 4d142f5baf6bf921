"""The error that everything about dendrites raises."""


class DendriteError(ValueError):
    """Bad input that the caller can correct, described in one sentence."""
