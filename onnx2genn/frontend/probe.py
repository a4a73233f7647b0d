"""Learn shapes and constants by running the model.

onnxruntime runs the graph at two batch sizes with every tensor as an output. What does not depend
on the values of the inputs and is equal in both runs is a constant, so that the shape arithmetic
which exporters write (Shape, Gather, Slice, Concat...) needs no evaluator of its own.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import onnx
from onnx import helper

from onnx2genn.ir.graph import Graph, Shape
from onnx2genn.ir.run import Runner

# An axis of fixed length cannot be equal to both, so it is not mistaken for the batch.
BATCHES = (2, 3)
_LARGEST = 100
READS_SHAPE_ONLY = {"Shape", "Size"}
_INDEX_ARITHMETIC = frozenset(
    {"Add", "Cast", "Identity", "Mul", "Reshape", "Squeeze", "Transpose", "Unsqueeze", "Where"}
)


@dataclass(frozen=True, kw_only=True)
class Trial:
    """What one run of a graph shows.

    Attributes:
        batch: Number of samples.
        shapes: Shape of every tensor, batch included.
        types: Element type of every tensor that is no constant.
        independent: Tensors whose values do not depend on the values of the inputs.
        values: Values of those.
    """

    batch: int
    shapes: dict[str, tuple[int, ...]]
    types: dict[str, np.dtype]
    independent: set[str]
    values: dict[str, np.ndarray]


@dataclass(frozen=True, kw_only=True)
class Probe:
    """What two runs of a graph show.

    Attributes:
        shapes: Shape without the batch, for every tensor that depends on the inputs and keeps
            the batch as its first axis.
        types: Element type of every tensor that was no constant.
        independent: Tensors whose values do not depend on the values of the inputs; those that
            are no constants still depend on the batch size.
        constants: Values of all tensors that do not depend on the inputs. One that only repeats
            along the batch is kept once, with a first axis of 1.
    """

    shapes: dict[str, Shape]
    types: dict[str, np.dtype]
    independent: set[str]
    constants: dict[str, np.ndarray]


def random_inputs(
    graph: Graph, batch: int, input_types: Mapping[str, int] | None = None
) -> dict[str, np.ndarray]:
    """Make inputs for a look at the graph: in 0..1, or whole numbers that its tables have."""
    random = np.random.default_rng(0)
    arrays = {}
    for name, shape in graph.inputs.items():
        kind = (input_types or {}).get(name, onnx.TensorProto.FLOAT)
        dtype = helper.tensor_dtype_to_np_dtype(kind)
        scale = 1.0 if np.issubdtype(dtype, np.floating) else _rows(graph, name)
        arrays[name] = (random.random((batch, *shape)) * scale).astype(dtype)
    return arrays


def _rows(graph: Graph, name: str) -> int:
    """Return the length of the smallest table that a tensor picks from, 100 at most.

    Indices may be computed: Keras adds the length to those that count from the end.
    """
    rows, reached = [_LARGEST], {name}
    for node in graph.nodes:
        read = reached.intersection(node.inputs)
        if node.op == "Gather" and node.inputs[1] in read and node.inputs[0] in graph.constants:
            rows.append(graph.constants[node.inputs[0]].shape[node.attributes.get("axis", 0)])
        elif read and node.op in _INDEX_ARITHMETIC:
            reached.update(node.outputs)
    return min(rows)


def try_out(
    graph: Graph, runner: Runner, batch: int, input_types: Mapping[str, int] | None = None
) -> Trial:
    """Run a graph on random inputs.

    Args:
        graph: Graph in any operators that onnxruntime knows.
        runner: What runs it, for all its tensors.
        batch: Number of samples.
        input_types: ONNX element types of its inputs.

    Raises:
        UnsupportedModelError: onnxruntime cannot run it.
    """
    inputs = random_inputs(graph, batch, input_types)
    tensors = {**graph.constants, **inputs, **runner(inputs)}
    arrays = {name: value for name, value in tensors.items() if isinstance(value, np.ndarray)}
    fixed = independent(graph)
    return Trial(
        batch=batch,
        shapes={name: array.shape for name, array in arrays.items()},
        types={name: arrays[name].dtype for name in arrays.keys() - graph.constants.keys()},
        independent=fixed,
        values={name: array for name, array in arrays.items() if name in fixed},
    )


def probe(graph: Graph, first: Trial, second: Trial) -> Probe:
    """Compare two runs of a graph.

    Args:
        graph: The graph.
        first: A run of it.
        second: A run at another batch size. Where both are equal, which a graph without an open
            batch axis needs, whatever has the size of the batch is taken for it.
    """
    shapes: dict[str, Shape] = dict(graph.inputs)
    constants = dict(graph.constants)
    for name, shape in first.shapes.items():
        if name in graph.constants or name in graph.inputs:
            continue
        sizes = (shape[:1], second.shapes[name][:1])
        by_batch = sizes == ((first.batch,), (second.batch,))
        by_batch = by_batch and shape[1:] == second.shapes[name][1:]
        if name in first.values:
            constant = _constant(first.values[name], second.values[name], by_batch)
            if constant is not None:
                constants[name] = constant
                continue
        if by_batch:
            shapes[name] = shape[1:]
    return Probe(
        shapes=shapes, types=first.types, independent=first.independent, constants=constants
    )


def _constant(value: np.ndarray, other: np.ndarray, by_batch: bool) -> np.ndarray | None:
    if np.array_equal(value, other, equal_nan=value.dtype.kind == "f"):
        return value
    if by_batch and (value == value[:1]).all() and np.array_equal(value[:1], other[:1]):
        return value[:1]
    return None


def independent(graph: Graph) -> set[str]:
    """Find the tensors whose values do not depend on the values of the inputs."""
    fixed = set(graph.constants)
    for node in graph.nodes:
        known = all(name in fixed for name in node.inputs if name)
        varies = node.branches or node.op.startswith("Random")
        if node.op in READS_SHAPE_ONLY or (known and not varies):
            fixed.update(node.outputs)
    return fixed
