"""What must not get worse elsewhere, in parts that share no text: one rehearses, one chooses, one judges."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from giantkiller.adapt import rehearsal
from giantkiller.adapt.decisions import Decisions, same_key, words_key
from giantkiller.adapt.rehearsal import Rehearsal
from giantkiller.data.holdout import is_held_out
from giantkiller.errors import UserError

log = logging.getLogger(__name__)

JUDGING = 0.4
"""Share of what is guarded that judges."""
CHOOSING = 0.5
"""Share of the rest that chooses how much of what was learned is kept; what remains rehearses."""
LEAST = 40
"""Toxic comments, and harmless ones, that a guarded file must have, and that a part drawn from many keeps."""
MOST = 3000
"""Comments of a file that one part takes, at most."""
OWN = "own comments"
"""What the site's undecided comments are called where they are guarded."""
FEWEST = 500
"""Fewer undecided comments don't choose and don't judge."""


@dataclass(frozen=True)
class Guards:
    """What is guarded elsewhere than on the site; the three parts share no text.

    Attributes:
        rehearsed: What every step rehearses.
        choosing: What chooses how much of what was learned is kept, by name.
        judging: What judges, by name.
        own: How many of the site's undecided comments rehearse, choose or judge.
    """

    rehearsed: Rehearsal
    choosing: dict[str, Rehearsal]
    judging: dict[str, Rehearsal]
    own: int


def guard(
    decisions: Decisions,
    elsewhere: Mapping[str, Decisions] | None = None,
    unlabelled: Sequence[str] = (),
    *,
    rehearse: bool = True,
) -> Guards:
    """Divide what must not get worse; the texts that come with the package are guarded besides.

    A text that counts as one with a decision or with a text of a file before it, or has its words, is left
    out. Without labelled comments of other places, some of the site's own are guarded.

    Args:
        decisions: All of the site's.
        elsewhere: Labelled comments of other places, by name.
        unlabelled: The site's own comments that nobody decided.
        rehearse: Whether learning rehearses real comments; if it doesn't, more of them choose.

    Raises:
        UserError: A file has too few comments of a kind to judge by, or the name of something else.
    """
    seen = _keys(decisions.texts)
    rehearsed: list[str] = []
    choosing = rehearsal.to_choose()
    judging = rehearsal.to_judge()
    for name, file in (elsewhere or {}).items():
        if name in {"site", OWN, *judging}:
            raise UserError(f"`elsewhere` can't call a file {name!r}; give it another name")
        fresh = file.take(
            np.array([row for row, text in enumerate(file.texts) if not _keys([text]) & seen], np.int64)
        )
        _check(fresh, name)
        seen |= _keys(file.texts)
        rest, judges = replace(fresh, times=None).split(JUDGING)
        if rehearse:
            rehearses, rest = rest.split(CHOOSING)
            rehearsed += _drawn(rehearses).texts
        chooses = _drawn(rest)
        judges = _drawn(judges)
        for part in (chooses, judges):
            if part.positive.all() or not part.positive.any():
                raise UserError(
                    f"{name} has too few comments of one kind to tell what is lost there; add some"
                )
        choosing[name] = Rehearsal(chooses.texts, chooses.targets)
        judging[name] = Rehearsal(judges.texts, judges.targets)
    own = {words_key(text): text for text in unlabelled}
    kept = [text for text in own.values() if not _keys([text]) & seen]
    if not elsewhere and len(kept) >= FEWEST:
        kept, choosing[OWN], judging[OWN] = _parted(kept, rehearse=rehearse)
    drawn = np.random.default_rng(rehearsal.SEED).permutation(len(kept))[: MOST if rehearse else 0]
    rehearsed += [kept[row] for row in drawn]
    count = len(drawn) + sum(len(part[OWN]) for part in (choosing, judging) if OWN in part)
    if unlabelled and not count:
        log.warning(
            "the undecided comments are of no use here: logistic regression rehearses none, and %s",
            "`elsewhere` guards" if elsewhere else f"{FEWEST} are needed to guard them",
        )
    return Guards(rehearsal.to_learn(rehearsed), choosing, judging, count)


def _check(file: Decisions, name: str) -> None:
    positives = int(file.positive.sum())
    for count, kind in ((positives, "toxic"), (len(file) - positives, "harmless")):
        if count < LEAST:
            raise UserError(
                f"{name} has {count} {kind} comments besides the decisions; at least {LEAST} are needed to "
                "tell what is lost there"
            )


def _keys(texts: Sequence[str]) -> set[str]:
    return {key(text) for text in texts for key in (same_key, words_key)}


def _drawn(part: Decisions) -> Decisions:
    """Draw a part of many, in which the rarer kind keeps at least `LEAST` where it has so many."""
    order = np.random.default_rng(rehearsal.SEED).permutation(len(part))
    if len(order) <= MOST:
        return part.take(order)
    toxic, harmless = order[part.positive[order]], order[~part.positive[order]]
    share = round(MOST * len(toxic) / len(order))
    share = min(max(share, LEAST), len(toxic), MOST - min(LEAST, len(harmless)))
    return part.take(np.concatenate([toxic[:share], harmless[: MOST - share]]))


def _parted(texts: list[str], *, rehearse: bool) -> tuple[list[str], Rehearsal, Rehearsal]:
    """Part comments without labels by a hash: some rehearse, unless none shall, some choose, some judge."""
    held = [is_held_out(words_key(text), JUDGING) for text in texts]
    kept = [text for text, one in zip(texts, held, strict=True) if not one]
    others = [text for text, one in zip(texts, held, strict=True) if one]
    chooses, judges = (kept, others) if not rehearse else (others[0::2], others[1::2])
    rehearses = kept if rehearse else []
    return rehearses, rehearsal.unlabelled(chooses[:MOST]), rehearsal.unlabelled(judges[:MOST])
