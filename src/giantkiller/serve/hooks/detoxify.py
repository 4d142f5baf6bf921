"""What Discourse asked of a Detoxify server, until it dropped its toxicity module in December 2024."""

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from giantkiller.attributes import ATTRIBUTES
from giantkiller.serve.errors import ApiError
from giantkiller.serve.http import BadJsonError, Json, admit, decode, read_body, said_by
from giantkiller.serve.service import service_of


class Classify(msgspec.Struct):
    """A post; the model that it names makes no difference."""

    content: str


_CLASSIFY = msgspec.json.Decoder(Classify)


async def classify(request: Request) -> Response:
    """Answer `POST /api/v1/classify` with whole numbers from 0 to 100."""
    service = service_of(request.app)
    await admit(request, service, "score")
    try:
        call = decode(await read_body(request, service), _CLASSIFY)
    except BadJsonError as error:
        raise ApiError(400, str(error)) from None
    batcher = service.batcher
    (row,) = (await batcher.scores([call.content])).astype(float).tolist()
    scores = {name: round(100 * value) for name, value in zip(ATTRIBUTES, row, strict=True)}
    return Json(scores, headers=said_by(batcher.screener.bundle))
