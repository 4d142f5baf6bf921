"""What others make of the situations: a list of words, a linear model of words, and TF-IDF taught by them.

    pip install --no-deps alt-profanity-check better-profanity
    python benchmarks/situations_others.py [--split test] [--bundle BUNDLE ...]

Each is judged as it comes: better-profanity (a list of words) and alt-profanity-check (a linear model of
words, trained on other people's comments) flag by their own rule, the bundles by their own policy. TF-IDF
with logistic regression learns from the situations that train; a tenth of them, twins together, chooses its
strength and its threshold, by which it flags as many harmless ones as the shipped policy does. Twins are
pairs of one harmless and one harmful comment; a tie counts half.
"""

import argparse
import json
from collections import defaultdict

import numpy as np
from better_profanity import profanity
from profanity_check import predict_prob
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.pipeline import make_pipeline, make_union

from giantkiller import Screener
from giantkiller.data.holdout import is_held_out, merge_key
from giantkiller.data.situations import read_situations
from giantkiller.policy import FLAGGED

STRENGTHS = (1.0, 4.0, 16.0)


def word_list(train, judged):
    profanity.load_censor_words()
    scores = np.array([float(profanity.contains_profanity(text)) for text in judged])
    return scores, scores > 0


def linear(train, judged):
    scores = np.asarray(predict_prob(judged))
    return scores, scores >= 0.5


def tfidf(train, judged):
    held = np.array([is_held_out(each.pair or merge_key(each.text), 0.1) for each in train])
    texts = np.array([each.text for each in train], dtype=object)
    harmful = np.array([each.harmful for each in train])
    best = (0.0, None)
    for strength in STRENGTHS:
        words = TfidfVectorizer(ngram_range=(1, 2), min_df=2, sublinear_tf=True)
        letters = TfidfVectorizer(analyzer="char_wb", ngram_range=(2, 5), min_df=3, sublinear_tf=True)
        model = make_pipeline(make_union(words, letters), LogisticRegression(C=strength, max_iter=300))
        model.fit(texts[~held], harmful[~held])
        own = model.decision_function(texts[held])
        best = max(best, (roc_auc_score(harmful[held], own), strength, model), key=lambda each: each[0])
    model = best[2]
    calm = texts[held & ~harmful]
    allowed = np.mean(flagged(Screener(threads=1), calm))
    cut = np.quantile(model.decision_function(calm), 1 - allowed)
    scores = model.decision_function(judged)
    return scores, scores > cut


def flagged(screener, texts):
    return np.isin(screener.bundle.policy.actions(screener.scores(texts)), FLAGGED)


def bundle(name):
    def judge(train, judged):
        screener = Screener(None if name == "default" else name, threads=1)
        return screener.scores(judged)[:, 0], flagged(screener, judged)

    return judge


def twins(situations, scores):
    pairs = defaultdict(dict)
    for each, score in zip(situations, scores, strict=True):
        if each.pair:
            pairs[each.pair][each.harmful] = score
    both = [pair for pair in pairs.values() if len(pair) == 2]
    return float(np.mean([(pair[True] > pair[False]) + 0.5 * (pair[True] == pair[False]) for pair in both]))


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--split", choices=("validation", "test"), default="test")
    parser.add_argument("--bundle", nargs="*", default=["default"])
    options = parser.parse_args()
    train, situations = read_situations("train"), read_situations(options.split)
    texts, harmful = [each.text for each in situations], np.array([each.harmful for each in situations])
    others = {"better-profanity": word_list, "alt-profanity-check": linear, "TF-IDF, taught": tfidf}
    found = {}
    print(f"{len(texts)} comments of the {options.split} split")
    print("| | ROC-AUC | twins | harmless ones that pass | harmful ones flagged |\n|---|---|---|---|---|")
    for name, judge in {**others, **{each: bundle(each) for each in options.bundle}}.items():
        scores, flags = judge(train, texts)
        row = {
            "auc": roc_auc_score(harmful, scores),
            "twins": twins(situations, scores),
            "pass": float(np.mean(~flags[~harmful])),
            "flagged": float(np.mean(flags[harmful])),
        }
        found[name] = {key: round(value, 4) for key, value in row.items()}
        print(f"| {name} | " + " | ".join(f"{value:.3f}" for value in row.values()) + " |", flush=True)
    print(json.dumps({"split": options.split, "rows": len(texts), "found": found}))


if __name__ == "__main__":
    main()
