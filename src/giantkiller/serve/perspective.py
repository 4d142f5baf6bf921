"""`comments:analyze` and `comments:suggestscore`, as the Perspective API answered them."""

import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from giantkiller.attributes import ATTRIBUTES
from giantkiller.serve.calls import Analyze, Context, Suggest, Suggested, Text, Wanted, in_camel_case
from giantkiller.serve.errors import ApiError, analyzer_error
from giantkiller.serve.feedback import Feedback, keep_feedback
from giantkiller.serve.http import (
    BadJsonError,
    Json,
    count_against,
    decode,
    find_key,
    headers_of,
    key_in,
    read_body,
    rounded,
    said_by,
    too_large,
)
from giantkiller.serve.keys import Key
from giantkiller.serve.language import Detected, detect, is_english, is_tag
from giantkiller.serve.sentences import sentences
from giantkiller.serve.service import Service, service_of

MAX_CHARS = 20_480
"""Characters of a comment that are accepted; clients cut there."""

MAX_BYTES = 1 << 20
"""Bytes of a call; the longest comment takes a quarter of it, however it is escaped."""

OMITTED = "X-Giantkiller-Omitted-Attributes"
"""The response header that names the attributes which were asked for and that we lack."""

_PRODUCTION = {
    "TOXICITY": "toxicity",
    "SEVERE_TOXICITY": "severe_toxicity",
    "IDENTITY_ATTACK": "identity_attack",
    "INSULT": "insult",
    "PROFANITY": "obscene",
    "THREAT": "threat",
}
NAMES = {
    **_PRODUCTION,
    **{f"{name}_EXPERIMENTAL": ours for name, ours in _PRODUCTION.items()},
    "OBSCENE": "obscene",
    "SEXUALLY_EXPLICIT": "sexual_explicit",
    "SEXUALLY_EXPLICIT_EXPERIMENTAL": "sexual_explicit",
}
"""The Perspective API's names for our attributes."""

LACKING = frozenset(
    (
        "FLIRTATION",
        "FLIRTATION_EXPERIMENTAL",
        "AFFINITY_EXPERIMENTAL",
        "COMPASSION_EXPERIMENTAL",
        "CURIOSITY_EXPERIMENTAL",
        "NUANCE_EXPERIMENTAL",
        "PERSONAL_STORY_EXPERIMENTAL",
        "REASONING_EXPERIMENTAL",
        "RESPECT_EXPERIMENTAL",
        "ATTACK_ON_AUTHOR",
        "ATTACK_ON_COMMENTER",
        "INCOHERENT",
        "INFLAMMATORY",
        "LIKELY_TO_REJECT",
        "SPAM",
        "UNSUBSTANTIAL",
    )
)
"""Attributes that the Perspective API had and we have not."""

_COLUMN = {name: ATTRIBUTES.index(ours) for name, ours in NAMES.items()}
_MOST_SPANS = 1000
_MOST_LANGUAGES = 32


# Not strict: Google's JSON takes numbers and booleans as text, too.
_ANALYZE = msgspec.json.Decoder(Analyze, strict=False)
_SUGGEST = msgspec.json.Decoder(Suggest, strict=False)


class Answer(NamedTuple):
    """What one call comes to; also a part of a batch."""

    content: dict[str, Any]
    headers: dict[str, str]


async def analyze(request: Request) -> Response:
    """Answer `POST /v1alpha1/comments:analyze`."""
    service = service_of(request.app)
    key = await caller(service, request.scope["query_string"], headers_of(request), "score")
    request.scope["giantkiller.key"] = key.id
    service.batcher.check()
    return Json(*_reply(await analyze_comment(service, key, await _body(request, service))))


async def suggestscore(request: Request) -> Response:
    """Answer `POST /v1alpha1/comments:suggestscore`."""
    service = service_of(request.app)
    key = await caller(service, request.scope["query_string"], headers_of(request), "submit")
    request.scope["giantkiller.key"] = key.id
    return Json(*_reply(await suggest_score(service, key, await _body(request, service))))


async def _body(request: Request, service: Service) -> bytes:
    return await read_body(request, service, min(service.settings.max_body, MAX_BYTES))


def _reply(answer: Answer) -> tuple[dict[str, Any], int, dict[str, str]]:
    return answer.content, 200, answer.headers


async def caller(service: Service, query: bytes, headers: Mapping[str, str], role: str) -> Key:
    """Check a key as Google did: 403 without one, 400 with a wrong one."""
    secret = key_in(query, headers)
    key = await find_key(service, secret)
    if key is None and secret is None:
        raise ApiError(
            403,
            "Method doesn't allow unregistered callers (callers without established identity). Please use "
            "API Key or other form of API consumer identity to call this API.",
            "API_KEY_MISSING",
        )
    if key is None:
        raise ApiError(400, "API key not valid. Please pass a valid API key.", "API_KEY_INVALID")
    if not key.allows(role):
        raise ApiError(403, f"This key lacks the role {role}.", "ROLE_MISSING")
    return key


async def analyze_comment(service: Service, key: Key, body: bytes, *, patient: bool = False) -> Answer:
    """Score one comment.

    Args:
        service: The service.
        key: Who asks.
        body: The call.
        patient: Wait behind other requests instead of being refused: for one of many that came together.

    Raises:
        ApiError: As the comment analyzer did.
    """
    call = _decoded(body, _ANALYZE)
    text = _comment_text(call.comment)
    _check_context(call.context)
    columns, omitted = _columns(call.requested_attributes, service.settings.strict_attributes)
    requested = _languages(call.languages)
    detected = detect(text)
    if not service.settings.any_language:
        _check_competence(requested, detected, next(iter(columns)))
    count_against(service, key, 1)

    spans = sentences(text) if call.span_annotations else [(0, len(text))]
    parts = [text[begin:end] for begin, end in spans] if len(spans) > 1 else []
    batcher = service.batcher
    rows = rounded(await batcher.scores([text, *parts], patient=patient))
    whole, each = rows[0], rows[1:] if parts else rows
    scores = {}
    for name, threshold in columns.items():
        column = _COLUMN[name]
        if threshold is not None and whole[column] < threshold:
            continue
        scores[name] = {
            "spanScores": [
                {"begin": begin, "end": end, "score": {"value": row[column], "type": "PROBABILITY"}}
                for (begin, end), row in zip(spans, each, strict=True)
            ],
            "summaryScore": {"value": whole[column], "type": "PROBABILITY"},
        }
    content: dict[str, Any] = {"attributeScores": scores} if scores else {}
    content["languages"] = requested or (["en"] if detected.english else list(detected.languages))
    content["detectedLanguages"] = list(detected.languages)
    if call.client_token is not None:
        content["clientToken"] = call.client_token
    headers = said_by(batcher.screener.bundle)
    return Answer(content, headers | ({OMITTED: ", ".join(omitted)} if omitted else {}))


async def suggest_score(service: Service, key: Key, body: bytes) -> Answer:
    """Keep what a client says the scores should be; it is on disk when this returns.

    Raises:
        ApiError: As the comment analyzer did.
    """
    call = _decoded(body, _SUGGEST)
    text = _comment_text(call.comment)
    _check_context(call.context)
    requested = _languages(call.languages)
    scores, spans = _suggested(call.attribute_scores)
    count_against(service, key, 1)
    feedback = Feedback(
        text=text,
        scores=scores,
        key_id=key.id,
        community=call.community_id,
        client_token=call.client_token,
        spans=spans,
        context=None if call.context is None else msgspec.to_builtins(call.context),
        languages=requested or None,
    )
    await keep(service, feedback)
    content: dict[str, Any] = {"detectedLanguages": list(detect(text).languages)}
    if requested:
        content["requestedLanguages"] = requested
    if call.client_token is not None:
        content["clientToken"] = call.client_token
    return Answer(content, {})


async def keep(service: Service, feedback: Feedback) -> int:
    """Keep feedback; returns its number once it is on disk."""
    import asyncio

    work = service.store.submit(lambda c: keep_feedback(c, feedback, service.feedback_listeners))
    number = await asyncio.wrap_future(work)
    service.metrics.kept()
    return number


def _decoded(body: bytes, decoder: "msgspec.json.Decoder[Any]") -> Any:
    if len(body) > MAX_BYTES:
        raise too_large(MAX_BYTES)
    try:
        return decode(in_camel_case(body) or b"{}", decoder)
    except BadJsonError as error:
        raise analyzer_error(str(error)) from None


def _comment_text(comment: Text | None) -> str:
    text = (comment.text if comment is not None else None) or ""
    if not text.strip():
        raise analyzer_error("Comment must be non-empty.", "COMMENT_EMPTY")
    if len(text) > MAX_CHARS:
        raise analyzer_error("Comment text too long.", "COMMENT_TOO_LONG")
    assert comment is not None
    _check_type(comment.type)
    return text


def _check_type(kind: str | None) -> None:
    if kind in (None, "", "PLAIN_TEXT", "TEXT_TYPE_UNSPECIFIED"):
        return
    if kind == "HTML":
        raise analyzer_error("Currently, only 'PLAIN_TEXT' comments are supported")
    raise analyzer_error("Unknown text type")


def _check_context(context: Context | None) -> None:
    if context is not None and context.entries and context.article_and_parent_comment is not None:
        raise analyzer_error(
            "Context can have either entries or article_and_parent_comment, but both fields were populated."
        )


def _columns(
    wanted: Mapping[str, Wanted | None] | None, strict: bool
) -> tuple[dict[str, float | None], list[str]]:
    """Return the attributes to answer with their thresholds, and those to leave out."""
    if not wanted:
        raise analyzer_error("Missing requested_attributes", "NO_REQUESTED_ATTRIBUTES")
    columns: dict[str, float | None] = {}
    omitted = []
    for name, how in wanted.items():
        if name not in NAMES:
            if name in LACKING and not strict:
                omitted.append(name)
                continue
            raise _unknown(name)
        threshold = None
        if how is not None:
            if how.score_type not in (None, "", "PROBABILITY", "SCORE_TYPE_UNSPECIFIED"):
                kind = how.score_type if how.score_type in ("STD_DEV_SCORE", "PERCENTILE", "RAW") else "given"
                raise analyzer_error(f"Requested score type {kind} is not supported by attribute {name}")
            threshold = how.score_threshold
            if threshold is not None and not math.isfinite(threshold):
                raise analyzer_error("Invalid score_threshold")
        columns[name] = threshold
    if not columns:
        raise _unknown(omitted[0])
    return columns, omitted


def _unknown(name: str) -> ApiError:
    shown = name if len(name) <= 64 and name.isascii() and name.replace("_", "").isalnum() else "(not a name)"
    return analyzer_error(f"Unknown requested attribute: {shown}")


def _languages(given: Sequence[str] | None) -> list[str]:
    languages = list(given or ())
    if len(languages) > _MOST_LANGUAGES or not all(map(is_tag, languages)):
        raise analyzer_error("Invalid languages: give language tags such as en")
    return languages


def _check_competence(requested: Sequence[str], detected: Detected, attribute: str) -> None:
    """Refuse what is not English, unless the client says that it is."""
    if detected.english or any(map(is_english, requested)):
        return
    payload: dict[str, Any] = {"detectedLanguages": list(detected.languages), "attribute": attribute}
    if requested:
        payload["requestedLanguages"] = list(requested)
    raise analyzer_error(
        f"Attribute {attribute} does not support request languages: "
        f"{', '.join(requested or detected.languages)}",
        "LANGUAGE_NOT_SUPPORTED_BY_ATTRIBUTE",
        languageNotSupportedByAttributeError=payload,
    )


def _suggested(
    given: Mapping[str, Suggested | None] | None,
) -> tuple[dict[str, float], dict[str, Any] | None]:
    """Return summary scores by our attributes, and the spans as they were sent."""
    if not given:
        raise analyzer_error("Missing attribute_scores", "NO_REQUESTED_ATTRIBUTES")
    scores: dict[str, float] = {}
    spans: dict[str, Any] = {}
    for name, suggested in given.items():
        if name not in NAMES and name not in LACKING:
            raise _unknown(name)
        ours = NAMES.get(name, name)
        values = [] if suggested is None else [suggested.summary_score]
        parts = (suggested.span_scores if suggested is not None else None) or []
        if len(parts) > _MOST_SPANS:
            raise analyzer_error(f"Too many span_scores for attribute {name}: at most {_MOST_SPANS}")
        for score in [*values, *(part.score for part in parts)]:
            if score is not None and score.value is not None and not 0 <= score.value <= 1:
                raise analyzer_error(f"Invalid score for attribute {name}: it must be from 0 to 1")
        if values and values[0] is not None and values[0].value is not None:
            scores[ours] = values[0].value
        if parts:
            spans[ours] = msgspec.to_builtins(parts)
    if not scores and not spans:
        raise analyzer_error("Missing attribute_scores", "NO_REQUESTED_ATTRIBUTES")
    return scores, spans or None
