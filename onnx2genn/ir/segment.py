"""The affine map between two populations."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
import onnx
from numpy.typing import ArrayLike

from onnx2genn.errors import UnsupportedModelError
from onnx2genn.ir.builder import Builder
from onnx2genn.ir.fold import fold
from onnx2genn.ir.graph import Node, Shape, live, to_onnx


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

    def in_units(
        self,
        source_units: Mapping[str, np.ndarray],
        target_unit: np.ndarray,
        *,
        source_offsets: Mapping[str, np.ndarray] | None = None,
        target_offset: np.ndarray | float = 0.0,
    ) -> Segment:
        """Return ``g(n) = (f(u n + o) - p) / v``: the same map between counts of spikes.

        This is data-based weight normalisation (Diehl et al. 2015; Rueckauer et al. 2017): with u
        and v the values of one spike of the sources and of the target, a neuron with threshold 1
        that receives g of its sources' spikes fires as one with threshold v that receives f of
        their values. The factors are folded into the weights wherever that is exact.

        Args:
            source_units: u, value of one spike of each source; broadcasts to the source's shape.
                Sources that are not named keep their unit.
            target_unit: v, value of one spike of the target; broadcasts to its shape.
            source_offsets: o, value of a source that sends no spikes, where it is not 0.
            target_offset: p, value of the target that stands for no spikes.

        Raises:
            UnsupportedModelError: A weight is then too large for a 32-bit float.
        """
        builder = Builder(self.target)

        def write(op: str, source: str, output: str, shape: Shape, operand: ArrayLike) -> str:
            array = np.asarray(operand, np.float32)
            array = array.reshape(1, *[1] * (len(shape) - array.ndim), *array.shape)
            return builder.emit(op, source, array, output=output)

        values = {}
        for name in self.sources:
            if name in source_units:
                unit, shape = source_units[name], self.shapes[name]
                offset = (source_offsets or {}).get(name, np.zeros(()))
                shifted = name
                if np.any(offset):
                    shifted = write("Add", name, f"{name}/count", shape, offset / unit)
                values[name] = write("Mul", shifted, f"{name}/value", shape, unit)
        for node in self.nodes:
            builder.add(replace(node, inputs=tuple(values.get(name, name) for name in node.inputs)))
        target = values.get(self.target, self.target)
        if np.any(target_offset):
            target = write("Add", target, f"{self.target}/rest", self.shape, -target_offset)
        target = write("Mul", target, f"{self.target}/units", self.shape, 1.0 / target_unit)
        shapes = dict(self.shapes)
        for node in builder.nodes:
            shapes.setdefault(node.output, shapes[node.inputs[0]])
        constants = {**self.constants, **builder.constants}
        with np.errstate(over="ignore", invalid="ignore"):
            left, used, shapes = fold(builder.nodes, constants, shapes, [*self.sources, target])
        for name, array in used.items():
            if array.dtype.kind == "f" and not np.isfinite(array).all():
                raise UnsupportedModelError(
                    f"In units of spikes, the weights {name!r} on the way to {self.target!r} are "
                    "beyond the range of 32-bit floats. Look for absurd weights in the model."
                )
        return replace(self, target=target, nodes=tuple(left), constants=used, shapes=shapes)


def narrowed(segment: Segment, port: int, shape: Shape | None) -> Segment:
    """Return the map to one port of neurons that collect several sums.

    Args:
        segment: Map to all ports; its last node joins them.
        port: Number of the port.
        shape: Shape of the neurons, where ports are joined as [ports, *shape]; None where they are
            joined one behind the other.
    """
    producers = {node.output: node for node in segment.nodes}
    name = producers[segment.target].inputs[port]
    before, constants = producers[name], dict(segment.constants)
    if shape is None:
        shape, nodes = segment.shapes[name], segment.nodes
    elif before.op == "Reshape" and segment.shapes[before.inputs[0]] == shape:
        name, nodes = before.inputs[0], segment.nodes
    else:
        target = f"{segment.target}/port_{port}"
        constants[f"{target}/shape"] = np.array([0, *shape], np.int64)
        last = Node(op="Reshape", inputs=(name, f"{target}/shape"), outputs=(target,), name=target)
        name, nodes = target, (*segment.nodes, last)
    kept, used = live(nodes, constants, [name])
    read = {name, *(item for node in kept for item in node.inputs)}
    return Segment(
        sources=tuple(item for item in segment.sources if item in read),
        target=name,
        nodes=tuple(kept),
        constants=used,
        shapes={**segment.shapes, name: shape},
    )
