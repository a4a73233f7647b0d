"""Neurons that collect a window and then fire: every segment is evaluated once, exactly."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import onnx

from onnx2genn.backends.base import Activity
from onnx2genn.coding.base import AccumulatingCoding
from onnx2genn.ir.graph import Node, to_onnx
from onnx2genn.ir.partition import Population
from onnx2genn.ir.run import samples_at_once, session
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
        assert isinstance(network.coding, AccumulatingCoding)
        self.batch_size = batch_size or samples_at_once(network.neurons, _BATCH)
        self._network = network
        self._coding = network.coding
        self._runner = session(_model_of_codes(network), threads=threads or 0)
        self._readout = session(network.readout_in_units().to_onnx(), threads=threads or 0)

    def run(self, samples: np.ndarray, *, first: int = 0, record: bool = False) -> Activity:
        """Simulate samples; see :class:`onnx2genn.backends.base.Simulator`."""
        feeds = {self._network.input_name: samples}
        if not record:
            (logits,) = self._runner.run([_LOGITS], feeds)
            return Activity(logits=logits)
        tensors = [item.tensor for item in self._network.populations]
        logits, *values = self._runner.run([_LOGITS, *tensors], feeds)
        codes = dict(zip(tensors, values, strict=True))
        names = {item.tensor: item.name for item in self._network.populations}
        return Activity(
            logits=logits,
            logits_by_step=self._by_step({self._network.input_name: samples, **codes}),
            codes={names[tensor]: code for tensor, code in codes.items()},
            spikes={
                names[tensor]: self._coding.spike_count(code) for tensor, code in codes.items()
            },
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
        rows = []
        for step in range(self._coding.steps):
            feeds = {name: value[step] for name, value in arrived.items()}
            if entry in sources:
                feeds[entry] = values[entry]
            rows.append(self._readout.run(None, feeds)[0])
        return np.stack(rows)


def _model_of_codes(network: Network) -> onnx.ModelProto:
    """Write all segments in units, with the rounding of the neurons between them.

    What is largest of several codes needs no rounding, so a pool is a pool.
    """
    nodes: list[Node] = []
    constants: dict[str, np.ndarray] = {
        "half": np.float32(0.5),
        "zero": np.float32(0),
        "top": np.float32(network.coding.levels + 0.5),
    }
    spiking = {network.input_name, *(item.tensor for item in network.populations)}
    for item in network.populations:
        part = network.segment_in_units(item, start=0.0 if item.is_function else 0.5)
        total = _append(part, item.name, spiking, nodes, constants)
        if item.pools:
            nodes.append(replace(item.node, inputs=(total,)))
            continue
        if item.is_function:
            total = _append_function(network, item, total, nodes, constants)
        # The half is in the bias, and onnxruntime clips within a convolution.
        clipped = f"{item.name}/clipped"
        nodes += [
            Node(op="Clip", inputs=(total, "zero", "top"), outputs=(clipped,)),
            Node(op="Floor", inputs=(clipped,), outputs=(item.tensor,)),
        ]
    logits = _append(network.readout_in_units(), "readout", spiking, nodes, constants)
    nodes.append(Node(op="Identity", inputs=(logits,), outputs=(_LOGITS,)))
    outputs = dict.fromkeys([_LOGITS, *(item.tensor for item in network.populations)])
    return to_onnx(nodes, constants, network.model.parts.inputs, outputs)


def _append(
    part: Segment,
    scope: str,
    spiking: set[str],
    nodes: list[Node],
    constants: dict[str, np.ndarray],
) -> str:
    """Add a segment's nodes under names of its own; return the name of its target."""

    def local(name: str) -> str:
        return name if not name or name in spiking else f"{scope}/{name}"

    constants.update({local(name): array for name, array in part.constants.items()})
    nodes += [
        Node(
            op=node.op,
            inputs=tuple(local(name) for name in node.inputs),
            outputs=tuple(local(name) for name in node.outputs),
            attributes=node.attributes,
        )
        for node in part.nodes
    ]
    return local(part.target)


def _append_function(
    network: Network,
    population: Population,
    argument: str,
    nodes: list[Node],
    constants: dict[str, np.ndarray],
) -> str:
    """Add the units ``(g(u) - offset) / unit + 1/2`` of a function g of u; return their name."""
    scope, node = population.name, population.node
    inner = {name for item in node.body for name in (*item.inputs, *item.outputs)}
    names = {name: f"{scope}/{name}" for name in {*node.inputs, *node.outputs, *inner} if name}
    names[node.inputs[0]] = argument
    nodes.append(node.renamed(names))
    constants |= {names[name]: array for name, array in population.constants.items()}
    constants[f"{scope}/offset"] = network.offsets[scope][None]
    constants[f"{scope}/unit"] = network.units[population.tensor][None]
    from_offset, units = f"{scope}/from_offset", f"{scope}/in_units"
    start = f"{scope}/start"
    nodes += [
        Node(op="Sub", inputs=(names[node.output], f"{scope}/offset"), outputs=(from_offset,)),
        Node(op="Div", inputs=(from_offset, f"{scope}/unit"), outputs=(units,)),
        Node(op="Add", inputs=(units, "half"), outputs=(start,)),
    ]
    return start
