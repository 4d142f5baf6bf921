from giantkiller.attributes import ATTRIBUTES
from giantkiller.desk.dossier import scores_of


def test_scores_are_shown_by_what_they_call_for_and_then_by_height():
    thresholds = {
        "toxicity": {"monitor": 0.3, "review": 0.6, "remove": 0.95},
        "threat": {"review": 0.4},
        "insult": {"remove": 0.5, "monitor": 0.2},  # as a database may have put them
    }
    scores = dict.fromkeys(ATTRIBUTES, 0.0) | {"toxicity": 0.7, "threat": 0.4, "insult": 0.5, "obscene": 0.99}
    shown = scores_of(scores, thresholds)
    assert [(row.attribute, row.reached) for row in shown] == [
        ("insult", "remove"),
        ("toxicity", "review"),
        ("threat", "review"),
        ("obscene", "allow"),
        *((name, "allow") for name in ("severe_toxicity", "identity_attack", "sexual_explicit")),
    ]
    assert (shown[0].monitor, shown[0].review, shown[0].remove) == (0.2, None, 0.5)
