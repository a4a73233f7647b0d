"""Conversion: read a model, choose its thresholds, make a spiking network."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from onnx2genn.calibrate.intervals import received, sent
from onnx2genn.calibrate.statistics import Progress, collect, minima
from onnx2genn.calibrate.thresholds import choose, choose_all, limited, usable
from onnx2genn.coding import Coding
from onnx2genn.data import Inputs, prepare
from onnx2genn.errors import CodingError
from onnx2genn.frontend.pipeline import fit
from onnx2genn.ir.graph import Shape
from onnx2genn.ir.inputs import separate_arrays
from onnx2genn.ir.model import Model
from onnx2genn.ir.partition import Population
from onnx2genn.ir.segment import Segment
from onnx2genn.network import Network


def encode(
    model: Model,
    coding: Coding,
    calibration: Inputs | None = None,
    *,
    progress: Progress | None = None,
) -> Network:
    """Choose the thresholds of a model's populations.

    Args:
        model: Canonical model.
        coding: How values become spikes.
        calibration: Training samples as for :func:`convert`; None guesses from the weights.
        progress: Called with the number of calibration samples done and the total.

    Raises:
        CalibrationError: Thresholds cannot be chosen from the samples.
        CodingError: The coding cannot express an activation of the model.
        DataError: The samples do not fit the model.
    """
    _refuse_functions(model, coding)
    if calibration is None:
        return _guess(replace(model, unfitted=None, verify=None), coding)
    samples = prepare(model, calibration)
    model = fit(model, samples)
    populations, readout = model.parts.populations, model.parts.readout
    lowest = minima(model, samples, per_channel=coding.per_channel)
    found = collect(
        model, samples, offsets=lowest, per_channel=coding.per_channel, progress=progress
    )

    def threshold(tensor: str, segment: Segment, name: str) -> np.ndarray:
        chosen = choose(coding, found[tensor], name)
        if coding.weight_maximum:
            chosen = np.maximum(chosen, _weight_maximum(segment))
        return _over_channels(chosen.astype(np.float32), segment.shape)

    def offset(item: Population) -> np.ndarray:
        return _over_channels(lowest.get(item.tensor, np.zeros(1, np.float32)), item.shape)

    network = Network(
        model=model,
        coding=coding,
        thresholds=choose_all(
            populations,
            lambda item: limited(coding, item, threshold(item.measured, item.segment, item.name)),
        ),
        offsets=choose_all(populations, offset),
        readout_threshold=threshold(readout.target, readout, "readout"),
        input_scales=_largest(model, samples),
        calibration_samples=len(samples),
    )
    return _refine(network, samples)


def _largest(model: Model, samples: np.ndarray) -> dict[str, float]:
    """Return the largest magnitude of each input; 1 where it is 0."""
    parts = separate_arrays(model.entries, samples)
    return {name: float(np.abs(part).max()) or 1.0 for name, part in parts.items()}


def _refine(network: Network, samples: np.ndarray) -> Network:
    """Do what can only be done with spikes."""
    from onnx2genn.calibrate import by_spikes

    if network.coding.threshold == "spike-norm":
        network = by_spikes.norm_by_spikes(network, samples)
    if network.coding.bias_correction:
        network = by_spikes.correct_biases(network, samples)
    return network


def _refuse_functions(model: Model, coding: Coding) -> None:
    """Refuse functions with a coding whose neurons fire before they know their argument."""
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


def _guess(model: Model, coding: Coding) -> Network:
    """Take for thresholds what the weights allow at most, for inputs in -1..1."""
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
        model=model,
        coding=coding,
        thresholds=choose_all(populations, threshold),
        offsets=choose_all(populations, lambda item: intervals[item.tensor][0]),
        readout_threshold=usable(coding, highest.max(initial=0.0), "readout"),
    )
