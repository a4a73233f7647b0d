"""A network whose neurons accumulate first as one ONNX model between codes."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import onnx

from onnx2genn.backends.embedded.blocks import block_size
from onnx2genn.backends.embedded.lanes import with_rows_as_channels
from onnx2genn.ir.builder import Builder
from onnx2genn.ir.functions import may_be_undefined
from onnx2genn.ir.graph import Shape, live, to_onnx
from onnx2genn.ir.partition import Population
from onnx2genn.ir.ports import without_stacks
from onnx2genn.ir.segment import Segment
from onnx2genn.streams.relays import cut_off

if TYPE_CHECKING:
    from onnx2genn.network import Network

LOGITS = "readout/logits"
_NARROW = 2**16


def code_type(network: Network) -> np.dtype:
    """Return the type of codes that leave the model: what is counted of them is memory.

    Single precision has all whole numbers that 16 bits hold, and numpy computes with both so.
    """
    levels = network.coding.quantiser.levels
    return np.min_scalar_type(levels) if levels < _NARROW else np.dtype(np.float32)


def code_of(tensor: str) -> str:
    """Return the name under which the codes of a population's tensor leave the model."""
    return f"{tensor}/codes"


def model_of_codes(network: Network, *, all_codes: bool = True) -> onnx.ModelProto:
    """Write all segments, with the rounding of the neurons between them.

    Segments are written in units of spikes. What several of them have in common, as the layers that
    write to a residual stream, is written once: relays stand for sums in ANN units here, too.

    Args:
        network: Its coding accumulates first.
        all_codes: Whether the codes of each population are outputs, too, by the name of
            :func:`code_of` and of the type of :func:`code_type`, and not only the logits.
    """
    parts, relays = network.model.parts, network.streams.relays
    populations = {item.tensor: item for item in network.populations}
    builder = Builder("codes", taken={*parts.inputs, *network.model.graph.names})
    shapes: dict[str, Shape] = {}
    for name in network.streams.timing.arrivals:
        if name in populations:
            _append_population(builder, network, populations[name], shapes)
        elif name in relays:
            sums = _append(builder, network.relayed(relays[name]), relays[name].name, shapes)
            builder.emit("Identity", sums, output=name)
    readout = network.readout_in_units(cut_off(parts.readout, relays))
    builder.emit("Identity", _append(builder, readout, "readout", shapes), output=LOGITS)
    kind = onnx.helper.np_dtype_to_tensor_dtype(code_type(network))
    codes = [
        builder.emit("Cast", name, to=kind, output=code_of(name))
        for name in (populations if all_codes else ())
    ]
    outputs = dict.fromkeys([LOGITS, *codes])
    nodes = without_stacks(builder.nodes, builder.constants, shapes, outputs)
    nodes, constants = live(nodes, builder.constants, outputs)
    return to_onnx(nodes, constants, parts.inputs, outputs)


def _append_population(
    builder: Builder, network: Network, item: Population, shapes: dict[str, Shape]
) -> None:
    """Write the codes of a population.

    What is largest of several codes needs no rounding, so a pool is a pool.
    """
    quantiser = network.coding_of(item).quantiser
    if item.pools:
        total = _append(builder, item.segment, item.name, shapes)
        builder.add(item.node.renamed({item.node.inputs[0]: total}))
        return
    left = replace(item, segment=cut_off(item.segment, network.streams.relays))
    # The rounding is in the bias.
    start = 0.0 if item.is_function else quantiser.rounding
    units = network.segment_in_units(left, start=start)
    total = _append(builder, units, item.name, shapes)
    if item.is_function:
        value = _append_function(builder, item, total)
        unit, offset = network.units[item.tensor], network.offsets[item.name]
        unsure = may_be_undefined(item.node)
        quantiser.write(builder, value, unit, offset, item.tensor, may_be_undefined=unsure)
    else:
        quantiser.write_raised(builder, total, item.tensor)


def _append(builder: Builder, segment: Segment, scope: str, shapes: dict[str, Shape]) -> str:
    """Add a segment's nodes, and shapes, under names of its own; return the name of its target."""
    segment = with_rows_as_channels(segment, block_size())
    inner = {name for node in segment.nodes for name in (*node.inputs, *node.outputs) if name}
    names = {name: f"{scope}/{name}" for name in inner.difference(segment.sources)}
    for name, array in segment.constants.items():
        builder.store(array, names[name])
    for node in segment.nodes:  # which other segments may have, too, under the same name
        builder.add(replace(node.renamed(names), name=""))
    shapes |= {names.get(name, name): shape for name, shape in segment.shapes.items()}
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
