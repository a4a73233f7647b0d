"""Compare a graph with the file that it came from."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeGuard

import numpy as np

from onnx2genn.errors import Problem, UnsupportedModelError
from onnx2genn.frontend.reference import Reference, Values, mismatch
from onnx2genn.ir.graph import Graph, Node, Shape
from onnx2genn.ir.inputs import join_arrays
from onnx2genn.ir.run import Runner

# Relative tolerance, by precision, and what changes its last digits.
_TOLERANCE = {"float64": 1e-4, "float32": 1e-4, "float16": 3e-2}
_CHANGE = {1e-4: 1e-6, 3e-2: 1e-3}
_MULTIPLE = 10
_CALIBRATION_SAMPLES = 4
# A channel counts by its own magnitude, unless it is this much smaller than the widest one.
_NARROWEST = 1e-2
_TINY = 1e-30


def verify(
    reference: Reference,
    graph: Graph,
    entries: Mapping[str, Shape],
    samples: Values | None = None,
    *,
    input_types: Mapping[str, int] | None = None,
) -> float:
    """Compare every tensor that a graph and the file have in common.

    Deep networks amplify the error of floats, most of all those with random weights. So a channel
    may differ by a multiple of what it does to it to change the inputs in their last digits, which
    are those of the lowest precision on the way to the tensor.

    Args:
        reference: The file.
        graph: What became of it.
        entries: Shapes of the inputs that the file reads, by name; the graph may have joined them.
        samples: Inputs [N, ...] by name; random ones of both signs if None.
        input_types: ONNX element types of the graph's inputs, if they are not float32.

    Returns:
        The largest difference, relative to the largest magnitude in its channel.

    Raises:
        UnsupportedModelError: A tensor differs, or the file itself computes no numbers; the message
            names the first.
    """
    feeds = reference.draws() if samples is None else _few(samples, reference.batch)
    wanted = reference.values(feeds)
    usable = _usable(reference.graph, wanted, len(next(iter(feeds.values()))))
    tolerances = _tolerances(reference.graph, wanted)
    moved = {
        tolerance: reference.values(_moved(feeds, _CHANGE[tolerance]))
        for tolerance in {*tolerances.values()} & _CHANGE.keys()
    }
    if input_types is None:
        feeds = {name: array.astype(np.float32) for name, array in feeds.items()}
    if graph.inputs.keys().isdisjoint(feeds):
        (joined,) = graph.inputs
        feeds = {joined: join_arrays(entries, feeds)}
    got = Runner.of(graph, input_types=input_types)(feeds)
    if graph.output not in got:
        raise mismatch(reference.graph, graph.output, "by its absence")
    worst = 0.0
    for name, array in got.items():
        if name not in tolerances:
            continue
        if array.shape != wanted[name].shape:
            raise mismatch(reference.graph, name, f"in its shape {list(array.shape)}")
        tolerance = tolerances[name]
        error = difference(wanted[name], array, usable)
        allowed = np.asarray(tolerance)
        if tolerance in moved:
            amplified = difference(wanted[name], moved[tolerance][name], usable)
            allowed = np.maximum(tolerance, _MULTIPLE * amplified)
        if not (error <= allowed).all():
            raise mismatch(reference.graph, name, f"by {error.max():.2g} of its largest value")
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


def _few(samples: Values, batch: int | None) -> dict[str, np.ndarray]:
    """Take a few samples, or a multiple of what the file takes at once."""
    count = len(next(iter(samples.values())))
    taken = min(count, _CALIBRATION_SAMPLES)
    taken = -(-taken // (batch or 1)) * (batch or 1)
    chosen = np.linspace(0, count - 1, taken).astype(int)
    return {name: array[chosen] for name, array in samples.items()}


def _usable(graph: Graph, values: Values, count: int) -> np.ndarray:
    """Find the samples for which the file computes numbers: -1 has no logarithm."""
    usable = np.ones(count, bool)
    for node in graph.nodes:
        for name in node.outputs:
            value = values.get(name)
            if _is_numeric(value) and value.shape[:1] == (count,):
                usable &= ~np.isnan(value.reshape(count, -1)).any(axis=1)
        if not usable.any():
            raise UnsupportedModelError("The model does not compute numbers.", [_nan(graph, node)])
    return usable


def _nan(graph: Graph, node: Node) -> Problem:
    weights = {name: graph.constants[name] for name in node.inputs if name in graph.constants}
    broken = [name for name, array in weights.items() if _is_broken(array)]
    advice = "Look where NaN comes from by running the model on your own data."
    if broken:
        advice = f"Its weights {broken[0]!r} hold NaN or infinity: export the trained model again."
    reason = f"its output {node.output!r} is not a number (NaN) for any input."
    return Problem(node=node.name, operator=node.operator, reason=reason, advice=advice)


def _is_broken(array: np.ndarray) -> bool:
    return array.dtype.kind == "f" and not np.isfinite(array).all()


def _is_numeric(value: object) -> TypeGuard[np.ndarray]:
    return isinstance(value, np.ndarray) and value.dtype.kind in "fiub"


def _tolerances(graph: Graph, values: Values) -> dict[str, float]:
    """Return each tensor's tolerance: that of the lowest precision on the way to it."""
    found = {
        name: _TOLERANCE.get(str(value.dtype), 0.0)
        for name, value in values.items()
        if _is_numeric(value)
    }
    for node in graph.nodes:
        before = [found[name] for name in node.inputs if name in found]
        for name in node.outputs:
            if name in found:
                found[name] = max([found[name], *before])
    return found


def _moved(feeds: Values, change: float) -> dict[str, np.ndarray]:
    """Change every float, up or down; whole numbers stay."""
    random = np.random.default_rng(0)
    signs = {name: random.choice([-1.0, 1.0], array.shape) for name, array in feeds.items()}
    return {
        name: (array * (1 + change * signs[name])).astype(array.dtype)
        if array.dtype.kind == "f"
        else array
        for name, array in feeds.items()
    }
