"""Test suites by name, each read from the files its authors publish and measured in its own way."""

import difflib
from pathlib import Path

from giantkiller.errors import UserError
from giantkiller.evaluation.config import EvaluationConfig
from giantkiller.evaluation.metrics import Scorer
from giantkiller.evaluation.suites import attacks, hatecheck, labelled, madlibs, paradetox, situations
from giantkiller.evaluation.suites.base import BarChart, Series, Suite, SuiteReport, Table

__all__ = ["SUITES", "BarChart", "Series", "Suite", "SuiteReport", "Table", "find_suite", "run_suite"]

SUITES = {
    "civil": Suite(labelled.CIVIL_FILES, labelled.CIVIL_HINT, labelled.measure_labelled),
    "wiki": Suite(labelled.WIKI_FILES, labelled.WIKI_HINT, labelled.measure_labelled),
    "hatecheck": Suite(hatecheck.FILES, hatecheck.HINT, hatecheck.measure_hatecheck),
    "madlibs": Suite(madlibs.FILES, madlibs.HINT, madlibs.measure_madlibs),
    "paradetox": Suite(paradetox.FILES, paradetox.HINT, paradetox.measure_paradetox),
    "spelling-attacks": Suite(attacks.FILES, attacks.HINT, attacks.measure_attacks),
    "situations": Suite((), "it comes with the package", situations.measure_situations),
}
"""The suites by name."""


def find_suite(name: str, folder: str | Path | None) -> Path:
    """Find a suite's file.

    Args:
        name: One of SUITES.
        folder: Where it is looked for; None will do for one that comes with the package.

    Raises:
        UserError: No such suite, or no such file (says where to get it).
    """
    if name not in SUITES:
        near = difflib.get_close_matches(name, SUITES, 1, 0.5)
        meant = f"did you mean {near[0]!r}? " if near else ""
        raise UserError(f"there is no `suite` {name!r}: {meant}choose from {', '.join(SUITES)}")
    return SUITES[name].find(name, folder)


def run_suite(name: str, folder: str | Path | None, scorer: Scorer, config: EvaluationConfig) -> SuiteReport:
    """Measure a model on a suite.

    Args:
        name: One of SUITES.
        folder: Where the suite's file lies; None will do for one that comes with the package.
        scorer: Texts to scores (n, 7).
        config: Thresholds, policy, samples, seed, split.

    Raises:
        UserError: No such suite, no such file (says where to get it), or a file that is not the suite's.
    """
    path = find_suite(name, folder)
    return SUITES[name].measure(path, scorer, config)
