"""Open the batch axis of a model that was exported for one batch size."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from onnx2genn.frontend.context import Context
from onnx2genn.frontend.probe import Trial
from onnx2genn.ir.builder import Builder
from onnx2genn.ir.graph import Graph, Node
from onnx2genn.ir.registry import entry_of


def free_batch(graph: Graph, context: Context) -> Graph:
    """Replace the batch size that exporters bake into targets of Reshape, Expand and Resize.

    Constants that are joined with data, as class tokens are, get the batch size of that data; of
    those that are added to it or multiply it, one row is kept.

    Args:
        graph: Graph in its own operators.
        context: How it may be run, with the batch size that it was exported for.

    Returns:
        The graph with open targets. Whatever else depends on the batch size shows when the graph
        is probed at other sizes.
    """
    batch = context.batch
    if batch is None:
        return graph
    opener = _Opener(graph, context.trial(graph, batch))
    for node in graph.nodes:
        rule = _RULES.get(node.op, _keep_one_row if entry_of(node).elementwise else None)
        opener.add(rule(opener, node) if rule else node)
    if batch == 1 and opener.nodes == graph.nodes:
        return graph
    notes = [*graph.notes, f"The batch axis was fixed to {batch}; it is open now."]
    return graph.rewritten(opener.nodes, opener.constants, notes=notes)


class _Opener(Builder):
    """Writes the nodes again.

    Args:
        graph: Graph in its own operators.
        trial: What a run at the batch size that it was exported for shows.
    """

    def __init__(self, graph: Graph, trial: Trial) -> None:
        super().__init__("open_batch", graph.names)
        self.batch = trial.batch
        self.values = trial.values
        self.given = graph.constants
        self._trial = trial

    def varies(self, name: str) -> bool:
        """Whether a tensor depends on the inputs."""
        return name not in self._trial.independent

    def shape(self, name: str) -> tuple[int, ...]:
        """Shape of a tensor, batch included; none for what is no tensor."""
        return self._trial.shapes.get(name, ())

    def has_batch(self, name: str) -> bool:
        """Whether the first axis of a tensor has the size of the batch."""
        return self.shape(name)[:1] == (self.batch,)

    def is_repeated(self, name: str) -> bool:
        """Whether a tensor does not depend on the inputs and is equal for all samples."""
        value = self.values.get(name)
        return value is not None and self.has_batch(name) and bool((value == value[:1]).all())


def _open_target(opener: _Opener, node: Node) -> Node:
    """Let a Reshape or an Expand leave the batch as it is."""
    source = node.inputs[0]
    if source in opener.given or not (opener.has_batch(source) and opener.has_batch(node.output)):
        return node
    target = [-1 if node.op == "Reshape" else 1, *opener.shape(node.output)[1:]]
    name = opener.store(np.array(target, np.int64), f"{node.output}/open_shape")
    return replace(node, inputs=(source, name))


def _open_sizes(opener: _Opener, node: Node) -> Node:
    """Let a Resize to given sizes take the batch from its data."""
    source, *_ = node.inputs
    if len(node.inputs) < 4 or not node.inputs[3] or node.attributes.get("axes"):
        return node
    if not (opener.has_batch(source) and opener.has_batch(node.output)):
        return node
    sizes = _with_batch_of(opener, source, opener.shape(node.output)[1:])
    return replace(node, inputs=(*node.inputs[:3], sizes))


def _repeat_constants(opener: _Opener, node: Node) -> Node:
    """Repeat constants for each sample of the data that a Concat joins them with."""
    data = next((name for name in node.inputs if opener.varies(name)), None)
    if data is None or not opener.has_batch(data):
        return node
    if node.attributes.get("axis", 1) % len(opener.shape(data)) == 0:
        return node
    inputs = list(node.inputs)
    for index, name in enumerate(inputs):
        if opener.is_repeated(name):
            value = opener.values[name]
            target = _with_batch_of(opener, data, value.shape[1:])
            inputs[index] = opener.emit("Expand", value[:1], target)
    return replace(node, inputs=tuple(inputs))


def _repeat_lengths(opener: _Opener, node: Node) -> Node:
    """Repeat the lengths of sequences, where they are equal, for each sample of the data."""
    data, lengths = node.inputs
    if not opener.is_repeated(lengths) or not opener.has_batch(data):
        return node
    target = _with_batch_of(opener, data, ())
    return replace(node, inputs=(data, opener.emit("Expand", opener.values[lengths][:1], target)))


def _keep_one_row(opener: _Opener, node: Node) -> Node:
    """Let broadcasting repeat a constant operand for each sample."""
    rank = len(opener.shape(node.output))
    whole = [name for name in node.inputs if len(opener.shape(name)) == rank]
    if not any(opener.varies(name) and opener.has_batch(name) for name in whole):
        return node
    inputs = [
        opener.store(opener.values[name][:1], f"{node.output}/row_{index}")
        if name in whole and opener.batch > 1 and opener.is_repeated(name)
        else name
        for index, name in enumerate(node.inputs)
    ]
    return replace(node, inputs=tuple(inputs))


def _with_batch_of(opener: _Opener, data: str, rest: tuple[int, ...]) -> str:
    """Write the shape that has the batch size of some data, and the rest as given."""
    full = opener.emit("Shape", data)
    batch = opener.emit("Gather", full, np.array([0], np.int64), axis=0)
    return opener.emit("Concat", batch, np.array(rest, np.int64), axis=0)


_RULES = {
    "Concat": _repeat_constants,
    "Expand": _open_target,
    "Reshape": _open_target,
    "Resize": _open_sizes,
    "ReverseSequence": _repeat_lengths,
}
