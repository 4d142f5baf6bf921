"""Whatever scores comments, by the name that people give it, made into a scoring function.

Imports what a kind of model needs only when one is named.
"""

import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from giantkiller.errors import UserError
from giantkiller.evaluation.opponents.checkpoint import checkpoint
from giantkiller.evaluation.opponents.endpoint import endpoint
from giantkiller.evaluation.opponents.model import Model
from giantkiller.evaluation.opponents.stored import stored, stored_column, stored_file

if TYPE_CHECKING:
    from giantkiller.data.sources import Labelled

__all__ = ["HELP", "Model", "load", "stored", "weigh"]

HELP = """MODEL is `default` (the shipped bundle), a bundle or checkpoint folder, a Hugging Face hub name,
an http(s) address that scores, a file of scores (.csv, .tsv, .jsonl or .parquet; columns named like the
attributes), or column:NAME, a column of the judged file itself that holds toxicity scores."""

TABLE_ENDINGS = (".csv", ".tsv", ".jsonl", ".ndjson", ".parquet")


def load(name: str, data: "Labelled | None" = None, *, max_length: int | None = None) -> Model:
    """Find out what a MODEL is and load it.

    Args:
        name: see HELP.
        data: the judged rows; stored scores are taken from them or must match them.
        max_length: tokens a comment is cut at, for a Hugging Face classifier; its own limit if not given.

    Raises:
        UserError: there is no such model, or it gives no score that is one of ours.
    """
    if name == "default":
        return _bundle(None)
    if name.startswith(("http://", "https://")):
        return endpoint(name)
    if name.startswith("column:"):
        return stored_column(name, data)
    path = Path(name)
    if path.is_dir():
        if (path / "bundle.json").exists():
            return _bundle(path)
        if (path / "config.json").exists():
            return checkpoint(name, max_length)
        raise UserError(f"{name} is neither a bundle (bundle.json) nor a checkpoint (config.json): name one")
    if path.name.lower().removesuffix(".gz").endswith(TABLE_ENDINGS):
        return stored_file(path, data)
    if path.exists() or name.count("/") > 1 or name.startswith((".", "/", "~")):
        raise UserError(f"there is no model at {name}: name a folder, a hub model or a file of scores")
    return checkpoint(name, max_length)


def weigh(name: str) -> int | None:
    """Measure the peak memory, in bytes, of a fresh process that loads a model and scores 64 comments.

    None for a model that is no more than stored scores or an address, or where the system does not tell.
    """
    # Linux: the high-water mark of this very program; ru_maxrss would count its parent's memory, too.
    program = (
        "import sys; from giantkiller.evaluation.opponents import load; "
        "load(sys.argv[1]).score(['One comment of a usual length, to be scored.'] * 64); "
        "print(next(line.split()[1] for line in open('/proc/self/status') if line.startswith('VmHWM')))"
    )
    done = subprocess.run([sys.executable, "-c", program, name], capture_output=True, text=True, check=False)
    return None if done.returncode else int(done.stdout.split()[-1]) * 1024


def _bundle(folder: Path | None) -> Model:
    from giantkiller.screener import Screener

    screener = Screener(folder)
    bundle = screener.bundle
    about: dict[str, Any] = {"max_length": bundle.max_length, "disk": bundle.bytes, "fine_tuned": True}
    about |= {
        key: bundle.provenance[key] for key in ("parameters", "quantization") if key in bundle.provenance
    }
    files = bundle.provenance.get("training", {}).get("data", {})
    about["trained_on"] = ", ".join(files) or None
    about["threshold"] = dict(bundle.threshold)
    about["fitting"] = bundle.figures.get("policy", {})
    return Model(
        name=f"{bundle.name} {bundle.version}",
        kind="bundle",
        score=screener.scores,
        thresholds=dict(bundle.threshold),
        policy=bundle.policy.to_dict(),
        about=about | {"provenance": dict(bundle.provenance)},
        bundle=bundle,
        explain=lambda text: [(span.begin, span.end, span.contribution) for span in screener.explain(text)],
    )
