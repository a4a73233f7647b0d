"""Compare a canonical graph with the model that it came from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from onnx2genn.errors import Problem, UnsupportedModelError
from onnx2genn.frontend.probe import random_inputs
from onnx2genn.ir.graph import Graph, Node, Shape
from onnx2genn.ir.inputs import join_arrays
from onnx2genn.ir.run import Runner

_TOLERANCE = {"float64": 1e-4, "float32": 1e-4, "float16": 3e-2}
_BATCH = 4
_CHANGE = 1e-6
_MULTIPLE = 10


def verify(
    original: Graph,
    graph: Graph,
    entries: Mapping[str, Shape],
    input_types: Mapping[str, int],
    *,
    batch: int | None = None,
) -> float:
    """Compare every tensor that both graphs have, on the same random inputs.

    Deep networks amplify the error of floats, most of all those with random weights. So a tensor
    may differ by a multiple of what a change of the inputs in the sixth digit does to it.

    Args:
        original: Graph in the model's own operators.
        graph: Canonical graph, whose one input joins the entries.
        entries: Shapes of the inputs that it reads, by name.
        input_types: ONNX element types of the original's inputs.
        batch: Samples, where the original takes no other number.

    Returns:
        The largest difference, relative to the largest magnitude in its tensor.

    Raises:
        UnsupportedModelError: A tensor differs beyond float error; the message names the first.
    """
    inputs = random_inputs(original, batch or _BATCH, input_types)
    run = Runner.of(original, input_types=input_types)
    wanted, moved = run(inputs), run(_moved(inputs))
    (joined,) = graph.inputs
    got = Runner.of(graph)({joined: join_arrays(entries, inputs)})
    worst = 0.0
    for node in graph.nodes:
        if node.output in wanted:
            error = _difference(wanted[node.output], got[node.output])
            amplified = _difference(wanted[node.output], moved[node.output])
            if error > max(_tolerance(wanted[node.output]), _MULTIPLE * amplified):
                raise UnsupportedModelError(*_mismatch(original, node, error))
            worst = max(worst, error)
    return worst


def _moved(inputs: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Change every float, up or down, in the sixth digit; whole numbers stay."""
    random = np.random.default_rng(0)
    factors = {
        name: 1 + _CHANGE * random.choice([-1.0, 1.0], array.shape)
        for name, array in inputs.items()
        if array.dtype.kind == "f"
    }
    return {
        name: (array * factors[name]).astype(array.dtype) if name in factors else array
        for name, array in inputs.items()
    }


def _tolerance(array: np.ndarray) -> float:
    return _TOLERANCE.get(str(array.dtype), 0.0)


def _difference(wanted: np.ndarray, got: np.ndarray) -> float:
    if wanted.shape != got.shape:
        return np.inf
    a, b = wanted.astype(np.float64), got.astype(np.float64)
    if not np.isfinite(a).all():
        return 0.0 if np.array_equal(a, b, equal_nan=True) else np.inf
    scale = max(float(np.abs(a).max(initial=0.0)), 1e-6)
    return float(np.abs(a - b).max(initial=0.0)) / scale


def _mismatch(original: Graph, node: Node, error: float) -> tuple[str, list[Problem]]:
    source = original.producers.get(node.output, replace(node))
    return (
        "The converted graph does not compute what the model computes.",
        [
            Problem(
                node=source.name,
                operator=source.operator,
                reason=f"its output {node.output!r} differs by {error:.2g} of its largest value.",
                advice="This is an error of onnx2genn: please report it with the model.",
            )
        ],
    )
