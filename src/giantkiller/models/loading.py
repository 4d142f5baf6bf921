"""Loading Hugging Face classifiers: quietly, and in one sentence where it fails."""

import atexit
import importlib.util
import shutil
import tempfile
import urllib.error
import urllib.request
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from huggingface_hub import constants, try_to_load_from_cache
from safetensors import SafetensorError, safe_open
from transformers import AutoModelForSequenceClassification, AutoTokenizer, PreTrainedTokenizerFast
from transformers.utils import logging as transformers_logging
from transformers.utils.hub import cached_file

import giantkiller.models  # noqa: F401  registers our own architecture
from giantkiller.bundle import CONFIG, DEFAULT, DEFAULT_NAME, TOKENIZER, expanded, is_bundle, read_bundle
from giantkiller.encoding import Encoder
from giantkiller.errors import UserError
from giantkiller.models.inference import predict, tokenize, use_bf16
from giantkiller.models.labels import label_columns
from giantkiller.models.rebuild import rebuild_checkpoint

MAX_LENGTH = 512


@dataclass(frozen=True)
class Classifier:
    """A sequence classifier and its tokenizer.

    Attributes:
        name: What it was asked for by.
        folder: Where its files are.
        model: The torch model, in evaluation mode.
        tokenizer: A fast tokenizer of transformers.
        missing: Weights that the checkpoint lacks: they have random values.
        cleans: Whether it expects cleaned texts, as what `giantkiller train` wrote does.
    """

    name: str
    folder: Path
    model: Any
    tokenizer: Any
    missing: tuple[str, ...]
    cleans: bool

    @property
    def labels(self) -> list[str]:
        """Names of its outputs, in order."""
        return [str(label) for _, label in sorted(self.model.config.id2label.items())]

    @property
    def columns(self) -> tuple[dict[str, int], bool]:
        """Which output is which attribute, and whether outputs exclude each other (softmax).

        Raises:
            UserError: None of them is an attribute.
        """
        return label_columns(self.name, self.labels)

    @property
    def files(self) -> list[Path]:
        """What is read of its folder: config and tokenizer, and the weights in one format."""
        found = sorted(path for path in self.folder.iterdir() if path.is_file())
        kept = {".safetensors", ".json", ".txt"}
        if not any(path.suffix == ".safetensors" for path in found):
            kept.add(".bin")
        return [path for path in found if path.suffix in kept]

    @property
    def max_length(self) -> int:
        """Most tokens a text that it reads, special ones included."""
        positions = int(getattr(self.model.config, "max_position_embeddings", MAX_LENGTH))
        # RoBERTa and its kin count positions from behind the padding token's on.
        first = self.model.config.pad_token_id or 0 if "roberta" in self.model.config.model_type else -1
        return min(positions - first - 1, int(self.tokenizer.model_max_length), MAX_LENGTH)

    def encoder(self, max_length: int | None = None) -> Encoder:
        """Make its encoder, for texts of `max_length` tokens or, if that is less, what it reads."""
        limit = min(max_length or self.max_length, self.max_length)
        return Encoder(self.tokenizer.backend_tokenizer, limit, cleans=self.cleans)

    def logits_function(
        self, max_length: int | None = None, precision: str = "fp32", device: str = "cpu"
    ) -> Callable[[Sequence[str]], np.ndarray]:
        """Make a function from texts to logits (n, labels) float32.

        Args:
            max_length: Tokens that a text is cut at, its own limit at most.
            precision: `auto` (bf16 on GPUs that have it), `fp32` or `bf16`.
            device: Where the model is moved.
        """
        encoder = self.encoder(max_length)
        self.model.to(device)
        bf16 = use_bf16(precision, torch.device(device))
        pad_id = self.tokenizer.pad_token_id or 0

        def logits(texts: Sequence[str]) -> np.ndarray:
            tokens = tokenize(encoder, texts, clean=True, pad_id=pad_id)
            with torch.autocast(device, torch.bfloat16, enabled=bf16):
                return predict(self.model, tokens, width=len(self.labels))

        return logits


def load_checkpoint(name: str) -> Classifier:
    """Load a classifier with its tokenizer.

    Args:
        name: What `resolve` understands.

    Raises:
        UserError: It can't be had, or has no fast tokenizer.
    """
    where = resolve(name)
    folder = Path(where) if Path(where).is_dir() else _cached(where)
    tokenizer = load_tokenizer(name)
    model, info = load_pretrained(AutoModelForSequenceClassification, name, output_loading_info=True)
    return Classifier(
        name=name,
        folder=folder,
        model=model.eval(),
        tokenizer=tokenizer,
        missing=tuple(sorted(info["missing_keys"])),
        # What `giantkiller train` wrote was trained on cleaned text; others get what people wrote.
        cleans=model.config.model_type == "dendritic_bert" or (folder / "training" / "record.json").is_file(),
    )


def _cached(name: str) -> Path:
    """Return the folder in which the hub's client keeps what it fetched of a repository."""
    repository, _, revision = name.partition("@")
    return Path(str(cached_file(repository, CONFIG, revision=revision or None))).parent


def load_tokenizer(name: str) -> Any:
    """Load a fast tokenizer by what `resolve` understands; `default` is the shipped bundle's.

    Raises:
        UserError: It can't be had, or only as a slow one.
    """
    _quiet()
    if name == DEFAULT_NAME:
        return PreTrainedTokenizerFast(
            tokenizer_file=str(DEFAULT / TOKENIZER),
            cls_token="[CLS]",
            sep_token="[SEP]",
            pad_token="[PAD]",
            unk_token="[UNK]",
            mask_token="[MASK]",
        )
    tokenizer = load_pretrained(AutoTokenizer, name, needs=None)
    if getattr(tokenizer, "backend_tokenizer", None) is None:
        raise UserError(f"{name} has no fast tokenizer (tokenizer.json)")
    return tokenizer


def load_pretrained(kind: Any, name: str, *, needs: str | None = CONFIG, **options: Any) -> Any:
    """Load by a class with `from_pretrained`, from what `resolve` understands.

    Args:
        kind: The class.
        name: Where from.
        needs: A file that a folder must have.
        **options: Passed on.

    Raises:
        UserError: It can't be had, with the first line of the reason.
    """
    where = resolve(name, needs)
    if not Path(where).is_dir():
        check_reachable(where, CONFIG)
        where, _, revision = where.partition("@")
        options = {**options, "revision": revision or "main"}
    elif needs:
        _refuse_old_phrases(Path(where))
    _quiet()
    try:
        return kind.from_pretrained(where, **options)
    except Exception as error:  # safetensors, transformers, json and the hub's client raise their own kinds
        reason = (str(error).strip() or type(error).__name__).splitlines()[0][:200]
        raise UserError(
            f"{name!r} could not be loaded ({reason}); give a hub id that this machine can reach, "
            f"or a local folder with config.json, weights and tokenizer"
        ) from error


def _refuse_old_phrases(folder: Path) -> None:
    """Refuse a checkpoint whose phrases have no check numbers, which would be read as others'."""
    try:
        with safe_open(folder / "model.safetensors", "pt") as file:
            names = set(file.keys())
    except (OSError, SafetensorError):
        return  # loading says what is wrong with it
    if "bert.phrases.weight" in names and "bert.phrases.checks" not in names:
        raise UserError(
            f"the checkpoint {folder} has phrases as giantkiller 0.8.0 made them; use it with that version, "
            "or train its recipe again"
        )


def resolve(name: str, needs: str | None = CONFIG) -> str:
    """Turn the name of a checkpoint into what `from_pretrained` takes.

    Args:
        name: A checkpoint's folder or hub id, `package:NAME/FOLDER`, or a bundle's: `default`, folder or hub
            id, whose checkpoint is rebuilt.
        needs: A file that the folder must have; None where a tokenizer will do.

    Raises:
        UserError: There is no such package, folder or checkpoint, or the bundle was built elsewhere.
    """
    if name.startswith("package:"):
        return _in_package(name)
    folder = expanded(name)
    if folder.is_dir() and (not needs or (folder / needs).is_file()):
        return str(folder)
    if is_bundle(name):
        return _rebuilt(name)
    return name


@cache
def _rebuilt(bundle: str) -> str:
    """Rebuild the checkpoint of a bundle, for as long as the process lives."""
    _quiet()
    folder = tempfile.mkdtemp(prefix="giantkiller-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    rebuild_checkpoint(read_bundle(bundle), folder)
    return folder


def check_reachable(name: str, file: str) -> None:
    """Refuse at once what is neither cached nor fetchable, instead of after a minute of retries.

    Args:
        name: A hub id.
        file: Of which a cached copy will do.

    Raises:
        UserError: The hub can't be reached.
    """
    repository, _, revision = name.partition("@")
    if isinstance(try_to_load_from_cache(repository, file, revision=revision or None), str):
        return
    try:
        urllib.request.urlopen(constants.ENDPOINT, timeout=10).close()
    except urllib.error.HTTPError:
        return
    except (urllib.error.URLError, OSError) as error:
        raise UserError(
            f"there is no folder {name}, and the hub can't be reached from here; name a folder with the model"
        ) from error


def _quiet() -> None:
    transformers_logging.set_verbosity_error()
    transformers_logging.disable_progress_bar()


def _in_package(name: str) -> str:
    package, _, inner = name.removeprefix("package:").partition("/")
    try:
        spec = importlib.util.find_spec(package)
    except (ImportError, ValueError):
        spec = None
    if spec is None or not spec.submodule_search_locations:
        raise UserError(
            f"{name!r} needs the Python package {package}; "
            f"install it with: pip install {package.replace('_', '-')}"
        )
    folder = Path(spec.submodule_search_locations[0]) / inner
    if not folder.is_dir():
        raise UserError(f"the Python package {package} has no folder {inner!r}; check {name!r}")
    return str(folder)
