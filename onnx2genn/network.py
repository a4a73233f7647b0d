"""The spiking network: a canonical graph, a coding and its thresholds."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from onnx2genn.coding import Coding
from onnx2genn.data import Inputs, prepare, prepare_events
from onnx2genn.ir.graph import Shape
from onnx2genn.ir.model import Model
from onnx2genn.ir.partition import Population
from onnx2genn.ir.segment import Segment
from onnx2genn.streams import AUTO
from onnx2genn.streams.layout import Streams, make_streams
from onnx2genn.streams.relays import READOUT, Relay


@dataclass(frozen=True, kw_only=True, slots=True)
class Saving:
    """What populations of fewer digits save, for each sample.

    Attributes:
        spikes: Spikes with T digits everywhere, and as it is.
        operations: Synaptic operations, likewise.
    """

    spikes: tuple[float, float]
    operations: tuple[float, float]


@dataclass(frozen=True, kw_only=True, repr=False)
class Network:
    """A spiking network that gives the answers of the ANN that it was made from.

    Attributes:
        model: Canonical graph with its populations and segments.
        coding: How values become spikes.
        thresholds: Threshold of each population in ANN units, in a shape that broadcasts to the
            population's shape, by the name of the population.
        offsets: Value in ANN units that each population stands for without a spike, in the same
            way; 0 but for neurons that send signed values.
        readout_threshold: Threshold of output neurons, for a coding whose readout fires.
        corrections: Added to the input of populations, and to the logits, in ANN units, in a shape
            that broadcasts to theirs, by the tensor of the pre-activation.
        input_scales: Largest magnitude of each input by name, for a Poisson input.
        calibration_samples: Samples that the thresholds were chosen from; 0 if they were guessed
            from the weights.
        calibration_maxima: Largest activation of each population on them, above its offset, in ANN
            units, by the name of the population.
        digits: Digits of the populations that have fewer than T, by the name of the population.
        saving: What fewer digits save; None where that was not measured.
    """

    model: Model
    coding: Coding
    thresholds: Mapping[str, np.ndarray]
    offsets: Mapping[str, np.ndarray]
    readout_threshold: np.ndarray = field(default_factory=lambda: np.ones((), np.float32))
    corrections: Mapping[str, np.ndarray] = field(default_factory=dict)
    input_scales: Mapping[str, float] = field(default_factory=dict)
    calibration_samples: int = 0
    calibration_maxima: Mapping[str, float] = field(default_factory=dict)
    digits: Mapping[str, int] = field(default_factory=dict)
    saving: Saving | None = None

    def __repr__(self) -> str:
        return (
            f"<{type(self).__name__} {self.model.graph.name!r}: {self.neurons:,} neurons in "
            f"{len(self.populations)} populations, {self.coding}>"
        )

    @property
    def populations(self) -> tuple[Population, ...]:
        """The populations in topological order."""
        return self.model.parts.populations

    @property
    def neurons(self) -> int:
        """Number of neurons of all populations."""
        return self.model.parts.neurons

    @property
    def entries(self) -> Mapping[str, Shape]:
        """The inputs that samples are for, with their shapes, batch axis left out."""
        return self.model.entries

    @property
    def input_name(self) -> str:
        """Name of the one input that backends know, which joins several entries."""
        return next(iter(self.model.parts.inputs))

    @property
    def input_shape(self) -> Shape:
        """Shape of one sample of that input: of several entries, their elements side by side."""
        return self.model.parts.inputs[self.input_name]

    @cached_property
    def input_scale(self) -> np.ndarray:
        """Value of one spike of a Poisson input; broadcasts to the input's shape."""
        scales = [np.float32(self.input_scales.get(name, 1.0)) for name in self.entries]
        if len(scales) == 1:
            return np.asarray(scales[0])
        return np.repeat(scales, [int(np.prod(shape)) for shape in self.entries.values()])

    @cached_property
    def streams(self) -> Streams:
        """What is sent from where to where, with the relays that make the network cheapest."""
        return make_streams(self.model.parts, self.coding)

    def streams_with(self, relays: str | Collection[str] | None) -> Streams:
        """Return what is sent with relays as of :func:`make_streams`; of None, the cheapest."""
        if relays is None or relays == AUTO:
            return self.streams
        return make_streams(self.model.parts, self.coding, relays)

    @property
    def latency(self) -> int:
        """Steps from the presentation of a sample to the answer, when samples are pipelined."""
        return self.latency_of(self.streams)

    def latency_of(self, streams: Streams) -> int:
        """Return the latency with other relays than the cheapest."""
        depth = self.model.parts.depth
        late = streams.timing.arrivals[READOUT] - self.coding.input_start(depth)
        return self.coding.latency(depth, firing=self.firing_readout) + late

    def digits_of(self, population: Population) -> int:
        """Return the digits of a population: T, if it has no fewer."""
        return self.digits.get(population.name, self.coding.steps)

    def coding_of(self, population: Population) -> Coding:
        """Return the coding whose levels a population has; its window and its neurons are all's."""
        return self.coding.with_digits(self.digits_of(population))

    @property
    def poisson(self) -> bool:
        """Whether the input is a train of random spikes instead of a constant current."""
        return self.coding.poisson

    @property
    def spiking_input(self) -> bool:
        """Whether the input is spikes, random ones or those of events."""
        return self.coding.spiking_input

    def prepare(self, x: Inputs) -> np.ndarray:
        """Check samples and make of them what simulators take.

        Args:
            x: Samples [N, ...] as the ANN takes them; of several inputs, arrays by name or in the
                order of ``entries``. For a coding with ``input="events"``, counts
                [N, bins, ...], or for each sample an array of events with fields x, y, p, t.

        Raises:
            DataError: They do not fit the model.
        """
        if self.coding.events:
            return prepare_events(self.model, x, self.coding.steps)
        return prepare(self.model, x)

    @property
    def firing_readout(self) -> bool:
        """Whether the readout fires, and its spikes are counted."""
        return self.coding.firing_readout

    @cached_property
    def units(self) -> dict[str, np.ndarray]:
        """Value of the smallest spike of each spiking tensor, in ANN units."""
        found = {
            item.tensor: self.coding_of(item).unit(self.thresholds[item.name])
            for item in self.populations
        }
        if self.poisson:
            found[self.input_name] = self.input_scale
        if self.coding.events:
            # Currents are averaged over the window, and events add up.
            found[self.input_name] = np.float32(self.coding.steps)
        return found

    def segment_in_units(self, population: Population, *, start: float = 0.0) -> Segment:
        """Return the map from the spikes of a population's sources to its input, in units.

        Args:
            population: One of the network's populations.
            start: Units that are added, as an initial potential.

        Returns:
            The map. That of a max pooling has no factors: a pool has the units of the neurons that
            it reads. That of a function gives its argument in ANN units.
        """
        if population.pools:
            return population.segment
        if population.is_function:
            return self.segment_in_ann_units(population.segment)
        unit = self.units[population.tensor]
        offset = self.offsets[population.name] - np.float32(start) * unit
        return self._in_units(population.segment, unit, offset)

    def port_segments(self, population: Population) -> tuple[Segment, ...]:
        """Return the map to each port of neurons that send a function of several, in ANN units."""
        return tuple(self.segment_in_ann_units(item) for item in population.port_segments)

    def segment_in_ann_units(self, segment: Segment) -> Segment:
        """Return the map from the spikes of a segment's sources to its target, in ANN units."""
        return self._in_units(segment, np.ones((), np.float32))

    def readout_in_units(self, segment: Segment | None = None) -> Segment:
        """Return the map from spikes to logits; in units of the readout's threshold if it fires.

        Args:
            segment: Map to use in place of the network's own.
        """
        readout = segment or self.model.parts.readout
        if not self.firing_readout:
            return self.segment_in_ann_units(readout)
        return self._in_units(readout, self.coding.unit(self.readout_threshold))

    def relayed(self, relay: Relay) -> Segment:
        """Return the map from spikes to a relay, in ANN units: corrections come behind it."""
        return relay.segment.in_units(
            self.units, np.ones((), np.float32), source_offsets=self._source_offsets
        )

    def _in_units(
        self, segment: Segment, unit: np.ndarray, offset: np.ndarray | float = 0.0
    ) -> Segment:
        corrected = offset - np.asarray(self.corrections.get(segment.target, 0.0), np.float32)
        return segment.in_units(
            self.units, unit, source_offsets=self._source_offsets, target_offset=corrected
        )

    @property
    def _source_offsets(self) -> dict[str, np.ndarray]:
        return {item.tensor: self.offsets[item.name] for item in self.populations}

    def decode(self, population: Population, codes: np.ndarray) -> np.ndarray:
        """Return the activations, in ANN units, that codes [N, *shape] stand for."""
        value = self.coding_of(population).quantiser.step_value(self.thresholds[population.name])
        return codes * value + self.offsets[population.name]
