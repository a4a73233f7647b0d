"""Loop and Scan whose number of steps no sample can change, written as their steps.

How often a Loop runs is counted by onnxruntime, which runs it with a counter at two batch sizes;
its condition may depend on its own count and on shapes, but on no data. A Scan has as many steps as
its axis is long.
"""

from __future__ import annotations

import numpy as np
import onnx
from onnx import helper, numpy_helper

from onnx2genn.errors import Problem, UnsupportedModelError
from onnx2genn.frontend.file import InputShape
from onnx2genn.frontend.loop_steps import Steps
from onnx2genn.frontend.subgraphs import (
    fixed_names,
    names_of,
    opset_of,
    values,
    with_nodes,
)

_MOST_NODES = 100_000
_OPS = ("Loop", "Scan")


def unroll_loops(proto: onnx.ModelProto, input_shape: InputShape | None = None) -> onnx.ModelProto:
    """Write the steps of each Loop and Scan in its place, where no sample can change their number.

    Args:
        proto: The model, functions inlined; it stays as it is.
        input_shape: Shape of one sample, where the model leaves it open; of several inputs by name.

    Raises:
        UnsupportedModelError: There are too many steps.
    """
    written: dict[int, onnx.GraphProto] = {}
    taken = names_of(proto.graph)
    fixed = fixed_names(proto.graph.node, (item.name for item in proto.graph.initializer))
    for index, node in enumerate(proto.graph.node):
        if node.op_type not in _OPS or node.domain not in ("", "ai.onnx"):
            continue
        body = _body(node)
        count = (_trips if node.op_type == "Loop" else _length)(proto, node, fixed, input_shape)
        if count is None or not _fits(node, count):
            continue
        if count * len(body.node) > _MOST_NODES:
            raise UnsupportedModelError("The model cannot be converted.", [_too_long(node, count)])
        steps = Steps(node, body, opset_of(proto), taken)
        written[index] = (_loop if node.op_type == "Loop" else _scan)(steps, count)
        taken |= names_of(written[index])
    return with_nodes(proto, written) if written else proto


def _body(node: onnx.NodeProto) -> onnx.GraphProto:
    return next(item.g for item in node.attribute if item.name == "body")


def _fits(node: onnx.NodeProto, count: int) -> bool:
    """Whether all outputs that it has hold something."""
    carried = len(_body(node).input) - (2 if node.op_type == "Loop" else _scanned(node))
    return count > 0 or not any(node.output[carried:])


def _too_long(node: onnx.NodeProto, count: int) -> Problem:
    return Problem(
        node=node.name or node.output[0],
        operator=node.op_type,
        reason=f"it has {count:,} steps or more of {len(_body(node).node)} nodes, which a spiking "
        "network would have one after the other.",
        advice="Convert it for a shorter sequence.",
    )


def _trips(
    proto: onnx.ModelProto, node: onnx.NodeProto, fixed: set[str], input_shape: InputShape | None
) -> int | None:
    """Count the steps of a Loop; None if its data may change their number."""
    body = _body(node)
    given = [name for name in node.input[:2] if name]
    if not fixed.issuperset(given) or not _decided(node, body, fixed):
        return None
    most = _MOST_NODES // max(len(body.node), 1) + 1
    if node.input[0]:
        limits = values(proto, node.input[:1], input_shape)
        if not limits:
            return None
        most = min(most, int(np.asarray(limits[node.input[0]]).item()))
    counted, name = _with_counter(proto, node, most)
    found = values(counted, [name], input_shape)
    return int(found[name]) if name in found else None


def _decided(node: onnx.NodeProto, body: onnx.GraphProto, fixed: set[str]) -> bool:
    """Whether shapes, constants and the count alone decide the condition in each step."""
    carried = {
        inner.name: (given, after.name)
        for inner, given, after in zip(
            body.input[2:], node.input[2:], body.output[1:], strict=False
        )
    }
    steady = {name for name, (given, _) in carried.items() if given in fixed}
    while True:
        known = {*fixed, *(item.name for item in body.initializer), *steady}
        known |= {info.name for info in body.input[:2]}
        inside = fixed_names(body.node, known)
        lost = {name for name in steady if carried[name][1] not in inside}
        if not lost:
            return body.output[0].name in inside
        steady -= lost


def _with_counter(
    proto: onnx.ModelProto, node: onnx.NodeProto, most: int
) -> tuple[onnx.ModelProto, str]:
    """Let a Loop count its steps, up to a number; return the model and the count's name."""
    found = onnx.ModelProto()
    found.CopyFrom(proto)
    (loop,) = (item for item in found.graph.node if item.output == node.output)
    scope = f"{node.output[0]}/steps"
    limit, zero, one = (f"{scope}/{part}" for part in ("limit", "zero", "one"))
    for name, value in ((limit, most), (zero, 0), (one, 1)):
        found.graph.initializer.append(numpy_helper.from_array(np.array(value, np.int64), name))
    body, carried = _body(loop), len(loop.input) - 2
    loop.input[0] = limit
    loop.input.append(zero)
    info = helper.make_tensor_value_info(f"{scope}/before", onnx.TensorProto.INT64, [])
    body.input.append(info)
    body.node.append(helper.make_node("Add", [f"{scope}/before", one], [f"{scope}/after"]))
    later = list(body.output)[1 + carried :]
    del body.output[1 + carried :]
    body.output.append(helper.make_tensor_value_info(f"{scope}/after", onnx.TensorProto.INT64, []))
    body.output.extend(later)
    outputs = list(loop.output) + [""] * (carried - len(loop.output))
    loop.output[:] = [*outputs[:carried], f"{scope}/count", *outputs[carried:]]
    return found, f"{scope}/count"


def _scanned(node: onnx.NodeProto) -> int:
    return next(item.i for item in node.attribute if item.name == "num_scan_inputs")


def _length(
    proto: onnx.ModelProto, node: onnx.NodeProto, fixed: set[str], input_shape: InputShape | None
) -> int | None:
    """Return the length of what a Scan goes along; None if nothing fixes it."""
    del fixed
    if opset_of(proto) < 9:  # where it has a batch axis of its own
        return None
    source, axis = node.input[-_scanned(node)], _options(node, "scan_input_axes", 1)[0]
    found = onnx.ModelProto()
    found.CopyFrom(proto)
    place = [item.output == node.output for item in found.graph.node].index(True)
    name = f"{node.output[0]}/steps"
    found.graph.initializer.append(
        numpy_helper.from_array(np.array(axis, np.int64), f"{name}/axis")
    )
    found.graph.node.insert(place, helper.make_node("Shape", [source], [f"{name}/sizes"]))
    gather = helper.make_node("Gather", [f"{name}/sizes", f"{name}/axis"], [name])
    found.graph.node.insert(place + 1, gather)
    sizes = values(found, [name], input_shape)
    return int(sizes[name]) if name in sizes else None


def _options(node: onnx.NodeProto, name: str, count: int) -> list[int]:
    """Return a list of whole numbers of a Scan, which are 0 if left out."""
    given = [list(item.ints) for item in node.attribute if item.name == name]
    return given[0] if given and given[0] else [0] * count


def _loop(steps: Steps, count: int) -> onnx.GraphProto:
    node, body = steps.node, steps.body
    counter, condition, *inner = [info.name for info in body.input]
    carried = list(node.input[2:])
    goes_on = steps.constant("goes_on", np.array(True))
    rows: list[list[str]] = []
    one = len(body.input[0].type.tensor_type.shape.dim)  # some write [1] for a number
    for index in range(count):
        number = steps.constant(f"{index}/number", np.array(index, np.int64).reshape([1] * one))
        inputs = {counter: number, condition: goes_on, **dict(zip(inner, carried, strict=True))}
        _, *after = steps.step(index, inputs)
        carried, row = after[: len(inner)], after[len(inner) :]
        rows.append(row)
    for place, output in enumerate(node.output[len(inner) :]):
        if output:
            steps.stacked([row[place] for row in rows], output)
    return steps.ended(carried)


def _scan(steps: Steps, count: int) -> onnx.GraphProto:
    node, body = steps.node, steps.body
    scanned = _scanned(node)
    carried, sources = list(node.input[:-scanned]), list(node.input[-scanned:])
    inner = [info.name for info in body.input]
    states = len(carried)
    axes = _options(node, "scan_input_axes", scanned)
    backwards = _options(node, "scan_input_directions", scanned)
    rows: list[list[str]] = []
    for index in range(count):
        inputs = dict(zip(inner, carried, strict=False))
        for part, (source, axis, turned) in enumerate(zip(sources, axes, backwards, strict=True)):
            place = count - 1 - index if turned else index
            number = steps.constant(f"{index}/place_{part}", np.array(place, np.int64))
            row = steps.emit("Gather", [source, number], f"{index}/part_{part}", axis=axis)
            inputs[inner[states + part]] = row
        after = steps.step(index, inputs)
        carried = after[:states]
        rows.append(after[states:])
    made = len(body.output) - states
    axes = _options(node, "scan_output_axes", made)
    backwards = _options(node, "scan_output_directions", made)
    for part, output in enumerate(node.output[states:]):
        if output:
            found = [row[part] for row in rows]
            steps.stacked(found[::-1] if backwards[part] else found, output, axes[part])
    return steps.ended(carried)
