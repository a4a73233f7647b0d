"""A network as populations of neurons and the affine segments between them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np

from onnx2genn.ir.functions import IDENTITY, MATRICES, is_function
from onnx2genn.ir.graph import Node, Shape, to_onnx
from onnx2genn.ir.outputs import Output
from onnx2genn.ir.run import Runner
from onnx2genn.ir.segment import Segment, narrowed

POOL = "MaxPool"


@dataclass(frozen=True, kw_only=True, slots=True)
class Population:
    """Neurons that take the place of one activation node, or of one max pooling.

    Attributes:
        name: Unique name, a C identifier.
        node: The activation node.
        segment: Affine map that computes its pre-activation. That of a max pooling only moves
            data: each of its outputs is what one neuron sends.
        depth: Populations before it on the longest way from the input.
        constants: Constants of the activation node.
    """

    name: str
    node: Node
    segment: Segment
    depth: int
    constants: Mapping[str, np.ndarray] = field(default_factory=dict)

    @property
    def tensor(self) -> str:
        """ONNX tensor whose values its spikes carry."""
        return self.node.output

    @property
    def shape(self) -> Shape:
        """Shape without the batch axis."""
        return self.segment.shapes[self.tensor]

    @property
    def kind(self) -> str:
        """Operator of the activation."""
        return self.node.op

    @property
    def pools(self) -> bool:
        """Whether it takes the maximum of its sources' counts, and has their thresholds."""
        return self.node.op == POOL

    @property
    def is_function(self) -> bool:
        """Whether it sends a function of what it collected, and not a clipped sum."""
        return is_function(self.node) and self.node.op != IDENTITY

    @property
    def signed(self) -> bool:
        """Whether its spikes carry values from an offset on, and not from 0."""
        return is_function(self.node)

    @property
    def bound(self) -> float | None:
        """Largest value of its activation, m in Clip(x, 0, m); None if there is none."""
        if self.node.op != "Clip":
            return None
        return float(self.constants[self.node.inputs[2]])

    @property
    def measured(self) -> str:
        """Tensor whose values its threshold is chosen from."""
        return self.segment.target if self.kind == "Relu" else self.tensor

    @property
    def multiplies(self) -> bool:
        """Whether it sends the product of two matrices, which are its two ports."""
        return self.node.op == MATRICES

    @property
    def ports(self) -> int:
        """Sums that its neurons collect apart: those that its function is of."""
        if self.multiplies:
            return 2
        apart = len(self.segment.shape) > len(self.shape)
        return self.segment.shape[0] if apart else 1

    @property
    def port_segments(self) -> tuple[Segment, ...]:
        """The map to each port; to a matrix, its elements in a row."""
        if self.ports == 1:
            return (self.segment,)
        return tuple(
            narrowed(self.segment, index, None if self.multiplies else self.shape)
            for index in range(self.ports)
        )

    def function(self, values: np.ndarray) -> np.ndarray:
        """Compute the activation of pre-activations [n, ...]; [n, ports, ...] of several ports."""
        entry, output = self.node.inputs[0], self.tensor
        model = to_onnx([self.node], self.constants, {entry: values.shape[1:]}, {output: None})
        return Runner(model)({entry: values})[output]

    @property
    def synapses(self) -> Segment:
        """Map whose non-zero weights are the synapses to it: those of a pool are its windows."""
        if not self.pools:
            return self.segment
        window = replace(self.node, op="AveragePool", inputs=(self.segment.target,))
        nodes = (*self.segment.nodes, window)
        return replace(self.segment, target=self.tensor, nodes=nodes)


@dataclass(frozen=True, kw_only=True, slots=True)
class Partition:
    """A network as populations and the affine maps between them.

    Attributes:
        inputs: Network inputs with their shapes, batch axis left out.
        populations: In topological order.
        readout: Affine map to the logits.
        depth: Populations on the longest way from the input to the readout.
        outputs: The model's outputs, whose logits lie side by side in the readout.
    """

    inputs: dict[str, Shape]
    populations: tuple[Population, ...]
    readout: Segment
    depth: int
    outputs: tuple[Output, ...]

    @property
    def neurons(self) -> int:
        """Number of neurons of all populations."""
        return sum(int(np.prod(item.shape)) for item in self.populations)
