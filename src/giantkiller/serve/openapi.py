"""The description of all routes for programs, made from the types that decode and encode them."""

from functools import cache
from typing import Any

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from giantkiller import __version__
from giantkiller.attributes import ATTRIBUTES
from giantkiller.serve import calls, native
from giantkiller.serve.discovery import root_url
from giantkiller.serve.hooks import comments, coral, detoxify, matrix
from giantkiller.serve.http import Json

_REQUESTS = (
    calls.Analyze,
    calls.Suggest,
    native.ScoreRequest,
    native.JudgeRequest,
    coral.Moderation,
    comments.HookComments,
    matrix.Check,
    matrix.Ping,
    detoxify.Classify,
)
_RESPONSES = (
    native.ScoreResponse,
    native.JudgeResponse,
    native.PolicyResponse,
    native.ModelResponse,
    comments.HookResponse,
)
_TOXIC = "You are an idiot"
_SCORES = dict(zip(ATTRIBUTES, (0.95, 0.02, 0.12, 0.01, 0.93, 0.02, 0.01), strict=True))
_ANALYZED = {
    "attributeScores": {
        "TOXICITY": {
            "spanScores": [{"begin": 0, "end": 16, "score": {"value": 0.95, "type": "PROBABILITY"}}],
            "summaryScore": {"value": 0.95, "type": "PROBABILITY"},
        }
    },
    "languages": ["en"],
    "detectedLanguages": ["und"],
}


async def document(request: Request) -> Response:
    """Answer `GET /openapi.json`."""
    return Json({**description(), "servers": [{"url": root_url(request).rstrip("/")}]})


@cache
def description() -> dict[str, Any]:
    """Return the OpenAPI 3.1 document, without servers."""
    _, schemas = msgspec.json.schema_components(
        (*_REQUESTS, *_RESPONSES), ref_template="#/components/schemas/{name}"
    )
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Giant-Killer",
            "version": __version__,
            "description": "Scores comments for toxicity; answers as the Perspective API did, too.",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "security": [{"bearer": []}, {"key": []}],
        "paths": _paths(),
        "components": {
            "schemas": {**schemas, **_SCHEMAS},
            "securitySchemes": {
                "bearer": {"type": "http", "scheme": "bearer"},
                "key": {"type": "apiKey", "in": "query", "name": "key"},
            },
        },
    }


def _error(description: str) -> dict[str, Any]:
    return {"description": description, "content": _json({"$ref": "#/components/schemas/Error"})}


def _json(schema: dict[str, Any], example: Any = None, media: str = "application/json") -> dict[str, Any]:
    content: dict[str, Any] = {"schema": schema}
    if example is not None:
        content["example"] = example
    return {media: content}


def _ref(name: str) -> dict[str, str]:
    return {"$ref": f"#/components/schemas/{name}"}


_ERRORS = {
    "400": _error("The request is wrong; the message says what."),
    "401": _error("No valid key."),
    "403": _error("The key lacks the role, or there is none."),
    "408": _error("The body came too slowly."),
    "413": _error("The body is too large."),
    "415": _error("The body is compressed, or no JSON."),
    "429": _error(
        "The key, or the secret that signed, has used up its rate; Retry-After says when to come back."
    ),
    "503": _error("Too much is waiting; Retry-After says when to come back."),
}


def _operation(
    name: str,
    summary: str,
    response: dict[str, Any],
    body: dict[str, Any] | None = None,
    parameters: list[dict[str, Any]] | None = None,
    *,
    public: bool = False,
    description: str = "OK",
) -> dict[str, Any]:
    operation: dict[str, Any] = {
        "operationId": name,
        "summary": summary,
        "responses": {"200": {"description": description, "content": response}, **_ERRORS},
    }
    if body is not None:
        operation["requestBody"] = {"required": True, "content": body}
    if parameters:
        operation["parameters"] = parameters
    if public:
        operation["security"] = []
    return operation


_SCHEMAS: dict[str, Any] = {
    "Error": {
        "type": "object",
        "required": ["error"],
        "properties": {
            "error": {
                "type": "object",
                "required": ["code", "message", "status", "details"],
                "properties": {
                    "code": {"type": "integer"},
                    "message": {"type": "string"},
                    "status": {"type": "string"},
                    "details": {"type": "array", "minItems": 1, "items": {"type": "object"}},
                },
            }
        },
    },
    "AttributeScore": {
        "type": "object",
        "required": ["summaryScore", "spanScores"],
        "properties": {
            "summaryScore": _ref("Probability"),
            "spanScores": {
                "type": "array",
                "items": {
                    "type": "object",
                    "required": ["begin", "end", "score"],
                    "properties": {
                        "begin": {"type": "integer", "minimum": 0},
                        "end": {"type": "integer", "minimum": 0},
                        "score": _ref("Probability"),
                    },
                },
            },
        },
    },
    "Probability": {
        "type": "object",
        "required": ["value", "type"],
        "properties": {
            "value": {"type": "number", "minimum": 0, "maximum": 1},
            "type": {"const": "PROBABILITY"},
        },
    },
    "Analyzed": {
        "type": "object",
        "required": ["languages", "detectedLanguages"],
        "properties": {
            "attributeScores": {"type": "object", "additionalProperties": _ref("AttributeScore")},
            "languages": {"type": "array", "items": {"type": "string"}},
            "detectedLanguages": {"type": "array", "items": {"type": "string"}},
            "clientToken": {"type": "string"},
        },
    },
    "Kept": {
        "type": "object",
        "properties": {
            "clientToken": {"type": "string"},
            "detectedLanguages": {"type": "array", "items": {"type": "string"}},
            "requestedLanguages": {"type": "array", "items": {"type": "string"}},
        },
    },
    "Health": {"type": "object", "required": ["status"], "properties": {"status": {"type": "string"}}},
}


def _paths() -> dict[str, Any]:
    return {**_native(), **_perspective(), **_status(), **_hooks()}


def _native() -> dict[str, Any]:
    """Describe what is at addresses of our own."""
    return {
        "/v1/score": {
            "post": _operation(
                "score",
                "Score one comment, or up to a thousand",
                _json(
                    _ref("ScoreResponse"),
                    {"model": "giantkiller-tiny 0.1.0 (0123456789ab)", "results": [{"scores": _SCORES}]},
                ),
                _json(_ref("ScoreRequest"), {"text": _TOXIC}),
            )
        },
        "/v1/judge": {
            "post": _operation(
                "judge",
                "Say what to do with comments, and why",
                _json(_ref("JudgeResponse")),
                _json(_ref("JudgeRequest"), {"texts": [_TOXIC, "Thanks!"], "explain": True}),
            )
        },
        "/v1/screen": {
            "post": _operation(
                "screen",
                "Screen JSON Lines of any length: each line comes back with its scores and the action",
                _json({"type": "string"}, media="application/x-ndjson"),
                _json({"type": "string"}, f'{{"text": "{_TOXIC}"}}\n', "application/x-ndjson"),
                [
                    {
                        "name": "column",
                        "in": "query",
                        "description": "The field with the comment.",
                        "schema": {"type": "string", "default": "text", "minLength": 1, "maxLength": 200},
                    }
                ],
                description="Each line in its place; one that could not be screened says why in `error`.",
            )
        },
        "/v1/policy": {
            "get": _operation("policy", "Thresholds of the policy", _json(_ref("PolicyResponse")))
        },
        "/v1/model": {
            "get": _operation("model", "The model's name, hash and figures", _json(_ref("ModelResponse")))
        },
        "/v1/feedback": {
            "get": _operation(
                "feedback",
                "Kept feedback as labelled comments, in JSON Lines, oldest first",
                _json({"type": "string"}, media="application/x-ndjson"),
                parameters=[
                    {
                        "name": "after",
                        "in": "query",
                        "description": "The number of the last row that you have.",
                        "schema": {"type": "integer", "minimum": 0, "default": 0},
                    }
                ],
            )
        },
    }


def _perspective() -> dict[str, Any]:
    """Describe what answers as the Perspective API did."""
    return {
        "/v1alpha1/comments:analyze": {
            "post": _operation(
                "analyze",
                "Score a comment, as the Perspective API did",
                _json(_ref("Analyzed"), _ANALYZED),
                _json(
                    _ref("Analyze"),
                    {"comment": {"text": _TOXIC}, "requestedAttributes": {"TOXICITY": {}}},
                ),
            )
        },
        "/v1alpha1/comments:suggestscore": {
            "post": _operation(
                "suggestscore",
                "Keep what a comment's scores should be, as the Perspective API did",
                _json(_ref("Kept"), {"clientToken": "comment:1", "detectedLanguages": ["und"]}),
                _json(
                    _ref("Suggest"),
                    {
                        "comment": {"text": _TOXIC},
                        "attributeScores": {"TOXICITY": {"summaryScore": {"value": 1}}},
                        "clientToken": "comment:1",
                    },
                ),
            )
        },
        "/batch": {
            "post": _operation(
                "batch",
                "Up to a thousand calls in multipart/mixed, as Google's client libraries send them",
                _json({"type": "string"}, media="multipart/mixed"),
                _json({"type": "string"}, media="multipart/mixed"),
            )
        },
        "/$discovery/rest": {
            "get": _operation(
                "discovery",
                "The document Google's client libraries read",
                _json({"type": "object"}),
                public=True,
            )
        },
    }


def _status() -> dict[str, Any]:
    """Describe what says how the service is."""
    return {
        "/healthz": {"get": _operation("healthz", "The process lives", _json(_ref("Health")), public=True)},
        "/readyz": {"get": _operation("readyz", "It can take comments", _json(_ref("Health")), public=True)},
        "/metrics": {
            "get": _operation(
                "metrics", "What Prometheus reads", _json({"type": "string"}, media="text/plain")
            )
        },
    }


_EVENT = {
    "type": "m.room.message",
    "sender": "@ada:example.org",
    "event_id": "$1",
    "room_id": "!1:example.org",
    "content": {"msgtype": "m.text", "body": "Thanks!"},
}


def _hooks() -> dict[str, Any]:
    """Describe what other programs call by contracts of their own; each also with a community behind it."""
    any_object = _json({"type": "object"})
    coral_says = _operation(
        "coral", "Coral's external moderation phase", any_object, _json(_ref("Moderation")), public=True
    )
    coral_says["responses"] |= {"204": {"description": "Nothing to say."}, "404": _error("The hook is off.")}
    signed = _operation(
        "comments",
        "Comments by a signed webhook (Standard Webhooks)",
        _json(_ref("HookResponse")),
        _json(_ref("HookComments")),
        public=True,
    )
    signed["responses"] |= {"404": _error("The hook is off.")}
    event = _operation(
        "matrix_event",
        "synapse-http-antispam: may this event be sent?",
        any_object,
        _json(_ref("Check"), {"event": _EVENT}),
    )
    ping = _operation(
        "matrix_ping", "synapse-http-antispam: ping", any_object, _json(_ref("Ping"), {"id": "1"})
    )
    for operation in (event, ping):  # whatever is JSON with an error status would be a verdict
        text = {"text/plain": {"schema": {"type": "string"}}}
        for code in _ERRORS:
            operation["responses"][code] = {**_ERRORS[code], "content": text}
    event["responses"]["403"] = {
        "description": "The event is rejected, as JSON; or the key lacks the role, as text.",
        "content": {**any_object, "text/plain": {"schema": {"type": "string"}}},
    }
    return {
        "/v1/hooks/coral": {"post": coral_says},
        "/v1/hooks/comments": {"post": signed},
        "/v1/hooks/matrix/check_event_for_spam": {"post": event},
        "/v1/hooks/matrix/ping": {"post": ping},
        "/api/v1/classify": {
            "post": _operation(
                "classify",
                "Scores from 0 to 100, as a Detoxify server gave them to Discourse",
                any_object,
                _json(_ref("Classify"), {"content": _TOXIC}),
            )
        },
    }
