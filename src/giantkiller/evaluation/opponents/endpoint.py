"""A service that scores comments over HTTP."""

import json
import math
import urllib.error
import urllib.request
from collections.abc import Sequence
from typing import Any
from urllib.parse import urlsplit

import numpy as np
from numpy.typing import NDArray

from giantkiller.attributes import ATTRIBUTES, attribute_of
from giantkiller.errors import UserError
from giantkiller.evaluation.opponents.scoring import ScoringModel

RESPONSE_BYTES = 64 << 20
HTTP_BATCH = 64
HTTP_SECONDS = 60


def endpoint(url: str) -> ScoringModel:
    """A service. Perspective's `comments:analyze` is asked one comment at a time; any other address gets
    {"texts": [...]} and must answer {"scores": {attribute: [...]}}."""
    # Messages leave out the query: it may hold a key.
    shown = _without_query(url)
    perspective = urlsplit(url).path.endswith("comments:analyze")

    def score(texts: Sequence[str]) -> NDArray[Any]:
        result = np.full((len(texts), len(ATTRIBUTES)), np.nan)
        size = 1 if perspective else HTTP_BATCH
        for begin in range(0, len(texts), size):
            batch = list(texts[begin : begin + size])
            if perspective:
                answer = _post(url, {"comment": {"text": batch[0]}, "requestedAttributes": {"TOXICITY": {}}})
                columns = {
                    name: [each.get("summaryScore", {}).get("value")]
                    for name, each in _mapping(shown, answer.get("attributeScores")).items()
                    if isinstance(each, dict)
                }
            else:
                columns = _mapping(shown, _post(url, {"texts": batch}).get("scores"))
            for name, values in columns.items():
                attribute = attribute_of(name)
                if attribute is None:
                    continue
                if not isinstance(values, list) or len(values) != len(batch):
                    raise UserError(f"{shown} answered without one {name} score for each comment")
                if not all(isinstance(v, (int, float)) and math.isfinite(v) for v in values):
                    raise UserError(f"{shown} answered with a {name} score that is no number")
                result[begin : begin + len(batch), ATTRIBUTES.index(attribute)] = values
        return result

    return ScoringModel(name=str(urlsplit(url).hostname), kind="endpoint", score=score)


def _mapping(url: str, thing: Any) -> dict[str, Any]:
    if not isinstance(thing, dict):
        raise UserError(f'{url} did not answer with {{"scores": {{"toxicity": [...]}}}}')
    return thing


def _without_query(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.hostname}{f':{parts.port}' if parts.port else ''}{parts.path}"


def _post(url: str, body: dict[str, Any]) -> dict[str, Any]:
    shown = _without_query(url)
    request = urllib.request.Request(
        url, data=json.dumps(body).encode(), headers={"Content-Type": "application/json"}, method="POST"
    )
    try:
        with urllib.request.urlopen(request, timeout=HTTP_SECONDS) as response:
            raw = response.read(RESPONSE_BYTES + 1)
    except (urllib.error.URLError, TimeoutError, OSError) as error:
        reason = getattr(error, "reason", None) or type(error).__name__
        raise UserError(f"{shown} can't be asked: {reason}") from error
    if len(raw) > RESPONSE_BYTES:
        raise UserError(f"{shown} answered with more than {RESPONSE_BYTES >> 20} MB for one batch")
    try:
        answer = json.loads(raw)
    except (ValueError, RecursionError) as error:
        raise UserError(f"{shown} answered with something that is not JSON") from error
    return _mapping(shown, answer)
