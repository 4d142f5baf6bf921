"""The bundle: one folder with all that scoring needs, verified whenever it is read."""

from giantkiller.bundle.distribution import BINS, DISTRIBUTION, bin_counts, score_distribution
from giantkiller.bundle.files import check_place, read_bundle, write_bundle
from giantkiller.bundle.finding import CONFIG, DEFAULT, HUB_ID, expanded, find_bundle, is_bundle
from giantkiller.bundle.manifest import CARD, DEFAULT_NAME, MANIFEST, MODEL, TOKENIZER, Bundle, FileRecord

__all__ = [
    "BINS",
    "CARD",
    "CONFIG",
    "DEFAULT",
    "DEFAULT_NAME",
    "DISTRIBUTION",
    "HUB_ID",
    "MANIFEST",
    "MODEL",
    "TOKENIZER",
    "Bundle",
    "FileRecord",
    "bin_counts",
    "check_place",
    "expanded",
    "find_bundle",
    "is_bundle",
    "read_bundle",
    "score_distribution",
    "write_bundle",
]
