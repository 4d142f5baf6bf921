"""What a community does with scores: thresholds, lists, and what may happen without a person."""

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import lru_cache
from typing import Any

from sqlalchemy import Connection, insert, select

from giantkiller.attributes import ATTRIBUTES
from giantkiller.desk.errors import DeskError, NotFoundError
from giantkiller.desk.events import lock, record
from giantkiller.desk.tables import communities, policies
from giantkiller.errors import UserError
from giantkiller.policy import ACTIONS, FLAGGED, Policy

SWEARING = ("counts", "aimed")
STATES = dict(zip(ACTIONS, ("allowed", "monitored", "review", "hidden"), strict=True))
"""The state in which a comment begins, by the action that its scores call for."""

_MOST_PHRASES = 500
_LONGEST_PHRASE = 100
_AIMED = ("threat", "insult", "identity_attack")
_ID = re.compile(r"[a-z0-9][a-z0-9-]{0,62}")


@dataclass(frozen=True)
class CommunityPolicy:
    """A community's policy at one version; version 0 has the bundle's thresholds.

    Attributes:
        thresholds: As `giantkiller.policy.Policy` takes them; "remove" hides until a person has looked.
        swearing: "counts", or "aimed": coarse words count only together with an insult, a threat or an
            attack on a group.
        allowed: Phrases that are taken out before a text is scored.
        watched: Phrases that send a text to review whatever its scores.
        automatic: Attributes whose "remove" is carried out without a person; the statement says so.
        version: Counted from 1 in a community.
    """

    thresholds: Mapping[str, Mapping[str, float]]
    swearing: str = "counts"
    allowed: tuple[str, ...] = ()
    watched: tuple[str, ...] = ()
    automatic: tuple[str, ...] = ()
    version: int = field(default=0, compare=False)

    def to_dict(self) -> dict[str, Any]:
        """Return what is stored of it."""
        return {
            "thresholds": {a: dict(steps) for a, steps in self.thresholds.items()},
            "swearing": self.swearing,
            "allowed": list(self.allowed),
            "watched": list(self.watched),
            "automatic": list(self.automatic),
        }


@dataclass(frozen=True)
class PolicyVersion:
    """A policy that was switched on, by whom (None for the command line), and when."""

    policy: CommunityPolicy
    staff: int | None
    created: datetime


@dataclass(frozen=True)
class Judgement:
    """What a policy calls for: an action of `ACTIONS`, by which attribute and score, and why.

    `why` is "threshold", "watched" (a phrase), or "nothing"; `automatic` where no person need agree.
    """

    action: str
    attribute: str
    score: float
    why: str
    automatic: bool = False


def default_policy(bundle: Policy) -> CommunityPolicy:
    """Return the policy of a community that never set one."""
    return CommunityPolicy(bundle.to_dict())


def presets(bundle: Policy, fitted: Mapping[str, Policy]) -> dict[str, CommunityPolicy]:
    """Return the policies to start from; forum and adults heed swearing only where it is aimed at somebody.

    Each has the thresholds that the bundle has under that name. A bundle without them lends its own, moved
    towards caution or calm: family nearly half-way down; forum as they are; adults higher, none for coarse or
    sexual language.

    Args:
        bundle: The bundle's own policy.
        fitted: Its others by name.
    """

    def moved(by: float, without: tuple[str, ...] = ()) -> dict[str, dict[str, float]]:
        return {
            attribute: {
                action: round(cut * (1 - by) if by > 0 else cut - by * (1 - cut), 4)
                for action, cut in steps.items()
            }
            for attribute, steps in bundle.items()
            if attribute not in without
        }

    start = {
        "family": CommunityPolicy(moved(0.4)),
        "forum": CommunityPolicy(moved(0), swearing="aimed"),
        "adults": CommunityPolicy(moved(-0.3, ("obscene", "sexual_explicit")), swearing="aimed"),
    }
    return {
        name: replace(policy, thresholds=fitted[name].to_dict()) if name in fitted else policy
        for name, policy in start.items()
    }


def judge(policy: CommunityPolicy, scores: Mapping[str, float], text: str) -> Judgement:
    """Decide what happens to a text.

    Args:
        policy: The community's.
        scores: By attribute, of the text without the allowed phrases.
        text: As it was written, for the watched phrases.
    """
    thresholds = policy.thresholds
    if policy.swearing == "aimed" and not _is_aimed(thresholds, scores):
        skipped = {"obscene", "toxicity"} if _is_coarse(thresholds, scores) else set()
        thresholds = {a: steps for a, steps in thresholds.items() if a not in skipped}
    verdict = _policy(_frozen(thresholds)).judge(scores)
    action, attribute = verdict.action, verdict.attribute
    why = "threshold" if action != "allow" else "nothing"
    if action not in FLAGGED and watched_in(policy.watched, text):
        action, why = "review", "watched"
    automatic = action == "remove" and attribute in policy.automatic
    return Judgement(action, attribute, verdict.score, why, automatic)


def without_allowed(policy: CommunityPolicy, text: str) -> str:
    """Take the allowed phrases out of a text."""
    if not policy.allowed:
        return text
    return phrase_pattern(policy.allowed).sub(" ", text)


def watched_in(watched: tuple[str, ...], text: str) -> bool:
    """Return whether a text has one of the phrases, as whole words in any case."""
    return bool(watched) and phrase_pattern(watched).search(text) is not None


@lru_cache(256)
def phrase_pattern(phrases: tuple[str, ...]) -> re.Pattern[str]:
    """Return a pattern that finds phrases as whole words in any case, the longest first."""
    longest_first = sorted(phrases, key=len, reverse=True)
    return re.compile(rf"(?<!\w)(?:{'|'.join(map(re.escape, longest_first))})(?!\w)", re.IGNORECASE)


def read_policy(connection: Connection, community: str, bundle: Policy) -> CommunityPolicy:
    """Return the policy of a community.

    Raises:
        NotFoundError: If there is no such community.
    """
    row = connection.execute(
        select(policies.c.config, policies.c.version)
        .where(policies.c.community == community)
        .order_by(policies.c.version.desc())
        .limit(1)
    ).one_or_none()
    if row is not None:
        return _from_dict(row.config, row.version)
    if connection.execute(select(communities.c.id).where(communities.c.id == community)).scalar() is None:
        raise NotFoundError(f"there is no community {community!r}; a lead or an operator can add it")
    return default_policy(bundle)


def check_policy(given: Mapping[str, Any]) -> CommunityPolicy:
    """Make a policy of what somebody sent.

    Raises:
        DeskError: If something in it is wrong.
    """
    unknown = set(given) - {"thresholds", "swearing", "allowed", "watched", "automatic"}
    if unknown:
        raise DeskError("a policy has thresholds, swearing, allowed, watched and automatic")
    thresholds = given.get("thresholds")
    if not isinstance(thresholds, Mapping):
        raise DeskError("a policy needs thresholds by attribute and action")
    try:
        checked = Policy(thresholds).to_dict()
    except UserError as error:
        raise DeskError(str(error)) from None
    swearing = given.get("swearing", "counts")
    if swearing not in SWEARING:
        raise DeskError(f"swearing is none of {', '.join(SWEARING)}")
    automatic = _texts(given, "automatic")
    if set(automatic) - set(ATTRIBUTES):
        raise DeskError(f"automatic names attributes: {', '.join(ATTRIBUTES)}")
    for attribute in automatic:
        if "remove" not in checked.get(attribute, {}):
            raise DeskError(f"{attribute} can't be removed automatically without a threshold for remove")
    return CommunityPolicy(
        checked, swearing, _phrase_list(given, "allowed"), _phrase_list(given, "watched"), automatic
    )


def write_policy(
    connection: Connection,
    community: str,
    policy: CommunityPolicy,
    staff: int | None,
    bundle: Policy,
    *,
    now: datetime,
) -> CommunityPolicy:
    """Switch a policy on, as a new version."""
    lock(connection)
    version = read_policy(connection, community, bundle).version + 1
    connection.execute(
        insert(policies).values(
            community=community, version=version, config=policy.to_dict(), staff=staff, created=now
        )
    )
    actor = "command" if staff is None else f"staff:{staff}"
    record(
        connection, "policy-changed", actor, now=now, community=community, version=version,
        config=policy.to_dict(),
    )  # fmt: skip
    return _from_dict(policy.to_dict(), version)


def policy_history(connection: Connection, community: str) -> list[PolicyVersion]:
    """Return all versions of a community's policy, newest first."""
    rows = connection.execute(
        select(policies).where(policies.c.community == community).order_by(policies.c.version.desc())
    )
    return [PolicyVersion(_from_dict(row.config, row.version), row.staff, row.created) for row in rows]


def mark_of(policy: CommunityPolicy) -> str:
    """Return a mark of what a policy says, by which a form tells that it is the one that was previewed."""
    return hashlib.sha256(json.dumps(policy.to_dict(), sort_keys=True).encode()).hexdigest()[:32]


def add_community(
    connection: Connection, community: str, name: str, language: str, actor: str, *, now: datetime
) -> None:
    """Add a community.

    Raises:
        DeskError: If the id is taken or malformed.
    """
    if not _ID.fullmatch(community):
        raise DeskError("a community's id is made of 1 to 63 lower-case letters, digits and hyphens")
    if not 1 <= len(name.strip()) <= 200:
        raise DeskError("a community needs a name of 1 to 200 characters")
    lock(connection)
    if connection.execute(select(communities.c.id).where(communities.c.id == community)).scalar():
        raise DeskError(f"there is a community {community!r} already")
    connection.execute(
        insert(communities).values(id=community, name=name.strip(), language=language[:35], created=now)
    )
    record(connection, "community-added", actor, now=now, community=community)


def list_communities(connection: Connection) -> dict[str, str]:
    """Return the communities, names by id."""
    rows = connection.execute(select(communities).order_by(communities.c.id))
    return {row.id: row.name for row in rows}


def _is_aimed(thresholds: Mapping[str, Mapping[str, float]], scores: Mapping[str, float]) -> bool:
    """Return whether anything that needs a target is likely: half-way to the lowest of its thresholds."""
    return any(scores[a] >= 0.5 * min(thresholds.get(a, {}).values(), default=0.5) for a in _AIMED)


def _is_coarse(thresholds: Mapping[str, Mapping[str, float]], scores: Mapping[str, float]) -> bool:
    return scores["obscene"] >= min(thresholds.get("obscene", {}).values(), default=0.5)


_Frozen = tuple[tuple[str, tuple[tuple[str, float], ...]], ...]


def _frozen(thresholds: Mapping[str, Mapping[str, float]]) -> _Frozen:
    return tuple((a, tuple(steps.items())) for a, steps in thresholds.items())


@lru_cache(256)
def _policy(frozen: _Frozen) -> Policy:
    return Policy({a: dict(steps) for a, steps in frozen})


def _from_dict(config: Mapping[str, Any], version: int) -> CommunityPolicy:
    lists = {name: tuple(config[name]) for name in ("allowed", "watched", "automatic")}
    return CommunityPolicy(
        config["thresholds"], config["swearing"], lists["allowed"], lists["watched"], lists["automatic"],
        version,
    )  # fmt: skip


def _texts(given: Mapping[str, Any], name: str) -> tuple[str, ...]:
    value = given.get(name, ())
    if not isinstance(value, list | tuple) or not all(isinstance(text, str) for text in value):
        raise DeskError(f"{name} is a list of texts")
    return tuple(dict.fromkeys(text.strip() for text in value if text.strip()))


def _phrase_list(given: Mapping[str, Any], name: str) -> tuple[str, ...]:
    phrases = _texts(given, name)
    if len(phrases) > _MOST_PHRASES or any(len(phrase) > _LONGEST_PHRASE for phrase in phrases):
        raise DeskError(f"{name} has up to {_MOST_PHRASES} phrases of up to {_LONGEST_PHRASE} characters")
    return phrases
