"""The outputs of a network, as parts of the one readout that backends know."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from onnx2genn.ir.graph import Graph, Node, Shape

READOUT = "onnx2genn/readout"
"""The tensor that holds the logits of several outputs side by side."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Output:
    """One output of the model.

    Attributes:
        name: Its name in the model.
        shape: Shape of its logits without the batch axis: of what is before the heads.
        start: Where its logits start in the readout, if that is a row.
        heads: The nodes that were taken off after its logits, in their order.
    """

    name: str
    shape: Shape
    start: int = 0
    heads: tuple[Node, ...] = ()

    @property
    def size(self) -> int:
        """Number of elements of its logits."""
        return int(np.prod(self.shape))


def separate_outputs(outputs: Sequence[Output], readout: np.ndarray) -> dict[str, np.ndarray]:
    """Return the logits [N, *shape] of each output by name.

    Args:
        outputs: The outputs.
        readout: The readout [N, ...] of the network.
    """
    rows = readout.reshape(len(readout), -1)
    return {
        item.name: rows[:, item.start : item.start + item.size].reshape(-1, *item.shape)
        for item in outputs
    }


def beside(outputs: Sequence[Output], output: Output, logits: np.ndarray) -> np.ndarray:
    """Return a readout that holds the logits of one output; those of the others are 0.

    Args:
        outputs: All outputs.
        output: One of them.
        logits: Its logits [N, *shape].
    """
    if len(outputs) == 1:
        return logits
    end = max(item.start + item.size for item in outputs)
    readout = np.zeros((len(logits), end), np.float32)
    readout[:, output.start : output.start + output.size] = logits.reshape(len(logits), -1)
    return readout


def behind(graph: Graph, tensor: str) -> list[Node]:
    """List the nodes that depend on a tensor, in their order."""
    reached, found = {tensor}, []
    for node in graph.nodes:
        if not reached.isdisjoint(node.inputs):
            reached.update(node.outputs)
            found.append(node)
    return found


def parts_of(graph: Graph) -> tuple[Output, ...]:
    """Find the outputs behind the readout that joins their logits.

    Args:
        graph: Canonical graph of several outputs.
    """
    nodes = behind(graph, READOUT)
    found = []
    for name in graph.outputs:
        needed, way = {name}, list[Node]()
        for node in reversed(nodes):
            if not needed.isdisjoint(node.outputs):
                needed.update(node.inputs)
                way.insert(0, node)
        cut, *heads = way
        if heads and heads[0].op == "Reshape" and heads[0].inputs[0] == cut.output:
            shaped, *heads = heads
            shape = graph.shapes[shaped.output]
        else:
            shape = graph.shapes[cut.output]
        start = int(graph.constants[cut.inputs[1]].item())
        found.append(Output(name=name, shape=shape, start=start, heads=tuple(heads)))
    return tuple(found)
