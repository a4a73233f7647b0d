"""Compare a graph with the file that it came from."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace

import numpy as np
from onnx import helper

from onnx2genn.errors import Problem, UnsupportedModelError
from onnx2genn.frontend.context import Rounding
from onnx2genn.frontend.reference import Expected, Reference, in_double
from onnx2genn.ir.graph import Graph, Node, Shape
from onnx2genn.ir.inputs import join_arrays
from onnx2genn.ir.run import Runner

_MULTIPLE = 10
_ROUNDING_ERROR = 1.01
# A channel counts by its own magnitude, unless it is this much smaller than the widest one.
_NARROWEST = 1e-2
_RESCALED = 1e-3
# What is rounded to 8 bits at a step of a sequence is so far apart, in relation to its size.
_MOST_ROUNDED = 0.1
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
    of the inputs do to a channel of its tensor, or of the error that onnxruntime makes there.

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
    if graph.output not in graph.producers:
        raise mismatch(expected.graph, graph.output, "by its absence")
    common = [name for name in graph.producers if name in expected.tolerances]
    worst = 0.0
    for name, array in Runner.of(graph, common, input_types=input_types)(feeds).items():
        wanted, tolerance = expected.tensors[name], expected.tolerances[name]
        if array.shape != wanted.shape:
            raise mismatch(expected.graph, name, f"in its shape {list(array.shape)}")
        error = difference(wanted, array, expected.usable)
        if not (error <= tolerance).all():
            moved = difference(wanted, expected.moved(tolerance)[name], expected.usable)
            exact = in_double(expected, name)
            if exact is not None:  # onnxruntime's own error is none of the graph
                moved = np.maximum(moved, difference(wanted, exact, expected.usable))
            # That a change moves one channel little is chance where it moves others a lot.
            if not (error <= max(tolerance, _MULTIPLE * moved.max(initial=0.0))).all():
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
    precision = np.result_type(wanted.dtype, got.dtype, np.float32)
    a, b = (item.astype(precision, copy=False) for item in (wanted, got))
    if a.shape[:1] == usable.shape and not usable.all():
        a, b = a[usable], b[usable]
    axes = tuple(axis for axis in range(a.ndim) if axis != 1)
    with np.errstate(invalid="ignore", over="ignore"):
        apart = np.abs(a - b)
        error = apart.max(axis=axes, initial=0.0)
    if not np.isfinite(error).all():
        apart[(a == b) | (np.isnan(a) & np.isnan(b))] = 0.0
        apart[~np.isfinite(apart)] = np.inf
        error = apart.max(axis=axes, initial=0.0)
        a = np.where(np.isfinite(a), a, 0.0)
    size = np.maximum(a.max(axis=axes, initial=0.0), -a.min(axis=axes, initial=0.0))
    return error / np.maximum(size, max(_NARROWEST * size.max(initial=0.0), _TINY))


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
    wanted = reference.values(_one_batch(reference))
    cut, unrounded = _cut(graph, {name: wanted[name].shape[1:] for name in roundings})
    got = _computed(cut, wanted)
    for node in reference.graph.nodes:
        for name in node.outputs:
            if name in roundings:
                found = [roundings[name].of(wanted[roundings[name].source])]
                # The ranges of inputs and of the output are not part of the graph.
                enters = roundings[name].entering or roundings[name].source in graph.inputs
                if name != graph.output and not enters:
                    found.append(got[unrounded[name]])
                step = roundings[name].step_of(wanted[roundings[name].source])
                _require_within(reference.graph, step, name, wanted[name], found)
            elif name in got and name in wanted:
                _require_within(reference.graph, 0.0, name, wanted[name], [got[name]])
    runner = Runner.of(graph, input_types=reference.input_types)
    return replace(reference, graph=graph, runner=runner)


def require_same_codes(
    reference: Reference, graph: Graph, floats: Mapping[str, str], inexact: Collection[str] = ()
) -> None:
    """Compare what a graph of floats makes of the file's whole numbers, operator by operator.

    Args:
        reference: The file.
        graph: The graph, which rounds to whole numbers of the same names.
        floats: The tensors that the file's whole numbers stand for, by the names of these.
        inexact: Tensors of the file that were rounded on the way, where the graph does not round.

    Raises:
        UnsupportedModelError: One differs by more than one step; the message names the first.
    """
    feeds = _one_batch(reference)
    wanted = reference.values(feeds)
    runner = Runner.of(graph, input_types=reference.input_types)
    found = replace(reference, graph=graph, runner=runner).values(feeds)
    # From a tensor on, all is computed of the file's own whole numbers.
    pairs = {
        node.output: node
        for node in graph.nodes
        if node.op == "DequantizeLinear"
        and node.output in floats.values()
        and np.ndim(found[node.output])
    }
    shapes = {name: found[name].shape[1:] for name in pairs}
    given = {name: _decoded(pairs[name], {**graph.constants, **wanted}) for name in pairs}
    seen = [name for name in inexact if name in wanted and name in found]
    shapes |= {name: found[name].shape[1:] for name in seen}
    cut, made = _cut(graph, shapes)
    got = _computed(cut, {**wanted, **given})
    for node in reference.graph.nodes:
        for name in node.outputs:
            if name in seen and name == next(filter(None, node.outputs)):
                _require_similar(reference.graph, name, wanted[name], got[made[name]])
            if name not in got or name not in wanted or name in shapes:
                continue
            whole = wanted[name].dtype.kind in "iu"
            size = 1.0 if whole else float(np.abs(wanted[name]).max(initial=0)) * _RESCALED
            _require_within(reference.graph, size, name, wanted[name], [got[name]])


def _one_batch(reference: Reference) -> dict[str, np.ndarray]:
    """Draw inputs of the batch size that the file takes, if it is fixed to one."""
    return {name: array[: reference.batch] for name, array in reference.draws().items()}


def _computed(graph: Graph, values: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Run a graph on the values of its inputs, whether the batch is their first axis or not."""
    types = {name: helper.np_dtype_to_tensor_dtype(values[name].dtype) for name in graph.inputs}
    return Runner.of(graph, input_types=types)({name: values[name] for name in graph.inputs})


def _decoded(node: Node, values: Mapping[str, np.ndarray]) -> np.ndarray:
    """Return what DequantizeLinear makes of whole numbers."""
    whole, scale, *zero = (values[name] for name in node.inputs if name)
    shift = zero[0].astype(np.int64) if zero else 0
    return np.asarray((whole.astype(np.int64) - shift) * scale, np.float32)


def _require_within(
    graph: Graph, step: float, name: str, wanted: np.ndarray, found: list[np.ndarray]
) -> None:
    for array in found:
        with np.errstate(invalid="ignore"):
            near = np.abs(array - wanted.astype(np.float64)) <= _ROUNDING_ERROR * step
        if not (near | (array == wanted)).all():
            raise mismatch(graph, name, "by more than a step of its quantisation")


def _require_similar(graph: Graph, name: str, wanted: np.ndarray, got: np.ndarray) -> None:
    """Require that two sequences differ at some step by no more than a rounding to 8 bits may do.

    From step to step the difference may grow. Weights in another order, or with another scale, make
    all steps other ones.
    """
    axes = tuple(range(1, wanted.ndim))
    exact = wanted.astype(np.float64)
    apart = np.sqrt(np.mean((got - exact) ** 2, axis=axes))
    size = np.sqrt(np.mean(exact**2, axis=axes))
    if not (apart <= _MOST_ROUNDED * size).any():
        raise mismatch(graph, name, "by more than its rounding explains")


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
