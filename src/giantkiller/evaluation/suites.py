"""Public test suites by name, each read from the files its authors publish and judged in its own way."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from giantkiller.attributes import ATTRIBUTES
from giantkiller.data.augment.attacks import ATTACKS, attack
from giantkiller.errors import UserError
from giantkiller.evaluation import bias, identities, metrics
from giantkiller.evaluation.metrics import Figure, Scorer, interval

TOXICITY = ATTRIBUTES.index("toxicity")
ATTACKED = 5000
"""Comments that the spelling attacks are tried on, at most."""


@dataclass(frozen=True)
class Settings:
    """What every suite is judged with: a threshold per attribute, bootstrap samples and their seed."""

    threshold: Mapping[str, float]
    samples: int = metrics.SAMPLES
    seed: int = 0

    def at(self, attribute: str) -> float:
        """Give the threshold of an attribute, 0.5 where there is none."""
        return float(self.threshold.get(attribute, 0.5))


@dataclass(frozen=True)
class Suite:
    """A public test suite: the names its file goes by, where to get it, and how it is judged."""

    files: tuple[str, ...]
    hint: str
    judge: Callable[[Path, Scorer, Settings], dict[str, Any]]


def run(name: str, folder: str | Path, scorer: Scorer, settings: Settings) -> dict[str, Any]:
    """Judge a model on a suite.

    Args:
        name: one of SUITES.
        folder: where the suite's file lies.
        scorer: texts to scores (n, 7).
        settings: thresholds, samples, seed.

    Returns:
        `suite`, `file`, and what the suite reports.

    Raises:
        UserError: no such suite, no such file (says where to get it), or a file that is not the suite's.
    """
    if name not in SUITES:
        raise UserError(f"there is no suite {name!r}: choose from {', '.join(SUITES)}")
    path = find(name, folder)
    return {"suite": name, "file": path.name} | SUITES[name].judge(path, scorer, settings)


def find(name: str, folder: str | Path) -> Path:
    """Find a suite's file in a folder by the names it goes by.

    Raises:
        UserError: it is not there; says which names were tried and where to get it.
    """
    suite, root = SUITES[name], Path(folder)
    if not root.is_dir():
        raise UserError(f"{root} is not a folder: name the folder with the suite's file ({suite.files[0]})")
    for file in suite.files:
        if (root / file).is_file():
            return root / file
    raise UserError(f"{root} has no {' or '.join(suite.files)} for the suite {name}; {suite.hint}")


def _columns(path: Path, *choices: tuple[str, ...]) -> tuple[NDArray[Any], ...]:
    """Read columns by the first name that each of them goes by."""
    from giantkiller.data.sources import read_columns

    table = read_columns(path)
    found = []
    for names in choices:
        name = next((each for each in names if each in table), None)
        if name is None:
            raise UserError(
                f"{path} has no column {' or '.join(map(repr, names))}: it is not this suite's file"
            )
        found.append(table[name])
    return tuple(found)


def _texts(column: NDArray[Any]) -> list[str]:
    return ["" if text is None else str(text) for text in column]


def _truth(path: Path, column: NDArray[Any], positive: tuple[str, ...]) -> NDArray[np.bool_]:
    if column.dtype != object:
        return np.asarray(column >= 0.5)
    words = {str(word).strip().lower() for word in column}
    if not words & set(positive) or len(words) > 2:
        raise UserError(f"{path}: its labels are {', '.join(sorted(words)[:4])}, not {positive[0]} or not")
    return np.array([str(word).strip().lower() in positive for word in column])


def hatecheck(path: Path, scorer: Scorer, settings: Settings) -> dict[str, Any]:
    """HateCheck (Roettger et al. 2021): accuracy for each functionality and each target, by two attributes.

    A case passes when it is called toxic (by the attribute in question) exactly if it is hateful.
    """
    text, label, functionality, target = _columns(
        path, ("text", "test_case"), ("label", "label_gold"), ("functionality",), ("target", "target_ident")
    )
    hateful = _truth(path, label, ("hateful",))
    scores = np.asarray(scorer(_texts(text)))
    views: dict[str, Any] = {}
    for attribute in ("toxicity", "identity_attack"):
        column = scores[:, ATTRIBUTES.index(attribute)]
        if np.isnan(column).all():
            continue
        called = column >= settings.at(attribute)
        right = called == hateful
        measured = metrics.measure(
            column, hateful, samples=settings.samples, seed=settings.seed, name=attribute
        )
        view: dict[str, Any] = {"threshold": settings.at(attribute), "roc_auc": measured["roc_auc"]}
        view["accuracy"] = bias.share(right.sum(), len(right))
        view["functionalities"], view["targets"] = {}, {}
        for name in dict.fromkeys(map(str, functionality)):
            rows = functionality == name
            passed = bias.share(right[rows].sum(), rows.sum())
            view["functionalities"][name] = {"rows": int(rows.sum()), "hateful": bool(hateful[rows].any())}
            view["functionalities"][name]["accuracy"] = passed
        for name in dict.fromkeys(str(each) for each in target if each is not None):
            rows = target == name
            entry: dict[str, Any] = {"rows": int(rows.sum())}
            entry["accuracy"] = bias.share(right[rows].sum(), rows.sum())
            entry["missed"] = bias.share((~called & hateful)[rows].sum(), (rows & hateful).sum())
            entry["false_alarms"] = bias.share((called & ~hateful)[rows].sum(), (rows & ~hateful).sum())
            view["targets"][name] = entry
        views[attribute] = view
    return {"rows": len(hateful), "by": views}


TERMS = (
    "african american", "african", "american", "asian", "bisexual", "black", "blind", "buddhist", "canadian",
    "catholic", "chinese", "christian", "deaf", "elderly", "european", "female", "gay", "heterosexual",
    "hispanic", "homosexual", "indian", "japanese", "jewish", "latina", "latino", "latinx", "lesbian", "lgbt",
    "lgbtq", "male", "mexican", "middle aged", "middle eastern", "millenial", "muslim", "nonbinary", "old",
    "older", "paralyzed", "protestant", "queer", "sikh", "straight", "taoist", "teenage", "trans",
    "transgender", "white", "young", "younger",
)  # fmt: skip
"""The fifty identity terms of the madlibs templates, in their authors' spelling."""


def madlibs(path: Path, scorer: Scorer, settings: Settings) -> dict[str, Any]:
    """Template sentences that differ in nothing but an identity term (Dixon et al. 2018).

    Gives the figures of all sentences, bias AUCs by term, the error-rate equality differences of the paper
    (FPED and FNED: sums over terms of the distance to the overall rate), and for pairs of sentences from one
    template how far the score moves with the term alone.
    """
    text, label = _columns(path, ("text", "Text", "phrase"), ("label", "Label", "toxicity"))
    texts, toxic = _texts(text), _truth(path, label, ("bad", "toxic"))
    scores = np.asarray(scorer(texts))[:, TOXICITY]
    threshold = settings.at("toxicity")
    report: dict[str, Any] = {"rows": len(texts)}
    report |= metrics.measure(
        scores,
        toxic,
        thresholds={"threshold": threshold},
        samples=settings.samples,
        seed=settings.seed,
        name="madlibs",
    )
    pattern = re.compile(rf"\b(?:{'|'.join(sorted(TERMS, key=len, reverse=True))})\b", re.IGNORECASE)
    matches = [pattern.search(each) for each in texts]
    terms = np.array([match.group().lower() if match else "" for match in matches])
    templates = [
        each[: match.start()] + "{}" + each[match.end() :] if match else each
        for each, match in zip(texts, matches, strict=True)
    ]
    masks = {term: terms == term for term in TERMS if (terms == term).any()}
    report["terms"] = bias.auc_by_identity(scores, toxic, masks, samples=settings.samples, seed=settings.seed)
    called = scores >= threshold
    report["fped"] = _equality_difference(called, ~toxic, masks)
    report["fned"] = _equality_difference(~called, toxic, masks)
    report["pairs"] = _pairs(scores, templates, terms)
    return report


def _equality_difference(
    wrong: NDArray[np.bool_], inside: NDArray[np.bool_], masks: Mapping[str, NDArray[np.bool_]]
) -> float:
    overall = wrong[inside].mean()
    rates = [wrong[inside & mask].mean() for mask in masks.values() if (inside & mask).any()]
    return float(np.sum(np.abs(np.array(rates) - overall)))


def _pairs(scores: NDArray[Any], templates: list[str], terms: NDArray[Any]) -> dict[str, Any]:
    """Compare sentences of one template: spread within it, and what each term adds on average."""
    rows_of: dict[str, list[int]] = {}
    for row, template in enumerate(templates):
        if terms[row]:
            rows_of.setdefault(template, []).append(row)
    groups = [rows for rows in rows_of.values() if len(rows) > 1]
    if not groups:
        return {"templates": 0}
    spreads: list[float] = []
    shifts: dict[str, list[float]] = {}
    for rows in groups:
        inside = scores[rows].astype(np.float64)
        spreads.append(float(inside.max() - inside.min()))
        for row, shift in zip(rows, inside - inside.mean(), strict=True):
            shifts.setdefault(str(terms[row]), []).append(float(shift))
    added = {
        term: Figure(float(np.mean(each)), *_normal(np.array(each)))
        for term, each in shifts.items()
        if len(each) >= bias.MIN_ROWS
    }
    ordered = dict(sorted(added.items(), key=lambda item: -item[1].value))
    return {
        "templates": len(groups),
        "sentences": int(sum(map(len, groups))),
        "spread": float(np.mean(spreads)),
        "spread_90": float(np.percentile(spreads, 90)),
        "added_by_term": ordered,
    }


def _normal(values: NDArray[np.float64]) -> tuple[float, float]:
    half = 1.96 * values.std(ddof=1) / np.sqrt(len(values))
    return float(values.mean() - half), float(values.mean() + half)


def paradetox(path: Path, scorer: Scorer, settings: Settings) -> dict[str, Any]:
    """ParaDetox (Logacheva et al. 2022): does the toxic sentence outscore its polite rewrite?"""
    toxic, neutral = _columns(
        path, ("toxic", "en_toxic_comment"), ("neutral", "neutral1", "en_neutral_comment")
    )
    whole = [row for row in range(len(toxic)) if toxic[row] and neutral[row]]
    before, after = _texts(toxic[whole]), _texts(neutral[whole])
    scores = np.asarray(scorer(before + after))[:, TOXICITY].astype(np.float64)
    old, new = scores[: len(whole)], scores[len(whole) :]
    threshold = settings.at("toxicity")
    drop = old - new
    rng = np.random.default_rng(settings.seed)
    drawn = np.array([drop[rng.integers(0, len(drop), len(drop))].mean() for _ in range(settings.samples)])
    return {
        "rows": len(whole),
        "threshold": threshold,
        "ranked_rightly": bias.share((drop > 0).sum() + (drop == 0).sum() / 2, len(drop)),
        "drop": Figure(float(drop.mean()), *interval(drawn)),
        "toxic_caught": bias.share((old >= threshold).sum(), len(old)),
        "rewrites_called_toxic": bias.share((new >= threshold).sum(), len(new)),
    }


def labelled(path: Path, scorer: Scorer, settings: Settings) -> dict[str, Any]:
    """Judge an ordinary labelled file: all attributes, and the audit by identity."""
    from giantkiller.data.sources import read_labelled

    data = _test_rows(read_labelled(path))
    scores = np.asarray(scorer(data.texts))
    at = {"threshold": {attribute: settings.at(attribute) for attribute in ATTRIBUTES}}
    report = metrics.judge(scores, data.targets, thresholds=at, samples=settings.samples, seed=settings.seed)
    if "toxicity" in report["attributes"]:
        asked = ~np.isnan(data.targets[:, TOXICITY])
        rows = data.take(asked)
        report["bias"] = bias.audit(
            scores[asked, TOXICITY],
            rows.targets[:, TOXICITY] >= 0.5,
            identities.find(rows.texts, rows.extra),
            threshold=settings.at("toxicity"),
            samples=settings.samples,
            seed=settings.seed,
        )
    return report


def _test_rows(data: Any) -> Any:
    # The WILDS file holds all splits; only its test rows judge.
    if "split" in data.extra:
        split = data.extra["split"]
        if (split == "test").any():
            return data.take(split == "test")
    return data


def spelling_attacks(path: Path, scorer: Scorer, settings: Settings) -> dict[str, Any]:
    """Disguise half of the longer words of real comments and see what is still caught.

    For each attack: recall and false-positive rate at the threshold, ROC-AUC, average precision, and the
    share of the untouched comments' average precision that is kept; beside them the same comments untouched.
    """
    from giantkiller.data.sources import read_labelled

    data = _test_rows(read_labelled(path))
    target = data.targets[:, TOXICITY]
    rows = np.flatnonzero(~np.isnan(target))[:ATTACKED]
    truth = target[rows] >= 0.5
    metrics.both_classes(truth, "the spelling attacks", metrics.MIN_CLASS)
    texts = [data.texts[row] for row in rows]
    threshold = settings.at("toxicity")
    report: dict[str, Any] = {"rows": len(texts), "threshold": threshold, "attacks": {}}
    for name in ("none", *ATTACKS):
        changed = texts if name == "none" else [attack(text, name, seed=settings.seed) for text in texts]
        scores = np.asarray(scorer(changed))[:, TOXICITY]
        called = scores >= threshold
        measured = metrics.measure(scores, truth, samples=settings.samples, seed=settings.seed, name=name)
        precision = measured["average_precision"]
        untouched = report["attacks"].get("none", {}).get("average_precision", precision)
        report["attacks"][name] = {
            "roc_auc": measured["roc_auc"],
            "average_precision": precision,
            "average_precision_kept": precision.value / untouched.value,
            "recall": bias.share(called[truth].sum(), truth.sum()),
            "false_positive_rate": bias.share(called[~truth].sum(), (~truth).sum()),
        }
    return report


_CIVIL = ("civil_test.parquet", "test_public_expanded.csv", "all_data_with_identities.csv", "test.parquet")
_WIKI = ("wiki_test.parquet", "test_labels.csv", "test_labels.csv.gz")
_GITHUB = "https://github.com"

SUITES = {
    "civil": Suite(
        _CIVIL,
        "get it with `giantkiller data civil-comments`, from the Kaggle competition "
        "jigsaw-unintended-bias-in-toxicity-classification, or from the WILDS benchmark",
        labelled,
    ),
    "wiki": Suite(
        _WIKI,
        "get test.csv and test_labels.csv from the Kaggle competition "
        "jigsaw-toxic-comment-classification-challenge",
        labelled,
    ),
    "hatecheck": Suite(
        ("hatecheck.parquet", "test_suite_cases.csv", "hatecheck.csv"),
        f"get test_suite_cases.csv from {_GITHUB}/paul-rottger/hatecheck-data",
        hatecheck,
    ),
    "madlibs": Suite(
        ("madlibs.parquet", "bias_madlibs_89k.csv", "bias_madlibs_77k.csv", "madlibs.csv"),
        f"get bias_madlibs_77k.csv from {_GITHUB}/conversationai/unintended-ml-bias-analysis",
        madlibs,
    ),
    "paradetox": Suite(
        ("paradetox.parquet", "paradetox.tsv", "paradetox.csv"),
        f"get paradetox.tsv from {_GITHUB}/s-nlp/paradetox",
        paradetox,
    ),
    "spelling-attacks": Suite(
        _CIVIL + _WIKI,
        "it disguises the words of a labelled file: use the one of the suite civil or wiki",
        spelling_attacks,
    ),
}
"""The suites by name."""
