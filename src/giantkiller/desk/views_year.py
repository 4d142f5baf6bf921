"""The page of a year's counts, as the DSA asks for them."""

import csv
import io
from dataclasses import asdict

from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute

from giantkiller.desk import yearly
from giantkiller.desk.errors import NotFoundError
from giantkiller.desk.web import Visit, page
from giantkiller.desk.yearly import Year


def routes() -> list[BaseRoute]:
    """Return the routes of this page."""
    return [
        page("/desk/years/{year:int}", year_page, role="lead"),
        page("/desk/years/{year:int}.{form}", year_file, role="lead"),
    ]


def year_page(visit: Visit) -> Response:
    """Show a year's counts and charts."""
    year = _count(visit)
    return visit.render(
        "year.html", counts=year.to_dict(), charts=yearly.charts_of(year, visit.say),
        sections=yearly.SECTIONS, labels=yearly.LABELS, by_hand=yearly.BY_HAND, this_year=visit.now.year,
    )  # fmt: skip


def year_file(visit: Visit) -> Response:
    """Serve a year's counts as CSV or JSON."""
    form = visit.param("form")
    if form not in ("csv", "json"):
        raise NotFoundError("there is no such table")
    year = _count(visit)
    if form == "json":
        return JSONResponse(year.to_dict())
    out = io.StringIO()
    writer = csv.DictWriter(out, ["count", "part", "value"])
    writer.writeheader()
    writer.writerows(asdict(row) for row in yearly.rows_of(year))
    headers = {"Content-Disposition": f'attachment; filename="{year.year}.csv"'}
    return Response(out.getvalue(), media_type="text/csv", headers=headers)


def _count(visit: Visit) -> Year:
    year = visit.request.path_params["year"]
    if not yearly.FIRST_YEAR <= year <= yearly.LAST_YEAR:
        raise NotFoundError(f"there is no report of the year {year}")
    with visit.service.store.read() as connection:
        return yearly.count_year(connection, year)
