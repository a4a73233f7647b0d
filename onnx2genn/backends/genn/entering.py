"""What the host lets enter a network on the device: currents of samples, or their spikes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

import numpy as np

from onnx2genn.backends.genn.plan import Neurons
from onnx2genn.backends.poisson import fire, generator

if TYPE_CHECKING:
    from onnx2genn.network import Network

# Samples whose input currents are computed at once.
_BLOCK = 64


class Currents:
    """The constant currents of samples, computed for some groups at a time.

    Args:
        samples: Samples [N, ...].
        groups: Number of groups.
        batch: Samples of a group.
    """

    def __init__(self, samples: np.ndarray, groups: int, batch: int) -> None:
        self._batch = batch
        self._samples = np.zeros((groups * batch, *samples.shape[1:]), np.float32)
        self._samples[: len(samples)] = samples
        self._ahead = max(1, _BLOCK // batch)
        self._blocks: dict[str, np.ndarray] = {}

    def current(self, item: Neurons, group: int) -> np.ndarray:
        """Return what a group of samples lets arrive at neurons, [biases, batch, neurons]."""
        offset = group % self._ahead
        if offset == 0:
            start = group * self._batch
            part = self._samples[start : start + self._ahead * self._batch]
            self._blocks[item.name] = item.fed(item.currents(part))
        return self._blocks[item.name][:, offset * self._batch : (offset + 1) * self._batch]


class Spikes(Protocol):
    """Spikes that enter, step by step."""

    def at(self, step: int) -> np.ndarray:
        """Return the spikes of a step of the run, [batch, neurons]; steps come in order."""
        ...


def entering_spikes(
    network: Network, neurons: Neurons, samples: np.ndarray, first: int, batch: int
) -> Spikes | None:
    """Return the spikes of samples; None if their input is currents.

    Args:
        network: Network that they enter.
        neurons: Neurons that send them.
        samples: Samples [N, ...], or counts of events [N, T, ...].
        first: Number of the first sample, which seeds random spikes.
        batch: Samples of a group.
    """
    if network.coding.events:
        return _Events(neurons, samples, batch)
    return _Random(network, neurons, samples, first, batch) if network.poisson else None


class _Random:
    """Spikes that are drawn for one group and step after the other."""

    def __init__(
        self, network: Network, neurons: Neurons, samples: np.ndarray, first: int, batch: int
    ) -> None:
        self._neurons, self._batch = neurons, batch
        self._probability = samples / network.input_scale
        self._steps, seed = network.coding.steps, network.coding.seed
        self._random = [generator(seed, first + index) for index in range(len(samples))]

    def at(self, step: int) -> np.ndarray:
        start = step // self._steps * self._batch
        spikes = np.zeros((self._batch, self._neurons.size), np.float32)
        last = min(len(self._random), start + self._batch)
        for row, index in enumerate(range(start, last)):
            drawn = fire(self._random[index], self._probability[index], 1)
            spikes[row] = drawn.ravel()[self._neurons.order]
        return spikes


class _Events:
    """Counts of events, each a spike of that many units."""

    def __init__(self, neurons: Neurons, samples: np.ndarray, batch: int) -> None:
        self._neurons, self._batch = neurons, batch
        self._counts = samples.reshape(*samples.shape[:2], -1)

    def at(self, step: int) -> np.ndarray:
        group, phase = divmod(step, self._counts.shape[1])
        present = self._counts[group * self._batch : (group + 1) * self._batch, phase]
        spikes = np.zeros((self._batch, self._neurons.size), np.float32)
        spikes[: len(present)] = present[:, self._neurons.order]
        return spikes
