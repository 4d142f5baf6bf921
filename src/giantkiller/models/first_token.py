"""The classifier's logits, with the last layer computed for the first token alone.

The pooler reads nothing but the first token. The last layer's queries of the others, and all that follows
attention there, need not be computed, forward or backward; its keys and values must be. Mirrors
`DendriticBertModel.forward` for what our configs can be: encoders with absolute positions.
"""

from typing import Any, NamedTuple

import torch
from torch import nn

from giantkiller.models.bert import DendriticBertForSequenceClassification


class FirstToken(NamedTuple):
    """What a model makes of texts."""

    logits: torch.Tensor
    """(batch, labels), as the model's own."""
    state: torch.Tensor | None
    """(batch, hidden), the last layer's state of the first token, before the pooler; or None."""


def first_token(
    model: nn.Module, input_ids: torch.Tensor, attention_mask: torch.Tensor, state: bool = False
) -> FirstToken:
    """Return the logits that the model's own `forward` returns.

    Args:
        model: A sequence classifier; other kinds than ours are computed whole, and give no state.
        input_ids: (batch, tokens).
        attention_mask: (batch, tokens), 1 where there is a token.
        state: Return the last layer's state of the first token, too.
    """
    if not isinstance(model, DendriticBertForSequenceClassification):
        return FirstToken(model(input_ids=input_ids, attention_mask=attention_mask).logits, None)
    bert: Any = model.bert
    encoded = _encode(bert, input_ids, attention_mask)
    pooled = bert.pooler(encoded)
    if bert.phrases is not None:
        pooled = pooled + bert.phrases(input_ids, attention_mask)
    logits = model.classifier(model.dropout(pooled))
    return FirstToken(model.viewed(logits), encoded[:, 0] if state else None)


def _encode(bert: Any, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> torch.Tensor:
    """Return the last layer's states of first tokens, (batch, 1, hidden)."""
    embedded = bert.embeddings.word_embeddings(input_ids)
    if bert.pairs is not None:
        embedded = embedded + bert.pairs(input_ids)
    hidden = bert.embeddings(inputs_embeds=embedded)
    mask = attention_mask[:, None, None, :].bool()
    *before, last = bert.encoder.layer
    for layer in before:
        hidden = _layer(layer, hidden, hidden, mask)
    return _layer(last, hidden[:, :1], hidden, mask)


def _layer(layer: Any, asking: torch.Tensor, hidden: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    """Compute a BERT layer for some of its tokens.

    Args:
        layer: A `BertLayer`.
        asking: (batch, q, hidden), the tokens to compute.
        hidden: (batch, tokens, hidden), all tokens.
        mask: (batch, 1, 1, tokens), True where there is a token.

    Returns:
        (batch, q, hidden).
    """
    attention = layer.attention.self

    def heads(states: torch.Tensor) -> torch.Tensor:
        size = attention.num_attention_heads, attention.attention_head_size
        return states.reshape(*states.shape[:-1], *size).transpose(1, 2)

    read = nn.functional.scaled_dot_product_attention(
        heads(attention.query(asking)),
        heads(attention.key(hidden)),
        heads(attention.value(hidden)),
        attn_mask=mask,
        dropout_p=attention.dropout.p if attention.training else 0.0,
    )
    attended = layer.attention.output(read.transpose(1, 2).flatten(2), asking)
    states: torch.Tensor = layer.feed_forward_chunk(attended)
    return states
