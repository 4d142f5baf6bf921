"""What a recipe may say, section by section."""

import re
from dataclasses import dataclass, field
from typing import Annotated, Literal

from giantkiller.attributes import ATTRIBUTES
from giantkiller.errors import MissingExtraError

try:
    from msgspec import Meta
except ImportError as error:
    raise MissingExtraError("msgspec", "train") from error

Attribute = Literal[
    "toxicity", "severe_toxicity", "obscene", "threat", "insult", "identity_attack", "sexual_explicit"
]
Share = Annotated[float, Meta(ge=0, le=1)]
Part = Annotated[float, Meta(ge=0, lt=1)]
Positive = Annotated[float, Meta(gt=0)]
NonNegative = Annotated[float, Meta(ge=0)]
Count = Annotated[int, Meta(ge=1)]
Rows = Annotated[int, Meta(ge=0)]


@dataclass(frozen=True)
class SourceSettings:
    """Texts to train on: a file, or texts that this package makes or has."""

    file: str | None = None
    """A file of comments, relative to the data folder or else to the working folder: raters' labels in
    columns named like the attributes, a teacher's logits in columns `logit_toxicity`, ..., or both."""
    made_up: Literal["identities", "people", "groups", "rewrites", "harsh"] | None = None
    """In place of a file: sentences about identities, half of them hostile, or harmless ones with harsh words
    about things (`giantkiller.data.augment.templates`), kind and unkind words about `people`, hate of
    `groups` and what only sounds like it, or rude comments and their civil `rewrites`. `limit` says how many,
    of groups and rewrites about how many."""
    limit: Count | None = None
    """Most rows; of a file they are drawn by the recipe's seed."""
    require: list[Attribute] = field(default_factory=list)
    """Attributes that a row must have a target for; other rows are left out."""
    labels: dict[Attribute, Share] = field(default_factory=dict)
    """Targets of rows that have none for an attribute: `{ toxicity = 0 }` where a whole file is harmless."""
    weight: NonNegative = 1.0
    """Weight of the rows' labels in the loss, raters' and teachers' alike."""
    soft_share: Share | None = None
    """The teacher's share for rows that raters labelled here; None takes `loss.soft_share`."""
    repeat: Count = 1
    """How often an epoch holds each row."""
    quiet: bool = False
    """Phrases shall say nothing there beyond what `phrases.apart` has them learn from these rows' targets. A
    text that stands in another source, too, is quiet only if that is."""
    restrain: NonNegative = 0.0
    """Of a source that is not quiet and has targets of toxicity: weight of the squares of what phrases
    learned apart (`phrases.apart`) say on these rows."""
    toxic_by: Attribute = "toxicity"
    """Of `readout.sources`: the attribute whose target says what is toxic there. By `identity_attack` hate of
    groups is, and hard words for others are not."""

    def __post_init__(self) -> None:
        if (self.file is None) == (self.made_up is None):
            raise ValueError("a source has either a file or made_up")
        if self.quiet and self.restrain:
            raise ValueError("restrain is for sources that are not quiet, which teach what they hold back")
        if self.made_up and self.limit is None:
            raise ValueError("made_up needs a limit, the number of sentences")


@dataclass(frozen=True)
class DataSettings:
    """What is trained on and what chooses."""

    sources: list[SourceSettings]
    """Where training texts come from, in this order. A text that stands in several is one row: its targets
    are the mean, weighted by the sources' weights, and so are its soft labels."""
    validation: str | None = None
    """Labelled file that early stopping and growth choose by; None: a part of the sources is held out."""
    validation_fraction: Annotated[float, Meta(gt=0, lt=1)] = 0.05
    """Share of the labelled training texts held out when `validation` is not given."""
    holdout_fraction: Part = 0.0
    """Share of the training texts kept out of training altogether, for judging attributes that the
    validation file lacks. Membership depends on the text alone, so every run agrees on it."""
    attributes: list[Attribute] = field(default_factory=lambda: list(ATTRIBUTES))  # type: ignore[arg-type]
    """Attributes that train; the others are masked."""
    mentions: Share = 0.0
    """Copies with a neutral sentence about an identity added to draw, as a share of the training texts; they
    keep their texts' labels, for such a sentence makes no comment better or worse."""
    disguised: Share = 0.0
    """Copies with misspelt or disguised words to add, as a share of the training texts
    (`giantkiller.data.augment.attacks`); they keep their texts' labels."""
    protocol: Literal["files", "published"] = "files"
    """`published` draws the published card's 5,000 / 1,000 / 1,000 comments from the one source's file."""
    max_length: Annotated[int, Meta(ge=8, le=512)] = 256
    """Tokens a comment, [CLS] and [SEP] included; what is longer is cut."""
    weak_weight: NonNegative = 0.5
    """Weight of rows whose `label_kind` is `weak`, 1 being a rated row's."""

    def __post_init__(self) -> None:
        if not self.sources:
            raise ValueError("sources is empty; add [[data.sources]] with a file")
        if any(source.toxic_by != "toxicity" for source in self.sources):
            raise ValueError("toxic_by is for readout.sources; data.sources teach every attribute they label")
        if self.protocol == "published" and (len(self.sources) > 1 or not self.sources[0].file):
            raise ValueError("protocol = 'published' draws from one source with a file")

    @property
    def files(self) -> list[str]:
        """Names of the sources' files."""
        return [source.file for source in self.sources if source.file is not None]


@dataclass(frozen=True)
class ModelSettings:
    """Architecture and starting weights."""

    kind: Literal["dendritic-bert", "auto"] = "dendritic-bert"
    """`auto`: the architecture of `source`, with a new seven-label head (teachers)."""
    start: Literal["random", "weights", "project"] = "random"
    """`weights`: BERT weights of the same shape; `project`: a bigger BERT's embeddings, projected."""
    source: str | None = None
    """Hub name, local folder, `default` for the shipped model, or `package:NAME/FOLDER`, a folder inside an
    installed Python package."""
    average: list[str] = field(default_factory=list)
    """More weights of the same shape, from other runs, to average with those of `source`."""
    tokenizer: str | None = None
    """Where the tokenizer comes from, as `source`; `default` is the shipped bundle's. None takes that of
    `source`, or the shipped one."""
    hidden_size: Count = 128
    """Width of the layers; a multiple of `heads`."""
    layers: Count = 2
    """Transformer layers."""
    heads: Count = 2
    """Attention heads of a layer."""
    intermediate_size: Count = 512
    """Width inside the feed-forward part of a layer."""
    pairs: Rows = 0
    """Rows of hashed embeddings of each token with the one before it; 0 for none."""
    dropout: Part = 0.1
    """Share of activations dropped while training, in hidden layers and in attention."""
    frozen: str | None = None
    """Regular expression over parameter names that stay as they start."""

    def __post_init__(self) -> None:
        plain = self.kind == "dendritic-bert"
        if self.hidden_size % self.heads:
            raise ValueError("hidden_size must be a multiple of heads")
        if not self.source and not (self.start == "random" and plain):
            raise ValueError(
                "source must name the starting weights (a hub name, a folder, or package:NAME/FOLDER)"
            )
        if self.average and not (self.start == "weights" and plain):
            raise ValueError("average needs start = 'weights' and a dendritic-bert")
        _compile("frozen", self.frozen or "")


@dataclass(frozen=True)
class OptimSettings:
    """AdamW with linear warm-up, then linear decay to zero."""

    epochs: NonNegative = 3.0
    """0 trains no base model: growth begins on the starting weights."""
    learning_rate: Positive = 3e-4
    """The highest, at the end of warm-up."""
    strength_rate: NonNegative = 1.0
    """Learning rate of dendrites' strengths, which start at 0, as a multiple of `learning_rate`."""
    weight_decay: NonNegative = 0.01
    """AdamW's, on matrices; biases, norms and dendrites' strengths have none."""
    warmup_steps: Rows | None = None
    """Optimizer steps; None takes `warmup_fraction` of them all."""
    warmup_fraction: Share = 0.06
    """Share of all optimizer steps in which the learning rate rises."""
    batch_size: Count = 32
    """Comments a batch."""
    batch_tokens: Count | None = None
    """Padded tokens a batch; takes the place of `batch_size`."""
    clip: NonNegative = 1.0
    """Largest gradient norm; 0 turns clipping off."""
    precision: Literal["auto", "fp32", "bf16"] = "auto"
    """`auto`: bf16 autocast on GPUs that have it, fp32 elsewhere."""
    evaluations: Count = 1
    """Validations an epoch."""
    patience: Count | None = None
    """Validations without a better score before training stops; None never stops early."""


@dataclass(frozen=True)
class LossSettings:
    """Masked binary cross-entropy, and what is mixed into it."""

    positive_weight: Positive = 1.0
    """Weight of a positive target against a negative one; fractions are weighted in between."""
    soft_share: Share = 0.7
    """Share of the soft-label loss where a text has soft labels and targets; the rest is targets."""
    contrast: NonNegative = 0.0
    """Weight of the contrast between twins: rows of one source with the same value in its column `pair`, or
    made-up `groups` and `rewrites`, of which raters call some toxic and others not. Twins share a batch."""
    margin: Positive = 2.0
    """By how much the toxic twin's toxicity logit should lie above the other's."""
    states: NonNegative = 0.0
    """Weight of the squared error between a linear map of the student's last state of the first token and a
    teacher's states, which sources have in columns `state_0`, `state_1`, ... (`giantkiller.training.states`).
    It grows with the square of the teacher's states. 0 does not read these columns."""


@dataclass(frozen=True)
class GrowthSettings:
    """Dendrites: none are grown when `max_dendrites` is 0."""

    max_dendrites: Rows = 0
    """Most dendrites a neuron."""
    rule: Literal["gradient", "correlation"] = "gradient"
    """`gradient`: dendrites learn by backpropagation with everything else; `correlation`: candidates learn to
    correlate with the error at their neuron before one is kept."""
    where: str = r"encoder|pooler|classifier"
    """Regular expression over the names of the layers that grow."""
    activation: Literal["tanh", "sigmoid", "relu", "gelu"] = "tanh"
    """The dendrites' activation function."""
    epochs: Positive = 1.0
    """Epochs of training after each growth."""
    learning_rate: Positive = 1e-4
    """The highest of each training after growth."""
    freeze: bool = False
    """While dendrites learn, all other weights stay as they are."""
    min_gain: float = 0.0
    """Least gain in validation average precision for an attempt to be kept; negative: most it may lose."""
    tries: Count = 1
    """Attempts that may fail before growth ends."""
    frozen_inputs: bool = True
    """Correlation rule: dendrites' input weights stay as the candidates learned them."""
    candidates: Count = 4
    """Correlation rule: candidates a neuron."""
    passes: Count = 20
    """Correlation rule: most passes over the data while candidates learn."""
    error_batches: Count = 200
    """Correlation rule: batches a pass, the first ones of a shuffled epoch."""

    def __post_init__(self) -> None:
        _compile("where", self.where)


@dataclass(frozen=True)
class PhraseSettings:
    """Numbers for phrases of one to three tokens beside the network, fitted when it is done.

    With `rows` = 0 a model keeps those that its starting weights have, as they are.
    """

    rows: Rows = 0
    """Numbers, one a phrase at most."""
    gain: NonNegative = 1.0
    """Factor of a regression fitted to what the network leaves unexplained in sources that are not quiet."""
    trust: NonNegative = 0.8
    """Share of the logits that is taken as known while that is fitted: the network knows the texts that it
    learned from better than others."""
    apart: NonNegative = 0.0
    """Factor of a regression fitted apart from the network, to the targets of quiet sources, whose `weight`
    counts there, too."""
    identity: NonNegative = 0.0
    """Share of what they say that moves identity_attack's logit, too."""
    inverse_penalty: Positive = 5.0
    """The regressions' C: the higher, the less large numbers cost."""

    def __post_init__(self) -> None:
        if self.rows and self.rows % 251 == 0:  # the check numbers' modulus
            raise ValueError(
                "rows must not be a multiple of 251, or phrases of one row could not be told apart"
            )


@dataclass(frozen=True)
class ReadoutSettings:
    """What the last layer reads for toxicity, fitted once more when all else is done.

    A network knows the texts that it learned from; how far its states are to be believed shows on others.
    Without `sources` the weights stay as they are. To what is fitted later, calibration say, these
    comments are no longer quite new.
    """

    sources: list[SourceSettings] = field(default_factory=list)
    """Comments with targets of toxicity: of a file those that `data.holdout_fraction` keeps out of training,
    of made-up sentences all, drawn anew of frames that the run may have learned from. `weight` is that of a
    source's mean loss, however many rows it has, each of them once; `require`, `labels`, `limit` and
    `toxic_by` count, too, and no other setting."""
    penalty: Positive = 0.03
    """Of the squares of what the weights change by, each input measured by its standard deviation."""
    steady: NonNegative = 0.3
    """Weight of the variance of what changes on comments of the validation file."""
    softened: NonNegative = 0.0
    """Weight of pairs, the rude one of which should stay above the other: toxic comments with rude words and
    the same with those softened (`giantkiller.data.augment.softened`), and rude comments and their rewrites
    (`giantkiller.data.augment.rewrites`). Harmless comments with rude words are no pairs: what swears in joy
    would rise with them. Nor are rows that are toxic by another attribute."""

    def __post_init__(self) -> None:
        for source in self.sources:
            if source.quiet or source.restrain or source.repeat > 1 or source.soft_share is not None:
                raise ValueError("readout.sources have no quiet, restrain, repeat or soft_share")
            if not source.weight:
                raise ValueError("a source of readout.sources with weight 0 teaches nothing; leave it out")


def _compile(key: str, pattern: str) -> None:
    try:
        re.compile(pattern)
    except re.error as error:
        raise ValueError(f"{key} is not a regular expression: {error}") from None
