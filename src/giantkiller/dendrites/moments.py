"""Means, variances and covariance of two signals per neuron, accumulated batch by batch."""

import torch
import torch.distributed as dist
from torch import Tensor

# Below this share of a signal's own size, what varies is rounding: such a signal counts as constant.
CONSTANT = 1e-12


class Moments:
    """Moments of paired rows a, b (rows, neurons), merged by the update of Chan, Golub and LeVeque (1979).

    The result does not depend on how the rows are split into batches. With `fade`, earlier batches count
    less and less, which makes the same moments running averages.

    Attributes:
        count: Weight of all rows so far.
        mean_a: (neurons,) mean of a, float64, as are the others.
        mean_b: mean of b.
        square_a: sum of squared deviations of a.
        square_b: sum of squared deviations of b.
        cross: sum of products of the deviations.
    """

    def __init__(self, neurons: int, device: torch.device | str = "cpu") -> None:
        zero = torch.zeros(neurons, dtype=torch.float64, device=device)
        self.count = 0.0
        self.mean_a, self.mean_b = zero, zero
        self.square_a, self.square_b, self.cross = zero, zero, zero

    def fade(self, momentum: float) -> None:
        """Multiply the weight of all rows so far by `momentum`."""
        self.count *= momentum
        self.square_a = self.square_a * momentum
        self.square_b = self.square_b * momentum
        self.cross = self.cross * momentum

    def add(self, a: Tensor, b: Tensor) -> None:
        """Add the rows of a and b; across processes, the rows of all of them."""
        batch = Moments(a.shape[1], a.device)
        if len(a):
            batch.count = float(len(a))
            mean_a, mean_b = a.mean(0), b.mean(0)
            off_a, off_b = a - mean_a, b - mean_b
            batch.mean_a, batch.mean_b = mean_a.double(), mean_b.double()
            batch.square_a, batch.square_b = off_a.square().sum(0).double(), off_b.square().sum(0).double()
            batch.cross = (off_a * off_b).sum(0).double()
        for part in _of_all_processes(batch):
            self.merge(part)

    def merge(self, other: "Moments") -> None:
        """Add all rows of another."""
        total = self.count + other.count
        if total == 0.0:
            return
        gap_a, gap_b = other.mean_a - self.mean_a, other.mean_b - self.mean_b
        share = other.count / total
        between = self.count * share
        self.mean_a = self.mean_a + gap_a * share
        self.mean_b = self.mean_b + gap_b * share
        self.square_a = self.square_a + other.square_a + gap_a.square() * between
        self.square_b = self.square_b + other.square_b + gap_b.square() * between
        self.cross = self.cross + other.cross + gap_a * gap_b * between
        self.count = total

    def deviations(self) -> tuple[Tensor, Tensor]:
        """Return the standard deviations of a and b, 0 where a signal is constant."""
        return self._deviation(self.square_a, self.mean_a), self._deviation(self.square_b, self.mean_b)

    def correlation(self) -> Tensor:
        """Return the normalised covariance S (neurons,) within [-1, 1], 0 where a signal is constant."""
        deviation_a, deviation_b = self.deviations()
        both = deviation_a * deviation_b
        safe = torch.where(both > 0, both, 1.0)
        return torch.where(both > 0, self.cross / max(self.count, 1e-300) / safe, 0.0).clamp(-1.0, 1.0)

    def _deviation(self, square: Tensor, mean: Tensor) -> Tensor:
        variance = square / max(self.count, 1e-300)
        return torch.where(variance > CONSTANT * mean.square(), variance, 0.0).sqrt()

    def _packed(self) -> Tensor:
        count = torch.full_like(self.mean_a, self.count)
        parts = (count, self.mean_a, self.mean_b, self.square_a, self.square_b, self.cross)
        return torch.stack(parts)


def _of_all_processes(own: Moments) -> list[Moments]:
    """Gather the moments of every process, in the same order everywhere."""
    if not (dist.is_available() and dist.is_initialized()) or dist.get_world_size() == 1:
        return [own]
    packed = own._packed()
    gathered = [torch.empty_like(packed) for _ in range(dist.get_world_size())]
    dist.all_gather(gathered, packed)
    parts = []
    for rows in gathered:
        part = Moments(rows.shape[1], rows.device)
        part.count = rows[0, 0].item() if rows.shape[1] else 0.0
        part.mean_a, part.mean_b, part.square_a, part.square_b, part.cross = rows[1:]
        parts.append(part)
    return parts
