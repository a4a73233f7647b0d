"""A small in-memory form of an ONNX graph, and the way back to ONNX."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np
import onnx
from onnx import helper, numpy_helper

CANONICAL_OPSET = 21
_IR_VERSION = 10

Shape = tuple[int, ...]
Constants = Mapping[str, np.ndarray]


@dataclass(frozen=True, kw_only=True, slots=True)
class Node:
    """One operator: ``outputs = op(*inputs, **attributes)``; a left-out input is ``""``.

    A node of several operators that are one function has them as its ``body``.
    """

    op: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    attributes: Mapping[str, Any] = field(default_factory=dict)
    name: str = ""
    domain: str = ""
    body: tuple[Node, ...] = ()

    @property
    def output(self) -> str:
        """The first output, for the many operators that have one."""
        return self.outputs[0]

    def renamed(self, names: Mapping[str, str]) -> Node:
        """Copy it with other names for some of its tensors, those in its body included."""
        return replace(
            self,
            inputs=tuple(names.get(name, name) for name in self.inputs),
            outputs=tuple(names.get(name, name) for name in self.outputs),
            body=tuple(item.renamed(names) for item in self.body),
        )

    @property
    def branches(self) -> bool:
        """Whether it runs graphs of its own, as If and Loop, which may read any tensor."""
        return any(isinstance(value, onnx.GraphProto) for value in self.attributes.values())

    @property
    def operator(self) -> str:
        """Operator with its domain, where that is not the standard one."""
        return f"{self.domain}.{self.op}" if self.domain else self.op


@dataclass(frozen=True, kw_only=True)
class Graph:
    """A feed-forward graph whose tensors all have the batch as their first axis.

    It does not change: a rewrite makes another one.

    Attributes:
        inputs: Graph inputs with their shapes, batch axis left out.
        output: Name of the output tensor, the first one if there are several.
        nodes: Nodes in topological order.
        constants: Weights and other fixed tensors by name.
        shapes: Shape of every tensor that depends on the inputs, batch axis left out.
        types: Element types of the same tensors in the model's own operators; none where all is
            float32.
        opset: Version of the standard operators that ``nodes`` are written in.
        imports: Versions of other operator domains.
        notes: What was changed on the way and a user should know.
        further: Names of the other output tensors.
    """

    inputs: dict[str, Shape]
    output: str
    nodes: list[Node]
    constants: dict[str, np.ndarray]
    shapes: dict[str, Shape] = field(default_factory=dict)
    types: Mapping[str, np.dtype] = field(default_factory=dict)
    opset: int = CANONICAL_OPSET
    imports: dict[str, int] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    name: str = "network"
    further: tuple[str, ...] = ()

    @property
    def outputs(self) -> tuple[str, ...]:
        """All output tensors."""
        return (self.output, *self.further)

    @cached_property
    def producers(self) -> dict[str, Node]:
        """The node that computes each tensor."""
        return {output: node for node in self.nodes for output in node.outputs if output}

    @cached_property
    def consumers(self) -> dict[str, list[Node]]:
        """The nodes that read each tensor."""
        readers: dict[str, list[Node]] = defaultdict(list)
        for node in self.nodes:
            for name in dict.fromkeys(node.inputs):
                if name:
                    readers[name].append(node)
        return readers

    @cached_property
    def names(self) -> set[str]:
        """All its tensors: inputs, constants and what the nodes compute."""
        return {*self.inputs, *self.constants, *self.producers}

    def rewritten(
        self, nodes: Iterable[Node], constants: Constants | None = None, **changes: Any
    ) -> Graph:
        """Return a graph of other nodes, with further constants and other changes of its fields."""
        return replace(
            self, nodes=list(nodes), constants={**self.constants, **(constants or {})}, **changes
        )

    def only_live(self) -> Graph:
        """Return the graph without what no output needs; itself if all is needed."""
        nodes, constants = live(self.nodes, self.constants, self.outputs)
        read = {name for node in nodes for name in node.inputs}.union(self.outputs)
        inputs = {name: shape for name, shape in self.inputs.items() if name in read}
        kept = len(nodes) + len(constants) + len(inputs)
        if kept == len(self.nodes) + len(self.constants) + len(self.inputs):
            return self
        return replace(self, inputs=inputs, nodes=nodes, constants=constants)


def live(
    nodes: Sequence[Node], constants: Constants, wanted: Iterable[str]
) -> tuple[list[Node], dict[str, np.ndarray]]:
    """Keep the nodes and constants that lead to the wanted tensors.

    Args:
        nodes: Nodes in topological order.
        constants: Fixed tensors.
        wanted: Names of the tensors to keep.
    """
    needed = set(wanted)
    kept = []
    for node in reversed(nodes):
        if needed.intersection(node.outputs):
            kept.append(node)
            needed.update(node.inputs)
    return kept[::-1], {name: array for name, array in constants.items() if name in needed}


def to_onnx(
    nodes: Sequence[Node],
    constants: Constants,
    inputs: Mapping[str, Shape],
    outputs: Mapping[str, Shape | None],
    *,
    opset: int = CANONICAL_OPSET,
    imports: Mapping[str, int] | None = None,
    batch: int | str = "batch",
    input_types: Mapping[str, int] | None = None,
    fed: Constants | None = None,
    name: str = "network",
) -> onnx.ModelProto:
    """Write nodes as an ONNX model.

    Args:
        nodes: Nodes in topological order.
        constants: Initializers, all kept as given.
        inputs: Graph inputs with shapes, batch axis left out.
        outputs: Graph outputs with shapes; None leaves type and shape to be inferred.
        opset: Version of the standard operators.
        imports: Versions of other operator domains.
        batch: Size or symbol of the batch axis.
        input_types: ONNX element types of inputs that are not float32.
        fed: Fixed tensors that are given when the model runs: inputs without a batch axis.
        name: Name of the graph.
    """
    types = input_types or {}
    graph = helper.make_graph(
        [_node_proto(item) for node in nodes for item in (node.body or (node,))],
        name,
        [
            helper.make_tensor_value_info(
                key, types.get(key, onnx.TensorProto.FLOAT), [batch, *shape]
            )
            for key, shape in inputs.items()
        ]
        + [
            helper.make_tensor_value_info(
                key, helper.np_dtype_to_tensor_dtype(array.dtype), array.shape
            )
            for key, array in (fed or {}).items()
        ],
        [_output_info(key, shape, batch) for key, shape in outputs.items()],
        [numpy_helper.from_array(array, key) for key, array in constants.items()],
    )
    domains = {"": opset, **(imports or {})}
    return helper.make_model(
        graph,
        opset_imports=[helper.make_opsetid(domain, version) for domain, version in domains.items()],
        ir_version=_IR_VERSION,
        producer_name="onnx2genn",
    )


def _output_info(name: str, shape: Shape | None, batch: int | str) -> onnx.ValueInfoProto:
    if shape is None:
        return helper.make_empty_tensor_value_info(name)
    return helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, [batch, *shape])


def _node_proto(node: Node) -> onnx.NodeProto:
    return helper.make_node(
        node.op,
        node.inputs,
        node.outputs,
        name=node.name,
        domain=node.domain or None,
        **{key: value for key, value in node.attributes.items() if not _is_empty(value)},
    )


def _is_empty(value: Any) -> bool:
    """Whether a value is a list without elements, whose type onnx cannot tell."""
    return isinstance(value, list | tuple) and not value
