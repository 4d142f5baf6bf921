"""What a policy would have done: thresholds and both lists, on the comments of the last 30 days."""

from dataclasses import replace

from desks import BUNDLE

from giantkiller.attributes import ATTRIBUTES
from giantkiller.desk import previewing
from giantkiller.desk.policies import default_policy, mark_of

OLD = default_policy(BUNDLE)


def scorer(texts):
    """A model that minds one word, and lets texts pass in which it no longer stands."""
    scorer.asked = [*texts]
    return [
        dict.fromkeys(ATTRIBUTES, 0.01) | {"toxicity": 0.7 if "damn" in text.lower() else 0.1}
        for text in texts
    ]


def seen(desk, new, old=OLD, **more):
    with desk.store.read() as connection:
        return previewing.preview(connection, "default", old, new, now=desk.now, **more)


def test_both_lists_show_before_they_are_switched_on(desk):
    for text, toxicity in (("Damn fine", 0.7), ("DAMN you", 0.7), ("pineapple pizza", 0.1), ("fine", 0.1)):
        desk.submit(text, toxicity=toxicity)
    desk.wait(days=2)
    new = replace(OLD, allowed=("damn",), watched=("pineapple", "plum"))
    found = seen(desk, new, scorer=scorer)
    assert sorted(scorer.asked) == ["  fine", "  you"]  # without the phrase; nothing else is scored
    assert (found.now["review"], found.then["review"], found.then["allow"]) == (2, 1, 3)
    assert found.per_day("review") == (1.0, 0.5)
    assert found.phrases == {"damn": 2, "pineapple": 1, "plum": 0}
    assert {c["text"]: c["then"] for c in found.changed} == {
        "Damn fine": "allow", "DAMN you": "allow", "pineapple pizza": "review",
    }  # fmt: skip
    assert found.stale == 0


def test_a_phrase_that_is_allowed_no_longer_shows_too(desk):
    old = replace(OLD, allowed=("damn",))
    desk.submit("damn", toxicity=0.1, policy=old)
    found = seen(desk, OLD, old, scorer=scorer)
    assert (found.now["review"], found.then["review"]) == (0, 1)


def test_without_a_scorer_or_with_too_many_the_stored_scores_count_and_it_says_so(desk, monkeypatch):
    for number in range(3):
        desk.submit(f"damn {number}", toxicity=0.7)
    new = replace(OLD, allowed=("damn",))
    assert (seen(desk, new).then["review"], seen(desk, new).stale) == (3, 3)
    monkeypatch.setattr(previewing, "MOST_RESCORED", 2)
    assert seen(desk, new, scorer=scorer).stale == 1
    assert seen(desk, new, scorer=scorer).then == {"allow": 2, "monitor": 0, "review": 1, "remove": 0}


def test_purged_texts_and_old_comments_change_nothing(desk):
    desk.submit("damn", toxicity=0.7)
    desk.wait(days=31)
    assert seen(desk, replace(OLD, allowed=("damn",)), scorer=scorer).comments == 0


def test_a_mark_changes_with_what_a_policy_says(desk):
    assert mark_of(OLD) == mark_of(replace(OLD, version=7))
    assert mark_of(OLD) != mark_of(replace(OLD, watched=("x",)))
