"""The one writer of nodes."""

from __future__ import annotations

from collections.abc import Container, Mapping
from typing import Any

import numpy as np

from onnx2genn.ir.graph import Node


class Builder:
    """Writes nodes, and the constants that they read, under names that are not taken.

    Attributes:
        nodes: What was written, in order.
        constants: The constants that it reads, by name.

    Args:
        scope: Beginning of the names of what gets none of its own.
        taken: Names that exist already.
    """

    def __init__(self, scope: str, taken: Container[str] = ()) -> None:
        self.scope = scope
        self.nodes: list[Node] = []
        self.constants: dict[str, np.ndarray] = {}
        self._taken = taken
        self._written: set[str] = set()

    def emit(
        self,
        op: str,
        *inputs: str | np.ndarray | np.generic,
        output: str | None = None,
        name: str | None = None,
        **attributes: Any,
    ) -> str:
        """Write a node and return the name of its output.

        Args:
            op: Operator in the opset of the graph.
            inputs: Names of tensors, or arrays, which become constants.
            output: Name of the output; a free one if None.
            name: Name of the node; that of its output if None.
            attributes: Attributes of the node; None leaves one out.
        """
        if output is None:
            output = self._free(f"{self.scope}/{op}", len(self._written))
        names = [
            item if isinstance(item, str) else self.store(item, f"{output}/{position}")
            for position, item in enumerate(inputs)
        ]
        given = {key: value for key, value in attributes.items() if value is not None}
        return self.add(
            Node(
                op=op,
                inputs=tuple(names),
                outputs=(output,),
                attributes=given,
                name=output if name is None else name,
            )
        )

    def add(self, node: Node) -> str:
        """Append a node as it is and return the name of its output."""
        self.nodes.append(node)
        self._written.update(node.outputs)
        return node.output

    def store(self, array: np.ndarray | np.generic, name: str) -> str:
        """Store a constant under a name, or under the first free one that begins with it."""
        free = name if self._is_free(name) else self._free(name, 1)
        self.constants[free] = np.asarray(array)
        return free

    def minus(self, a: str, b: str) -> str:
        """Write ``a - b`` and return its name."""
        return self.emit("Add", a, self.emit("Mul", b, np.float32(-1)))

    def rename(self, names: Mapping[str, str]) -> None:
        """Give tensors that were written other names."""
        self.nodes = [node.renamed(names) for node in self.nodes]
        self._written = {names.get(name, name) for name in self._written}

    def _free(self, base: str, index: int) -> str:
        while not self._is_free(name := f"{base}_{index}"):
            index += 1
        return name

    def _is_free(self, name: str) -> bool:
        return not (name in self._written or name in self.constants or name in self._taken)
