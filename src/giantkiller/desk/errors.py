"""What can go wrong with a request to the desk, each with the HTTP status that says it."""

from giantkiller.errors import UserError


class DeskError(UserError):
    """A request that the desk refuses; the message is for the person who asked."""

    status = 400


class NotFoundError(DeskError):
    """There is no such thing, or it isn't for whoever asks."""

    status = 404


class NotAllowedError(DeskError):
    """The person may not do this."""

    status = 403


class ConflictError(DeskError):
    """Somebody or something was quicker: a lease ended, a comment was edited, a time has passed."""

    status = 409
