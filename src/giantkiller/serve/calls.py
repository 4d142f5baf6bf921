"""The bodies of the Perspective API's calls. In Google's JSON null is the same as absence."""

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
