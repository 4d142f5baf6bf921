"""The bodies of the Perspective API's calls. In Google's JSON null is the same as absence."""

import re

import msgspec


class Text(msgspec.Struct):
    """A comment, or an entry of its context."""

    text: str | None = None
    type: str | None = None


class Article(msgspec.Struct, rename="camel"):
    """The other form of context."""

    article: Text | None = None
    parent_comment: Text | None = None


class Context(msgspec.Struct, rename="camel"):
    """What the comment answers to: accepted, and not used for scoring."""

    entries: list[Text] | None = None
    article_and_parent_comment: Article | None = None


class Wanted(msgspec.Struct, rename="camel"):
    """How an attribute is wanted."""

    score_type: str | None = None
    score_threshold: float | None = None


class Analyze(msgspec.Struct, rename="camel"):
    """The body of `comments:analyze`."""

    comment: Text | None = None
    requested_attributes: dict[str, Wanted | None] | None = None
    context: Context | None = None
    languages: list[str] | None = None
    span_annotations: bool | None = None
    do_not_store: bool | None = None
    client_token: str | None = None
    session_id: str | None = None
    community_id: str | None = None


class Score(msgspec.Struct):
    """A score that somebody suggests."""

    value: float | None = None
    type: str | None = None


class Span(msgspec.Struct):
    """A suggested score for a part of the comment."""

    begin: int | None = None
    end: int | None = None
    score: Score | None = None


class Suggested(msgspec.Struct, rename="camel"):
    """The suggested scores of one attribute."""

    summary_score: Score | None = None
    span_scores: list[Span] | None = None


class Suggest(msgspec.Struct, rename="camel"):
    """The body of `comments:suggestscore`."""

    comment: Text | None = None
    attribute_scores: dict[str, Suggested | None] | None = None
    context: Context | None = None
    languages: list[str] | None = None
    client_token: str | None = None
    session_id: str | None = None
    community_id: str | None = None


_FIELDS = (Article, Context, Wanted, Analyze, Suggested, Suggest)
_CAMEL = {
    field.name.encode(): b'"%b"' % field.encode_name.encode()
    for struct in _FIELDS
    for field in msgspec.structs.fields(struct)
    if field.name != field.encode_name
}
# In JSON a quotation mark without a backslash before it begins or ends a text, and a text with a colon after
# it is a name: so this finds names of fields, and nothing within a comment.
_SNAKE = re.compile(rb'(?<!\\)"(' + b"|".join(_CAMEL) + rb')"(?=\s*:)')


def in_camel_case(body: bytes) -> bytes:
    """Return a body with its fields' names in camelCase: Google's JSON takes those in snake_case, too."""
    return _SNAKE.sub(lambda found: _CAMEL[found[1]], body) if b"_" in body else body
