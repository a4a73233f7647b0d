"""From what was observed, or from the weights alone, to a spiking network with thresholds."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import numpy as np

from onnx2genn.calibrate.by_spikes import correct_biases, norm_by_spikes
from onnx2genn.calibrate.held_out import keep_if_better, weigh
from onnx2genn.calibrate.intervals import received, sent
from onnx2genn.calibrate.observe import Observation
from onnx2genn.calibrate.ranges import raised
from onnx2genn.calibrate.refine import refine
from onnx2genn.calibrate.statistics import Statistics
from onnx2genn.calibrate.thresholds import choose, choose_all, limited, usable, widened
from onnx2genn.coding import Coding
from onnx2genn.errors import CalibrationError
from onnx2genn.ir.graph import Shape
from onnx2genn.ir.model import Model
from onnx2genn.ir.partition import Population
from onnx2genn.ir.segment import Segment
from onnx2genn.network import Network


def encode(seen: Observation, coding: Coding) -> Network:
    """Choose the thresholds of a model's populations.

    Args:
        seen: What the ANN did on calibration samples; it serves any number of codings.
        coding: How values become spikes.

    Raises:
        CalibrationError: Thresholds cannot be chosen from the samples.
    """
    parts = seen.model.parts
    coding = coding.for_depth(parts.depth)

    found = {name: _granular(item, coding, seen) for name, item in seen.populations.items()}

    def chosen(statistics: Statistics, segment: Segment, name: str) -> np.ndarray:
        values = choose(coding, statistics, name)
        return np.maximum(values, _weight_maximum(segment)) if coding.weight_maximum else values

    neurons = [item for item in parts.populations if not item.pools]
    own = {item.name: chosen(found[item.name], item.segment, item.name) for item in neurons}
    readout = chosen(_granular(seen.readout, coding, seen), parts.readout, "readout")
    adaptive = coding.threshold == "mse" and coding.per_channel
    pooled = _pooled(parts.populations)
    ends = {
        item.name: raised(coding, found[item.name], own[item.name])
        for item in neurons
        if adaptive and item.tensor not in pooled
    }

    def build(evidence: int, with_lows: bool = adaptive) -> Network:
        maxima: dict[str, float] = {}
        lows: dict[str, np.ndarray] = {}
        thresholds: dict[str, np.ndarray] = {}
        for item in neurons:
            statistics = found[item.name]
            low, values = np.zeros(1, np.float32), own[item.name]
            if with_lows and item.name in ends:
                low, values = ends[item.name]
            maxima[item.name] = _maximum(item, statistics, low)
            if evidence:
                positive = statistics.histogram.sum(axis=1)
                values = widened(coding, item, values, positive, evidence, low)
            low, values = _over_channels(low, item.shape), _over_channels(values, item.shape)
            thresholds[item.name] = limited(coding, item, values, low)
            if item.signed:
                low = low + _over_channels(statistics.offset, item.shape)
            lows[item.name] = low
        return Network(
            model=seen.model,
            coding=coding,
            thresholds=choose_all(parts.populations, lambda item: thresholds[item.name]),
            offsets=choose_all(parts.populations, lambda item: lows[item.name]),
            readout_threshold=_over_channels(readout, parts.readout.shape),
            input_scales=seen.input_scales,
            calibration_samples=seen.count,
            calibration_maxima=maxima,
        )

    network = refine(seen, weigh(seen, build)) if adaptive else build(0)
    if coding.threshold == "spike-norm":
        network = norm_by_spikes(network, seen.samples)
    if coding.bias_correction:
        network = keep_if_better(seen, network, correct_biases(network, seen.samples))
    return network


def _maximum(item: Population, statistics: Statistics, low: np.ndarray) -> float:
    """Return the largest value that a population sent, above where its levels begin."""
    largest = statistics.positive_maximum
    largest = largest if item.bound is None else np.minimum(largest, item.bound)
    return float((largest - low).max(initial=0.0))


def _pooled(populations: Iterable[Population]) -> set[str]:
    """Name the tensors that max poolings read.

    The codes of what a pool reads are compared, also across channels and with zeros at borders, so
    that their levels begin alike.
    """
    return {name for item in populations if item.pools for name in item.segment.sources}


def _granular(statistics: Statistics, coding: Coding, seen: Observation) -> Statistics:
    """Return statistics of each channel or of all, as the coding has its thresholds."""
    if coding.per_channel and not seen.per_channel:
        raise CalibrationError(
            "The coding has a threshold for each channel, but the samples were observed without "
            "telling channels apart. Observe with per_channel=True, or encode with per_channel="
            "False."
        )
    return statistics if coding.per_channel else statistics.merged()


def _weight_maximum(segment: Segment) -> float:
    """Largest weight of a segment, which Diehl et al. let the threshold not fall below."""
    return max(
        (float(array.max()) for array in segment.constants.values() if array.dtype.kind == "f"),
        default=0.0,
    )


def _over_channels(values: np.ndarray, shape: Shape) -> np.ndarray:
    """Shape one value for each channel so that it broadcasts to a population's shape."""
    return values.reshape(()) if values.size == 1 else values.reshape(-1, *[1] * (len(shape) - 1))


def guess(model: Model, coding: Coding) -> Network:
    """Take for thresholds what the weights allow at most, for inputs in -1..1.

    Args:
        model: Canonical model.
        coding: How values become spikes.
    """
    coding = coding.for_depth(model.parts.depth)
    populations = model.parts.populations
    one = np.ones((), np.float32)
    intervals = dict.fromkeys(model.parts.inputs, (-one, one))
    for item in populations:
        intervals[item.tensor] = sent(item, received(item.segment, intervals))

    def threshold(item: Population) -> np.ndarray:
        if item.bound is not None:
            return limited(coding, item, np.full((), np.inf, np.float32))
        low, high = intervals[item.tensor]
        return usable(coding, high - low, item.name)

    _, highest = received(model.parts.readout, intervals)
    return Network(
        model=replace(model, verify=None),
        coding=coding,
        thresholds=choose_all(populations, threshold),
        offsets=choose_all(populations, lambda item: intervals[item.tensor][0]),
        readout_threshold=usable(coding, highest.max(initial=0.0), "readout"),
    )
