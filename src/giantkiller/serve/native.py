"""Our own routes: score, judge, the policy and the model."""

from collections.abc import Mapping, Sequence
from typing import Annotated, Any

import msgspec
from msgspec import Meta
from starlette.requests import Request
from starlette.responses import Response

from giantkiller.attributes import ATTRIBUTES, DEFINITIONS, OTHER_NAMES
from giantkiller.bundle import Bundle
from giantkiller.errors import UserError
from giantkiller.policy import ACTIONS, Policy, Verdict
from giantkiller.serve.batching import Batcher
from giantkiller.serve.errors import ApiError
from giantkiller.serve.http import BadJsonError, Json, admit, count_against, decode, read_body, rounded
from giantkiller.serve.service import service_of

MAX_TEXTS = 1000
MAX_CHARS = 20_480
MAX_EXPLAINED = 16
"""Texts that are explained in one request: an explanation costs a score for each word."""

Text = Annotated[str, Meta(max_length=MAX_CHARS, description="A comment; empty ones are scored, too.")]
Texts = Annotated[list[Text], Meta(max_length=MAX_TEXTS, description=f"Up to {MAX_TEXTS} comments.")]


class ScoreRequest(msgspec.Struct):
    """What to score: `text`, or `texts`."""

    text: Text | None = None
    texts: Texts | None = None
    attributes: list[str] | None = None
    explain: bool | str = False


class JudgeRequest(msgspec.Struct):
    """What to judge: `text`, or `texts`; by the service's policy, or by one given here."""

    text: Text | None = None
    texts: Texts | None = None
    policy: dict[str, dict[str, float | None]] | None = None
    explain: bool = False


class Word(msgspec.Struct):
    """A word and what it added to the score: text[begin:end], in characters."""

    begin: int
    end: int
    text: str
    contribution: float


class Scored(msgspec.Struct, omit_defaults=True):
    """One comment's scores; `words` where an explanation was asked for."""

    scores: dict[str, float]
    words: list[Word] | None = None


class ScoreResponse(msgspec.Struct):
    """The results, in the order of the texts, and the model that gave them."""

    model: str
    results: list[Scored]


class Judged(msgspec.Struct, omit_defaults=True):
    """A verdict and why: the attribute that decided, its score, and the threshold that it reached.

    `threshold` is absent where no action was called for.
    """

    action: str
    label: str
    attribute: str
    score: float
    scores: dict[str, float]
    threshold: float | None = None
    words: list[Word] | None = None


class JudgeResponse(msgspec.Struct):
    """The verdicts, in the order of the texts, the model, and the policy that was applied."""

    model: str
    policy: dict[str, dict[str, float]]
    results: list[Judged]


class PolicyResponse(msgspec.Struct):
    """From which score on each action is called for; and from which on a comment is called toxic."""

    actions: list[str]
    policy: dict[str, dict[str, float]]
    threshold: dict[str, float]


class ModelResponse(msgspec.Struct):
    """The bundle that scores; `sha256` is its graph's, `digest` its manifest's."""

    name: str
    version: str
    sha256: str
    digest: str
    bytes: int
    max_tokens: int
    attributes: dict[str, str]
    figures: dict[str, Any]


_SCORE = msgspec.json.Decoder(ScoreRequest)
_JUDGE = msgspec.json.Decoder(JudgeRequest)


async def score(request: Request) -> Response:
    """Answer `POST /v1/score`."""
    service = service_of(request.app)
    key = await admit(request, service, "score", 0)
    call = _decoded(await read_body(request, service), _SCORE, request)
    texts = _texts(call.text, call.texts)
    columns = _columns(call.attributes)
    explained = _explained(call.explain, texts)
    count_against(service, key, len(texts))
    batcher = service.batcher
    rows = rounded(await batcher.scores(texts))
    results = [Scored({name: row[column] for name, column in columns.items()}) for row in rows]
    if explained is not None:
        for result, text in zip(results, texts, strict=True):
            result.words = await _words(batcher, text, explained)
    return Json(ScoreResponse(model_name(batcher.screener.bundle), results))


async def judge(request: Request) -> Response:
    """Answer `POST /v1/judge`."""
    service = service_of(request.app)
    key = await admit(request, service, "score", 0)
    call = _decoded(await read_body(request, service), _JUDGE, request)
    texts = _texts(call.text, call.texts)
    batcher = service.batcher
    bundle = batcher.screener.bundle
    try:
        policy = bundle.policy if call.policy is None else Policy(call.policy)
    except UserError as error:
        raise ApiError(400, str(error)) from None
    _explained(call.explain, texts)
    count_against(service, key, len(texts))
    rows = await batcher.scores(texts)
    cut = bundle.threshold["toxicity"]
    verdicts = [policy.judge(row, cut) for row in rows.tolist()]
    results = [judged(verdict, policy) for verdict in verdicts]
    if call.explain:
        for result, text in zip(results, texts, strict=True):
            result.words = await _words(batcher, text, result.attribute)
    return Json(JudgeResponse(model_name(bundle), policy.to_dict(), results))


async def policy(request: Request) -> Response:
    """Answer `GET /v1/policy`."""
    service = service_of(request.app)
    await admit(request, service, "score", 0)
    bundle = service.screener.bundle
    return Json(PolicyResponse(list(ACTIONS), bundle.policy.to_dict(), dict(bundle.threshold)))


async def model(request: Request) -> Response:
    """Answer `GET /v1/model`."""
    service = service_of(request.app)
    await admit(request, service, "score", 0)
    bundle = service.screener.bundle
    return Json(
        ModelResponse(
            name=bundle.name,
            version=bundle.version,
            sha256=bundle.files["model.onnx"].sha256,
            digest=bundle.digest,
            bytes=bundle.bytes,
            max_tokens=bundle.max_length,
            attributes=dict(DEFINITIONS),
            figures=dict(bundle.figures),
        )
    )


def model_name(bundle: Bundle) -> str:
    """Name a bundle so that its scores can be told from another's."""
    return f"{bundle.name} {bundle.version} ({bundle.digest[:12]})"


def judged(verdict: Verdict, policy: Policy) -> Judged:
    """Describe a verdict with the threshold that decided it."""
    return Judged(
        action=verdict.action,
        label=verdict.label,
        attribute=verdict.attribute,
        score=round(verdict.score, 6),
        threshold=policy.get(verdict.attribute, {}).get(verdict.action),
        scores={name: round(value, 6) for name, value in verdict.scores.items()},
    )


def _decoded(body: bytes, decoder: "msgspec.json.Decoder[Any]", request: Request) -> Any:
    try:
        return decode(body, decoder)
    except BadJsonError as error:
        kind = request.headers.get("content-type", "application/json")
        if "json" not in kind and not body.lstrip()[:1] == b"{":
            raise ApiError(415, "Send a JSON object, with Content-Type: application/json.") from None
        raise ApiError(400, str(error)) from None


def _texts(text: str | None, texts: Sequence[str] | None) -> Sequence[str]:
    if (text is None) == (texts is None):
        raise ApiError(400, "Give either text, one comment, or texts, a list of them.")
    return [text] if text is not None else texts or []


def _columns(names: Sequence[str] | None) -> Mapping[str, int]:
    """Return the columns of the attributes asked for, under the names they were asked by."""
    if names is None:
        return {name: i for i, name in enumerate(ATTRIBUTES)}
    columns = {}
    for name in names:
        ours = OTHER_NAMES.get(name, name)
        if ours not in ATTRIBUTES:
            raise ApiError(400, f"attributes: one of them is none of {', '.join(ATTRIBUTES)}.")
        columns[name] = ATTRIBUTES.index(ours)
    return columns


def _explained(explain: bool | str, texts: Sequence[str]) -> str | None:
    """Return the attribute to explain, or None."""
    if explain is False:
        return None
    attribute = "toxicity" if explain is True else OTHER_NAMES.get(explain, explain)
    if attribute not in ATTRIBUTES:
        raise ApiError(400, f"explain is none of {', '.join(ATTRIBUTES)}.")
    if len(texts) > MAX_EXPLAINED:
        raise ApiError(400, f"Only up to {MAX_EXPLAINED} texts can be explained in one request.")
    return attribute


async def _words(batcher: Batcher, text: str, attribute: str) -> list[Word]:
    work = 1 + min(len(text) // 5, batcher.screener.bundle.max_length)
    spans = await batcher.run(lambda: batcher.screener.explain(text, attribute), work)
    return [Word(s.begin, s.end, text[s.begin : s.end], round(s.contribution, 6)) for s in spans]
