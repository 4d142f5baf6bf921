"""A MODEL as people name it on the command line, made into a scoring function.

Private to the commands that judge. Imports what a kind of model needs only when one is named.
"""

import json
import math
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from giantkiller.attributes import ATTRIBUTES, OTHER_NAMES
from giantkiller.errors import MissingExtraError, UserError
from giantkiller.judging.metrics import Scorer

if TYPE_CHECKING:
    from giantkiller.bundle import Bundle
    from giantkiller.data.sources import Labelled

HELP = """MODEL is `default` (the shipped bundle), a bundle or checkpoint folder, a Hugging Face hub name,
an http(s) address that scores, a file of scores (.csv, .tsv, .jsonl or .parquet; columns named like the
attributes), or column:NAME, a column of the judged file itself that holds toxicity scores."""

TABLE_ENDINGS = (".csv", ".tsv", ".jsonl", ".ndjson", ".parquet")
BATCH_TOKENS = 4096
MAX_LENGTH = 512
CHUNK = 2048
"""Comments scored between two steps of the progress bar."""
RESPONSE_BYTES = 64 << 20
HTTP_BATCH = 64
HTTP_SECONDS = 60


@dataclass
class Model:
    """A scoring function and what is known of the model behind it."""

    name: str
    kind: str  # bundle, checkpoint, scores or endpoint
    score: Scorer
    thresholds: dict[str, float] = field(default_factory=dict)
    policy: dict[str, dict[str, float]] = field(default_factory=dict)
    about: dict[str, Any] = field(default_factory=dict)
    explain: Callable[[str], list[tuple[int, int, float]]] | None = None
    bundle: "Bundle | None" = None

    def scores(self, texts: Sequence[str]) -> NDArray[Any]:
        """Score texts, with a progress bar on a terminal."""
        if self.kind == "scores" or len(texts) <= CHUNK:
            return np.asarray(self.score(texts))
        parts = []
        with tqdm(total=len(texts), desc=f"scoring with {self.name}", unit="comment", disable=None) as bar:
            for begin in range(0, len(texts), CHUNK):
                parts.append(np.asarray(self.score(texts[begin : begin + CHUNK])))
                bar.update(len(parts[-1]))
        return np.concatenate(parts)


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
        return _endpoint(name)
    if name.startswith("column:"):
        return _stored_column(name, data)
    path = Path(name)
    if path.is_dir():
        if (path / "bundle.json").exists():
            return _bundle(path)
        if (path / "config.json").exists():
            return _checkpoint(name, max_length)
        raise UserError(f"{name} is neither a bundle (bundle.json) nor a checkpoint (config.json): name one")
    if path.name.lower().removesuffix(".gz").endswith(TABLE_ENDINGS):
        return _stored_file(path, data)
    if path.exists() or name.count("/") > 1 or name.startswith((".", "/", "~")):
        raise UserError(f"there is no model at {name}: name a folder, a hub model or a file of scores")
    return _checkpoint(name, max_length)


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


def _checkpoint(name: str, max_length: int | None) -> Model:
    try:
        import torch
        import transformers
    except ImportError as error:
        raise MissingExtraError(error.name or "transformers", "train") from error
    import giantkiller.models  # noqa: F401  (registers the dendritic model)

    if not Path(name).is_dir():
        _reachable(name)
    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    try:
        tokenizer = transformers.AutoTokenizer.from_pretrained(name)
        model, loading = transformers.AutoModelForSequenceClassification.from_pretrained(
            name, output_loading_info=True
        )
    except (OSError, ValueError, KeyError, ImportError) as error:
        raise UserError(
            f"{name} can't be loaded as a text classifier ({type(error).__name__}): name a folder with "
            "config.json, weights and tokenizer, or a model that this machine can fetch from the hub"
        ) from error
    model.eval()
    config = model.config
    columns, softmax = _label_columns(name, {int(k): str(v) for k, v in config.id2label.items()})
    positions = int(getattr(config, "max_position_embeddings", MAX_LENGTH))
    own_limit = min(positions, int(tokenizer.model_max_length), MAX_LENGTH)
    limit = min(max_length or own_limit, own_limit)
    clean = _cleaner(config.model_type)

    def score(texts: Sequence[str]) -> NDArray[Any]:
        prepared = [clean(text) for text in texts]
        result = np.full((len(prepared), len(ATTRIBUTES)), np.nan, dtype=np.float32)
        encoded = tokenizer(prepared, truncation=True, max_length=limit)["input_ids"] if prepared else []
        order = sorted(range(len(encoded)), key=lambda row: -len(encoded[row]))
        begin = 0
        while begin < len(order):
            longest = max(len(encoded[order[begin]]), 1)
            rows = order[begin : begin + max(1, BATCH_TOKENS // longest)]
            batch = tokenizer.pad({"input_ids": [encoded[row] for row in rows]}, return_tensors="pt")
            with torch.inference_mode():
                logits = model(input_ids=batch["input_ids"], attention_mask=batch["attention_mask"]).logits
            logits = logits.float()
            probabilities = torch.softmax(logits, dim=-1) if softmax else torch.sigmoid(logits)
            for attribute, column in columns.items():
                result[rows, ATTRIBUTES.index(attribute)] = probabilities[:, column].numpy()
            begin += len(rows)
        return result

    missing = sorted(loading.get("missing_keys", []))
    parameters = sum(p.numel() for p in model.parameters())
    return Model(
        name=name,
        kind="checkpoint",
        score=score,
        about={
            "max_length": limit,
            "parameters": int(parameters),
            "disk": _disk(name),
            # A head that was not in the file is random: its scores say nothing about the model.
            "fine_tuned": not any("classifier" in key or "score" in key for key in missing),
            "missing_weights": missing,
            "labels": list(config.id2label.values()),
        },
    )


def _reachable(name: str) -> None:
    """Refuse at once where a model is neither cached nor fetchable, instead of a minute of retries."""
    from huggingface_hub import constants, try_to_load_from_cache

    if isinstance(try_to_load_from_cache(name, "config.json"), str):
        return
    try:
        urllib.request.urlopen(constants.ENDPOINT, timeout=10).close()
    except urllib.error.HTTPError:
        return
    except (urllib.error.URLError, OSError) as error:
        raise UserError(
            f"there is no folder {name}, and the hub can't be reached from here: name a folder with the model"
        ) from error


def _disk(name: str) -> int | None:
    """Size of what a checkpoint loads; None for a hub model whose files are not in one folder."""
    folder = Path(name)
    if not folder.is_dir():
        try:
            from transformers.utils.hub import cached_file

            folder = Path(str(cached_file(name, "config.json"))).parent
        except (OSError, ValueError):
            return None
    found = [file for file in folder.iterdir() if file.is_file()]
    kept = {".safetensors", ".json", ".txt"}
    if not any(file.suffix == ".safetensors" for file in found):
        kept.add(".bin")
    return sum(file.stat().st_size for file in found if file.suffix in kept)


def weigh(name: str) -> int | None:
    """Measure the peak memory, in bytes, of a fresh process that loads a model and scores 64 comments.

    None for a model that is no more than stored scores or an address, or where the system does not tell.
    """
    # Linux: the high-water mark of this very program; ru_maxrss would count its parent's memory, too.
    program = (
        "import sys; from giantkiller.cli import _models; "
        "_models.load(sys.argv[1]).score(['One comment of a usual length, to be scored.'] * 64); "
        "print(next(line.split()[1] for line in open('/proc/self/status') if line.startswith('VmHWM')))"
    )
    done = subprocess.run([sys.executable, "-c", program, name], capture_output=True, text=True, check=False)
    return None if done.returncode else int(done.stdout.split()[-1]) * 1024


def _cleaner(model_type: str) -> Callable[[str], str]:
    # Ours was trained on cleaned text; others get what their authors gave them.
    if model_type != "dendritic_bert":
        return str
    from giantkiller.text import clean_text

    return clean_text


def _label_columns(name: str, labels: dict[int, str]) -> tuple[dict[str, int], bool]:
    """Which output is which attribute, and whether outputs exclude each other (softmax)."""
    if len(labels) == 2:
        toxic = [
            column
            for column, label in labels.items()
            if "tox" in label.lower() and not label.lower().startswith(("non", "not", "neutral"))
        ]
        if len(toxic) == 1 and _attribute(labels[1 - toxic[0]]) is None:
            return {"toxicity": toxic[0]}, True
    found: dict[str, int] = {}
    for column, label in labels.items():
        attribute = _attribute(label)
        if attribute:
            found.setdefault(attribute, column)
    if found:
        return found, False
    if set(labels.values()) == {"LABEL_0", "LABEL_1"}:
        return {"toxicity": 1}, True
    raise UserError(
        f"{name} has the labels {', '.join(list(labels.values())[:8])}, none of which is one of ours: "
        f"rename one in its config.json ({', '.join(ATTRIBUTES)})"
    )


def _attribute(label: str) -> str | None:
    """Our name for a label, whatever its capitals and blanks."""
    for spelling in (label, label.lower(), label.lower().replace(" ", "_").replace("-", "_")):
        if spelling in ATTRIBUTES:
            return spelling
        if spelling in OTHER_NAMES:
            return OTHER_NAMES[spelling]
    return None


def stored(name: str, scores: NDArray[Any]) -> Model:
    """A model that is nothing but its scores, row for row those of the judged file."""

    def score(texts: Sequence[str]) -> NDArray[Any]:
        if len(texts) != len(scores):
            raise UserError(
                f"{name} holds {len(scores)} scores for {len(texts)} comments: stored scores can judge "
                "the rows they were made for and nothing else"
            )
        return scores

    return Model(name=name, kind="scores", score=score)


def _stored_column(name: str, data: "Labelled | None") -> Model:
    column = name.removeprefix("column:")
    if data is None or column not in data.extra:
        known = (
            ", ".join(data.extra) if data is not None and len(data.extra) else "none beside text and labels"
        )
        raise UserError(
            f"the judged file has no column {column!r}; beside text and labels it has: {known or 'none'}"
        )
    scores = np.full((len(data), len(ATTRIBUTES)), np.nan)
    scores[:, 0] = _numbers(data.extra[column], column)
    return stored(column, scores)


def _stored_file(path: Path, data: "Labelled | None") -> Model:
    from giantkiller.data.sources import read_columns

    if data is None:
        raise UserError(f"{path} holds scores, so the rows they belong to are needed: name them with --data")
    held = read_columns(path)
    columns: dict[str, str] = {}
    for name in held:
        attribute = _attribute(name)
        if attribute:
            columns.setdefault(attribute, name)
    if not columns:
        found = next((each for each in ("score", "probability", "prediction") if each in held), None)
        if found is None:
            raise UserError(
                f"{path} has no column of scores: name columns like the attributes, "
                "or one 'score' for toxicity"
            )
        columns["toxicity"] = found
    rows = len(held[next(iter(columns.values()))])
    scores = np.full((rows, len(ATTRIBUTES)), np.nan)
    for attribute, name in columns.items():
        scores[:, ATTRIBUTES.index(attribute)] = _numbers(held[name], name)
    if "id" in held and "id" in data.extra:
        scores = scores[_join(path, list(data.extra["id"]), list(held["id"]))]
    elif rows != len(data):
        raise UserError(
            f"{path} has {rows} rows of scores for {len(data)} comments: give one row each, "
            "in the same order, or an 'id' column in both files"
        )
    return stored(path.name, scores)


def _join(path: Path, wanted: list[Any], given: list[Any]) -> list[int]:
    for where, ids in (("the judged file", wanted), (str(path), given)):
        if len(set(ids)) < len(ids):
            raise UserError(f"{where} has the same id in two rows: make the ids unique, or drop the column")
    place = {each: row for row, each in enumerate(given)}
    lost = [each for each in wanted if each not in place]
    if lost:
        raise UserError(f"{path} has no score for {len(lost)} of {len(wanted)} ids: score every row")
    return [place[each] for each in wanted]


def _numbers(values: NDArray[Any], column: str) -> NDArray[np.float64]:
    if values.dtype == object:
        raise UserError(f"the column {column!r} holds words, not scores between 0 and 1")
    return values.astype(np.float64)


def _endpoint(url: str) -> Model:
    """A service. Perspective's `comments:analyze` is asked one comment at a time; any other address gets
    {"texts": [...]} and must answer {"scores": {attribute: [...]}}."""
    # Messages leave out the query: it may hold a key.
    shown = _without_query(url)
    perspective = urlsplit(url).path.endswith("comments:analyze")

    def score(texts: Sequence[str]) -> NDArray[Any]:
        result = np.full((len(texts), len(ATTRIBUTES)), np.nan)
        size = 1 if perspective else HTTP_BATCH
        for begin in range(0, len(texts), size):
            batch = list(texts[begin : begin + size])
            if perspective:
                answer = _post(url, {"comment": {"text": batch[0]}, "requestedAttributes": {"TOXICITY": {}}})
                columns = {
                    name: [each.get("summaryScore", {}).get("value")]
                    for name, each in _mapping(shown, answer.get("attributeScores")).items()
                    if isinstance(each, dict)
                }
            else:
                columns = _mapping(shown, _post(url, {"texts": batch}).get("scores"))
            for name, values in columns.items():
                attribute = _attribute(name)
                if attribute is None:
                    continue
                if not isinstance(values, list) or len(values) != len(batch):
                    raise UserError(f"{shown} answered without one {name} score for each comment")
                if not all(isinstance(v, (int, float)) and math.isfinite(v) for v in values):
                    raise UserError(f"{shown} answered with a {name} score that is no number")
                result[begin : begin + len(batch), ATTRIBUTES.index(attribute)] = values
        return result

    return Model(name=str(urlsplit(url).hostname), kind="endpoint", score=score)


def _mapping(url: str, thing: Any) -> dict[str, Any]:
    if not isinstance(thing, dict):
        raise UserError(f'{url} did not answer with {{"scores": {{"toxicity": [...]}}}}')
    return thing


def _without_query(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.hostname}{f':{parts.port}' if parts.port else ''}{parts.path}"


def _post(url: str, body: dict[str, Any]) -> dict[str, Any]:
    shown = _without_query(url)
    request = urllib.request.Request(
        url, data=json.dumps(body).encode(), headers={"Content-Type": "application/json"}, method="POST"
    )
    try:
        with urllib.request.urlopen(request, timeout=HTTP_SECONDS) as response:
            raw = response.read(RESPONSE_BYTES + 1)
    except (urllib.error.URLError, TimeoutError, OSError) as error:
        reason = getattr(error, "reason", None) or type(error).__name__
        raise UserError(f"{shown} can't be asked: {reason}") from error
    if len(raw) > RESPONSE_BYTES:
        raise UserError(f"{shown} answered with more than {RESPONSE_BYTES >> 20} MB for one batch")
    try:
        answer = json.loads(raw)
    except (ValueError, RecursionError) as error:
        raise UserError(f"{shown} answered with something that is not JSON") from error
    return _mapping(shown, answer)
