"""A network whose neurons accumulate first as one ONNX model between codes."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import onnx

from onnx2genn.ir.builder import Builder
from onnx2genn.ir.graph import Constants, live, to_onnx
from onnx2genn.ir.partition import Population
from onnx2genn.ir.segment import Segment

if TYPE_CHECKING:
    from onnx2genn.network import Network

LOGITS = "readout/logits"
_MOST_COPIES = 2**27  # bytes of weights that several segments have


def model_of_codes(network: Network) -> onnx.ModelProto:
    """Write all segments, with the rounding of the neurons between them.

    Its outputs are the codes of each population, under the name of its tensor, and the logits.

    Each segment is written in units of spikes, unless that would repeat many weights, as those of
    the layers that write to a residual stream: then all is written once, in the units of the ANN.
    """
    graph, parts = network.model.graph, network.model.parts
    segments = [*(item.segment for item in parts.populations), parts.readout]
    copies = sum(_bytes(item.constants) for item in segments) - _bytes(graph.constants)
    builder = Builder("codes", taken={*parts.inputs, *graph.names})
    write = _write_segments if copies <= _MOST_COPIES else _write_once
    write(builder, network)
    outputs = dict.fromkeys([LOGITS, *(item.tensor for item in network.populations)])
    nodes, constants = live(builder.nodes, builder.constants, outputs)
    return to_onnx(nodes, constants, parts.inputs, outputs)


def _bytes(constants: Constants) -> int:
    return sum(array.nbytes for array in constants.values())


def _write_segments(builder: Builder, network: Network) -> None:
    """Write the segments between counts of spikes.

    What is largest of several codes needs no rounding, so a pool is a pool.
    """
    for item in network.populations:
        quantiser = network.coding_of(item).quantiser
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
    builder.emit("Identity", _append(builder, network.readout_in_units(), "readout"), output=LOGITS)


def _write_once(builder: Builder, network: Network) -> None:
    """Write the graph with codes of its activations, and in their place what these stand for."""
    graph = network.model.graph
    populations = {item.tensor: item for item in network.populations}
    values: dict[str, str] = {}

    def corrected(name: str) -> str:
        value, correction = values.get(name, name), network.corrections.get(name)
        return value if correction is None else builder.emit("Add", value, correction[None])

    builder.constants.update(graph.constants)
    for node in graph.nodes:
        item = populations.get(node.output)
        if item is None:
            builder.add(node.renamed(values))
            continue
        unit, offset = network.units[item.tensor], network.offsets[item.name]
        if item.pools:
            total = _append(builder, network.segment_in_units(item), item.name)
            builder.add(node.renamed({node.inputs[0]: total}))
        else:
            value = corrected(node.inputs[0])
            if item.is_function:
                value = _append_function(builder, item, value)
            quantiser = network.coding_of(item).quantiser
            quantiser.write(builder, value, unit, offset, item.tensor, of_function=item.is_function)
        above = builder.emit("Mul", item.tensor, np.asarray(unit, np.float32)[None])
        values[item.tensor] = builder.emit("Add", above, np.asarray(offset, np.float32)[None])
    builder.emit("Identity", corrected(network.model.parts.readout.target), output=LOGITS)


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
