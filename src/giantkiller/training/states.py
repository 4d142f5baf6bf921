"""Feature distillation: the student's states should tell, by a linear map, what a teacher's are.

Romero et al. 2015, "FitNets: hints for thin deep nets". Logits say what a teacher decided, in seven numbers;
its states say what it made of the text.
"""

from typing import Any

import numpy as np
import torch
from torch import nn

from giantkiller.errors import UserError
from giantkiller.training.corpus import Corpus, has_states
from giantkiller.training.settings import LossSettings


class StateHead(nn.Module):
    """A linear map from a student's states to a teacher's; no part of the student, and not saved with it.

    It starts at zero: until it has learned something, it sends the student no gradient.

    Args:
        hidden: Width of the student's hidden states.
        states: Width of the teacher's.
    """

    def __init__(self, hidden: int, states: int) -> None:
        super().__init__()
        self.linear = nn.Linear(hidden, states)
        nn.init.zeros_(self.linear.weight)
        nn.init.zeros_(self.linear.bias)

    def forward(self, state: torch.Tensor) -> torch.Tensor:
        """Map (b, hidden), the student's last state of the first token, to (b, states)."""
        mapped: torch.Tensor = self.linear(state)
        return mapped


def make_head(model: Any, corpus: Corpus, loss: LossSettings) -> StateHead | None:
    """Make the head that a run needs; None where `loss.states` is 0.

    Args:
        model: The student; its config says how wide it is.
        corpus: Training texts.
        loss: The settings.

    Raises:
        UserError: If states weigh something but no text has any.
    """
    if not loss.states:
        return None
    if corpus.states is None or not has_states(corpus).any():
        raise UserError(
            "loss.states is set, but no source has a teacher's states; name one with the columns "
            "state_0, state_1, ..., or set it to 0"
        )
    return StateHead(model.config.hidden_size, corpus.states.shape[1]).to(next(model.parameters()).device)


def state_loss(mapped: torch.Tensor, corpus: Corpus, rows: np.ndarray) -> torch.Tensor:
    """Average the squared error against a teacher's states.

    Args:
        mapped: (b, k) what the head makes of a batch.
        corpus: Where the batch comes from.
        rows: (b,) its rows there.

    Returns:
        A scalar: the mean over the rows that have states; 0 where none has.
    """
    assert corpus.states is not None
    states = torch.from_numpy(corpus.states[rows]).to(mapped.device).float()
    there = ~torch.isnan(states).any(dim=1)
    error = (mapped - torch.where(there[:, None], states, 0.0)) ** 2
    return (error.mean(dim=1) * there).sum() / there.sum().clamp_min(1)
