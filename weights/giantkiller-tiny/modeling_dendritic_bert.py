"""BERT whose linear layers may carry dendrites, by Hugging Face conventions.

- The config says how many dendrites each layer has; loading allocates them before the weights arrive.
- A layer that the config does not name is an ordinary `nn.Linear`: a model without dendrites is plain BERT,
  and a plain BERT checkpoint loads straight in.
- One set of weights, two views: seven attribute logits, or the pair [0, z_toxicity], whose softmax is the
  toxicity probability.
- `save_pretrained` puts this file and the dendritic layers' beside the weights, so that
  `from_pretrained(folder, trust_remote_code=True)` works where this package is not installed.
"""

# transformers leaves most of its methods unannotated.
# mypy: disable-error-code="no-untyped-call"

import re
import sys
from pathlib import Path
from typing import Any

import torch
from torch import nn
from transformers import BertConfig, BertForSequenceClassification, BertModel, PreTrainedModel
from transformers.modeling_outputs import SequenceClassifierOutput

from .dendritic_exceptions import DendriteError
from .dendritic_layers import DendriticLinear
from .dendritic_sparse import SparseDendritic, allocate_sparse, sparse_layout

PERFORABLE = r"encoder|pooler|classifier"
"""The layers that may carry dendrites, as a pattern on module names."""

CODE = "modeling_dendritic_bert"
PAIR_PRIME = 2**31 - 1
PAIR_FACTORS = ((1_580_030_173, 982_451_653), (715_225_741, 1_200_556_037))
"""Of the hash functions of pairs: (before * first + token * second) % prime, then modulo the rows."""
PHRASE_FACTOR = 1_999_957_231
"""Of the token two before in the hash of three tokens."""
CHECKS = 251
"""Check numbers that tell phrases of one row apart: a phrase's number modulo this, a prime."""
LAYER_CODE = {"exceptions": DendriteError, "layers": DendriticLinear, "sparse": SparseDendritic}
"""Modules that a checkpoint carries as `dendritic_NAME.py`, by one of their classes."""


class DendriticBertConfig(BertConfig):
    """BertConfig, and where the dendrites are.

    dendrites: number of dendrites by module name, as named inside the base model ("pooler.dense",
        "encoder.layer.0.output.dense"), plus "classifier"; modules not named are plain linear layers.
    sparse_dendrites: shape of each pruned layer by the same names, as `sparse_layout` tells.
    dendrite_activation: the dendrites' activation function, as `DendriticLinear` names it.
    pairs: rows of `PairEmbeddings`; 0 for none.
    phrases: rows of `Phrases`; 0 for none.
    attributes: what the classifier's outputs are, in order; toxicity first.
    labels_view: "attributes" for one logit an attribute, or "two" for the logits [0, z_toxicity].
    """

    model_type = "dendritic_bert"

    def __init__(
        self,
        dendrites: dict[str, int] | None = None,
        dendrite_activation: str = "tanh",
        sparse_dendrites: dict[str, dict[str, Any]] | None = None,
        attributes: list[str] | tuple[str, ...] | None = None,
        labels_view: str = "attributes",
        pairs: int = 0,
        phrases: int = 0,
        **kwargs: Any,
    ) -> None:
        if labels_view not in ("attributes", "two"):
            raise ValueError(f"labels_view is {labels_view!r}; it must be 'attributes' or 'two'")
        self.dendrites = {name: int(count) for name, count in (dendrites or {}).items()}
        self.dendrite_activation = dendrite_activation
        self.sparse_dendrites = dict(sparse_dendrites or {})
        self.labels_view = labels_view
        self.pairs = int(pairs)
        self.phrases = int(phrases)
        if attributes is not None and "id2label" not in kwargs and labels_view == "attributes":
            kwargs["id2label"] = dict(enumerate(attributes))
            kwargs["label2id"] = {name: index for index, name in enumerate(attributes)}
            kwargs.setdefault("problem_type", "multi_label_classification")
        super().__init__(**kwargs)
        # Without a list of attributes, whatever labels the config has are the attributes.
        self.attributes = list(attributes) if attributes is not None else list((self.id2label or {}).values())
        self.show_view()

    def show_view(self) -> None:
        """Make id2label and problem_type say what the logits of the chosen view are."""
        if self.labels_view == "two":
            self.id2label = {0: "non-toxic", 1: "toxic"}
            self.label2id = {"non-toxic": 0, "toxic": 1}
            self.problem_type = "single_label_classification"
        elif self.id2label == {0: "non-toxic", 1: "toxic"} and len(self.attributes) != 2:
            self.id2label = dict(enumerate(self.attributes))
            self.label2id = {name: index for index, name in enumerate(self.attributes)}
            self.problem_type = "multi_label_classification"


def _own_name(name: str, prefix: str) -> str:
    """The name of a module as the config knows it: without the base model's prefix."""
    return name.removeprefix(prefix + ".")


def _allocate(model: PreTrainedModel, prefix: str) -> None:
    """Replace the linear layers that the config names by dendritic ones of the right size, weights unset."""
    config = model.config
    found = {
        _own_name(name, prefix): name for name, module in model.named_modules() if type(module) is nn.Linear
    }
    for short, count in config.dendrites.items():
        if short not in found:
            continue  # the classifier of a bare encoder, or already allocated by the base model
        parent = model.get_submodule(found[short].rpartition(".")[0])
        child = found[short].rpartition(".")[2]
        plain = getattr(parent, child)
        setattr(
            parent,
            child,
            DendriticLinear(
                plain.in_features,
                plain.out_features,
                bias=plain.bias is not None,
                dendrites=count,
                activation=config.dendrite_activation,
            ),
        )
    sparse = {found[short]: shape for short, shape in config.sparse_dendrites.items() if short in found}
    allocate_sparse(model, sparse)


def _record(model: PreTrainedModel, prefix: str) -> None:
    """Write the present number of dendrites of each dendritic layer into the config."""
    model.config.dendrites = {
        _own_name(name, prefix): module.dendrites
        for name, module in model.named_modules()
        if isinstance(module, DendriticLinear)
    }
    model.config.sparse_dendrites = {
        _own_name(name, prefix): shape for name, shape in sparse_layout(model).items()
    }
    carriers = (DendriticLinear, SparseDendritic)
    activations = {m.activation for m in model.modules() if isinstance(m, carriers)}
    if len(activations) > 1:
        raise ValueError(f"one model has one dendrite activation, this one has {sorted(activations)}")
    if activations:
        model.config.dendrite_activation = activations.pop()


def _write_code(folder: Path) -> None:
    """Copy this module and the dendritic layers' into a checkpoint folder, importing one another there."""
    files = {CODE: Path(__file__)}
    for name, kind in LAYER_CODE.items():
        files[f"dendritic_{name}"] = Path(str(sys.modules[kind.__module__].__file__))
    for name, file in files.items():
        code = file.read_text(encoding="utf-8")
        code = re.sub(
            r"^from giantkiller\.dendrites\.(\w+) import", r"from .dendritic_\1 import", code, flags=re.M
        )
        (folder / f"{name}.py").write_text(code, encoding="utf-8")


class PairEmbeddings(nn.Module):
    """What a token and the one before it mean together, added to the token's own embedding.

    Pairs share rows by hashing: each has two rows, whose sum is its embedding, so that two pairs seldom share
    both (Svenstrup et al. 2017, "Hash embeddings for efficient word representations").

    Args:
        rows: Of the table.
        width: Of an embedding.
    """

    def __init__(self, rows: int, width: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(rows, width))

    def forward(self, input_ids: torch.Tensor) -> torch.Tensor:
        """Return embeddings (batch, tokens, width) of ids (batch, tokens)."""
        rows = torch.stack([pair_hashes(input_ids, i) for i in (0, 1)]) % len(self.weight)
        return nn.functional.embedding(rows, self.weight).sum(dim=0)


def pair_hashes(input_ids: torch.Tensor, function: int = 0) -> torch.Tensor:
    """Return a number for each token with the one before it, (batch, tokens) like the ids.

    Before the first token stands 0. There are two functions, 0 and 1; take the number modulo a table's rows.
    """
    first, second = PAIR_FACTORS[function]
    return (_before(input_ids, 1) * first + input_ids * second) % PAIR_PRIME


def phrase_hashes(ids: Any, before: Any, earlier: Any) -> tuple[Any, Any, Any]:
    """Return a number for each token, for it with the one before, and for it with the two before.

    Args:
        ids: Tokens, of any shape: int64, a tensor or an array.
        before: The token before each, 0 before the first; of the same shape.
        earlier: The one before that.
    """
    first, second = PAIR_FACTORS[0]
    one = ids * second
    two = (before * first + one) % PAIR_PRIME
    return one % PAIR_PRIME, two, (earlier * PHRASE_FACTOR + two) % PAIR_PRIME


def _before(input_ids: torch.Tensor, steps: int) -> torch.Tensor:
    return nn.functional.pad(input_ids, (steps, 0))[:, : input_ids.shape[1]]


class Phrases(nn.Module):
    """What a text's phrases of one to three tokens say on their own, whatever the network makes of them.

    A linear model of hashed phrases (Weinberger et al. 2009, "Feature hashing for large scale multitask
    learning"), the wide part of a wide and deep model (Cheng et al. 2016, "Wide & deep learning for
    recommender systems"): one number a phrase, their sum divided by the square root of the number of tokens.
    A row belongs to one phrase, which a check number of eight bits tells from the others that share it; those
    say nothing. The sum moves what the classifier reads along one direction: whatever reads it, reads
    phrases, too.

    Args:
        rows: Numbers.
        width: Of what the classifier reads.
    """

    checks: torch.Tensor

    def __init__(self, rows: int, width: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(rows))
        self.direction = nn.Parameter(torch.zeros(width))
        self.register_buffer("checks", torch.zeros(rows, dtype=torch.uint8))

    def forward(self, input_ids: torch.Tensor, attention_mask: torch.Tensor | None) -> torch.Tensor:
        """Return what to add, (batch, width), for ids and mask (batch, tokens)."""
        size = len(self.weight)
        hashes = torch.stack(phrase_hashes(input_ids, _before(input_ids, 1), _before(input_ids, 2)))
        rows = hashes % size
        own = self.checks[rows] == hashes % CHECKS
        each = (self.weight[rows] * own).sum(dim=0)  # (batch, tokens)
        kept = torch.ones_like(each) if attention_mask is None else attention_mask.to(each.dtype)
        told = (each * kept).sum(dim=1) / kept.sum(dim=1).clamp(min=1).sqrt()
        return told[:, None] * self.direction


class _Dendritic(PreTrainedModel):
    """What the encoder and the classifier share: allocation, initial values, and saving."""

    config_class = DendriticBertConfig

    def _init_weights(self, module: nn.Module) -> None:
        """Set starting values of weights that no checkpoint brought; dendrites start with strength zero."""
        super()._init_weights(module)
        if isinstance(module, (PairEmbeddings, Phrases)):
            for tensor in (*module.parameters(), *module.buffers()):
                nn.init.zeros_(tensor)
        if isinstance(module, DendriticLinear):
            bound = module.in_features**-0.5
            if module.dendrite_weight is not None:
                nn.init.uniform_(module.dendrite_weight, -bound, bound)
            for rest in (module.dendrite_bias, module.dendrite_strength, module.dendrite_cascade):
                if rest is not None:
                    nn.init.zeros_(rest)

    def save_pretrained(self, save_directory: Any, *args: Any, **kwargs: Any) -> None:
        """Save config, weights and the code that reads them.

        The config records the dendrites that the layers have now, however they came to be.
        """
        _record(self, self.base_model_prefix)
        self.config.auto_map = {
            "AutoConfig": f"{CODE}.DendriticBertConfig",
            "AutoModel": f"{CODE}.DendriticBertModel",
            "AutoModelForSequenceClassification": f"{CODE}.DendriticBertForSequenceClassification",
        }
        super().save_pretrained(save_directory, *args, **kwargs)
        _write_code(Path(save_directory))


class DendriticBertModel(_Dendritic, BertModel):
    """The encoder and the pooler, with the dendrites that the config names."""

    def __init__(self, config: DendriticBertConfig, add_pooling_layer: bool = True) -> None:
        super().__init__(config, add_pooling_layer=add_pooling_layer)
        self.pairs = PairEmbeddings(config.pairs, config.hidden_size) if config.pairs else None
        self.phrases = (
            Phrases(config.phrases, config.hidden_size) if config.phrases and add_pooling_layer else None
        )
        _allocate(self, self.base_model_prefix)
        self.post_init()

    def forward(
        self,
        input_ids: torch.Tensor | None = None,
        attention_mask: torch.Tensor | None = None,
        token_type_ids: torch.Tensor | None = None,
        position_ids: torch.Tensor | None = None,
        inputs_embeds: torch.Tensor | None = None,
        **kwargs: Any,
    ) -> Any:
        """Return what BERT does; embeddings of pairs are added to those of tokens, phrases to what is pooled.

        Without `input_ids` there are neither. `giantkiller.models.first_token` mirrors this for classifiers.
        """
        ids = input_ids
        if self.pairs is not None and input_ids is not None:
            inputs_embeds = self.embeddings.word_embeddings(input_ids) + self.pairs(input_ids)
            input_ids = None
        outputs = super().forward(
            input_ids,
            attention_mask=attention_mask,
            token_type_ids=token_type_ids,
            position_ids=position_ids,
            inputs_embeds=inputs_embeds,
            **kwargs,
        )
        if self.phrases is None or ids is None:
            return outputs
        if isinstance(outputs, tuple):
            return (outputs[0], outputs[1] + self.phrases(ids, attention_mask), *outputs[2:])
        outputs.pooler_output = outputs.pooler_output + self.phrases(ids, attention_mask)
        return outputs


class DendriticBertForSequenceClassification(_Dendritic, BertForSequenceClassification):
    """The encoder and one classifier output an attribute.

    Trained with `labels` of shape (batch, attributes), fractions in [0, 1], NaN where nobody asked; in the
    "two" view also with class indices of shape (batch,).
    """

    # Trainer: the loss is already a mean, whatever else it passes along.
    accepts_loss_kwargs = False

    def __init__(self, config: DendriticBertConfig) -> None:
        config.show_view()
        super().__init__(config)
        self.bert = DendriticBertModel(config)
        self.classifier = nn.Linear(config.hidden_size, len(config.attributes))
        _allocate(self, self.base_model_prefix)
        self.post_init()

    def forward(
        self,
        input_ids: torch.Tensor | None = None,
        attention_mask: torch.Tensor | None = None,
        token_type_ids: torch.Tensor | None = None,
        position_ids: torch.Tensor | None = None,
        inputs_embeds: torch.Tensor | None = None,
        labels: torch.Tensor | None = None,
        return_dict: bool | None = None,
        **kwargs: Any,
    ) -> SequenceClassifierOutput | tuple[torch.Tensor, ...]:
        """Return logits (batch, attributes), or (batch, 2) in the "two" view; with labels, the loss too."""
        outputs = self.bert(
            input_ids,
            attention_mask=attention_mask,
            token_type_ids=token_type_ids,
            position_ids=position_ids,
            inputs_embeds=inputs_embeds,
            return_dict=True,
            **kwargs,
        )
        logits = self.classifier(self.dropout(outputs.pooler_output))  # (batch, attributes)
        loss = None
        if labels is not None:
            if self.config.labels_view == "two" and labels.ndim == 1:
                labels = labels.to(logits.dtype).unsqueeze(-1)
            width = labels.shape[-1] if self.config.labels_view == "two" else logits.shape[-1]
            loss = masked_loss(logits[:, :width], labels)
        logits = self.viewed(logits)
        output = SequenceClassifierOutput(
            loss=loss, logits=logits, hidden_states=outputs.hidden_states, attentions=outputs.attentions
        )
        if return_dict is None:
            return_dict = getattr(self.config, "return_dict", True)
        return output if return_dict else output.to_tuple()

    def viewed(self, logits: torch.Tensor) -> torch.Tensor:
        """Return logits (batch, attributes) as the config's view shows them."""
        if self.config.labels_view != "two":
            return logits
        toxicity = logits[:, :1]
        return torch.cat([torch.zeros_like(toxicity), toxicity], dim=-1)


def masked_loss(logits: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    """Mean binary cross-entropy over the targets that are known.

    logits, targets: (batch, attributes); a NaN target neither counts nor sends gradient.
    """
    targets = targets.to(logits.dtype)
    known = ~torch.isnan(targets)
    each = nn.functional.binary_cross_entropy_with_logits(
        logits, torch.where(known, targets, torch.zeros_like(targets)), reduction="none"
    )
    return (each * known).sum() / known.sum().clamp(min=1)
