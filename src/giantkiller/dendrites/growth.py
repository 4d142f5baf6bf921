"""Growth: an outer loop around any training loop, that keeps what helps and takes back what does not."""

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
from giantkiller.dendrites.layers import DendriteError
from giantkiller.dendrites.ledger import FILE, Attempt, Ledger, read_ledger
from giantkiller.dendrites.perforate import dendritic_layers, parameters
from giantkiller.dendrites.rules import GradientRule, Growth, Rule

log = logging.getLogger(__name__)


@dataclass
class Phase:
    """What the training is told about the phase it is in.

    Attributes:
        number: 0 is the training before growth, then one a growth attempt.
        grown: the layers that got dendrites in this attempt, with the number they have now.
        folder: a folder for the training's own checkpoints, the same one when the phase is resumed, and
            removed when the phase is over; None if the growth writes no files.
        seed: of this phase; the random generators are seeded with it already.
        curve: what `report` was told.
    """

    number: int
    grown: dict[str, int]
    folder: Path | None
    seed: int
    curve: list[tuple[float, float]] = field(default_factory=list)
    began: float = field(default_factory=time.perf_counter, repr=False)

    def report(self, score: float) -> None:
        """Note a validation score on the way, for the ledger's curve."""
        self.curve.append((time.perf_counter() - self.began, float(score)))


T = TypeVar("T")
Fit = Callable[..., Any]
Score = Callable[[nn.Module], float]


class Grower:
    """Train, grow dendrites, train again, as long as the score improves.

    Args:
        model: perforated. It is trained in place and ends as the best model that was found.
        fit: trains the model it is given, in place, with an optimizer of its own making: growth renews
            parameters. It is called `fit(model)`, or `fit(model, phase=...)` with a `Phase` if it has a
            parameter of that name.
        score: tells how good a model is on validation data; higher is better, any sign.
        rule: `GradientRule()` by default.
        max_dendrites: no neuron gets more.
        min_gain: what an attempt must add to the score of the model so far to be kept. At 0 the score must
            rise; a negative one lets it fall by so much, for those who want dendrites within the noise.
        tries: growth ends after so many attempts in a row that were not kept.
        errors: where `CorrelationRule` sees the remaining error.
        folder: where the ledger and the states go, so that a killed growth resumes; no files without it.
        recipe: whatever else decides the result, in JSON types; a resumed growth must be given the same.
        seed: decides the dendrites drawn and the random numbers of each phase.
        trained: the model is trained already: the first phase only scores it.

    Raises:
        DendriteError: the model has no dendritic layer, or an argument is out of its range.
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
            raise DendriteError("give Grower the module inside the parallel wrapper: `fit` does the wrapping")
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
            The ledger; the model is the best one.

        Raises:
            DendriteError: the folder holds the growth of another model or recipe, or the score of the
                model before growth is not a number.
        """
        ledger = self._resume()
        best = states.take(self.model)
        try:
            while ledger.reason is None:
                ledger.reason = self._finished(ledger)
                if ledger.reason is None:
                    attempt = self._attempt(ledger)
                    if attempt.kept:
                        best = states.take(self.model)
                    else:
                        states.put(self.model, best)
                    ledger.attempts.append(attempt)
                self._record(ledger, best)
        except BaseException:
            states.put(self.model, best)
            raise
        return ledger

    def _finished(self, ledger: Ledger) -> str | None:
        """Tell why growth is over, or None."""
        if not ledger.attempts:
            return None
        if not self._with_room():
            return f"no layer may have more than {self.max_dendrites} dendrites"
        if ledger.failures >= self.tries:
            return f"{ledger.failures} attempts in a row did not add {self.min_gain:g} to the score"
        return None

    def _with_room(self) -> list[str]:
        """Name the layers that may have more dendrites."""
        most = self.max_dendrites - self.rule.dendrites
        return [name for name, layer in dendritic_layers(self.model).items() if layer.dendrites <= most]

    def _attempt(self, ledger: Ledger) -> Attempt:
        """Grow, train and score once; leaves the model as trained."""
        number = len(ledger.attempts)
        seed = self.seed + 1_000_003 * number
        work = None if self.folder is None else self.folder / f"phase-{number:03d}"
        growth, grow_seconds = self._grown(ledger, seed, work)
        phase = Phase(number, growth.grown, None if work is None else work / "fit", seed)
        if phase.folder is not None:
            phase.folder.mkdir(parents=True, exist_ok=True)
        with seeded(seed + _rank()):
            if number > 0 or not self.trained:
                self.fit(self.model, **({"phase": phase} if self._wants_phase else {}))
            score = _agreed(float(self.score(self.model)))
        fit_seconds = time.perf_counter() - phase.began
        best = ledger.best
        if best is None and not math.isfinite(score):
            raise DendriteError(
                f"the score of the model before growth is {score}: nothing can be compared with it"
            )
        rises = best is None or score > best.score or self.min_gain < 0
        kept = rises and (best is None or score >= best.score + self.min_gain)
        log.info("attempt %d: score %.6f, %s", number, score, "kept" if kept else "taken back")
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

    def _grown(self, ledger: Ledger, seed: int, work: Path | None) -> tuple[Growth, float]:
        """Make the dendrites of an attempt, or take them from where a killed run left them."""
        start = None if work is None else work / "start.safetensors"
        if start is not None and _agreed(start.exists()):
            state, note = states.load(start)
            states.put(self.model, state)
            return Growth(note["grown"], note["correlations"]), note["seconds"]
        began = time.perf_counter()
        growth = Growth({})
        if ledger.attempts:
            with seeded(seed + _rank()):
                growth = self.rule.grow(self.model, self._with_room(), errors=self.errors, seed=seed)
        seconds = time.perf_counter() - began
        if start is not None and _rank() == 0:
            start.parent.mkdir(parents=True, exist_ok=True)
            note = {"grown": growth.grown, "correlations": growth.correlations, "seconds": seconds}
            states.save(states.take(self.model), start, note)
        _together()
        return growth, seconds

    def _resume(self) -> Ledger:
        """Take up the ledger in the folder, if there is one, and bring the model to its best state."""
        ledger = Ledger(self._recipe())
        if self.folder is None:
            return ledger
        if _agreed((self.folder / FILE).exists()):
            found = read_ledger(self.folder)
            for key, value in ledger.recipe.items():
                if found.recipe.get(key) != value:
                    other = "model" if key == "model" else "recipe"
                    raise DendriteError(
                        f"{self.folder} holds the growth of another {other} "
                        f"({key}: {_short(found.recipe.get(key))} there, {_short(value)} here): "
                        "give it a folder of its own, or delete that one"
                    )
            if found.best is not None:
                states.put(self.model, states.load(self._best_file(found.best.number))[0])
            log.info("resuming after %d attempts", len(found.attempts))
            # Asked for more dendrites or tries than before, it goes on where it had ended.
            found.reason = None
            return found
        if _rank() == 0:
            self.folder.mkdir(parents=True, exist_ok=True)
            ledger.save(self.folder)
        _together()
        return ledger

    def _record(self, ledger: Ledger, best: states.State) -> None:
        """Write what an attempt came to: first the state, then the ledger that names it, then tidy up."""
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
        _together()

    def _best_file(self, number: int) -> Path:
        assert self.folder is not None
        return self.folder / f"best-{number:03d}.safetensors"

    def _recipe(self) -> dict[str, Any]:
        """Tell all that decides the result, as plain types; dendrites are left out of the model's shape."""
        plain = [
            (name, list(tensor.shape), str(tensor.dtype))
            for name, tensor in self.model.named_parameters()
            if not name.rpartition(".")[2].startswith("dendrite_")
        ]
        shape = hashlib.sha256(json.dumps(plain).encode()).hexdigest()[:16]
        recipe = {
            "model": f"{type(self.model).__name__} {shape}",
            "layers": {name: layer.activation for name, layer in dendritic_layers(self.model).items()},
            "rule": _told(self.rule),
            "min_gain": self.min_gain,
            "seed": self.seed,
            "trained": self.trained,
            "own": self._own,
        }
        try:
            told: dict[str, Any] = json.loads(json.dumps(recipe))
        except (TypeError, ValueError) as error:
            raise DendriteError(f"the recipe of a growth must be made of JSON types: {error}") from None
        return told


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Seed every random generator in use for a while, and give the caller's own states back after."""
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


def _told(settings: Any) -> dict[str, Any]:
    """Return the settings of a rule by name."""
    told = {"type": type(settings).__name__}
    if dataclasses.is_dataclass(settings) and not isinstance(settings, type):
        told |= dataclasses.asdict(settings)
    return told


def _short(value: Any) -> str:
    text = json.dumps(value)
    return text if len(text) <= 120 else text[:117] + "..."


def _distributed() -> bool:
    return dist.is_available() and dist.is_initialized()


def _rank() -> int:
    return dist.get_rank() if _distributed() else 0


def _together() -> None:
    """Wait until every process has come here: one writes, all read."""
    if _distributed():
        dist.barrier()


def _agreed(value: T) -> T:
    """Take what the first process found, so that every process decides alike."""
    if not _distributed():
        return value
    told = [value]
    dist.broadcast_object_list(told, src=0)
    return told[0]
