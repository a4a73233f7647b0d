"""The steps of a Loop or a Scan, written one after the other."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import onnx
from onnx import helper, numpy_helper

from onnx2genn.frontend.subgraphs import free, renamed

_AXES_ARE_INPUTS = 13


@dataclass
class Steps:
    """Writes the steps of a node.

    Attributes:
        node: The node.
        body: What it does in each step.
        opset: Version of the standard operators.
        taken: Names of the graph around it.
        found: What was written.
    """

    node: onnx.NodeProto
    body: onnx.GraphProto
    opset: int
    taken: Collection[str]
    found: onnx.GraphProto = field(default_factory=onnx.GraphProto)

    def __post_init__(self) -> None:
        self.scope = self.node.name or self.node.output[0]
        self.shared: dict[str, str] = {}
        for tensor in self.body.initializer:
            self.shared[tensor.name] = free(f"{self.scope}/{tensor.name}", self.taken)
            self.found.initializer.add().CopyFrom(tensor)
            self.found.initializer[-1].name = self.shared[tensor.name]

    def constant(self, role: str, value: np.ndarray) -> str:
        """Write a constant; return its name."""
        name = free(f"{self.scope}/{role}", self.taken)
        self.found.initializer.append(numpy_helper.from_array(value, name))
        return name

    def emit(
        self, op: str, inputs: Sequence[str], role: str, output: str = "", **given: Any
    ) -> str:
        """Write a node of one output; return the name of that."""
        name = output or free(f"{self.scope}/{role}", self.taken)
        self.found.node.append(helper.make_node(op, inputs, [name], name=name, **given))
        return name

    def step(self, index: int, inputs: Mapping[str, str]) -> list[str]:
        """Write a step; return what the outputs of the body are called in it.

        Args:
            index: Which step it is.
            inputs: What its inputs are called around it.
        """
        names = {
            name: free(f"{self.scope}/{index}/{name}", self.taken)
            for node in self.body.node
            for name in node.output
            if name
        }
        names |= {**self.shared, **inputs}
        nodes = renamed(self.body.node, names)
        for node in nodes:
            node.name = f"{self.scope}/{index}/{node.name or node.output[0]}"
        self.found.node.extend(nodes)
        return [names.get(info.name, info.name) for info in self.body.output]

    def stacked(self, parts: Sequence[str], output: str, axis: int = 0) -> None:
        """Write what each step gives, along a new axis."""
        rows, given = [], list[str]()
        options: dict[str, Any] = {}
        if self.opset >= _AXES_ARE_INPUTS:
            given = [self.constant(f"{output}/axis", np.array([axis], np.int64))]
        else:
            options = {"axes": [axis]}
        for index, part in enumerate(parts):
            rows.append(self.emit("Unsqueeze", [part, *given], f"{output}/{index}", **options))
        self.emit("Concat", rows, "", output, axis=axis)

    def ended(self, carried: Sequence[str]) -> onnx.GraphProto:
        """Give what was carried through all steps the names of the node's outputs."""
        for source, name in zip(carried, self.node.output, strict=False):
            if name:
                self.emit("Identity", [source], "", name)
        return self.found
