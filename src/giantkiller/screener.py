"""Texts to scores: tokenize, batch by length under a token budget, run, calibrate."""

import itertools
import os
import re
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, overload

import numpy as np
from numpy.typing import NDArray

from giantkiller.attributes import ATTRIBUTES
from giantkiller.batching import BATCH_TOKENS, STEP, plan
from giantkiller.bundle import DEFAULT_NAME, Bundle, read_bundle
from giantkiller.calibration import Calibrator
from giantkiller.encoding import ID, Encoder, length, pack
from giantkiller.errors import UserError
from giantkiller.policy import Policy, Verdict
from giantkiller.runtime import onnxruntime

if TYPE_CHECKING:
    from concurrent.futures import Future, ThreadPoolExecutor

    from giantkiller.explain import Span

WINDOW = 4096
"""Texts that are sorted by length together."""

Logits = Callable[[NDArray[np.int64], NDArray[np.int64]], NDArray[np.float32]]
"""Ids of texts and the mask over them, both (n, tokens), to logits (n, 7)."""

# The model starts while most texts still wait for the tokenizer. Only the first window is small: few texts
# have few of one length, and DuckDB comes with 2,048 at a time.
_FIRST_WINDOW = 512


class Screener:
    """A loaded bundle that scores texts.

    A text's scores depend on the text alone: not on its neighbours, their order, the batch size or the
    number of threads. Each is padded to a multiple of four tokens, alone as among others, and only texts of
    one such length share a batch. One screener may be used from several threads.

    Args:
        model: A bundle folder, a hub id, or None for the shipped bundle.
        threads: Cores to use; all that this process may if None.
        policy: What decides instead of the bundle's policy: a policy, or the name of one of the bundle's.
        batch_tokens: Tokens run together.
        window: Texts that are sorted by length together.

    Attributes:
        bundle: The bundle.
        policy: The policy that decides.
        encoder: Text to ids.

    Raises:
        UserError: The bundle is missing, fails verification or can't be run, or has no policy of that name.
    """

    _step = STEP

    def __init__(
        self,
        model: str | Path | None = None,
        *,
        threads: int | None = None,
        policy: Policy | str | None = None,
        batch_tokens: int = BATCH_TOKENS,
        window: int = WINDOW,
    ) -> None:
        for name, value in (("threads", threads), ("batch_tokens", batch_tokens), ("window", window)):
            if value is not None and value < 1:
                raise UserError(f"`{name}` is {value}; it must be at least 1")
        self.bundle, self.encoder, self._logits = self._open(model)
        self.policy: Policy = (
            policy if isinstance(policy, Policy) else self.bundle.choose_policy(policy or DEFAULT_NAME)
        )
        self.threads = threads or available_cores()
        self.batch_tokens = batch_tokens
        self.window = window
        self._pool: tuple[int, ThreadPoolExecutor] | None = None
        self._calibrator = Calibrator(self.bundle.calibration)
        # The longest row of the highest id: what the position table and the embeddings must reach.
        self.run([pack([self.encoder.size - 1] * self.bundle.max_length)])
        if self._step > 1:
            self._step = STEP if self._heeds_mask() else 1

    def _open(self, model: str | Path | None) -> tuple[Bundle, Encoder, Logits]:
        """Return what is known of a model, its encoder and its function from ids to logits."""
        bundle = read_bundle(model)
        encoder = Encoder(bundle.tokenizer, bundle.max_length)
        return bundle, encoder, partial(_run_session, load_session(bundle.model))

    def __reduce__(self) -> Any:
        return _restore, (
            type(self),
            self.bundle.folder,
            self.threads,
            self.policy,
            self.batch_tokens,
            self.window,
        )

    def __repr__(self) -> str:
        return f"{type(self).__name__}({str(self.bundle.folder)!r}, threads={self.threads})"

    def scores(self, texts: Iterable[str]) -> NDArray[np.float32]:
        """Score texts.

        Args:
            texts: Any iterable of str; read as it is scored, so a generator needs no list.

        Returns:
            Shape (n, 7), float32, calibrated probabilities in the order of `ATTRIBUTES`.

        Raises:
            UserError: Something in it is not a str.
        """
        return self.calibrate(self.logits(texts))

    def logits(self, texts: Iterable[str]) -> NDArray[np.float32]:
        """Return the logits of texts, shape (n, 7), float32."""
        parts = list(self._stream(texts))
        return np.concatenate(parts) if parts else np.empty((0, len(ATTRIBUTES)), np.float32)

    def calibrate(self, logits: NDArray[np.float32]) -> NDArray[np.float32]:
        """Turn logits, shape (n, 7), into probabilities, as `Calibration` says."""
        return self._calibrator.apply(logits).astype(np.float32)

    def score_ids(self, rows: Sequence[bytes]) -> NDArray[np.float64]:
        """Score rows of token ids, as `encoder` returns them.

        Returns:
            Shape (n, 7), the probabilities that `scores` rounds to float32.
        """
        return self._calibrator.apply(self._start(rows).finish())

    @overload  # a str is an iterable of str, too: the first match counts
    def predict(self, texts: str) -> dict[str, float]: ...  # type: ignore[overload-overlap]
    @overload
    def predict(self, texts: Iterable[str]) -> dict[str, list[float]]: ...
    def predict(self, texts: str | Iterable[str]) -> dict[str, float] | dict[str, list[float]]:
        """Score one text or several: {"toxicity": 0.97, ...}, or {"toxicity": [0.97, ...], ...}."""
        if isinstance(texts, str):
            return dict(zip(ATTRIBUTES, self.scores([texts])[0].tolist(), strict=True))
        return dict(zip(ATTRIBUTES, self.scores(texts).T.tolist(), strict=True))

    @overload
    def judge(self, texts: str) -> Verdict: ...  # type: ignore[overload-overlap]
    @overload
    def judge(self, texts: Iterable[str]) -> list[Verdict]: ...
    def judge(self, texts: str | Iterable[str]) -> Verdict | list[Verdict]:
        """Return the verdict of the policy and the bundle's threshold on one text or several."""
        single = isinstance(texts, str)
        rows = self.scores([texts] if isinstance(texts, str) else texts)
        cut = self.bundle.threshold["toxicity"]
        verdicts = [self.policy.judge(row.tolist(), cut) for row in rows]
        return verdicts[0] if single else verdicts

    def explain(self, text: str, attribute: str = "toxicity") -> "list[Span]":
        """Return what each word of a text adds to the score of one attribute; see `giantkiller.explain`."""
        from giantkiller.explain import explain

        return explain(self, text, attribute)

    def _stream(self, texts: Iterable[str]) -> Iterator[NDArray[np.float32]]:
        """Yield the logits of one window of texts after the other, the next ones already under way."""
        under_way: deque[_Window] = deque()
        try:
            size = min(_FIRST_WINDOW, self.window)
            for chunk in _windows(texts, size, self.window):
                rows = self.encoder.encode(chunk)
                under_way.append(self._start(rows))
                if len(under_way) > 1:
                    yield under_way.popleft().finish()
            while under_way:
                yield under_way.popleft().finish()
        finally:
            for window in under_way:
                window.cancel()

    def _start(self, rows: Sequence[bytes]) -> "_Window":
        """Plan one window's batches and set the pool to work; equal rows run once."""
        first: dict[bytes, int] = {}
        index = np.fromiter((first.setdefault(row, len(first)) for row in rows), np.intp, len(rows))
        unique = list(first)
        window = _Window(np.empty((len(unique), len(ATTRIBUTES)), np.float32), index)
        batches = self.plan(unique)
        if self.threads == 1 or len(batches) < 2:
            for batch in batches:
                window.logits[batch] = self.run([unique[i] for i in batch])
            return window
        pool = self._workers()
        for batch in batches:
            window.parts.append((batch, pool.submit(self.run, [unique[i] for i in batch])))
        return window

    def plan(self, rows: Sequence[bytes]) -> list[list[int]]:
        """Group rows of ids into batches that `run` takes, as lists of their indices, longest first."""
        return plan(list(map(self._width, rows)), self.batch_tokens)

    def _width(self, row: bytes) -> int:
        """Return to how many tokens a row is padded: by its length alone, so that its scores do, too."""
        tokens = length(row)
        return max(tokens, min(-(-tokens // self._step) * self._step, self.bundle.max_length))

    def _heeds_mask(self) -> bool:
        """Return whether padding changes nothing but, at the most, how the model rounds."""
        rows = self.encoder.encode(["a"])
        try:
            padded = self.run(rows)
            self._step = 1
            return np.allclose(padded, self.run(rows), atol=1e-3)
        except UserError:  # it will be said to whoever asks for scores
            return False

    def run(self, rows: Sequence[bytes]) -> NDArray[np.float32]:
        """Run rows of ids, all padded to one length, through the model.

        Returns:
            The logits, shape (n, 7).

        Raises:
            UserError: The model can't run them, or returns something else.
        """
        width = self._width(rows[0])
        # What stands in the padding is never looked at: the mask leaves it out.
        padded = b"".join([row.ljust(width * ID.itemsize, b"\0") for row in rows])
        ids = np.frombuffer(padded, ID).reshape(len(rows), width).astype(np.int64)
        mask = (np.arange(width) < np.array([[length(row)] for row in rows])).astype(np.int64)
        try:
            logits = self._logits(ids, mask)
        except Exception as error:  # onnxruntime's errors share no base class
            raise UserError(
                f"the model in {self.bundle.folder} can't run {ids.shape[1]} tokens of this tokenizer: it is "
                f"broken, or max_length or the tokenizer are another model's ({type(error).__name__})"
            ) from error
        if logits.shape != (len(rows), len(ATTRIBUTES)) or logits.dtype != np.float32:
            raise UserError(
                f"the model in {self.bundle.folder} returns {logits.dtype} of shape {logits.shape} for "
                f"{len(rows)} texts, not seven float32 logits for each"
            )
        return logits

    def _workers(self) -> "ThreadPoolExecutor":
        # Imported here: one comment needs no pool. A forked child has none of its parent's threads.
        from concurrent.futures import ThreadPoolExecutor

        if self._pool is None or self._pool[0] != os.getpid():
            self._pool = (os.getpid(), ThreadPoolExecutor(self.threads, "giantkiller"))
        return self._pool[1]


class _Window:
    """Texts that are scored together: the logits of the unique ones, and the index of each text's."""

    def __init__(self, logits: NDArray[np.float32], index: NDArray[np.intp]) -> None:
        self.logits = logits
        self.index = index
        self.parts: list[tuple[list[int], Future[NDArray[np.float32]]]] = []

    def finish(self) -> NDArray[np.float32]:
        """Wait for the batches and return all logits, in the order of the texts."""
        try:
            for batch, part in self.parts:
                self.logits[batch] = part.result()
        except BaseException:
            self.cancel()
            raise
        if not np.isfinite(self.logits).all():
            raise UserError("the model gave a score that is no number; its weights are broken")
        return self.logits[self.index]

    def cancel(self) -> None:
        """Drop the batches that have not begun."""
        for _, part in self.parts:
            part.cancel()


def available_cores() -> int:
    """Count the cores that this process may use: affinity and container quota considered."""
    if hasattr(os, "sched_getaffinity"):
        cores = len(os.sched_getaffinity(0))
    else:
        cores = os.cpu_count() or 1
    try:
        quota, period = Path("/sys/fs/cgroup/cpu.max").read_text(encoding="ascii").split()
        if quota != "max":
            cores = min(cores, max(1, round(int(quota) / int(period))))
    except (OSError, ValueError):
        pass
    return cores


def _windows(texts: Iterable[Any], size: int, largest: int) -> Iterator[list[str]]:
    """Cut an iterable of texts into lists, the first of `size` and the others of `largest`."""
    if isinstance(texts, str | bytes):
        raise UserError("got one text where a list of texts belongs; put it in brackets: [text]")
    count = 0
    try:
        iterator = iter(texts)
    except TypeError:
        raise UserError(f"got {type(texts).__name__} where a list of texts belongs") from None
    while chunk := list(itertools.islice(iterator, size)):
        for i, text in enumerate(chunk):
            if not isinstance(text, str):
                kind = "empty (None)" if text is None else f"of type {type(text).__name__}"
                raise UserError(f"text {count + i + 1} is {kind}, not a string; leave it out or make it one")
        count += len(chunk)
        yield chunk
        size = largest


def load_session(path: Path) -> Any:
    """Load a bundle's graph into onnxruntime, one thread a call: several calls at once beat several threads.

    Raises:
        UserError: It can't be loaded, has other inputs and outputs than a bundle's, or wants more files.
    """
    if _has_external_data(path.read_bytes()):
        raise UserError(f"{path} wants weights from another file, which the bundle's checksums don't cover")
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    options.log_severity_level = 4  # what goes wrong is said in the exception, too
    options.add_session_config_entry("session.load_model_format", "ONNX")
    try:
        session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        inputs = {i.name: i.type for i in session.get_inputs()}
        outputs = {o.name: o.shape for o in session.get_outputs()}
    except Exception as error:  # onnxruntime's errors share no base class
        raise UserError(f"{path} is no model that this version of onnxruntime runs") from error
    wanted = dict.fromkeys(("input_ids", "attention_mask"), "tensor(int64)")
    if inputs != wanted or (outputs.get("logits") or [0])[-1] != len(ATTRIBUTES):
        raise UserError(
            f"{path} has other inputs or outputs than a bundle's: input_ids, attention_mask, seven logits"
        )
    return session


def _run_session(session: Any, ids: NDArray[np.int64], mask: NDArray[np.int64]) -> NDArray[np.float32]:
    logits: NDArray[np.float32] = session.run(["logits"], {"input_ids": ids, "attention_mask": mask})[0]
    return logits


# The key that an ONNX tensor outside the file must have: field 1, a string of 8 bytes. Protobuf takes both
# numbers in longer forms, too.
_LOCATION = re.compile(rb"(?:\x0a|\x8a\x80*\x00)(?:\x08|\x88\x80*\x00)\Z")


def _has_external_data(graph: bytes) -> bool:
    at = graph.find(b"location")
    while at >= 0:
        if _LOCATION.search(graph, max(0, at - 20), at):
            return True
        at = graph.find(b"location", at + 1)
    return False


def _restore(
    kind: type[Screener], folder: Path, threads: int, policy: Policy, batch_tokens: int, window: int
) -> Screener:
    return kind(folder, threads=threads, policy=policy, batch_tokens=batch_tokens, window=window)
