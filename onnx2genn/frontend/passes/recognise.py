"""Softmax and normalisations that exporters spell out, seen by what they compute.

A variance as E[x^2] - E[x]^2 is the difference of two large numbers, which spikes round, and there
are many ways to write a Softmax. So wherever a few nodes are together a function of one tensor that
sums exponentials, or divides by a deviation, they are run on random numbers. If these give a
Softmax or a normalisation, its usual form takes their place.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace

import numpy as np

from onnx2genn.errors import UnsupportedModelError
from onnx2genn.frontend.context import Context
from onnx2genn.ir.builder import Builder
from onnx2genn.ir.graph import Graph, Node
from onnx2genn.ir.run import Runner

_MOST_NODES = 24
_SAMPLES = 8
_CLOSE = 1e-4
_AXES_ARE_INPUTS = 18
_SOFTMAX_OF_ONE_AXIS = 13

_EXPONENTIALS = {"Exp", "ReduceLogSumExp"}
_DEVIATIONS = {"Sqrt", "Pow", "Rsqrt"}
_SUMS = {"GlobalAveragePool", "ReduceL2", "ReduceMean", "ReduceSum", "ReduceSumSquare"}
_ENDS = {"Div", "Mul", "Sub"}


def recognise(graph: Graph, context: Context) -> Graph:
    """Write spelled-out Softmax, LayerNormalization and the like in one way.

    Args:
        graph: Graph in its own operators, with an open batch axis.
        context: How it may be run.
    """
    if not any(node.op in _EXPONENTIALS | _DEVIATIONS for node in graph.nodes):
        return graph
    seen = context.probe(graph)
    known = replace(graph, constants={**graph.constants, **seen.constants}, shapes=seen.shapes)
    position = {name: at for at, node in enumerate(graph.nodes) for name in node.outputs}
    nodes: list[Node] = []
    constants = dict(graph.constants)

    def by_batch() -> Mapping[str, np.ndarray]:
        return context.trial(graph, _SAMPLES).values

    for node in graph.nodes:
        found = None
        if node.op in _ENDS and node.output in known.shapes:
            found = _usual_form(known, node, position, seen.independent, by_batch)
        if found is None:
            nodes.append(node)
            continue
        nodes += found.nodes
        constants |= found.constants
    if len(constants) == len(graph.constants) and nodes == graph.nodes:
        return graph
    return replace(graph, nodes=nodes, constants=constants).only_live()


def _usual_form(
    graph: Graph,
    node: Node,
    position: dict[str, int],
    fixed: set[str],
    by_batch: Callable[[], Mapping[str, np.ndarray]],
) -> Builder | None:
    """Write what a node computes in the usual form, if there is one for it."""
    best: Builder | None = None
    minuend = ""
    for root, body in _bodies(graph, node, position, fixed):
        if best is not None and root != minuend:
            continue
        ops = {item.op for item in body}
        exponentials, deviation = ops & _EXPONENTIALS, ops & _DEVIATIONS and ops & _SUMS
        if not (exponentials or deviation) or graph.shapes.get(root) != graph.shapes[node.output]:
            continue
        try:
            x, y = _on_random_numbers(graph, node, root, body, fixed, by_batch)
        except UnsupportedModelError:  # of another type than float32, for one
            return best
        builder = Builder(node.output, position)
        written = _as_softmax if exponentials else _as_normalisation
        if written(builder, graph, node, root, x, y, body):
            before = graph.producers.get(root)
            if best is not None or not exponentials or before is None or before.op != "Sub":
                return builder
            # That of x - max(x) is one of x, for which the maximum need not be known.
            best, minuend = builder, before.inputs[0]
    return best


def _bodies(
    graph: Graph, node: Node, position: dict[str, int], fixed: set[str]
) -> Iterator[tuple[str, list[Node]]]:
    """Walk back from a node; yield each tensor that all ways pass, and the nodes behind it."""
    front, body = {name for name in node.inputs if name and name not in fixed}, [node]
    while len(body) < _MOST_NODES and front:
        if len(front) == 1 and len(body) > 1:
            yield next(iter(front)), body[::-1]
        last = max(front, key=lambda name: position.get(name, -1))
        producer = graph.producers.get(last)
        if producer is None or producer.branches:
            return
        body.append(producer)
        front.remove(last)
        front |= {name for name in producer.inputs if name and name not in fixed}


def _on_random_numbers(
    graph: Graph,
    node: Node,
    root: str,
    body: list[Node],
    fixed: set[str],
    by_batch: Callable[[], Mapping[str, np.ndarray]],
) -> tuple[np.ndarray, np.ndarray]:
    """Run nodes on random numbers; ``by_batch`` has what depends on the number of samples."""
    read = {name for item in body for name in item.inputs}
    constants = {name: graph.constants[name] for name in read & graph.constants.keys()}
    shapes = read & fixed - graph.constants.keys()
    constants |= {name: by_batch()[name] for name in shapes}
    part = Graph(
        inputs={root: graph.shapes[root]},
        output=node.output,
        nodes=body,
        constants=constants,
        opset=graph.opset,
        imports=graph.imports,
    )
    random = np.random.default_rng(0)
    x = random.normal(0.3, 1.5, (_SAMPLES, *graph.shapes[root])).astype(np.float32)
    return x, Runner.of(part, [node.output])({root: x})[node.output].astype(np.float64)


def _is_close(wanted: np.ndarray, got: np.ndarray) -> bool:
    return bool(np.abs(wanted - got).max() <= _CLOSE * max(np.abs(got).max(), 1e-6))


def _as_softmax(
    builder: Builder,
    graph: Graph,
    node: Node,
    root: str,
    x: np.ndarray,
    y: np.ndarray,
    body: list[Node],
) -> bool:
    rank = x.ndim
    for axis in range(1, rank):
        if graph.opset < _SOFTMAX_OF_ONE_AXIS and axis < rank - 1:
            continue
        powers = np.exp(x.astype(np.float64) - x.max(axis=axis, keepdims=True))
        shares = powers / powers.sum(axis=axis, keepdims=True)
        for op, values in (("Softmax", shares), ("LogSoftmax", np.log(shares))):
            if _is_close(values, y):
                builder.emit(op, root, output=node.output, name=node.name, axis=axis)
                return True
    return False


@dataclass(frozen=True, slots=True)
class _Normalisation:
    """(x - mean) / sqrt(variance + epsilon) over axes, or by the mean of squares."""

    axes: tuple[int, ...]
    epsilon: float
    centred: bool

    def __call__(self, x: np.ndarray) -> np.ndarray:
        rest = x - self.centred * x.mean(axis=self.axes, keepdims=True)
        variance = (rest**2).mean(axis=self.axes, keepdims=True)
        return rest / np.sqrt(variance + self.epsilon)

    def write(self, builder: Builder, x: str, opset: int) -> str:
        """Write it in the model's own operators."""
        rest = x
        if self.centred:
            rest = builder.emit("Sub", x, self._mean(builder, x, opset))
        variance = self._mean(builder, builder.emit("Mul", rest, rest), opset)
        shifted = builder.emit("Add", variance, np.float32(self.epsilon))
        return builder.emit("Div", rest, builder.emit("Sqrt", shifted))

    def _mean(self, builder: Builder, x: str, opset: int) -> str:
        if opset >= _AXES_ARE_INPUTS:
            return builder.emit("ReduceMean", x, np.array(self.axes, np.int64), keepdims=1)
        return builder.emit("ReduceMean", x, axes=list(self.axes), keepdims=1)


def _as_normalisation(
    builder: Builder,
    graph: Graph,
    node: Node,
    root: str,
    x: np.ndarray,
    y: np.ndarray,
    body: list[Node],
) -> bool:
    """Fit gain and shift of each element; the samples are more than these two numbers."""
    exact = x.astype(np.float64)
    for candidate in _candidates(graph, x.ndim, body):
        core = candidate(exact)
        centre, mean = core.mean(axis=0), y.mean(axis=0)
        spread = ((core - centre) ** 2).mean(axis=0)
        gain = ((core - centre) * (y - mean)).mean(axis=0) / np.maximum(spread, 1e-30)
        shift = mean - gain * centre
        if not _is_close(gain * core + shift, y):
            continue
        gain, shift = (_over(values, candidate.axes) for values in (gain, shift))
        result = candidate.write(builder, root, graph.opset)
        scaled = builder.emit("Mul", result, gain)
        builder.emit("Add", scaled, shift, output=node.output, name=node.name)
        return True
    return False


def _candidates(graph: Graph, rank: int, body: list[Node]) -> Iterator[_Normalisation]:
    scalars = {
        float(graph.constants[name].reshape(-1)[0])
        for item in body
        for name in item.inputs
        if name in graph.constants and graph.constants[name].size == 1
    }
    small = sorted(value for value in scalars if 0 < value < 0.1)
    trailing = [tuple(range(start, rank)) for start in range(rank - 1, 0, -1)]
    single = [(axis,) for axis in range(1, rank - 1)]
    for axes in (*trailing, *single):
        for epsilon in [*small, 0.0]:
            for centred in (True, False):
                yield _Normalisation(axes, epsilon, centred)


def _over(values: np.ndarray, axes: tuple[int, ...]) -> np.ndarray:
    """Keep one value along the axes on which a fitted constant does not vary."""
    found = values[None]
    for axis in range(1, found.ndim):
        first = found.take([0], axis=axis)
        if np.abs(found - first).max() <= _CLOSE * max(float(np.abs(found).max()), 1e-6):
            found = found.mean(axis=axis, keepdims=True)
    return found.astype(np.float32)
