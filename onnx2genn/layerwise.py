"""Calibration that runs the spiking network itself, layer after layer, on the embedded engine."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from onnx2genn.backends import EMBEDDED, open_simulator
from onnx2genn.coding.rate import Rate
from onnx2genn.coding.thresholds import limited
from onnx2genn.graph.model import Shape
from onnx2genn.graph.partition import Population
from onnx2genn.graph.segment import Segment
from onnx2genn.runtime import session

if TYPE_CHECKING:
    from onnx2genn.network import SpikingNetwork

# Every layer simulates all layers before it; a channel's mean needs no more samples.
_SAMPLES = 256
_RECORD_BYTES = 64 * 2**20


def correct_biases(network: SpikingNetwork, samples: np.ndarray) -> SpikingNetwork:
    """Shift the input of each channel so that its mean is that of the ANN.

    From the first population to the readout, each with the corrections of those before it::

        correction[c] = mean over samples and neurons of (z of the ANN - z from spikes)

    with z the pre-activation (bias correction: Li et al. 2021, "A free lunch from ANN").

    Args:
        network: Network with thresholds.
        samples: Calibration samples [N, ...].
    """
    samples = samples[:_SAMPLES]
    readout = network.model.parts.readout
    inputs = [item.segment for item in network.populations if not item.pools]
    segments = {segment.target: segment for segment in [*inputs, readout]}
    wanted = _means_of_ann(network, list(segments), samples)
    for segment in segments.values():
        found = _per_channel(up_to(network, segment).predict(samples, backend=EMBEDDED))
        shift = _over_shape(wanted[segment.target] - found, segment.shape)
        network = replace(network, corrections={**network.corrections, segment.target: shift})
    return network


def norm_by_spikes(network: SpikingNetwork, samples: np.ndarray) -> SpikingNetwork:
    """Take for thresholds the largest current that spikes cause in one step (Sengupta et al. 2019).

    From the first population on, with the thresholds found for those before it::

        θ = max over samples, neurons and steps of I

    Args:
        network: Network of a stepwise coding, with any thresholds.
        samples: Calibration samples [N, ...].
    """
    samples = samples[:_SAMPLES]
    for item in network.populations:
        if item.pools:
            continue
        largest = np.maximum.reduce(list(_largest_currents(up_to(network, item.segment), samples)))
        if not network.coding.per_channel:
            largest = largest.max()
        threshold = np.where(largest > 0, largest, max(largest.max(), 1e-6))
        threshold = limited(network.coding, item, _over_shape(threshold, item.shape))
        network = _with_threshold(network, item, threshold)
    return network


def up_to(network: SpikingNetwork, segment: Segment) -> SpikingNetwork:
    """Cut a network so that its readout is one of its segments: the mean input of a population."""
    needed, kept = set(segment.sources), []
    for item in reversed(network.populations):
        if item.tensor in needed:
            kept.append(item)
            needed.update(item.segment.sources)
    depth = 1 + max((item.depth for item in kept if item.tensor in segment.sources), default=-1)
    parts = replace(
        network.model.parts, populations=tuple(kept[::-1]), readout=segment, depth=depth
    )
    coding = network.coding
    if isinstance(coding, Rate):
        coding = replace(coding, readout="membrane")
    return replace(network, model=replace(network.model, parts=parts), coding=coding)


def _with_threshold(
    network: SpikingNetwork, population: Population, threshold: np.ndarray
) -> SpikingNetwork:
    """Set the threshold of a population and of the pools that pass its spikes on."""
    changed = {population.name: threshold}
    tensors = {population.tensor}
    for item in network.populations:
        if item.pools and tensors.issuperset(item.segment.sources):
            changed[item.name] = threshold
            tensors.add(item.tensor)
    return replace(network, thresholds={**network.thresholds, **changed})


def _largest_currents(part: SpikingNetwork, samples: np.ndarray) -> Iterator[np.ndarray]:
    """Return, batch by batch, the largest input of each channel in a single step."""
    steps = part.coding.steps
    size = int(np.prod(part.model.parts.readout.shape))
    batch = max(1, _RECORD_BYTES // (4 * steps * size))
    elapsed = np.arange(1, steps + 1).reshape(-1, 1, *[1] * len(part.model.parts.readout.shape))
    with open_simulator(part, EMBEDDED, batch_size=batch) as simulator:
        for start in range(0, len(samples), batch):
            activity = simulator.run(samples[start : start + batch], first=start, record=True)
            assert activity.logits_by_step is not None
            currents = np.diff(activity.logits_by_step * elapsed, axis=0, prepend=0.0)
            channels = np.moveaxis(currents, 2, 0).reshape(currents.shape[2], -1)
            yield channels.max(axis=1)


def _means_of_ann(
    network: SpikingNetwork, tensors: list[str], samples: np.ndarray, batch: int = 100
) -> dict[str, np.ndarray]:
    """Return the mean of each channel of some of the ANN's tensors."""
    runner = session(
        network.model.to_onnx([name for name in tensors if name != network.input_name])
    )
    sums: dict[str, np.ndarray] = {}
    for start in range(0, len(samples), batch):
        part = samples[start : start + batch]
        values = runner.run(tensors, {network.input_name: part})
        for name, value in zip(tensors, values, strict=True):
            sums[name] = sums.get(name, 0.0) + _per_channel(value) * len(part)
    return {name: total / len(samples) for name, total in sums.items()}


def _per_channel(values: np.ndarray) -> np.ndarray:
    """Average a tensor [N, C, ...] over all but its channels."""
    return values.mean(axis=(0, *range(2, values.ndim)), dtype=np.float64)


def _over_shape(values: np.ndarray, shape: Shape) -> np.ndarray:
    """Shape one value for each channel so that it broadcasts to [C, ...]."""
    tail = (1,) * (len(shape) - 1) if values.ndim else ()
    return values.reshape(values.shape + tail).astype(np.float32)
