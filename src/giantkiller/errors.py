"""The errors that a user can mend."""


class UserError(Exception):
    """Bad input, said in one sentence that names the input, the problem and the mend.

    The command line prints the sentence and exits with a non-zero status; programs catch it. Parameters
    stand in backticks (`text_column`): the command line puts its own names for them there.
    """


class MissingExtraError(UserError):
    """A command or function needs a package that the core install leaves out.

    Args:
        package: The package that is missing.
        extra: The extra of giantkiller that brings it.
    """

    def __init__(self, package: str, extra: str) -> None:
        super().__init__(
            f"this needs the package {package!r}, which is not installed; "
            f"install it with: pip install 'giantkiller[{extra}]'"
        )
