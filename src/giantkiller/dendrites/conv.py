"""Dendrites on convolutions: the neurons are the output channels, at every position alike."""

from torch import Tensor, nn

from giantkiller.dendrites.layers import Dendritic


class DendriticConv1d(Dendritic, nn.Conv1d):
    """An `nn.Conv1d` whose channels can have dendrites; made by `perforate`."""

    neuron_axis = -2

    def forward(self, input: Tensor) -> Tensor:
        """Map (..., in channels, length) to (..., out channels, length)."""
        return self._branched(input, self._product(input, self.weight, self.bias))

    def _product(self, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        y: Tensor = self._conv_forward(x, weight, bias)
        return y


class DendriticConv2d(Dendritic, nn.Conv2d):
    """An `nn.Conv2d` whose channels can have dendrites; made by `perforate`."""

    neuron_axis = -3

    def forward(self, input: Tensor) -> Tensor:
        """Map (..., in channels, height, width) to (..., out channels, height, width)."""
        return self._branched(input, self._product(input, self.weight, self.bias))

    def _product(self, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        y: Tensor = self._conv_forward(x, weight, bias)
        return y
