"""LSTM, GRU and RNN of a fixed sequence length, written as their steps.

A gate is a function of a sum, and neurons send functions; what gates do is products, which neurons
send as squares. So a recurrent network of fixed length is a deep feed-forward one: step t of its
neurons gets what step t - 1 sends. The steps are written in the model's own operators with the
batch first; where the sequence has the time first, Transposes at both ends say so.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from onnx2genn.frontend.context import Context
from onnx2genn.frontend.passes.canonicalise import unknown
from onnx2genn.frontend.passes.recurrent.activations import activations
from onnx2genn.frontend.passes.recurrent.cells import KINDS, Cell, Kind, States, is_recurrent
from onnx2genn.frontend.passes.recurrent.steps import StepBuilder, Value
from onnx2genn.frontend.probe import Trial, independent
from onnx2genn.frontend.rewrite import Refusal, problem
from onnx2genn.ir.graph import Graph, Node

_DIRECTIONS = {
    "forward": ("forward",),
    "reverse": ("reverse",),
    "bidirectional": ("forward", "reverse"),
}
_INPUTS = ("X", "W", "R", "B", "sequence_lens", "initial_h", "initial_c", "P")


def unroll(graph: Graph, context: Context) -> Graph:
    """Write every recurrent operator as its steps.

    Args:
        graph: Graph in its own operators, which onnxruntime can run.
        context: How it may be run; gets the problems.
    """
    fixed = independent(graph)
    found = [node for node in graph.nodes if is_recurrent(node) and not fixed >= set(node.outputs)]
    if not found:
        return graph
    sizes = context.batches if context.batch is None else (context.batch,)
    runs = [context.trial(graph, size) for size in sizes]
    nodes: list[Node] = []
    constants: dict[str, np.ndarray] = {}
    for node in graph.nodes:
        if node not in found:
            nodes.append(node)
            continue
        try:
            steps = _Unrolled(graph, node, _Known(graph, node, fixed, runs)).written()
        except Refusal as refusal:
            context.problems.append(problem(graph, node, refusal.reason, refusal.advice))
            continue
        nodes += steps.nodes
        constants |= steps.constants
    if context.problems:
        context.problems += unknown(graph, fixed)
        return graph
    return graph.rewritten(nodes, constants).only_live()


class _Known:
    """What runs show of a recurrent node.

    Args:
        graph: The graph that it is of.
        node: The node.
        fixed: Tensors that do not depend on the inputs.
        runs: What the graph shows at one or two batch sizes.
    """

    def __init__(self, graph: Graph, node: Node, fixed: set[str], runs: Sequence[Trial]) -> None:
        self._names = dict(zip(_INPUTS, node.inputs, strict=False))
        if node.op != "LSTM":
            self._names.pop("initial_c", None)
        self._fixed = fixed
        self._runs = runs

    def name(self, role: str) -> str:
        """Name of an input; empty if it is left out."""
        return self._names.get(role, "")

    def is_fixed(self, role: str) -> bool:
        """Whether an input is left out or does not depend on those of the network."""
        return not self.name(role) or self.name(role) in self._fixed

    def shape(self, role: str) -> tuple[int, ...]:
        """Shape of an input at the first batch size."""
        return self._runs[0].shapes[self.name(role)]

    def weights(self, role: str) -> np.ndarray | None:
        """Value of an input that has no batch axis; None if it is left out.

        Raises:
            Refusal: It depends on the network's input.
        """
        if not self.name(role):
            return None
        if not self.is_fixed(role):
            raise Refusal(
                f"it takes its {role} from the network's input.",
                "Only constant weights make an affine map; export the model without it.",
            )
        return self._runs[0].values[self.name(role)]

    def for_all(self, role: str, axis: int) -> np.ndarray | None:
        """Value of a constant input for one sample, its batch axis gone; None if it is left out.

        Raises:
            Refusal: It depends on the network's input, or is another one for other samples.
        """
        if self.weights(role) is None:
            return None
        first = self._runs[0].values[self.name(role)].take(0, axis)
        for run in self._runs:
            if not (np.expand_dims(first, axis) == run.values[self.name(role)]).all():
                raise Refusal(
                    f"its {role} is another one for each sample of the batch.",
                    "Samples are simulated one by one: give all samples the same.",
                )
        return np.asarray(first)

    def length(self) -> int:
        """Steps of the sequence.

        Raises:
            Refusal: The samples of the batch are the sequence, or the length is none for all.
        """
        lengths = {run.shapes[self.name("X")][0] for run in self._runs}
        if len(lengths) > 1:
            raise Refusal(
                "the samples of the batch are the steps of its sequence.",
                "Its input is [time, batch, features]: transpose the first two axes before it.",
            )
        (full,) = lengths
        given = self.for_all("sequence_lens", 0)
        return full if given is None else min(full, int(given))


class _Unrolled:
    """The steps of one recurrent node.

    Args:
        graph: The graph that it is of.
        node: The node.
        known: What runs show of it.

    Raises:
        Refusal: It has no spiking form.
    """

    def __init__(self, graph: Graph, node: Node, known: _Known) -> None:
        self.node = node
        self.known = known
        self.kind: Kind = KINDS[node.op]
        self.directions = _DIRECTIONS[node.attributes.get("direction", "forward")]
        self.cells = _cells(node, known, len(self.directions))
        self.hidden = self.cells[0].recurrence.shape[-1]
        dtype = self.cells[0].weight.dtype
        self.steps = StepBuilder(node.name, graph.names, graph.opset, dtype)

    def written(self) -> StepBuilder:
        """Write all steps of all directions, and the outputs that the node has."""
        full, length = self.known.shape("X")[0], self.known.length()
        steps = self.steps
        steps.scope = f"{self.node.name}/sequence"
        sequence = steps.emit("Transpose", self.known.name("X"), perm=[1, 0, 2])
        states = [self._initial(index) for index in range(len(self.cells))]
        sent: list[list[Value]] = []
        for index, (direction, cell) in enumerate(zip(self.directions, self.cells, strict=True)):
            order = range(length) if direction == "forward" else range(length)[::-1]
            hidden = {}
            for t in order:
                within = f"{direction}/" if len(self.directions) > 1 else ""
                steps.scope = f"{self.node.name}/{within}{t}"
                x = steps.emit("Gather", sequence, np.int64(t), axis=1)
                states[index] = self.kind.step(steps, cell, x, states[index])
                hidden[t] = states[index][0]
            sent += [[hidden[t] for t in range(length)]]
        self._write_outputs(sent, states, full)
        return steps

    def _initial(self, index: int) -> States:
        """Return the states before the first step of a direction."""
        roles = ("initial_h", "initial_c")[: self.kind.states]
        return tuple(self._initial_state(role, index) for role in roles)

    def _initial_state(self, role: str, index: int) -> Value:
        name = self.known.name(role)
        if not self.known.is_fixed(role):
            self.steps.scope = f"{self.node.name}/{role}"
            rows = self.steps.emit("Transpose", name, perm=[1, 0, 2])
            return self.steps.emit("Gather", rows, np.int64(index), axis=1)
        given = self.known.for_all(role, 1)
        if given is None:
            return np.zeros((1, self.hidden), self.cells[0].weight.dtype)
        return given[index : index + 1]

    def _write_outputs(
        self, sent: Sequence[Sequence[Value]], states: Sequence[States], full: int
    ) -> None:
        y, *last = self.node.outputs
        count, length = len(sent), len(sent[0])
        if y:
            values = [value for direction in sent for value in direction]
            joined = self._joined(values, (count, length, self.hidden))
            if length < full:
                joined = self.steps.padded(joined, [0, 0, full - length, 0])
            self.steps.emit("Transpose", joined, perm=[2, 1, 0, 3], output=y, name=y)
        for index, name in enumerate(last):
            if name:
                joined = self._joined([state[index] for state in states], (count, self.hidden))
                self.steps.emit("Transpose", joined, perm=[1, 0, 2], output=name, name=name)

    def _joined(self, values: Sequence[Value], shape: tuple[int, ...]) -> str:
        """Write tensors [N, H] as one [N, *shape]."""
        self.steps.scope = f"{self.node.name}/joined"
        whole = self.steps.emit("Concat", *values, axis=1) if len(values) > 1 else values[0]
        return self.steps.emit("Reshape", whole, np.array([0, *shape], np.int64))


def _cells(node: Node, known: _Known, count: int) -> list[Cell]:
    """Read the weights and options of each direction."""
    kind = KINDS[node.op]
    given = node.attributes
    weight, recurrence = (known.weights(role) for role in ("W", "R"))
    assert weight is not None
    assert recurrence is not None
    hidden = recurrence.shape[-1]
    bias, peephole = known.weights("B"), known.weights("P")
    if bias is None:
        bias = np.zeros((count, 2 * kind.gates * hidden), weight.dtype)
    names = [_text(item) for item in given.get("activations", kind.activations * count)]
    curves = activations(names, given.get("activation_alpha", ()), given.get("activation_beta", ()))
    width = len(kind.activations)
    return [
        Cell(
            weight=weight[index].reshape(kind.gates, hidden, -1),
            recurrence=recurrence[index].reshape(kind.gates, hidden, hidden),
            bias=bias[index].reshape(2, kind.gates, hidden),
            peephole=None if peephole is None else peephole[index].reshape(3, hidden),
            activations=curves[width * index : width * (index + 1)],
            clip=given.get("clip"),
            reset_last=bool(given.get("linear_before_reset", 0)),
            coupled=bool(given.get("input_forget", 0)),
        )
        for index in range(count)
    ]


def _text(item: Any) -> str:
    return item.decode() if isinstance(item, bytes) else str(item)
