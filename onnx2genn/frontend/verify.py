"""Compare a graph with the file that it came from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
from onnx import helper

from onnx2genn.errors import Problem, UnsupportedModelError
from onnx2genn.frontend.context import Rounding
from onnx2genn.frontend.reference import Expected, Reference
from onnx2genn.ir.graph import Graph, Node, Shape
from onnx2genn.ir.inputs import join_arrays
from onnx2genn.ir.run import Runner

_MULTIPLE = 10
_ROUNDING_ERROR = 1.01
# A channel counts by its own magnitude, unless it is this much smaller than the widest one.
_NARROWEST = 1e-2
_TINY = 1e-30


def verify(
    expected: Expected,
    graph: Graph,
    entries: Mapping[str, Shape],
    *,
    input_types: Mapping[str, int] | None = None,
) -> float:
    """Compare every tensor that a graph and the file have in common.

    A channel may differ by the tolerance of its precision, or by a multiple of what the last digits
    of the inputs do to it.

    Args:
        expected: What the file computes.
        graph: What became of the file.
        entries: Shapes of the inputs that the file reads, by name; the graph may have joined them.
        input_types: ONNX element types of the graph's inputs, if they are not float32.

    Returns:
        The largest difference, relative to the largest magnitude in its channel.

    Raises:
        UnsupportedModelError: A tensor differs; the message names the first.
    """
    feeds = expected.feeds
    if input_types is None:
        feeds = {name: array.astype(np.float32) for name, array in feeds.items()}
    if graph.inputs.keys().isdisjoint(feeds):
        (joined,) = graph.inputs
        feeds = {joined: join_arrays(entries, feeds)}
    got = Runner.of(graph, input_types=input_types)(feeds)
    if graph.output not in got:
        raise mismatch(expected.graph, graph.output, "by its absence")
    worst = 0.0
    for name, array in got.items():
        if name not in expected.tolerances:
            continue
        wanted, tolerance = expected.tensors[name], expected.tolerances[name]
        if array.shape != wanted.shape:
            raise mismatch(expected.graph, name, f"in its shape {list(array.shape)}")
        error = difference(wanted, array, expected.usable)
        allowed = np.asarray(tolerance)
        if tolerance in expected.moved:
            moved = difference(wanted, expected.moved[tolerance][name], expected.usable)
            allowed = np.maximum(tolerance, _MULTIPLE * moved)
        if not (error <= allowed).all():
            raise mismatch(expected.graph, name, f"by {error.max():.2g} of its largest value")
        worst = max(worst, float(error.max(initial=0.0)))
    return worst


def difference(wanted: np.ndarray, got: np.ndarray, usable: np.ndarray) -> np.ndarray:
    """Return the largest difference in each channel, relative to its largest magnitude.

    What is no number has to be the same in both: else the difference is infinite.

    Args:
        wanted: Tensor [N, C, ...].
        got: Tensor of the same shape.
        usable: The samples that count, [N] of bool; all if the tensor has no batch.
    """
    a, b = (item.astype(np.float64) for item in (wanted, got))
    if a.shape[:1] == usable.shape:
        a, b = a[usable], b[usable]
    axes = tuple(axis for axis in range(a.ndim) if axis != 1)
    finite = np.isfinite(a)
    with np.errstate(invalid="ignore"):
        error = np.where((a == b) | (np.isnan(a) & np.isnan(b)), 0.0, np.abs(a - b))
    error[~np.isfinite(error)] = np.inf
    size = np.abs(np.where(finite, a, 0.0))
    widest = size.max(initial=0.0)
    scale = np.maximum(size.max(axis=axes, initial=0.0), max(_NARROWEST * widest, _TINY))
    return error.max(axis=axes, initial=0.0) / scale


def without_roundings(
    reference: Reference, graph: Graph, roundings: Mapping[str, Rounding]
) -> Reference:
    """Take a graph that lost roundings for the reference, once that is proven to be right.

    Each pair that is gone has to be within one step of what took its place, on the values that
    the file computes; with the file's values in the places of the pairs, all else is equal.

    Args:
        reference: The file.
        graph: The file without some pairs of QuantizeLinear and DequantizeLinear.
        roundings: The pairs, by the tensor that they end in.

    Raises:
        UnsupportedModelError: A tensor differs; the message names the first.
    """
    feeds = reference.draws()
    wanted = reference.values(feeds)
    shapes = {name: wanted[name].shape[1:] for name in roundings}
    cut, unrounded = _cut(graph, shapes)
    types = {name: helper.np_dtype_to_tensor_dtype(wanted[name].dtype) for name in cut.inputs}
    runner = Runner.of(cut, input_types=types)
    other = replace(reference, graph=cut, runner=runner, input_types=types)
    got = other.values(wanted)
    for node in reference.graph.nodes:
        for name in node.outputs:
            if name in roundings:
                found = [roundings[name].of(wanted[roundings[name].source])]
                # The ranges of inputs and of the output are not part of the graph.
                if name != graph.output and roundings[name].source not in graph.inputs:
                    found.append(got[unrounded[name]])
                _require_within(reference.graph, roundings[name].step, name, wanted[name], found)
            elif name in got and name in wanted:
                _require_within(reference.graph, 0.0, name, wanted[name], [got[name]])
    runner = Runner.of(graph, input_types=reference.input_types)
    return replace(reference, graph=graph, runner=runner)


def _require_within(
    graph: Graph, step: float, name: str, wanted: np.ndarray, found: list[np.ndarray]
) -> None:
    for array in found:
        if not (np.abs(array - wanted.astype(np.float64)) <= _ROUNDING_ERROR * step).all():
            raise mismatch(graph, name, "by more than a step of its quantisation")


def _cut(graph: Graph, shapes: Mapping[str, tuple[int, ...]]) -> tuple[Graph, dict[str, str]]:
    """Let a graph read some of its tensors as inputs; return what it makes in their place."""
    names = {name: f"{name}/unrounded" for name in shapes}
    nodes = [
        replace(node, outputs=tuple(names.get(name, name) for name in node.outputs))
        for node in graph.nodes
    ]
    return replace(graph, nodes=nodes, inputs={**graph.inputs, **shapes}), names


def mismatch(graph: Graph, name: str, difference: str) -> UnsupportedModelError:
    """Describe a tensor that differs from the file's.

    Args:
        graph: The file.
        name: The tensor.
        difference: By how much it differs.
    """
    source = graph.producers.get(name, Node(op="output", inputs=(), outputs=(name,), name=name))
    return UnsupportedModelError(
        "The converted graph does not compute what the model computes.",
        [
            Problem(
                node=source.name,
                operator=source.operator,
                reason=f"its output {name!r} differs {difference}.",
                advice="This is an error of onnx2genn: please report it with the model.",
            )
        ],
    )
