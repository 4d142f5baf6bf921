"""The discovery document, from which Google's client libraries build their methods."""

import re
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from giantkiller.serve.http import Json
from giantkiller.serve.service import Service, service_of

_HOST = re.compile(r"[A-Za-z0-9._-]+(:\d{1,5})?|\[[0-9a-fA-F:.]+\](:\d{1,5})?")


async def discovery(request: Request) -> Response:
    """Answer `GET /$discovery/rest`."""
    return Json(document(root_url(request)))


def root_url(request: Request) -> str:
    """Return the address at which a client reaches this service, with a slash at its end."""
    service: Service = service_of(request.app)
    if service.settings.public_url:
        return service.settings.public_url + "/"
    host = request.headers.get("host", "")
    if not _HOST.fullmatch(host):
        host = service.settings.bind
    return f"{request.scope['scheme']}://{host}/"


def _schema(name: str, **properties: Any) -> dict[str, Any]:
    return {name: {"id": name, "type": "object", "properties": properties}}


def _ref(name: str) -> dict[str, str]:
    return {"$ref": name}


def _list(item: dict[str, str]) -> dict[str, Any]:
    return {"type": "array", "items": item}


def _map(name: str) -> dict[str, Any]:
    return {"type": "object", "additionalProperties": _ref(name)}


_STRING = {"type": "string"}
_BOOLEAN = {"type": "boolean"}
_FLOAT = {"type": "number", "format": "float"}
_INTEGER = {"type": "integer", "format": "int32"}

_CALL = {
    "clientToken": _STRING,
    "comment": _ref("TextEntry"),
    "communityId": _STRING,
    "context": _ref("Context"),
    "languages": _list(_STRING),
    "sessionId": _STRING,
}

_SCHEMAS: dict[str, Any] = {
    **_schema("TextEntry", text=_STRING, type=_STRING),
    **_schema("ArticleAndParentComment", article=_ref("TextEntry"), parentComment=_ref("TextEntry")),
    **_schema(
        "Context",
        articleAndParentComment=_ref("ArticleAndParentComment"),
        entries=_list(_ref("TextEntry")),
    ),
    **_schema("AttributeParameters", scoreThreshold=_FLOAT, scoreType=_STRING),
    **_schema("Score", type=_STRING, value=_FLOAT),
    **_schema("SpanScore", begin=_INTEGER, end=_INTEGER, score=_ref("Score")),
    **_schema("AttributeScores", spanScores=_list(_ref("SpanScore")), summaryScore=_ref("Score")),
    **_schema(
        "AnalyzeCommentRequest",
        **_CALL,
        doNotStore=_BOOLEAN,
        requestedAttributes=_map("AttributeParameters"),
        spanAnnotations=_BOOLEAN,
    ),
    **_schema(
        "AnalyzeCommentResponse",
        attributeScores=_map("AttributeScores"),
        clientToken=_STRING,
        detectedLanguages=_list(_STRING),
        languages=_list(_STRING),
    ),
    **_schema("SuggestCommentScoreRequest", **_CALL, attributeScores=_map("AttributeScores")),
    **_schema(
        "SuggestCommentScoreResponse",
        clientToken=_STRING,
        detectedLanguages=_list(_STRING),
        requestedLanguages=_list(_STRING),
    ),
}


def _method(name: str, request: str, response: str, description: str) -> dict[str, Any]:
    return {
        name: {
            "id": f"commentanalyzer.comments.{name}",
            "path": f"v1alpha1/comments:{name}",
            "flatPath": f"v1alpha1/comments:{name}",
            "httpMethod": "POST",
            "description": description,
            "parameters": {},
            "parameterOrder": [],
            "request": _ref(request),
            "response": _ref(response),
        }
    }


def document(root: str) -> dict[str, Any]:
    """Return the document for a service at an address."""
    return {
        "kind": "discovery#restDescription",
        "discoveryVersion": "v1",
        "id": "commentanalyzer:v1alpha1",
        "name": "commentanalyzer",
        "version": "v1alpha1",
        "revision": "20261124",
        "title": "Perspective Comment Analyzer API, answered by Giant-Killer",
        "description": "Scores comments by how people are likely to see them.",
        "ownerDomain": "giantkiller",
        "protocol": "rest",
        "rootUrl": root,
        "baseUrl": root,
        "basePath": "",
        "servicePath": "",
        "batchPath": "batch",
        "parameters": {
            "key": {"type": "string", "location": "query", "description": "API key."},
            "alt": {
                "type": "string",
                "location": "query",
                "default": "json",
                "enum": ["json"],
                "enumDescriptions": ["Answers in JSON."],
            },
            "prettyPrint": {"type": "boolean", "location": "query", "default": "true"},
        },
        "auth": {},
        "schemas": _SCHEMAS,
        "resources": {
            "comments": {
                "methods": {
                    **_method(
                        "analyze", "AnalyzeCommentRequest", "AnalyzeCommentResponse", "Scores a comment."
                    ),
                    **_method(
                        "suggestscore",
                        "SuggestCommentScoreRequest",
                        "SuggestCommentScoreResponse",
                        "Keeps what a comment's scores should be.",
                    ),
                }
            }
        },
    }
