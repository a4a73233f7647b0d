"""From what was observed, or from the weights alone, to a spiking network with thresholds."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from onnx2genn.calibrate.by_spikes import correct_biases, norm_by_spikes
from onnx2genn.calibrate.held_out import keep_if_better, weigh
from onnx2genn.calibrate.intervals import received, sent
from onnx2genn.calibrate.observe import Observation
from onnx2genn.calibrate.statistics import Statistics
from onnx2genn.calibrate.thresholds import choose, choose_all, limited, usable, widened
from onnx2genn.coding import Coding
from onnx2genn.errors import CalibrationError, CodingError
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
        CodingError: The coding cannot express an activation of the model.
    """
    require_expressible(seen.model, coding)
    parts = seen.model.parts

    found = {name: _granular(item, coding, seen) for name, item in seen.populations.items()}

    def chosen(statistics: Statistics, segment: Segment, name: str) -> np.ndarray:
        values = choose(coding, statistics, name)
        return np.maximum(values, _weight_maximum(segment)) if coding.weight_maximum else values

    own = {
        item.name: chosen(found[item.name], item.segment, item.name)
        for item in parts.populations
        if not item.pools
    }
    readout = chosen(_granular(seen.readout, coding, seen), parts.readout, "readout")

    def offset(item: Population) -> np.ndarray:
        lowest = found[item.name].offset if item.signed else np.zeros(1, np.float32)
        return _over_channels(lowest, item.shape)

    def build(evidence: int) -> Network:
        def threshold(item: Population) -> np.ndarray:
            values = own[item.name]
            if evidence:
                positive = found[item.name].histogram.sum(axis=1)
                values = widened(coding, item, values, positive, evidence)
            return limited(coding, item, _over_channels(values, item.shape))

        return Network(
            model=seen.model,
            coding=coding,
            thresholds=choose_all(parts.populations, threshold),
            offsets=choose_all(parts.populations, offset),
            readout_threshold=_over_channels(readout, parts.readout.shape),
            input_scales=seen.input_scales,
            calibration_samples=seen.count,
            calibration_maxima={
                item.name: _maximum(item, found[item.name])
                for item in parts.populations
                if item.name in found
            },
        )

    adaptive = coding.threshold == "mse" and coding.per_channel
    network = weigh(seen, build) if adaptive else build(0)
    if coding.threshold == "spike-norm":
        network = norm_by_spikes(network, seen.samples)
    if coding.bias_correction:
        network = keep_if_better(seen, network, correct_biases(network, seen.samples))
    return network


def _maximum(item: Population, statistics: Statistics) -> float:
    """Return the largest value that a population sent, above its offset."""
    largest = float(statistics.positive_maximum.max(initial=0.0))
    return largest if item.bound is None else min(largest, item.bound)


def _granular(statistics: Statistics, coding: Coding, seen: Observation) -> Statistics:
    """Return statistics of each channel or of all, as the coding has its thresholds."""
    if coding.per_channel and not seen.per_channel:
        raise CalibrationError(
            "The coding has a threshold for each channel, but the samples were observed without "
            "telling channels apart. Observe with per_channel=True, or encode with per_channel="
            "False."
        )
    return statistics if coding.per_channel else statistics.merged()


def require_expressible(model: Model, coding: Coding) -> None:
    """Refuse functions with a coding whose neurons fire before they know their argument.

    Args:
        model: Canonical model.
        coding: How values become spikes.

    Raises:
        CodingError: The coding cannot express an activation of the model; it names them all.
    """
    functions = [item for item in model.parts.populations if item.is_function]
    if functions and not coding.accumulates:
        names = ", ".join(f"{item.node.op} {item.node.name!r}" for item in functions)
        raise CodingError(
            f"Coding {coding.name!r} cannot express {names}: its neurons fire while they still "
            "integrate, and only Relu and Clip come out right on average. Use coding few-spike, or "
            "train the model with Relu."
        )


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

    Raises:
        CodingError: The coding cannot express an activation of the model.
    """
    require_expressible(model, coding)
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
