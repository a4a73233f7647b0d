"""Calibration that runs the spiking network itself, layer after layer, on the embedded engine."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from onnx2genn.backends.embedded.layer import Input, Layer, input_train, last_uses
from onnx2genn.calibrate.thresholds import limited, usable
from onnx2genn.ir.graph import Shape
from onnx2genn.ir.parallel import cores
from onnx2genn.ir.partition import Population
from onnx2genn.ir.segment import Segment

if TYPE_CHECKING:
    from onnx2genn.network import Network

_FEWEST = 16
# Neurons times samples: of a large network, a channel's mean needs fewer samples.
_MOST_NEURONS = 2**28
_TRAIN_BYTES = 2**29
_GROUP_BYTES = 24 * 2**20


def correct_biases(network: Network, samples: np.ndarray) -> Network:
    """Shift the input of each channel so that its mean is that of the ANN.

    From the first population to the readout, each with the corrections of those before it::

        correction[c] = mean over samples and neurons of (z of the ANN - z from spikes)

    with z the pre-activation (bias correction: Li et al. 2021, "A free lunch from ANN"). Neurons of
    several ports, as for products, have no one input to shift.

    Args:
        network: Network with thresholds.
        samples: Calibration samples [N, ...].
    """
    walk = _Walk(network, samples[: max(_FEWEST, _MOST_NEURONS // max(network.neurons, 1))])
    readout = network.model.parts.readout
    corrected = [item for item in network.populations if not item.pools and item.ports == 1]
    inputs = [item.segment for item in corrected]
    wanted = _means_of_ann(network, [item.target for item in [*inputs, readout]], walk.samples)

    def correct(segment: Segment) -> None:
        shift = wanted[segment.target] - walk.mean_input(segment)
        shift = _over_shape(shift, segment.shape)
        corrections = {**walk.network.corrections, segment.target: shift}
        walk.network = replace(walk.network, corrections=corrections)

    for item in network.populations:
        if item in corrected:
            correct(item.segment)
        walk.fire(item)
    correct(readout)
    return walk.network


def norm_by_spikes(network: Network, samples: np.ndarray) -> Network:
    """Take for thresholds the largest current that spikes cause in one step (Sengupta et al. 2019).

    From the first population on, with the thresholds found for those before it::

        θ = max over samples, neurons and steps of I

    Args:
        network: Network of a stepwise coding, with any thresholds.
        samples: Calibration samples [N, ...].
    """
    walk = _Walk(network, samples)
    for item in network.populations:
        if not (item.pools or item.is_function):  # what a function sends is no current
            largest = walk.largest_input(item.segment)
            if not network.coding.per_channel:
                largest = largest.max()
            threshold = usable(network.coding, np.maximum(largest, 0.0), item.name)
            threshold = limited(network.coding, item, _over_shape(threshold, item.shape))
            walk.network = with_threshold(walk.network, item, threshold)
        walk.fire(item)
    return walk.network


class _Walk:
    """Simulates a network population by population, with all samples at each.

    What populations send is kept as long as others need it, so that each is simulated once, and
    the network may be changed for those that have not fired yet.

    Attributes:
        network: The network as it is known so far.
        samples: As many of the given ones as fit into memory.
    """

    def __init__(self, network: Network, samples: np.ndarray) -> None:
        coding = network.coding
        steps = coding.train_length
        largest = max([int(np.prod(item.shape)) for item in network.populations], default=1)
        largest_spike = coding.quantiser.levels // steps
        self._kind = np.dtype(np.int8 if largest_spike <= np.iinfo(np.int8).max else np.int32)
        fitting = _TRAIN_BYTES // (steps * largest * self._kind.itemsize)
        self.network = network
        self.samples = samples[: max(_FEWEST, fitting)]
        self._group = max(1, _GROUP_BYTES // (4 * steps * largest))
        train = input_train(network, self.samples, 0)
        kept = train.astype(self._kind) if network.poisson else train
        self._trains = {network.input_name: kept}
        segments = [item.segment for item in network.populations]
        released = last_uses([*segments, network.model.parts.readout])[:-1]
        names = [item.name for item in network.populations]
        self._released = dict(zip(names, released, strict=True))

    def mean_input(self, segment: Segment) -> np.ndarray:
        """Return the mean input of each channel, in ANN units."""
        arrives = Input(self.network.segment_in_ann_units(segment))
        means = [
            arrives(
                {
                    name: train.mean(axis=0, keepdims=True, dtype=np.float32)
                    for name, train in self._sent(segment, start).items()
                }
            )[0]
            for start in self._starts
        ]
        return _per_channel(np.concatenate(means))

    def largest_input(self, segment: Segment) -> np.ndarray:
        """Return the largest input of each channel in a single step, in ANN units."""
        arrives = Input(self.network.segment_in_ann_units(segment))
        channels = segment.shape[:1]
        largest = [
            arrives(self._sent(segment, start))
            .reshape(-1, *channels, int(np.prod(segment.shape[1:])))
            .max(axis=(0, -1))
            for start in self._starts
        ]
        return np.max(largest, axis=0)

    def fire(self, population: Population) -> None:
        """Simulate a population whose sources have fired."""
        layer = Layer(self.network, population)

        def fire(start: int) -> np.ndarray:
            return layer.fire(self._sent(population.segment, start)).astype(self._kind)

        with ThreadPoolExecutor(cores()) as threads:
            spikes = list(threads.map(fire, self._starts))
        self._trains[population.tensor] = np.concatenate(spikes, axis=1)
        for name in self._released[population.name]:
            del self._trains[name]

    @property
    def _starts(self) -> range:
        """First samples of the groups that are simulated at once."""
        return range(0, len(self.samples), self._group)

    def _sent(self, segment: Segment, start: int) -> dict[str, np.ndarray]:
        """Return what a segment's sources send for one group of samples."""
        return {
            name: self._trains[name][:, start : start + self._group].astype(np.float32)
            for name in segment.sources
        }


def with_threshold(network: Network, population: Population, threshold: np.ndarray) -> Network:
    """Set the threshold of a population and of the pools that pass its spikes on."""
    changed = {population.name: threshold}
    tensors = {population.tensor}
    for item in network.populations:
        if item.pools and tensors.issuperset(item.segment.sources):
            changed[item.name] = threshold
            tensors.add(item.tensor)
    return replace(network, thresholds={**network.thresholds, **changed})


def _means_of_ann(network: Network, names: list[str], samples: np.ndarray) -> dict[str, np.ndarray]:
    """Return the mean of each channel of some of the ANN's tensors."""
    sums: dict[str, np.ndarray] = {}
    for tensors in network.model.activations(names, samples):
        for name, value in tensors.items():
            sums[name] = sums.get(name, 0.0) + _per_channel(value) * len(value)
    return {name: total / len(samples) for name, total in sums.items()}


def _per_channel(values: np.ndarray) -> np.ndarray:
    """Average a tensor [N, C, ...] over all but its channels."""
    return values.mean(axis=(0, *range(2, values.ndim)), dtype=np.float64)


def _over_shape(values: np.ndarray, shape: Shape) -> np.ndarray:
    """Shape one value for each channel so that it broadcasts to [C, ...]."""
    tail = (1,) * (len(shape) - 1) if values.ndim else ()
    return values.reshape(values.shape + tail).astype(np.float32)
