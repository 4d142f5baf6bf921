"""Signatures of what comes in: HMAC-SHA256, compared in constant time."""

import base64
import hashlib
import hmac
from collections.abc import Mapping, Sequence

from pydantic import SecretStr

from giantkiller.serve.errors import ApiError

PREFIX = "whsec_"
"""What a secret of Standard Webhooks begins with; base64 follows."""

LEAST_BYTES = 16
"""Of a secret."""

_MOST = 16  # signatures in one header that are looked at
_LONGEST_ID = 100


def key_of(secret: str) -> bytes:
    """Return the key in a secret of Standard Webhooks.

    Raises:
        ValueError: If it is none.
    """
    try:
        key = base64.b64decode(secret.removeprefix(PREFIX), validate=True)
    except ValueError:
        key = b""
    if not secret.startswith(PREFIX) or len(key) < LEAST_BYTES:
        raise ValueError(f"a secret is {PREFIX} and then at least {LEAST_BYTES} bytes in base64")
    return key


def require_secrets(secrets: Sequence[SecretStr], setting: str) -> list[str]:
    """Return the secrets of a hook.

    Raises:
        ApiError: 404 if there is none, so that the hook is off.
    """
    if not secrets:
        raise ApiError(404, f"This hook is off: the service has no {setting}.", "HOOK_OFF")
    return [secret.get_secret_value() for secret in secrets]


def check_coral(secrets: Sequence[str], header: str, body: bytes) -> int:
    """Check Coral's signature: `sha256=` and hexadecimal digits, several by commas while a secret is rolled.

    Returns:
        Which of the secrets was used, the first one where several were.

    Raises:
        ApiError: 401 if none is right.
    """
    given = [part.strip().removeprefix("sha256=") for part in header.split(",")[:_MOST]]
    expected = [hmac.new(secret.encode(), body, hashlib.sha256).hexdigest() for secret in secrets]
    return _compare(expected, given, "X-Coral-Signature")


def check_standard(
    secrets: Sequence[str], headers: Mapping[str, str], body: bytes, *, now: float, window: float
) -> tuple[str, int]:
    """Check a message signed as Standard Webhooks has it, and that it is no old one.

    Args:
        secrets: As `key_of` takes them.
        headers: By name in lower case: webhook-id, webhook-timestamp and webhook-signature count.
        body: As it came.
        now: Seconds since 1970.
        window: How many seconds the sender's clock may be off, and how long a message counts.

    Returns:
        The message's id, and which of the secrets was used.

    Raises:
        ApiError: 401 if the signature is missing or wrong, or the message too old.
    """
    message, timestamp = headers.get("webhook-id", ""), headers.get("webhook-timestamp", "")
    signed = f"{message}.{timestamp}.".encode("latin-1", "replace") + body
    expected = [
        base64.b64encode(hmac.new(key_of(secret), signed, hashlib.sha256).digest()).decode()
        for secret in secrets
    ]
    parts = headers.get("webhook-signature", "").split(" ")[:_MOST]
    used = _compare(
        expected, [part.removeprefix("v1,") for part in parts if part.startswith("v1,")], "webhook-signature"
    )
    if not (timestamp.isascii() and timestamp.isdecimal() and len(timestamp) < 16):
        raise _refused("webhook-timestamp is no whole number of seconds since 1970.")
    if abs(now - int(timestamp)) > window:
        raise _refused("The message is too old, or one of the clocks is wrong.")
    if not (0 < len(message) <= _LONGEST_ID and message.isascii() and message.isprintable()):
        raise _refused(f"webhook-id has not 1 to {_LONGEST_ID} printable ASCII characters.")
    return message, used


def _compare(expected: Sequence[str], given: Sequence[str], header: str) -> int:
    """Compare each with each, all of them, so that the time tells nothing; return the first that is right."""
    right = [
        sum(hmac.compare_digest(one.encode(), other.encode("utf-8", "replace")) for other in given)
        for one in expected
    ]
    if not any(right):
        raise _refused(f"The signature in {header} is missing or wrong.")
    return next(number for number, found in enumerate(right) if found)


def _refused(message: str) -> ApiError:
    return ApiError(401, message, "SIGNATURE_INVALID")
