"""The desk in the process of the service."""

from starlette.applications import Starlette
from starlette.routing import BaseRoute

from giantkiller.desk import (
    api,
    views_account,
    views_lead,
    views_model,
    views_public,
    views_queue,
    views_year,
)
from giantkiller.desk.delivery import Courier
from giantkiller.desk.intake import intake_of
from giantkiller.desk.upkeep import Upkeep
from giantkiller.serve.app import create
from giantkiller.serve.service import Service


def routes() -> list[BaseRoute]:
    """Return all routes of the desk."""
    return [
        *api.routes(),
        *views_public.routes(),
        *views_account.routes(),
        *views_queue.routes(),
        *views_lead.routes(),
        *views_model.routes(),
        *views_year.routes(),
    ]


def compose(service: Service) -> Starlette:
    """Make the application: the scoring service, and the desk in it."""
    service.intake = intake_of(service)
    courier = Courier(service.store, web_address(service))
    return create(service, routes(), [courier.running, Upkeep(service.store).running])


def web_address(service: Service) -> str:
    """Return the address that links to the desk begin with."""
    return service.settings.public_url or f"http://{service.settings.bind}"
