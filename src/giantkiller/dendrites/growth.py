"""Growth: an outer loop around any training loop that keeps dendrites that help and undoes the others."""

import dataclasses
import hashlib
import inspect
import json
import logging
import math
import random
import shutil
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import torch
import torch.distributed as dist
from torch import nn

from giantkiller.dendrites import state as states
from giantkiller.dendrites.error_signal import Errors
from giantkiller.dendrites.exceptions import DendriteError
from giantkiller.dendrites.ledger import FILE, Attempt, Ledger, read_ledger
from giantkiller.dendrites.perforate import dendritic_layers, parameters
from giantkiller.dendrites.rules import GradientRule, Growth, Rule

log = logging.getLogger(__name__)


@dataclass
class GrowthPhase:
    """The phase of a growth that a training belongs to.

    Attributes:
        number: 0 is the training before growth, then one a growth attempt.
        grown: Number of dendrites of each layer that grew in this attempt.
        folder: Folder for the training's own checkpoints, the same one when the phase is resumed, and
            removed when the phase is over; None if the growth writes no files.
        seed: Seed of this phase; the random generators are seeded with it already.
        curve: (seconds since the phase began, score) of each call of `report`.
    """

    number: int
    grown: dict[str, int]
    folder: Path | None
    seed: int
    curve: list[tuple[float, float]] = field(default_factory=list)
    began: float = field(default_factory=time.perf_counter, repr=False)

    def report(self, score: float) -> None:
        """Record a validation score during training, for the ledger's curve."""
        self.curve.append((time.perf_counter() - self.began, float(score)))


T = TypeVar("T")
Fit = Callable[..., Any]
Score = Callable[[nn.Module], float]


class Grower:
    """Train, grow dendrites, train again, as long as the score improves.

    Args:
        model: A perforated model. It is trained in place and ends as the best model found.
        fit: Trains a model in place, with an optimizer of its own making: growth renews parameters. It is
            called `fit(model)`, or `fit(model, phase=...)` with a `GrowthPhase` if it has a parameter of
            that name.
        score: Returns the validation score of a model; higher is better, any sign.
        rule: How dendrites are made; `GradientRule()` by default.
        max_dendrites: Maximum number of dendrites of a neuron.
        min_gain: What an attempt must add to the best score to be kept. At 0 the score must rise; a
            negative value lets it fall by so much, for those who want dendrites within the noise.
        tries: Number of attempts in a row that were not kept after which growth ends.
        errors: Data and loss from which `CorrelationRule` computes the remaining error.
        folder: Folder of the ledger and the states, so that a killed growth resumes; no files without it.
        recipe: All else that decides the result, in JSON types; a resumed growth must have the same.
        seed: Seed of the drawn dendrites and of the random numbers of each phase.
        trained: Whether the model is trained already; the first phase then only scores it.

    Raises:
        DendriteError: If the model has no dendritic layer, or an argument is out of range.
    """

    def __init__(
        self,
        model: nn.Module,
        *,
        fit: Fit,
        score: Score,
        rule: Rule | None = None,
        max_dendrites: int = 1,
        min_gain: float = 0.0,
        tries: int = 1,
        errors: Errors | None = None,
        folder: Path | str | None = None,
        recipe: Mapping[str, Any] | None = None,
        seed: int = 0,
        trained: bool = False,
    ) -> None:
        if isinstance(model, nn.parallel.DistributedDataParallel | nn.DataParallel):
            raise DendriteError("pass Grower the module inside the parallel wrapper: `fit` does the wrapping")
        if not dendritic_layers(model):
            raise DendriteError("the model has no dendritic layer: call perforate(model) first")
        if max_dendrites < 0 or tries < 1 or not math.isfinite(min_gain):
            raise DendriteError("growth needs max_dendrites >= 0, tries >= 1 and a finite min_gain")
        self.model = model
        self.fit = fit
        self.score = score
        self.rule = rule if rule is not None else GradientRule()
        self.max_dendrites = max_dendrites
        self.min_gain = min_gain
        self.tries = tries
        self.errors = errors
        self.folder = Path(folder) if folder is not None else None
        self.seed = seed
        self.trained = trained
        self._own = dict(recipe or {})
        self._wants_phase = "phase" in inspect.signature(fit).parameters

    def run(self) -> Ledger:
        """Grow to the end, from wherever an earlier run into the same folder was stopped.

        Returns:
            The ledger of all attempts; the model is the best one.

        Raises:
            DendriteError: If the folder holds the growth of another model or recipe, or the score of the
                model before growth is not a number.
        """
        ledger = self._resume()
        best = states.capture(self.model)
        try:
            while ledger.reason is None:
                ledger.reason = self._stop_reason(ledger)
                if ledger.reason is None:
                    attempt = self._attempt(ledger)
                    if attempt.kept:
                        best = states.capture(self.model)
                    else:
                        states.restore(self.model, best)
                    ledger.attempts.append(attempt)
                self._record(ledger, best)
        except BaseException:
            states.restore(self.model, best)
            raise
        return ledger

    def _stop_reason(self, ledger: Ledger) -> str | None:
        """Return why growth is over, or None."""
        if not ledger.attempts:
            return None
        if not self._growable():
            return f"no layer may have more than {self.max_dendrites} dendrites"
        if ledger.failures >= self.tries:
            return f"{ledger.failures} attempts in a row did not add {self.min_gain:g} to the score"
        return None

    def _growable(self) -> list[str]:
        """Return the names of the layers that may have more dendrites."""
        most = self.max_dendrites - self.rule.dendrites
        return [name for name, layer in dendritic_layers(self.model).items() if layer.dendrites <= most]

    def _attempt(self, ledger: Ledger) -> Attempt:
        """Grow, train and score once; leaves the model as trained."""
        number = len(ledger.attempts)
        seed = self.seed + 1_000_003 * number
        work = None if self.folder is None else self.folder / f"phase-{number:03d}"
        growth, grow_seconds = self._grow(ledger, seed, work)
        phase = GrowthPhase(number, growth.grown, None if work is None else work / "fit", seed)
        if phase.folder is not None:
            phase.folder.mkdir(parents=True, exist_ok=True)
        with seeded(seed + _rank()):
            if number > 0 or not self.trained:
                self.fit(self.model, **({"phase": phase} if self._wants_phase else {}))
            score = _from_first_process(float(self.score(self.model)))
        fit_seconds = time.perf_counter() - phase.began
        best = ledger.best
        if best is None and not math.isfinite(score):
            raise DendriteError(
                f"the score of the model before growth is {score}: nothing can be compared with it"
            )
        rises = best is None or score > best.score or self.min_gain < 0
        kept = rises and (best is None or score >= best.score + self.min_gain)
        log.info("attempt %d: score %.6f, %s", number, score, "kept" if kept else "undone")
        size = parameters(self.model)
        return Attempt(
            number=number,
            grown=growth.grown,
            before=None if best is None else best.score,
            score=score,
            kept=kept,
            parameters=size.total,
            dendrite_parameters=size.dendrites,
            grow_seconds=grow_seconds,
            fit_seconds=fit_seconds,
            correlations=growth.correlations,
            curve=phase.curve,
        )

    def _grow(self, ledger: Ledger, seed: int, work: Path | None) -> tuple[Growth, float]:
        """Make the dendrites of an attempt, or load those that a killed run saved."""
        start = None if work is None else work / "start.safetensors"
        if start is not None and _from_first_process(start.exists()):
            state, note = states.load(start)
            states.restore(self.model, state)
            return Growth(note["grown"], note["correlations"]), note["seconds"]
        began = time.perf_counter()
        growth = Growth({})
        if ledger.attempts:
            with seeded(seed + _rank()):
                growth = self.rule.grow(self.model, self._growable(), errors=self.errors, seed=seed)
        seconds = time.perf_counter() - began
        if start is not None and _rank() == 0:
            start.parent.mkdir(parents=True, exist_ok=True)
            note = {"grown": growth.grown, "correlations": growth.correlations, "seconds": seconds}
            states.save(states.capture(self.model), start, note)
        _barrier()
        return growth, seconds

    def _resume(self) -> Ledger:
        """Read the ledger in the folder, if there is one, and restore the model to its best state."""
        ledger = Ledger(self._recipe())
        if self.folder is None:
            return ledger
        if _from_first_process((self.folder / FILE).exists()):
            found = read_ledger(self.folder)
            for key, value in ledger.recipe.items():
                if found.recipe.get(key) != value:
                    other = "model" if key == "model" else "recipe"
                    raise DendriteError(
                        f"{self.folder} holds the growth of another {other} "
                        f"({key}: {_shortened(found.recipe.get(key))} there, {_shortened(value)} here): "
                        "choose another folder, or delete that one"
                    )
            if found.best is not None:
                states.restore(self.model, states.load(self._best_file(found.best.number))[0])
            log.info("resuming after %d attempts", len(found.attempts))
            # With a higher max_dendrites or tries, growth goes on where it had ended.
            found.reason = None
            return found
        if _rank() == 0:
            self.folder.mkdir(parents=True, exist_ok=True)
            ledger.save(self.folder)
        _barrier()
        return ledger

    def _record(self, ledger: Ledger, best: states.State) -> None:
        """Write the result of an attempt: first the state, then the ledger that names it, then clean up."""
        if self.folder is None or ledger.best is None:
            return
        if _rank() == 0:
            file = self._best_file(ledger.best.number)
            if not file.exists():
                states.save(best, file, {})
            ledger.save(self.folder)
            for old in self.folder.glob("best-*.safetensors"):
                if old != file:
                    old.unlink()
            for number in range(len(ledger.attempts)):
                shutil.rmtree(self.folder / f"phase-{number:03d}", ignore_errors=True)
        _barrier()

    def _best_file(self, number: int) -> Path:
        assert self.folder is not None
        return self.folder / f"best-{number:03d}.safetensors"

    def _recipe(self) -> dict[str, Any]:
        """Return all that decides the result, in JSON types; the model's shape leaves dendrites out."""
        plain = [
            (name, list(tensor.shape), str(tensor.dtype))
            for name, tensor in self.model.named_parameters()
            if not name.rpartition(".")[2].startswith("dendrite_")
        ]
        shape = hashlib.sha256(json.dumps(plain).encode()).hexdigest()[:16]
        recipe = {
            "model": f"{type(self.model).__name__} {shape}",
            "layers": {name: layer.activation for name, layer in dendritic_layers(self.model).items()},
            "rule": _settings(self.rule),
            "min_gain": self.min_gain,
            "seed": self.seed,
            "trained": self.trained,
            "own": self._own,
        }
        try:
            plain_types: dict[str, Any] = json.loads(json.dumps(recipe))
        except (TypeError, ValueError) as error:
            raise DendriteError(f"the recipe of a growth must be made of JSON types: {error}") from None
        return plain_types


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Seed every random generator in use for a while, and restore the caller's states afterwards."""
    numpy = sys.modules.get("numpy")
    before_python = random.getstate()
    before_numpy = numpy.random.get_state() if numpy else None
    devices = list(range(torch.cuda.device_count())) if torch.cuda.is_initialized() else []
    with torch.random.fork_rng(devices=devices):
        torch.manual_seed(seed)
        random.seed(seed)
        if numpy:
            numpy.random.seed(seed % 2**32)
        try:
            yield
        finally:
            random.setstate(before_python)
            if numpy:
                numpy.random.set_state(before_numpy)


def _settings(rule: Any) -> dict[str, Any]:
    """Return the settings of a rule by name."""
    settings = {"type": type(rule).__name__}
    if dataclasses.is_dataclass(rule) and not isinstance(rule, type):
        settings |= dataclasses.asdict(rule)
    return settings


def _shortened(value: Any) -> str:
    text = json.dumps(value)
    return text if len(text) <= 120 else text[:117] + "..."


def _distributed() -> bool:
    return dist.is_available() and dist.is_initialized()


def _rank() -> int:
    return dist.get_rank() if _distributed() else 0


def _barrier() -> None:
    """Wait for all processes: one writes, all read."""
    if _distributed():
        dist.barrier()


def _from_first_process(value: T) -> T:
    """Return the first process's value, so that every process decides alike."""
    if not _distributed():
        return value
    values = [value]
    dist.broadcast_object_list(values, src=0)
    return values[0]
