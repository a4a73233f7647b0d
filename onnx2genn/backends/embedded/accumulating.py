"""Neurons that collect a window and then fire: every segment is evaluated once, exactly."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import onnx

from onnx2genn.backends.base import NOTHING, Activity, Watch
from onnx2genn.ir.builder import Builder
from onnx2genn.ir.graph import to_onnx
from onnx2genn.ir.partition import Population
from onnx2genn.ir.run import Runner, samples_at_once
from onnx2genn.ir.segment import Segment

if TYPE_CHECKING:
    from onnx2genn.network import Network

_BATCH = 256
_LOGITS = "readout/logits"


class AccumulatingSimulator:
    """Runs the whole network as one ONNX model between codes.

    What a neuron fires depends only on the sum that it collected over its sources' window, so the
    sum of the spikes takes the place of the spikes; these are recovered from the codes.
    """

    backend = "onnxruntime"

    def __init__(
        self,
        network: Network,
        *,
        batch_size: int | None = None,
        threads: int | None = None,
    ) -> None:
        self.batch_size = batch_size or samples_at_once(network.neurons, _BATCH)
        self._network = network
        self._coding = network.coding
        self._runner = Runner(_model_of_codes(network), threads=threads or 0)
        self._readout = Runner(network.readout_in_units().to_onnx(), threads=threads or 0)

    def run(
        self,
        samples: np.ndarray,
        *,
        first: int = 0,
        record: bool = False,
        watch: Watch = NOTHING,
    ) -> Activity:
        """Simulate samples; see :class:`onnx2genn.backends.base.Simulator`."""
        feeds = {self._network.input_name: samples}
        if not record and watch == NOTHING:
            return Activity(logits=self._runner(feeds, [_LOGITS])[_LOGITS])
        found = self._runner(feeds)
        codes = {item.name: found[item.tensor] for item in self._network.populations}
        return Activity(
            logits=found[_LOGITS],
            logits_by_step=self._by_step({**feeds, **found}) if record else None,
            codes=codes,
            spikes={name: self._coding.spike_count(code) for name, code in codes.items()},
            trains={name: self._coding.spike_train(codes[name]) for name in watch.spikes},
            potentials={name: self._coding.drained(codes[name]) for name in watch.potentials},
        )

    def close(self) -> None:
        """Nothing is held outside the sessions."""

    def _by_step(self, values: dict[str, np.ndarray]) -> np.ndarray:
        """Run the readout on what has arrived after each step of its sources' window."""
        entry = self._network.input_name
        sources = self._network.model.parts.readout.sources
        arrived = {
            name: np.cumsum(self._coding.spike_train(values[name]), axis=0)
            for name in sources
            if name != entry
        }
        rows: list[np.ndarray] = []
        for step in range(self._coding.steps):
            feeds = {name: value[step] for name, value in arrived.items()}
            if entry in sources:
                feeds[entry] = values[entry]
            rows += self._readout(feeds).values()
        return np.stack(rows)


def _model_of_codes(network: Network) -> onnx.ModelProto:
    """Write all segments in units, with the rounding of the neurons between them.

    What is largest of several codes needs no rounding, so a pool is a pool.
    """
    quantiser = network.coding.quantiser
    inputs, populations = network.model.parts.inputs, network.populations
    builder = Builder("codes", taken={*inputs, *(item.tensor for item in populations)})
    for item in populations:
        # The rounding is in the bias.
        start = 0.0 if item.is_function else quantiser.rounding
        total = _append(builder, network.segment_in_units(item, start=start), item.name)
        if item.pools:
            builder.add(item.node.renamed({item.node.inputs[0]: total}))
        elif item.is_function:
            value = _append_function(builder, item, total)
            unit, offset = network.units[item.tensor], network.offsets[item.name]
            quantiser.write(builder, value, unit, offset, item.tensor, of_function=True)
        else:
            quantiser.write_raised(builder, total, item.tensor)
    builder.emit(
        "Identity", _append(builder, network.readout_in_units(), "readout"), output=_LOGITS
    )
    outputs = dict.fromkeys([_LOGITS, *(item.tensor for item in populations)])
    return to_onnx(builder.nodes, builder.constants, inputs, outputs)


def _append(builder: Builder, segment: Segment, scope: str) -> str:
    """Add a segment's nodes under names of its own; return the name of its target."""
    inner = {name for node in segment.nodes for name in (*node.inputs, *node.outputs) if name}
    names = {name: f"{scope}/{name}" for name in inner.difference(segment.sources)}
    for name, array in segment.constants.items():
        builder.store(array, names[name])
    for node in segment.nodes:  # which other segments may have, too, under the same name
        builder.add(replace(node.renamed(names), name=""))
    return names.get(segment.target, segment.target)


def _append_function(builder: Builder, population: Population, argument: str) -> str:
    """Add the function of a population; return the name of its value."""
    node = population.node
    inner = {name for item in node.body for name in (*item.inputs, *item.outputs)}
    scoped = {*node.inputs, *node.outputs, *inner} - {""}
    names = {name: f"{population.name}/{name}" for name in scoped}
    names[node.inputs[0]] = argument
    for name, array in population.constants.items():
        builder.store(array, names[name])
    return builder.add(node.renamed(names))
