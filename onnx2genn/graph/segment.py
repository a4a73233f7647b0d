"""The affine map between two populations."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
import onnx

from onnx2genn.graph.fold import fold
from onnx2genn.graph.model import Node, Shape, to_onnx


@dataclass(frozen=True, kw_only=True, slots=True)
class Segment:
    """An affine map ``f(x) = A x + b`` from one or more source tensors to a target tensor.

    Attributes:
        sources: Tensors that it starts from: network inputs and outputs of populations.
        target: Tensor that it computes.
        nodes: Affine canonical nodes in topological order; none if the target is the source.
        constants: Weights of those nodes.
        shapes: Shapes of all tensors, batch axis left out.
    """

    sources: tuple[str, ...]
    target: str
    nodes: tuple[Node, ...]
    constants: Mapping[str, np.ndarray]
    shapes: Mapping[str, Shape]

    @property
    def shape(self) -> Shape:
        """Shape of the target, batch axis left out."""
        return self.shapes[self.target]

    def to_onnx(self) -> onnx.ModelProto:
        """Write the segment as a model from its sources to its target."""
        nodes, output = list(self.nodes), self.target
        if self.target in self.sources:
            output = f"{self.target}/copy"
            nodes = [Node(op="Identity", inputs=(self.target,), outputs=(output,))]
        return to_onnx(
            nodes,
            self.constants,
            {name: self.shapes[name] for name in self.sources},
            {output: self.shape},
        )

    def in_units(self, source_units: Mapping[str, np.ndarray], target_unit: np.ndarray) -> Segment:
        """Return ``g(n) = f(u n) / v``: the same map between counts of spikes.

        This is data-based weight normalisation (Diehl et al. 2015; Rueckauer et al. 2017): with u
        and v the values of one spike of the sources and of the target, a neuron with threshold 1
        that receives g of its sources' spikes fires as one with threshold v that receives f of
        their values. The factors are folded into the weights wherever that is exact.

        Args:
            source_units: Value of one spike of each source; broadcasts to the source's shape.
                Sources that are not named keep their unit.
            target_unit: Value of one spike of the target; broadcasts to its shape.
        """
        constants, shapes = dict(self.constants), dict(self.shapes)
        scaled = {name: f"{name}/value" for name in self.sources if name in source_units}
        nodes = [
            _product(name, output, source_units[name], constants, shapes)
            for name, output in scaled.items()
        ]
        inner = scaled.get(self.target, self.target)
        nodes += [
            replace(node, inputs=tuple(scaled.get(name, name) for name in node.inputs))
            for node in self.nodes
        ]
        target = f"{self.target}/units"
        nodes.append(_product(inner, target, 1.0 / target_unit, constants, shapes))
        left, used, shapes = fold(nodes, constants, shapes, [*self.sources, target])
        return replace(self, target=target, nodes=tuple(left), constants=used, shapes=shapes)


def _product(
    source: str,
    output: str,
    factor: np.ndarray,
    constants: dict[str, np.ndarray],
    shapes: dict[str, Shape],
) -> Node:
    """Write ``output = source * factor``; note its constant and its shape."""
    rank = len(shapes[source])
    array = np.asarray(factor, dtype=np.float32)
    name = f"{output}/factor"
    constants[name] = array.reshape(1, *[1] * (rank - array.ndim), *array.shape)
    shapes[output] = shapes[source]
    return Node(op="Mul", inputs=(source, name), outputs=(output,), name=output)
