"""What the file computes, which everything that is made of it is compared with."""

from __future__ import annotations

from collections.abc import Callable, Container, Mapping
from dataclasses import dataclass
from functools import cache
from typing import TypeGuard, TypeVar

import numpy as np
from onnx import helper

from onnx2genn.errors import Problem, UnsupportedModelError
from onnx2genn.frontend.probe import random_inputs
from onnx2genn.ir.graph import Graph, Node, live, to_onnx
from onnx2genn.ir.run import Runner, samples_at_once

_MOST_SAMPLES, _FEWEST_SAMPLES = 12, 3
_TENSORS = 200  # as many as an input's size, all activations of a usual network together
_INDEXED = {"Gather", "GatherElements", "GatherND", "OneHot", "ScatterElements", "ScatterND"}

# Relative tolerance by precision, and what changes its last digits.
_TOLERANCE = {"float64": 1e-4, "float32": 1e-4, "float16": 3e-2}
_CHANGE = {1e-4: 1e-6, 3e-2: 1e-3}
_CALIBRATION_SAMPLES = 4
_MOST_IN_DOUBLE = 100

Values = Mapping[str, np.ndarray]
T = TypeVar("T")


@dataclass(frozen=True, kw_only=True)
class Expected:
    """What the file computes for some inputs.

    Attributes:
        graph: The file as a graph.
        feeds: The inputs [N, ...] by name.
        tensors: The tensors that were asked for, by name.
        usable: The samples for which they are numbers, [N] of bool.
        tolerances: Relative tolerance of those that are numeric: that of the lowest precision on
            the way to each.
        moved: Computes them after a change of the inputs in the last digits that a tolerance
            stands for.
    """

    graph: Graph
    feeds: Values
    tensors: Values
    usable: np.ndarray
    tolerances: Mapping[str, float]
    moved: Callable[[float], Values]


@dataclass(frozen=True, kw_only=True)
class Reference:
    """The file in its own operators, ready to run.

    Attributes:
        graph: The file as a graph; one with operators that onnxruntime lacks is taken after these
            have been expanded.
        runner: Runs it for all tensors.
        input_types: ONNX element types of the inputs.
        batch: The batch size that the file is fixed to; None if it is open.
    """

    graph: Graph
    runner: Runner
    input_types: Mapping[str, int]
    batch: int | None

    def values(self, feeds: Values) -> dict[str, np.ndarray]:
        """Return every tensor for inputs [N, ...] by name.

        Where N is a multiple of the file's own batch size, those without a batch are left out.
        """
        count = len(next(iter(feeds.values())))
        # Of inputs that are not given, the graph reads the shape alone.
        given = {
            name: feeds.get(name, np.zeros((count, *shape)))
            for name, shape in self.graph.inputs.items()
        }
        typed = self._typed(given)
        parts = list(self.runner.batches(typed, self.batch or count))
        if len(parts) == 1:
            return {**typed, **parts[0]}
        joined = {
            name: np.concatenate([part[name] for part in parts])
            for name, value in parts[0].items()
            if np.shape(value)[:1] == (self.batch,)
        }
        return {**typed, **joined}

    def _typed(self, feeds: Values) -> dict[str, np.ndarray]:
        """Return inputs in the types that the file takes."""
        return {
            name: np.asarray(array).astype(helper.tensor_dtype_to_np_dtype(self.input_types[name]))
            for name, array in feeds.items()
        }

    def draws(self) -> dict[str, np.ndarray]:
        """Make inputs of both signs: a third in 0..1, the rest up to 1 and up to 3 in magnitude."""
        size = sum(int(np.prod(shape)) for shape in self.graph.inputs.values())
        count = max(_FEWEST_SAMPLES, samples_at_once(_TENSORS * size, _MOST_SAMPLES))
        count = -(-count // (self.batch or 1)) * (self.batch or 1)
        drawn = random_inputs(self.graph, count, self.input_types)
        for name, array in drawn.items():
            reach = np.arange(count).reshape(-1, *[1] * (array.ndim - 1)) % 3
            if array.dtype.kind == "f":
                signed = (2 * array - 1) * np.where(reach == 1, 1, 3)
                drawn[name] = np.where(reach == 0, array, signed).astype(array.dtype)
            elif array.dtype.kind == "i" and not _is_index(self.graph, name):
                drawn[name] = np.where(reach == 1, -array, array)
        return drawn

    def expect(
        self, wanted: Container[str] | None = None, samples: Values | None = None
    ) -> Expected:
        """Compute what a graph that was made of the file has to compute.

        Deep networks amplify the error of floats, most of all those with random weights. So what
        a change of the inputs in their last digits does can be asked for.

        Args:
            wanted: Names of the tensors to keep; others may be among them. All if None.
            samples: Inputs [N, ...] by name, of which a few are taken; random ones if None.

        Raises:
            UnsupportedModelError: The file computes no numbers.
        """
        feeds = self.draws() if samples is None else self._typed(_few(samples, self.batch))
        tensors = self.values(feeds)
        return Expected(
            graph=self.graph,
            feeds=feeds,
            tensors=_only(wanted, tensors),
            usable=_usable(self.graph, tensors, len(next(iter(feeds.values())))),
            tolerances=_only(wanted, _tolerances(self.graph, tensors)),
            moved=cache(
                lambda tolerance: _only(
                    wanted, self.values(_moved(feeds, _CHANGE.get(tolerance, 0.0)))
                )
            ),
        )


def in_double(expected: Expected, name: str) -> np.ndarray | None:
    """Compute a tensor of the file in double precision, by onnx itself.

    A normalisation over one element, for one, is 0, but what onnxruntime makes of it is what its
    rounding left, divided by the root of epsilon.

    Args:
        expected: What the file computes.
        name: The tensor.

    Returns:
        The tensor; None if onnx cannot compute it so, or only slowly.
    """
    from onnx.reference import ReferenceEvaluator

    graph = expected.graph
    values = {**graph.constants, **expected.tensors, **expected.feeds}
    nodes, _ = live(graph.nodes, {}, [name])
    if len(nodes) > _MOST_IN_DOUBLE:
        return None
    made = {item for node in nodes for item in node.outputs}
    read = dict.fromkeys(item for node in nodes for item in node.inputs if item not in made)
    doubled = {item: _doubled(values[item]) for item in read if item in values}
    types = {item: helper.np_dtype_to_tensor_dtype(array.dtype) for item, array in doubled.items()}
    inputs = {item: array.shape[1:] for item, array in doubled.items()}
    try:
        model = to_onnx(nodes, {}, inputs, {name: None}, opset=graph.opset, input_types=types)
        (found,) = ReferenceEvaluator(model).run([name], doubled)
    except Exception:  # noqa: BLE001 - whatever an operator that it does not know raises
        return None
    return np.asarray(found) if np.shape(found) == values[name].shape else None


def _only(wanted: Container[str] | None, found: Mapping[str, T]) -> dict[str, T]:
    return {name: item for name, item in found.items() if wanted is None or name in wanted}


def _doubled(array: np.ndarray) -> np.ndarray:
    return array.astype(np.float64) if array.dtype == np.float32 else array


def _is_index(graph: Graph, name: str) -> bool:
    """Whether whole numbers choose elements of something."""
    readers = graph.consumers.get(name, [])
    return any(
        node.op in _INDEXED or (node.op == "Cast" and _is_index(graph, node.output))
        for node in readers
    )


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
