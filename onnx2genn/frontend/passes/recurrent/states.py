"""First states of one sample in a file that takes any number of samples."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from onnx2genn.frontend.passes.recurrent.cells import is_recurrent
from onnx2genn.frontend.probe import independent
from onnx2genn.ir.builder import Builder
from onnx2genn.ir.graph import Graph

_STATES = (5, 6)  # initial_h and initial_c


def repeat_states(graph: Graph) -> Graph:
    """Repeat the first states of recurrent operators that no sample changes, for each sample.

    Args:
        graph: Graph in its own operators.
    """
    fixed = independent(graph)
    builder = Builder("states", graph.names)
    for node in graph.nodes:
        inputs = list(node.inputs)
        for index in _STATES if is_recurrent(node) else ():
            if index < len(inputs) and inputs[index] in fixed:
                axis = 0 if node.attributes.get("layout", 0) else 1
                sizes = [np.ones(1, np.int64)] * 3
                shape = builder.emit("Shape", inputs[0])
                batch = builder.emit("Gather", shape, np.array([axis], np.int64), axis=0)
                parts: list[str | np.ndarray] = [*sizes[:axis], batch, *sizes[axis + 1 :]]
                target = builder.emit("Concat", *parts, axis=0)
                inputs[index] = builder.emit("Expand", inputs[index], target)
        builder.add(replace(node, inputs=tuple(inputs)))
    return graph.rewritten(builder.nodes, builder.constants)
