"""The spiking network: a canonical graph, a coding and its thresholds; save and load."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import onnx
from onnx import helper, numpy_helper

from onnx2genn import coding as codings
from onnx2genn.calibration import Progress, collect, minima
from onnx2genn.coding import Coding
from onnx2genn.coding.rate import Rate
from onnx2genn.coding.thresholds import (
    choose,
    choose_all,
    from_weights,
    limited,
    range_from_bound,
)
from onnx2genn.data import Inputs, samples_of, shapes_of
from onnx2genn.errors import CodingError, DataError, UnsupportedModelError
from onnx2genn.graph.inputs import separate_arrays
from onnx2genn.graph.load import Source, choose_output, input_names, load_proto
from onnx2genn.graph.model import Shape
from onnx2genn.graph.partition import Population
from onnx2genn.graph.reader import Model, fit_products, read
from onnx2genn.graph.segment import Segment

if TYPE_CHECKING:
    from onnx2genn.evaluation import Evaluation

_KEY = "onnx2genn"
_FORMAT = 2
_THRESHOLD = "onnx2genn/threshold/"
_OFFSET = "onnx2genn/offset/"
_READOUT = "onnx2genn/readout_threshold"
_CORRECTION = "onnx2genn/correction/"


@dataclass(frozen=True, kw_only=True, repr=False)
class SpikingNetwork:
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
    """

    model: Model
    coding: Coding
    thresholds: Mapping[str, np.ndarray]
    offsets: Mapping[str, np.ndarray]
    readout_threshold: np.ndarray = field(default_factory=lambda: np.ones((), np.float32))
    corrections: Mapping[str, np.ndarray] = field(default_factory=dict)
    input_scales: Mapping[str, float] = field(default_factory=dict)
    calibration_samples: int = 0

    def __repr__(self) -> str:
        return (
            f"<SpikingNetwork {self.model.graph.name!r}: {self.neurons:,} neurons in "
            f"{len(self.populations)} populations, {self.coding}>"
        )

    @property
    def populations(self) -> tuple[Population, ...]:
        """The populations in topological order."""
        return self.model.parts.populations

    @property
    def neurons(self) -> int:
        """Number of neurons of all populations."""
        return sum(int(np.prod(item.shape)) for item in self.populations)

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

    @property
    def latency(self) -> int:
        """Steps from the presentation of a sample to the answer, when samples are pipelined."""
        return self.coding.latency(self.model.parts.depth, firing=self.firing_readout)

    @property
    def poisson(self) -> bool:
        """Whether the input is a train of random spikes instead of a constant current."""
        return isinstance(self.coding, Rate) and self.coding.input == "poisson"

    @property
    def firing_readout(self) -> bool:
        """Whether the readout fires, and its spikes are counted."""
        return isinstance(self.coding, Rate) and self.coding.readout == "spikes"

    @cached_property
    def units(self) -> dict[str, np.ndarray]:
        """Value of the smallest spike of each spiking tensor, in ANN units."""
        found = {
            item.tensor: self.coding.unit(self.thresholds[item.name]) for item in self.populations
        }
        if self.poisson:
            found[self.input_name] = self.input_scale
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

    def segment_in_ann_units(self, segment: Segment) -> Segment:
        """Return the map from the spikes of a segment's sources to its target, in ANN units."""
        return self._in_units(segment, np.ones((), np.float32))

    def readout_in_units(self) -> Segment:
        """Return the map from spikes to logits; in units of the readout's threshold if it fires."""
        readout = self.model.parts.readout
        if not self.firing_readout:
            return self.segment_in_ann_units(readout)
        return self._in_units(readout, self.coding.unit(self.readout_threshold))

    def _in_units(
        self, segment: Segment, unit: np.ndarray, offset: np.ndarray | float = 0.0
    ) -> Segment:
        offsets = {item.tensor: self.offsets[item.name] for item in self.populations}
        offset = offset - self.corrections.get(segment.target, np.float32(0))
        return segment.in_units(self.units, unit, source_offsets=offsets, target_offset=offset)

    def decode(self, population: Population, codes: np.ndarray) -> np.ndarray:
        """Return the activations, in ANN units, that codes [N, *shape] stand for."""
        value = self.coding.step_value(self.thresholds[population.name])
        return codes * value + self.offsets[population.name]

    def predict(
        self, x: Inputs, *, backend: str = "auto", batch_size: int | None = None
    ) -> np.ndarray:
        """Run the spiking network.

        Args:
            x: Samples [N, ...] as the ANN takes them; of several inputs, arrays by name or in the
                order of ``entries``.
            backend: ``auto``, ``onnxruntime``, ``cuda``, ``hip`` or ``single_threaded_cpu``.
            batch_size: Samples simulated at once; chosen by the backend if None.

        Returns:
            Logits in ANN units, float32 [N, classes].

        Raises:
            DataError: The samples do not fit the model.
            BackendError: The backend is missing or cannot run the network.
        """
        from onnx2genn.backends import open_simulator

        samples = samples_of(self.entries, x)
        with open_simulator(self, backend, batch_size=batch_size) as simulator:
            size = simulator.batch_size
            parts = [
                simulator.run(samples[start : start + size], first=start).logits
                for start in range(0, len(samples), size)
            ]
        return np.concatenate(parts)

    def evaluate(
        self,
        x: Inputs,
        y: np.ndarray | None = None,
        *,
        backend: str = "auto",
        batch_size: int | None = None,
        progress: Progress | None = None,
    ) -> Evaluation:
        """Compare the spiking network with the ANN on samples.

        Args:
            x: Samples as for :meth:`predict`.
            y: Labels [N]; without them accuracies are None and only the agreement is known.
            backend: As for :meth:`predict`.
            batch_size: Samples simulated at once; chosen by the backend if None.
            progress: Called with the number of samples done and the total.

        Raises:
            DataError: The samples or labels do not fit the model.
            BackendError: The backend is missing or cannot run the network.
        """
        from onnx2genn.evaluation import evaluate

        return evaluate(self, x, y, backend=backend, batch_size=batch_size, progress=progress)

    def save(self, path: str | Path) -> None:
        """Save as one ONNX file, which onnxruntime runs as the ANN and onnx2genn as the SNN.

        The coding is in the metadata, thresholds are initializers. The file is written beside its
        place first and then moved there, so that it is never half written.

        Args:
            path: File to write.
        """
        proto = onnx.shape_inference.infer_shapes(self.model.to_onnx(joined=False))
        record = {
            "format": _FORMAT,
            "coding": self.coding.name,
            "options": self.coding.options(),
            "input_scales": dict(self.input_scales),
            "calibration_samples": self.calibration_samples,
        }
        helper.set_model_props(proto, {_KEY: json.dumps(record)})
        arrays = {_THRESHOLD + item.tensor: self.thresholds[item.name] for item in self.populations}
        arrays |= {_OFFSET + item.tensor: self.offsets[item.name] for item in self.populations}
        arrays |= {_CORRECTION + name: array for name, array in self.corrections.items()}
        arrays[_READOUT] = self.readout_threshold
        proto.graph.initializer.extend(
            numpy_helper.from_array(np.asarray(array, np.float32), name)
            for name, array in arrays.items()
        )
        write_atomically(Path(path), proto.SerializeToString())


def write_atomically(path: Path, content: bytes) -> None:
    """Write a file beside its place, then move it there.

    Raises:
        DataError: It cannot be written; a file that was there before is left as it was.
    """
    try:
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(content)
            Path(name).chmod(0o644)
            Path(name).replace(path)
        except BaseException:
            Path(name).unlink(missing_ok=True)
            raise
    except OSError as error:
        raise DataError(f"{path} cannot be written: {error.strerror or error}.") from error


def convert(
    source: Source,
    calibration: Inputs | None = None,
    coding: str | Coding = codings.DEFAULT,
    *,
    steps: int | str | None = None,
    loss: float | None = None,
    output: str | None = None,
    progress: Progress | None = None,
    **options: Any,
) -> SpikingNetwork:
    """Turn a trained network into a spiking one.

    Args:
        source: Path of an ONNX file, or a model in memory.
        calibration: Training samples [N, ...] as the ANN takes them; a few hundred are enough. Of
            several inputs, arrays by name or in the model's order. Without them thresholds are
            guessed from the weights, and the result is poor.
        coding: Name of a coding or preset, or a coding.
        steps: Time steps of a window; ``"auto"`` for the fewest that keep the ANN's answers.
        loss: For ``"auto"``, the share of calibration samples that may be answered differently;
            0.01 by default.
        output: Name of the output to convert; by default the first one of floats.
        progress: Called with the number of calibration samples done and the total.
        options: Options of the coding, as ``threshold="max"``.

    Returns:
        The network, ready for ``predict``, ``evaluate`` and ``save``.

    Raises:
        UnsupportedModelError: The model cannot be converted; ``problems`` lists all reasons.
        CalibrationError: Thresholds cannot be chosen from the samples.
        DataError: The samples do not fit the model.
        CodingError: The coding or an option is unknown.

    Example:
        >>> import onnx2genn
        >>> network = onnx2genn.convert("model.onnx", calibration=x)  # doctest: +SKIP
        >>> network.predict(x_test).argmax(axis=1)  # doctest: +SKIP
    """
    automatic = steps == "auto"
    chosen = codings.make(coding, steps=None if automatic else steps, **options)
    proto = load_proto(source)
    names = input_names(proto, choose_output(proto, output))
    model = read(proto, output=output, input_shape=shapes_of(names, calibration))
    if automatic:
        from onnx2genn.search import encode_with_fewest_steps

        return encode_with_fewest_steps(model, chosen, calibration, loss=loss)
    return encode(model, chosen, calibration, progress=progress)


def encode(
    model: Model,
    coding: Coding,
    calibration: Inputs | None = None,
    *,
    progress: Progress | None = None,
) -> SpikingNetwork:
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
        return _guess(model, coding)
    samples = samples_of(model.entries, calibration)
    model = fit_products(model, samples)
    populations = model.parts.populations
    lowest = minima(model, samples, per_channel=coding.per_channel)
    found = collect(
        model, samples, offsets=lowest, per_channel=coding.per_channel, progress=progress
    )
    floor = _weight_maximum if isinstance(coding, Rate) and coding.weight_maximum else _no_floor

    def threshold(tensor: str, segment: Segment) -> np.ndarray:
        chosen = np.maximum(choose(coding, found[tensor]), floor(segment))
        return _over_channels(chosen.astype(np.float32), segment.shape)

    def offset(item: Population) -> np.ndarray:
        return _over_channels(lowest.get(item.tensor, np.zeros(1, np.float32)), item.shape)

    network = SpikingNetwork(
        model=model,
        coding=coding,
        thresholds=choose_all(
            populations, lambda item: limited(coding, item, threshold(item.measured, item.segment))
        ),
        offsets=choose_all(populations, offset),
        readout_threshold=threshold(model.parts.readout.target, model.parts.readout),
        input_scales=_largest(model, samples),
        calibration_samples=len(samples),
    )
    return _refine(network, samples)


def _largest(model: Model, samples: np.ndarray) -> dict[str, float]:
    """Return the largest magnitude of each input; 1 where it is 0."""
    parts = separate_arrays(model.entries, samples)
    return {name: float(np.abs(part).max()) or 1.0 for name, part in parts.items()}


def _refine(network: SpikingNetwork, samples: np.ndarray) -> SpikingNetwork:
    """Do what can only be done with spikes."""
    from onnx2genn import layerwise

    if network.coding.threshold == "spike-norm":
        network = layerwise.norm_by_spikes(network, samples)
    if network.coding.bias_correction:
        network = layerwise.correct_biases(network, samples)
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


def _no_floor(segment: Segment) -> float:
    return 0.0


def _weight_maximum(segment: Segment) -> float:
    """Largest weight of a segment, which Diehl et al. let the threshold not fall below."""
    return max(
        (float(array.max()) for array in segment.constants.values() if array.dtype.kind == "f"),
        default=0.0,
    )


def _over_channels(values: np.ndarray, shape: Shape) -> np.ndarray:
    """Shape one value for each channel so that it broadcasts to a population's shape."""
    return values.reshape(()) if values.size == 1 else values.reshape(-1, *[1] * (len(shape) - 1))


def _guess(model: Model, coding: Coding) -> SpikingNetwork:
    """Take for thresholds what the weights allow at most, for inputs in -1..1."""
    populations = model.parts.populations
    bounds = {name: np.ones((), np.float32) for name in model.parts.inputs}
    lowest, widths = {}, {}
    for item in populations:
        bound = np.full((), from_weights(item.segment, bounds).max(initial=0.0) or 1.0, np.float32)
        low, high = (-bound, bound) if item.pools else range_from_bound(item, bound)
        bounds[item.tensor] = np.maximum(high, -low)
        lowest[item.tensor] = low
        width = high - low if item.bound is None else np.float32(np.inf)
        widths[item.tensor] = np.asarray(limited(coding, item, width))
    thresholds = choose_all(populations, lambda item: widths[item.tensor])
    offsets = choose_all(populations, lambda item: lowest[item.tensor])
    readout = from_weights(model.parts.readout, bounds).max(initial=0.0) or 1.0
    return SpikingNetwork(
        model=model,
        coding=coding,
        thresholds=thresholds,
        offsets=offsets,
        readout_threshold=np.full((), readout, np.float32),
    )


def load(source: Source) -> SpikingNetwork:
    """Load a spiking network that :meth:`SpikingNetwork.save` wrote.

    Args:
        source: Path of the file, or the model in memory.

    Raises:
        UnsupportedModelError: The file is missing, or is no saved spiking network.
    """
    proto = load_proto(source)
    metadata = {item.key: item.value for item in proto.metadata_props}
    if _KEY not in metadata:
        raise UnsupportedModelError(
            f"{source if not isinstance(source, onnx.ModelProto) else 'The model'} is a plain ONNX "
            "model, not a saved spiking network: use convert."
        )
    record = json.loads(metadata[_KEY])
    if record["format"] > _FORMAT:
        raise UnsupportedModelError(
            f"The spiking network was saved by a newer onnx2genn (format {record['format']}; this "
            f"one knows {_FORMAT}). Upgrade onnx2genn."
        )
    arrays = {item.name: numpy_helper.to_array(item) for item in proto.graph.initializer}
    model = read(proto)
    scales = record.get("input_scales")
    if scales is None:  # format 1 knew a single input
        scales = dict.fromkeys(model.entries, record["input_scale"])
    return SpikingNetwork(
        model=model,
        coding=codings.make(record["coding"], **record["options"]),
        thresholds={
            item.name: arrays[_THRESHOLD + item.tensor] for item in model.parts.populations
        },
        offsets={item.name: arrays[_OFFSET + item.tensor] for item in model.parts.populations},
        readout_threshold=arrays[_READOUT],
        corrections={
            name.removeprefix(_CORRECTION): array
            for name, array in arrays.items()
            if name.startswith(_CORRECTION)
        },
        input_scales=scales,
        calibration_samples=record["calibration_samples"],
    )


def is_saved_network(proto: onnx.ModelProto) -> bool:
    """Whether a model carries a coding and thresholds."""
    return any(item.key == _KEY for item in proto.metadata_props)
