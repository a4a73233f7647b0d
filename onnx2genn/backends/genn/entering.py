"""What the host lets enter a network on the device: currents of samples, or their spikes."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING, Protocol

import numpy as np

from onnx2genn.backends.genn.plan import Neurons
from onnx2genn.backends.poisson import fire, generator

if TYPE_CHECKING:
    from onnx2genn.network import Network

# Samples whose input currents are computed at once, and of a group that is computed on its own.
_BLOCK, _LARGE = 64, 16


class Currents:
    """The constant currents of samples, computed for some groups at a time.

    Large groups are computed each on its own, into the memory that the device takes them from, and
    where it has memory of its own the next group while the device is at work on those before it.

    Args:
        samples: Samples [N, ...].
        groups: Number of groups.
        batch: Samples of a group.
    """

    def __init__(self, samples: np.ndarray, groups: int, batch: int) -> None:
        self.groups = groups
        self._samples, self._batch = samples, batch
        self._at_once = 1 if batch >= _LARGE else _BLOCK // batch
        self._blocks: dict[str, np.ndarray] = {}
        self._begun: dict[str, Future[None]] = {}
        self._helper: ThreadPoolExecutor | None = None

    def write(self, item: Neurons, group: int, biases: Sequence[np.ndarray]) -> None:
        """Write what a group of samples lets arrive at neurons into each of their biases."""
        if self._is_direct(item, biases):
            begun = self._begun.pop(item.name, None)
            if begun is not None:
                begun.result()
            else:
                self._compute(item, group, *biases)
            return
        offset = group % self._at_once
        if offset == 0:
            self._blocks[item.name] = item.entering(self._part(group, self._at_once))
        rows = slice(offset * self._batch, (offset + 1) * self._batch)
        for bias, block in zip(biases, self._blocks[item.name], strict=True):
            bias[...] = block[rows].reshape(bias.shape)

    def begin(self, item: Neurons, group: int, biases: Sequence[np.ndarray]) -> None:
        """Begin to write those of a group, once the device has taken those of the last one."""
        if group < self.groups and self._is_direct(item, biases):
            self._helper = self._helper or ThreadPoolExecutor(1)
            self._begun[item.name] = self._helper.submit(self._compute, item, group, *biases)

    def close(self) -> None:
        """Wait until nothing is written any more."""
        if self._helper is not None:
            self._helper.shutdown(cancel_futures=True)

    def _is_direct(self, item: Neurons, biases: Sequence[np.ndarray]) -> bool:
        return self._at_once == 1 and item.operands == 1 and biases[0].flags.c_contiguous

    def _compute(self, item: Neurons, group: int, bias: np.ndarray) -> None:
        item.enter(self._part(group, 1), bias)

    def _part(self, group: int, count: int) -> np.ndarray:
        """Return the samples of some groups; zeros fill up the last one."""
        start, size = group * self._batch, count * self._batch
        part = self._samples[start : start + size].astype(np.float32, copy=False)
        missing = min(size, self.groups * self._batch - start) - len(part)
        if not missing:
            return part
        return np.concatenate([part, np.zeros((missing, *part.shape[1:]), np.float32)])


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
