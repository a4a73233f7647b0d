"""A canonical graph as an ONNX model, and exactly that graph again."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from typing import Any

import onnx
from onnx import helper, numpy_helper

from onnx2genn.ir.graph import CANONICAL_OPSET, Graph, Node, Shape, to_onnx
from onnx2genn.ir.inputs import join_inputs, separate_inputs
from onnx2genn.ir.run import serialised


def pack(graph: Graph, entries: Mapping[str, Shape]) -> tuple[onnx.ModelProto, dict[str, Any]]:
    """Write a graph as a model, and what a model cannot hold as plain values for JSON.

    ONNX has no word for a function of several operators, nor for a relay, which is an Identity: a
    model has the operators themselves, and the values say which of them are one node.

    Args:
        graph: Canonical graph, whose one input joins the entries.
        entries: Shapes of the inputs without the batch axis, by name; the model has these.
    """
    apart = replace(separate_inputs(graph, entries), inputs=dict(entries))
    proto = to_onnx(
        apart.nodes, apart.constants, apart.inputs, dict.fromkeys(apart.outputs), name=apart.name
    )
    functions, start = [], 0
    for node in apart.nodes:
        if node.body:
            functions.append(
                {
                    "op": node.op,
                    "domain": node.domain,
                    "name": node.name,
                    "inputs": node.inputs,
                    "outputs": node.outputs,
                    "start": start,
                    "length": len(node.body),
                }
            )
        start += len(node.body) or 1
    shapes = {name: [int(size) for size in shape] for name, shape in graph.shapes.items()}
    record = {"functions": functions, "shapes": shapes, "notes": graph.notes}
    # Other programs like to know all shapes, and the checker asks for the type of the output.
    return onnx.shape_inference.infer_shapes(serialised(proto)), record


def unpack(
    proto: onnx.ModelProto, record: Mapping[str, Any], ignored: Collection[str] = ()
) -> tuple[Graph, dict[str, Shape]]:
    """Rebuild a graph and its entries from what :func:`pack` wrote.

    Args:
        proto: The model.
        record: The values beside it.
        ignored: Initializers that are not of the graph.

    Raises:
        ValueError: The two do not fit each other; KeyError or TypeError where a value is missing
            or of another type.
    """
    constants = {
        item.name: numpy_helper.to_array(item)
        for item in proto.graph.initializer
        if item.name not in ignored
    }
    shapes = {name: tuple(shape) for name, shape in record["shapes"].items()}
    entries = {item.name: shapes[item.name] for item in proto.graph.input}
    output, *further = (item.name for item in proto.graph.output)
    graph = Graph(
        inputs=entries,
        output=output,
        further=tuple(further),
        nodes=_grouped([_node(item) for item in proto.graph.node], record["functions"]),
        constants=constants,
        shapes=shapes,
        opset=CANONICAL_OPSET,
        notes=list(record["notes"]),
        name=proto.graph.name,
    )
    return replace(join_inputs(graph), shapes=shapes), entries


def _node(proto: onnx.NodeProto) -> Node:
    values = {item.name: helper.get_attribute_value(item) for item in proto.attribute}
    return Node(
        op=proto.op_type,
        inputs=tuple(proto.input),
        outputs=tuple(proto.output),
        attributes={
            name: value.decode() if isinstance(value, bytes) else value
            for name, value in values.items()
        },
        name=proto.name,
        domain=proto.domain,
    )


def _grouped(nodes: Sequence[Node], functions: Sequence[Mapping[str, Any]]) -> list[Node]:
    """Put the nodes of each function into one."""
    found: list[Node] = []
    done = 0
    for item in functions:
        start, end = item["start"], item["start"] + item["length"]
        body = tuple(nodes[start:end])
        outputs = tuple(item["outputs"])
        if start < done or not body or body[-1].outputs != outputs:
            raise ValueError(f"the nodes of {item['name']!r} are not where they were")
        found += nodes[done:start]
        found.append(
            Node(
                op=item["op"],
                domain=item["domain"],
                inputs=tuple(item["inputs"]),
                outputs=outputs,
                name=item["name"],
                body=body,
            )
        )
        done = end
    return [*found, *nodes[done:]]
