"""Several inputs as one, so that what follows, samples and backends, knows a single input."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from onnx2genn.ir.builder import Builder
from onnx2genn.ir.graph import Graph, Shape

JOINED = "onnx2genn/inputs"


def join_inputs(graph: Graph) -> Graph:
    """Let a graph read several inputs as slices of one; a single input stays as it is.

    The one input has the others' elements side by side, in the order of the graph's inputs.

    Args:
        graph: Canonical graph with shapes.
    """
    if len(graph.inputs) == 1:
        return graph
    builder = Builder(JOINED, graph.names)
    shapes: dict[str, Shape] = {}
    start = 0
    for name, shape in graph.inputs.items():
        end = start + int(np.prod(shape))
        flat = name if len(shape) == 1 else f"{JOINED}/{name}"
        shapes[flat] = (end - start,)
        bounds = (np.array([value], np.int64) for value in (start, end, 1, 1))
        builder.emit("Slice", JOINED, *bounds, output=flat)
        if flat != name:
            builder.emit("Reshape", flat, np.array([0, *shape], np.int64), output=name)
        start = end
    return graph.rewritten(
        [*builder.nodes, *graph.nodes],
        builder.constants,
        inputs={JOINED: (start,)},
        shapes={JOINED: (start,), **shapes, **graph.shapes},
    )


def separate_inputs(graph: Graph, entries: Mapping[str, Shape]) -> Graph:
    """Undo :func:`join_inputs`.

    Args:
        graph: Graph whose inputs are joined, or that has but one.
        entries: Shapes of the inputs without the batch axis, by name.
    """
    nodes = [node for node in graph.nodes if node.output not in entries]
    return replace(graph, inputs=dict(entries), nodes=nodes).only_live()


def join_arrays(entries: Mapping[str, Shape], arrays: Mapping[str, np.ndarray]) -> np.ndarray:
    """Return what the one input of a graph takes for its separate inputs, float32.

    Args:
        entries: Shapes of the inputs without the batch axis, by name.
        arrays: Samples [N, ...] of each input.
    """
    found = [np.ascontiguousarray(arrays[name], np.float32) for name in entries]
    if len(found) == 1:
        return found[0]
    return np.concatenate([array.reshape(len(array), -1) for array in found], axis=1)


def separate_arrays(entries: Mapping[str, Shape], joined: np.ndarray) -> dict[str, np.ndarray]:
    """Undo :func:`join_arrays`.

    Args:
        entries: Shapes of the inputs without the batch axis, by name.
        joined: Samples [N, ...] of the one input.
    """
    ends = np.cumsum([int(np.prod(shape)) for shape in entries.values()])
    parts = np.split(joined.reshape(len(joined), -1), ends[:-1], axis=1)
    return {
        name: part.reshape(-1, *shape)
        for (name, shape), part in zip(entries.items(), parts, strict=True)
    }
