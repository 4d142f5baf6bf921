"""Work in the database for a request; what the desk refuses becomes an answer."""

import asyncio
from typing import Any

import anyio.to_thread

from giantkiller.desk.errors import DeskError
from giantkiller.serve.errors import ApiError
from giantkiller.serve.service import Service


async def in_thread(work: Any) -> Any:
    """Run a reading work in a thread.

    Raises:
        ApiError: If the desk refuses.
    """
    try:
        return await anyio.to_thread.run_sync(work)
    except DeskError as error:
        raise _api_error(error) from None


async def written(service: Service, work: Any) -> Any:
    """Run a work in the writer's transaction, which it shares with others that come at the same time.

    Raises:
        ApiError: If the desk refuses.
    """
    try:
        return await asyncio.wrap_future(service.store.submit(work))
    except DeskError as error:
        raise _api_error(error) from None


async def written_together(service: Service, work: Any, argument: Any) -> Any:
    """Run a work as `written` does, once for all arguments that are handed in at the same time.

    Args:
        service: The service.
        work: As `Store.submit_together` takes it.
        argument: This request's.

    Raises:
        ApiError: If the desk refuses.
    """
    try:
        return await asyncio.wrap_future(service.store.submit_together(work, argument))
    except DeskError as error:
        raise _api_error(error) from None


def _api_error(error: DeskError) -> ApiError:
    message = str(error)
    reason = {404: "NOT_FOUND", 409: "CONFLICT", 403: "NOT_ALLOWED"}.get(error.status, "INVALID_REQUEST")
    return ApiError(error.status, message[0].upper() + message[1:] + ".", reason)
