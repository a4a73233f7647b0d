"""Change a list of nodes by rules that look at one node at a time."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping

import numpy as np

from onnx2genn.ir.builder import Builder
from onnx2genn.ir.graph import Constants, Node, Shape


class Editor(Builder):
    """Nodes under change; only tensors with one reader may vanish.

    Attributes:
        edited: The nodes before the one that a rule looks at, by their outputs; all nodes between
            two rules.
        constants: The constants that they read; those that nothing reads any longer go.
        shapes: Shape of every tensor, batch axis left out.

    Args:
        nodes: Nodes in topological order.
        constants: Fixed tensors.
        shapes: Shapes of all tensors that depend on the inputs, batch axis left out.
        kept: Tensors that must stay.
    """

    def __init__(
        self,
        nodes: Iterable[Node],
        constants: Constants,
        shapes: Mapping[str, Shape],
        kept: Iterable[str],
    ) -> None:
        super().__init__("edited", shapes.keys())
        self.edited = {node.output: node for node in nodes}
        self.constants = dict(constants)
        self.shapes = dict(shapes)
        self._kept = set(kept)
        self._readers = Counter(name for node in self.edited.values() for name in node.inputs)
        self._dropped: list[Node] = []

    def apply(self, rule: Callable[[Editor, Node], bool]) -> None:
        """Apply a rule to every node, and to those that it writes itself.

        Args:
            rule: Looks at a node, whose producers :meth:`producer` gives. It returns False, or it
                writes what takes the node's place, drops producers that are needed no more, and
                returns True.
        """
        pending = list(self.edited.values())[::-1]
        self.edited = {}
        while pending:
            node = pending.pop()
            if not rule(self, node):
                self.edited[node.output] = node
                continue
            self._readers.update(name for item in self.nodes for name in item.inputs)
            for item in (node, *self._dropped):
                self._forget(item)
            pending += self.nodes[::-1]
            self.nodes, self._dropped = [], []

    def producer(self, name: str) -> Node | None:
        """Return the node that computes a tensor if nobody else needs that tensor."""
        if name in self._kept or self._readers[name] != 1:
            return None
        return self.edited.get(name)

    def drop(self, *nodes: Node) -> None:
        """Remove producers of the node that the rule looks at."""
        for node in nodes:
            del self.edited[node.output]
        self._dropped += nodes

    def fixed(self, node: Node, position: int = 1) -> np.ndarray | None:
        """Return a constant input of a node; None if there is no such input or it is none."""
        return self.constants.get(node.inputs[position]) if len(node.inputs) > position else None

    def store(self, array: np.ndarray | np.generic, name: str) -> str:
        """Store a constant as float32, without a copy if it is that already."""
        return super().store(np.asarray(array, np.float32), name)

    def scale(self, source: str, factor: np.ndarray, output: str) -> str:
        """Write ``output = source * factor`` and return its name."""
        self.shapes.setdefault(output, self.shapes[source])
        stored = self.store(factor, f"{output}/factor")
        return self.emit("Mul", source, stored, output=output, name=stored)

    def _forget(self, node: Node) -> None:
        self._readers.subtract(node.inputs)
        for name in node.inputs:
            if not self._readers[name]:
                self.constants.pop(name, None)
