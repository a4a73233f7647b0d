"""Lists of tensors, whose lengths are known once loops are written out, as their tensors.

PyTorch writes ``outputs.append(h)`` in a loop, and ``torch.stack(outputs)`` behind it, with such.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import onnx
from onnx import helper, numpy_helper

from onnx2genn.frontend.file import InputShape
from onnx2genn.frontend.subgraphs import opset_of, values, with_nodes

_AXES_ARE_INPUTS = 13
_LISTS = ("SequenceAt", "SequenceLength", "ConcatFromSequence")


def without_lists(proto: onnx.ModelProto, input_shape: InputShape | None = None) -> onnx.ModelProto:
    """Write what is read of lists by the tensors that are in them.

    Args:
        proto: The model without loops; it stays as it is.
        input_shape: Shape of one sample, where the model leaves it open; of several inputs by name.
    """
    if not any(node.op_type in _LISTS for node in proto.graph.node):
        return proto
    lists = _Lists(proto, input_shape)
    for index, node in enumerate(proto.graph.node):
        lists.follow(index, node)
    return with_nodes(proto, lists.written)


class _Lists:
    """Follows lists through the nodes of a model.

    Attributes:
        written: What is read of lists, by the place of the node that reads.

    Args:
        proto: The model.
        input_shape: See :func:`without_lists`.
    """

    def __init__(self, proto: onnx.ModelProto, input_shape: InputShape | None) -> None:
        self.written: dict[int, onnx.GraphProto] = {}
        self._opset = opset_of(proto)
        self._proto, self._input_shape = proto, input_shape
        self._known: dict[str, list[str]] = {}

    def follow(self, index: int, node: onnx.NodeProto) -> None:
        """Go on behind the next node."""
        (output, *_), known = node.output, self._known
        if node.op_type == "SequenceEmpty":
            known[output] = []
        elif node.op_type == "SequenceConstruct":
            known[output] = list(node.input)
        elif not node.input or node.input[0] not in known:
            return
        elif node.op_type == "Identity":
            known[output] = known[node.input[0]]
        elif node.op_type == "SequenceInsert":
            items = list(known[node.input[0]])
            place = self._place(node.input[2:], len(items))
            if place is not None:
                known[output] = [*items[:place], node.input[1], *items[place:]]
        elif node.op_type == "SequenceErase":
            items = list(known[node.input[0]])
            place = self._place(node.input[1:], len(items) - 1)
            if place is not None:
                known[output] = [*items[:place], *items[place + 1 :]]
        elif node.op_type in _LISTS:
            self._read(index, node, known[node.input[0]])

    def _place(self, given: Sequence[str], last: int) -> int | None:
        """Return the place that an input says, or the last one; None if it is not known."""
        if not given or not given[0]:
            return last
        found = values(self._proto, [given[0]], self._input_shape)
        if given[0] not in found:
            return None
        place = int(np.asarray(found[given[0]]).item())
        return place if place >= 0 else place + last + 1

    def _read(self, index: int, node: onnx.NodeProto, items: Sequence[str]) -> None:
        graph, output = onnx.GraphProto(), node.output[0]
        if node.op_type == "SequenceLength":
            length = np.array(len(items), np.int64)
            graph.initializer.append(numpy_helper.from_array(length, output))
        elif node.op_type == "SequenceAt":
            place = self._place(node.input[1:], len(items) - 1)
            if place is None or not 0 <= place < len(items):
                return
            graph.node.append(helper.make_node("Identity", [items[place]], [output], name=output))
        elif items:
            self._join(graph, node, items)
        else:
            return
        self.written[index] = graph

    def _join(self, graph: onnx.GraphProto, node: onnx.NodeProto, items: Sequence[str]) -> None:
        output = node.output[0]
        given = {item.name: item.i for item in node.attribute}
        if given.get("new_axis"):
            axes: list[str] = []
            options: dict[str, Any] = {"axes": [given["axis"]]}
            if self._opset >= _AXES_ARE_INPUTS:
                axes, options = [f"{output}/axis"], {}
                axis = np.array([given["axis"]], np.int64)
                graph.initializer.append(numpy_helper.from_array(axis, axes[0]))
            rows = [f"{output}/{place}" for place in range(len(items))]
            for item, row in zip(items, rows, strict=True):
                made = helper.make_node("Unsqueeze", [item, *axes], [row], name=row, **options)
                graph.node.append(made)
            items = rows
        joint = helper.make_node("Concat", items, [output], name=output, axis=given["axis"])
        graph.node.append(joint)
