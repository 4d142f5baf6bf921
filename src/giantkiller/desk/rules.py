"""The rule book of a community: what people name as the reason of a decision. Versions are kept."""

import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime

from sqlalchemy import Connection, insert, select

from giantkiller.attributes import ATTRIBUTES
from giantkiller.desk.errors import DeskError, NotFoundError
from giantkiller.desk.events import lock, record
from giantkiller.desk.tables import communities, rulebooks

GROUNDS = ("terms", "law")
CATEGORIES = (
    "ILLEGAL_OR_HARMFUL_SPEECH",
    "CYBER_VIOLENCE",
    "CYBER_VIOLENCE_AGAINST_WOMEN",
    "VIOLENCE",
    "SELF_HARM",
    "PROTECTION_OF_MINORS",
    "OTHER_VIOLATION_TC",
)
"""Categories of the DSA transparency database that a comment can fall under."""

KEYWORDS = (
    "HATE_SPEECH",
    "CYBER_HARASSMENT",
    "CYBER_BULLYING_INTIMIDATION",
    "CYBER_INCITEMENT",
    "INCITEMENT_VIOLENCE_HATRED",
    "DEFAMATION",
    "DISCRIMINATION",
    "ADULT_SEXUAL_MATERIAL",
    "OTHER",
)
"""Keywords of the same database."""

MOST_RULES = 50

IN_THE_NOTE = "to be named in the note"
"""The provision of a rule that stands for many laws: whoever decides by it names the one that was broken."""

_ID = re.compile(r"[a-z0-9][a-z0-9-]{0,62}")


@dataclass(frozen=True)
class Rule:
    """One rule.

    Attributes:
        id: Lower-case letters, digits and hyphens; the same in all versions.
        title: A few words.
        text: What the author gets to read.
        attribute: The attribute that a breach is an example of; None where the model knows none.
        ground: "terms" of the community, or "law".
        legal: For "law": the provision.
        category: Of the DSA transparency database.
        keyword: Of the same; may be None.
        url: Where the rule stands in public.
    """

    id: str
    title: str
    text: str
    attribute: str | None = None
    ground: str = "terms"
    legal: str | None = None
    category: str = "OTHER_VIOLATION_TC"
    keyword: str | None = None
    url: str | None = None


DEFAULT = (
    Rule(
        "insults",
        "No insults",
        "Argue about what somebody says, not about who they are. Insulting, mocking or belittling other "
        "people is not allowed.",
        "insult",
        category="CYBER_VIOLENCE",
        keyword="CYBER_HARASSMENT",
    ),
    Rule(
        "hate",
        "No hate",
        "Attacks on people for their origin, religion, gender, sexuality, disability or similar are not "
        "allowed.",
        "identity_attack",
        category="ILLEGAL_OR_HARMFUL_SPEECH",
        keyword="HATE_SPEECH",
    ),
    Rule(
        "threats",
        "No threats",
        "Threatening somebody, or wishing that they come to harm, is not allowed.",
        "threat",
        category="VIOLENCE",
        keyword="INCITEMENT_VIOLENCE_HATRED",
    ),
    Rule(
        "harassment",
        "No harassment",
        "Following somebody around, piling on or continuing after being asked to stop is not allowed.",
        "toxicity",
        category="CYBER_VIOLENCE",
        keyword="CYBER_BULLYING_INTIMIDATION",
    ),
    Rule(
        "sexual",
        "No sexual content",
        "Sexual descriptions and advances have no place here.",
        "sexual_explicit",
        keyword="ADULT_SEXUAL_MATERIAL",
    ),
    Rule("language", "Mind your language", "Coarse swearing is not allowed here.", "obscene"),
    Rule("spam", "No spam", "Advertising and repeated posts are not allowed."),
    Rule("off-topic", "Stay on the topic", "Comments must have to do with what they stand under."),
    Rule(
        "illegal",
        "Nothing illegal",
        "Content that is against the law is removed.",
        ground="law",
        legal=IN_THE_NOTE,
        category="ILLEGAL_OR_HARMFUL_SPEECH",
    ),
)
"""What a community starts with: a rule book of nine rules, so that each has a key."""


@dataclass(frozen=True)
class Rulebook:
    """The rules of a community at one version; version 0 is the default."""

    community: str
    version: int
    rules: tuple[Rule, ...]

    def rule(self, rule_id: str) -> Rule:
        """Return a rule by its id.

        Raises:
            DeskError: If there is none.
        """
        for rule in self.rules:
            if rule.id == rule_id:
                return rule
        raise DeskError(f"there is no rule {rule_id!r} in version {self.version} of the rule book")


def read_rulebook(connection: Connection, community: str, version: int | None = None) -> Rulebook:
    """Return a community's rule book, the newest version unless another is asked for.

    Raises:
        NotFoundError: If there is no such community or version.
    """
    query = select(rulebooks).where(rulebooks.c.community == community)
    query = query.where(rulebooks.c.version == version) if version is not None else query
    row = connection.execute(query.order_by(rulebooks.c.version.desc()).limit(1)).one_or_none()
    if row is not None:
        return Rulebook(community, row.version, tuple(Rule(**rule) for rule in row.rules))
    known = connection.execute(select(communities.c.id).where(communities.c.id == community)).scalar()
    if known is None or version:
        raise NotFoundError(f"there is no community {community!r}, or no such version of its rules")
    return Rulebook(community, 0, DEFAULT)


def write_rulebook(
    connection: Connection, community: str, rules: Sequence[Rule], staff: int | None, *, now: datetime
) -> Rulebook:
    """Store a new version of a rule book.

    Args:
        connection: In a transaction that writes.
        community: Whose.
        rules: As somebody wrote them: blanks around a text are dropped, and an empty one is a missing one.
        staff: Who; None for the command line.
        now: The moment.

    Raises:
        DeskError: If a rule is wrong.
    """
    lock(connection)
    current = read_rulebook(connection, community)
    if not 1 <= len(rules) <= MOST_RULES:
        raise DeskError(f"a rule book has 1 to {MOST_RULES} rules")
    checked = [_checked(rule) for rule in rules]
    if len({rule.id for rule in checked}) < len(checked):
        raise DeskError("two rules have the same id")
    version = current.version + 1
    connection.execute(
        insert(rulebooks).values(
            community=community, version=version, rules=[asdict(r) for r in checked], staff=staff, created=now
        )
    )
    actor = "command" if staff is None else f"staff:{staff}"
    record(connection, "rules-changed", actor, now=now, community=community, version=version)
    return Rulebook(community, version, tuple(checked))


def _checked(given: Rule) -> Rule:
    rule = _cleaned(given)
    if not _ID.fullmatch(rule.id):
        raise DeskError("a rule's id is made of 1 to 63 lower-case letters, digits and hyphens")
    for name, most in (("title", 200), ("text", 4000), ("legal", 500), ("url", 500)):
        if len(getattr(rule, name) or "") > most:
            raise DeskError(f"the {name} of rule {rule.id} is longer than {most} characters")
    if not rule.title or not rule.text:
        raise DeskError(f"rule {rule.id} needs a title and a text")
    for name, names in (
        ("attribute", (None, *ATTRIBUTES)),
        ("ground", GROUNDS),
        ("category", CATEGORIES),
        ("keyword", (None, *KEYWORDS)),
    ):
        if getattr(rule, name) not in names:
            raise DeskError(f"the {name} of rule {rule.id} is none of {', '.join(filter(None, names))}")
    if rule.ground == "law" and not rule.legal:
        raise DeskError(f"rule {rule.id} stands on the law: name the provision")
    if rule.url and not rule.url.startswith(("http://", "https://")):
        raise DeskError(f"the address of rule {rule.id} must begin with https:// or http://")
    return rule


def _cleaned(rule: Rule) -> Rule:
    """Strip a rule's texts; an empty one is missing, or has its default."""
    return Rule(
        id=rule.id.strip(),
        title=rule.title.strip(),
        text=rule.text.strip(),
        attribute=_stripped(rule.attribute),
        ground=rule.ground.strip() or Rule.ground,
        legal=_stripped(rule.legal),
        category=rule.category.strip() or Rule.category,
        keyword=_stripped(rule.keyword),
        url=_stripped(rule.url),
    )


def _stripped(text: str | None) -> str | None:
    return (text or "").strip() or None
