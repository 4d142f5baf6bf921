"""Errors as clients get them: the Perspective API's own shape, for every route that speaks JSON."""

from collections.abc import Mapping
from typing import Any

import msgspec

STATUS = {
    400: "INVALID_ARGUMENT",
    401: "UNAUTHENTICATED",
    403: "PERMISSION_DENIED",
    404: "NOT_FOUND",
    405: "UNIMPLEMENTED",
    408: "DEADLINE_EXCEEDED",
    409: "ABORTED",
    411: "INVALID_ARGUMENT",
    413: "INVALID_ARGUMENT",
    414: "INVALID_ARGUMENT",
    415: "INVALID_ARGUMENT",
    429: "RESOURCE_EXHAUSTED",
    431: "INVALID_ARGUMENT",
    500: "INTERNAL",
    503: "UNAVAILABLE",
}
"""Google's names for HTTP statuses."""

COMMENT_ANALYZER_ERROR = "type.googleapis.com/google.commentanalyzer.v1alpha1.Error"
ERROR_INFO = "type.googleapis.com/google.rpc.ErrorInfo"


class ApiError(Exception):
    """An answer that is an error.

    Args:
        code: HTTP status.
        message: One sentence; never a part of a comment.
        reason: A constant for programs.
        details: Replaces the detail made from `reason`; never empty.
        headers: Further response headers.
    """

    def __init__(
        self,
        code: int,
        message: str,
        reason: str = "INVALID_REQUEST",
        *,
        details: list[dict[str, Any]] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.reason = reason
        self.details = details or [{"@type": ERROR_INFO, "reason": reason, "domain": "giantkiller"}]
        self.headers = dict(headers or {})

    def to_dict(self) -> dict[str, Any]:
        """Return the body: {"error": {"code", "message", "status", "details"}}."""
        return {
            "error": {
                "code": self.code,
                "message": self.message,
                "status": STATUS.get(self.code, "UNKNOWN"),
                "details": self.details,
            }
        }

    def body(self) -> bytes:
        """Return the body as JSON."""
        return msgspec.json.encode(self.to_dict())


def analyzer_error(message: str, error_type: str = "INVALID_REQUEST", **payload: Any) -> ApiError:
    """Make a 400 as the comment analyzer gave it: a typed detail with its own payload."""
    detail = {"@type": COMMENT_ANALYZER_ERROR, "errorType": error_type, **payload}
    return ApiError(400, message, error_type, details=[detail])


def overloaded(seconds: float, message: str = "The service is busy; try again.") -> ApiError:
    """Make a 503 that says when to come back."""
    return ApiError(503, message, "OVERLOADED", headers={"Retry-After": str(max(1, round(seconds)))})
