"""A model on sentences about groups by the two writers of frames who train nothing, family by family; on
made-up sentences about people with words that none of those that train has; and on a writer's rude comments
and their civil rewrites, which train nothing either: how often the rude one scores higher.

    python benchmarks/groups.py [MODEL ...] [--groups 6]

MODEL (default: the shipped bundle) is a bundle or a checkpoint. Hate should rank above what only sounds
like it: denied, quoted, reported, of things. A family of hateful frames is ranked against all harmless
ones, one of harmless frames against all hateful ones.
"""

import argparse
import json

import numpy as np
from sklearn.metrics import roc_auc_score

from giantkiller.attributes import ATTRIBUTES
from giantkiller.data.augment.groups import HELD_BACK, read_frames, sentences_about_groups
from giantkiller.data.augment.people import sentences_about_people
from giantkiller.data.augment.rewrites import read_rewrites
from giantkiller.loading import load_screener

PEOPLE = 6000


def judge(model, groups):
    """Return ROC-AUC by both attributes, over all and by family, and that of people by toxicity."""
    screener = load_screener(model)
    written = sum(frame.writer in HELD_BACK for frame in read_frames())
    filled = sentences_about_groups(groups * written, 0, held_back=True)
    scores = screener.scores(filled.texts)
    hateful = np.array([frame.hateful for frame in filled.frames])
    families = np.array([frame.family for frame in filled.frames])
    table = {}
    for name in ("toxicity", "identity_attack"):
        score = np.asarray(scores)[:, ATTRIBUTES.index(name)]
        rows = {"all": roc_auc_score(hateful, score, sample_weight=filled.repeat)}
        for family in sorted(set(families), key=lambda name: (name[0], int(name[1:]))):
            of = (families == family) | (hateful != family.startswith("h"))
            rows[family] = roc_auc_score(hateful[of], score[of], sample_weight=filled.repeat[of])
        table[name] = {family: round(float(value), 4) for family, value in rows.items()}
    texts, targets = sentences_about_people(PEOPLE, 0, held_back=True)
    scores = screener.scores(texts)
    table["people"] = round(float(roc_auc_score(targets[:, 0] > 0.5, np.asarray(scores)[:, 0])), 4)
    pairs = np.asarray(screener.scores(read_rewrites(held_back=True)[0]))[:, 0].reshape(-1, 2)
    table["rewrites"] = round(float((pairs[:, 0] > pairs[:, 1]).mean()), 4)
    return table


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("models", nargs="*", default=["default"], help="bundles or checkpoints")
    parser.add_argument("--groups", type=int, default=6, help="how many each frame takes")
    options = parser.parse_args()
    tables = {model: judge(model, options.groups) for model in options.models}
    for model, table in tables.items():
        print(f"{model}: ROC-AUC by toxicity, by identity_attack")
        for family, value in table["toxicity"].items():
            print(f"  {family:4}{value:8.3f}{table['identity_attack'][family]:8.3f}")
        print(f"  kind and unkind words held back, by toxicity: {table['people']:.3f}")
        print(f"  rude comments above their rewrites: {table['rewrites']:.3f}")
    print(json.dumps(tables))


if __name__ == "__main__":
    main()
