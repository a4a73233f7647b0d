"""From what was observed, or from the weights alone, to a spiking network with thresholds."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from functools import cached_property

import numpy as np

from onnx2genn.calibrate.by_spikes import correct_biases, norm_by_spikes
from onnx2genn.calibrate.digits import of_all
from onnx2genn.calibrate.held_out import UNTRIED, HeldOut, keep_if_better, weigh
from onnx2genn.calibrate.intervals import received, sent
from onnx2genn.calibrate.observe import Observation
from onnx2genn.calibrate.ranges import raised
from onnx2genn.calibrate.refine import refine
from onnx2genn.calibrate.statistics import Statistics
from onnx2genn.calibrate.thresholds import (
    choose,
    choose_all,
    compared_channels,
    limited,
    usable,
    widened,
)
from onnx2genn.coding import Coding
from onnx2genn.errors import CalibrationError
from onnx2genn.ir.graph import Shape
from onnx2genn.ir.model import Model
from onnx2genn.ir.partition import Population
from onnx2genn.ir.segment import Segment
from onnx2genn.network import Network


def encode(seen: Observation, coding: Coding, digits: Mapping[str, int] | None = None) -> Network:
    """Choose the thresholds of a model's populations.

    Args:
        seen: What the ANN did on calibration samples; it serves any number of codings.
        coding: How values become spikes.
        digits: Populations that have fewer digits than the window has steps, as
            :func:`onnx2genn.calibrate.digits.of_all` takes them.

    Raises:
        CalibrationError: Thresholds cannot be chosen from the samples.
        CodingError: There is no such population, or it cannot have so many digits.
    """
    return Encoder(seen, coding).encode(digits)


class Encoder:
    """Chooses the thresholds of a model's populations, whatever digits each of them has.

    Args:
        seen: What the ANN did on calibration samples.
        coding: How values become spikes.
    """

    def __init__(self, seen: Observation, coding: Coding) -> None:
        self._seen, self._parts = seen, seen.model.parts
        self.coding = coding.for_depth(self._parts.depth)
        self._neurons = [item for item in self._parts.populations if not item.pools]
        compared = compared_channels(self._parts.populations) if coding.per_channel else ()
        self._found = {
            name: item.merged() if name in compared else _granular(item, coding, seen)
            for name, item in seen.populations.items()
        }
        self._adaptive = coding.threshold == "mse" and coding.per_channel
        self._pooled = _pooled(self._parts.populations)
        self._kept: dict[tuple[str, int], tuple[np.ndarray, tuple[np.ndarray, np.ndarray]]] = {}
        self._weights = 0, False

    def statistics(self, item: Population) -> Statistics:
        """Return what a population of neurons had on the samples."""
        return self._found[item.name]

    def encode(self, digits: Mapping[str, int] | None = None) -> Network:
        """Choose all that there is to choose; see :func:`encode`."""
        seen, coding = self._seen, self.coding
        given = of_all(self._parts.populations, coding, digits or {})

        def build(evidence: int, with_lows: bool) -> Network:
            return self._built(given, evidence, with_lows)

        squares = None
        if self._adaptive:
            self._weights = UNTRIED, True
            if len(seen.held):
                self._weights, squares = weigh(self._trial, build)
        return self.finished(build(*self._weights), squares)

    def finished(self, network: Network, squares: np.ndarray | None = None) -> Network:
        """Choose what the network as a whole decides, once thresholds are chosen one by one.

        Args:
            network: The network.
            squares: What held-out samples add to its squared error, if that is known.
        """
        seen, coding = self._seen, self.coding
        if self._adaptive and len(seen.held):
            network = refine(self._trial, network, squares)
        if coding.threshold == "spike-norm":
            network = norm_by_spikes(network, seen.samples)
        if coding.bias_correction:
            network = keep_if_better(seen, network, correct_biases(network, seen.samples))
        return network

    def narrowed(self, network: Network, digits: int) -> Network:
        """Give all populations fewer digits, with thresholds as they are chosen for such.

        What moved a threshold later on, as refinement, moves that of fewer digits in proportion.

        Args:
            network: What :meth:`encode` returned, with T digits everywhere.
            digits: What all populations shall have.
        """
        populations = self._parts.populations
        as_chosen = self._built({}, *self._weights)
        other = self._built({item.name: digits for item in populations}, *self._weights)
        thresholds, offsets = {}, {}
        for item in self._neurons:
            name = item.name
            offsets[name] = network.offsets[name] + other.offsets[name] - as_chosen.offsets[name]
            scale = network.thresholds[name] / as_chosen.thresholds[name]
            scaled = other.thresholds[name] * scale
            thresholds[name] = limited(other.coding_of(item), item, scaled, offsets[name])
        return replace(
            other,
            thresholds=choose_all(populations, lambda item: thresholds[item.name]),
            offsets=choose_all(populations, lambda item: offsets[item.name]),
            corrections=network.corrections,
        )

    def _built(self, digits: Mapping[str, int], evidence: int, with_lows: bool) -> Network:
        """Make a network with some weight of what is known of a population for its channels."""
        seen, populations = self._seen, self._parts.populations
        maxima: dict[str, float] = {}
        lows: dict[str, np.ndarray] = {}
        thresholds: dict[str, np.ndarray] = {}
        for item in self._neurons:
            statistics = self._found[item.name]
            count = digits.get(item.name, self.coding.steps)
            coding = self.coding.with_digits(count)
            values, ends = self._chosen(item, count)
            low, values = ends if with_lows else (np.zeros(1, np.float32), values)
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
            coding=self.coding,
            thresholds=choose_all(populations, lambda item: thresholds[item.name]),
            offsets=choose_all(populations, lambda item: lows[item.name]),
            readout_threshold=self._readout_threshold,
            input_scales=seen.input_scales,
            calibration_samples=seen.count,
            calibration_maxima=maxima,
            digits=dict(digits),
        )

    @cached_property
    def _trial(self) -> HeldOut:
        return HeldOut(self._seen)

    @cached_property
    def _readout_threshold(self) -> np.ndarray:
        readout = self._parts.readout
        statistics = _granular(self._seen.readout, self.coding, self._seen)
        values = self._by_rule(self.coding, statistics, readout, "readout")
        return _over_channels(values, readout.shape)

    def _chosen(
        self, item: Population, digits: int
    ) -> tuple[np.ndarray, tuple[np.ndarray, np.ndarray]]:
        """Return the best thresholds of levels above 0, and lower ends with their thresholds."""
        key = item.name, digits
        if key not in self._kept:
            coding, statistics = self.coding.with_digits(digits), self._found[item.name]
            own = self._by_rule(coding, statistics, item.segment, item.name)
            ends = np.zeros(1, np.float32), own
            if self._adaptive and item.tensor not in self._pooled:
                ends = raised(coding, statistics, own)
            self._kept[key] = own, ends
        return self._kept[key]

    @staticmethod
    def _by_rule(coding: Coding, statistics: Statistics, segment: Segment, name: str) -> np.ndarray:
        values = choose(coding, statistics, name)
        return np.maximum(values, _weight_maximum(segment)) if coding.weight_maximum else values


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


def guess(model: Model, coding: Coding, digits: Mapping[str, int] | None = None) -> Network:
    """Take for thresholds what the weights allow at most, for inputs in -1..1.

    Args:
        model: Canonical model.
        coding: How values become spikes.
        digits: As for :func:`encode`.

    Raises:
        CodingError: There is no such population, or it cannot have so many digits.
    """
    coding = coding.for_depth(model.parts.depth)
    populations = model.parts.populations
    fewer = of_all(populations, coding, digits or {})
    one = np.ones((), np.float32)
    intervals = dict.fromkeys(model.parts.inputs, (-one, one))
    for item in populations:
        intervals[item.tensor] = sent(item, received(item.segment, intervals))

    def threshold(item: Population) -> np.ndarray:
        own = coding.with_digits(fewer.get(item.name, coding.steps))
        if item.bound is not None:
            return limited(own, item, np.full((), np.inf, np.float32))
        low, high = intervals[item.tensor]
        return usable(own, high - low, item.name)

    _, highest = received(model.parts.readout, intervals)
    return Network(
        model=replace(model, verify=None),
        coding=coding,
        thresholds=choose_all(populations, threshold),
        offsets=choose_all(populations, lambda item: intervals[item.tensor][0]),
        readout_threshold=usable(coding, highest.max(initial=0.0), "readout"),
        digits=fewer,
    )
