"""A name for each request, by which its answer and the log are put together."""

import itertools
import re
import secrets

REQUEST_ID = "x-request-id"
"""The header that may bring a request's id along, and that every answer has."""

_GIVEN = re.compile(r"[A-Za-z0-9._-]{1,64}")


class RequestIds:
    """Names requests: as the client or a proxy did, if that is harmless, else by a number of this process."""

    def __init__(self) -> None:
        self._prefix = secrets.token_hex(4)
        self._numbers = itertools.count()

    def name(self, given: str) -> str:
        """Return the id of a request; `given` is what its header says, empty if it says nothing."""
        if given and _GIVEN.fullmatch(given):
            return given
        return f"{self._prefix}{next(self._numbers):08x}"
