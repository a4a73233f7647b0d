"""The affine map between two populations."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
import onnx

from onnx2genn.ir.fold import fold
from onnx2genn.ir.graph import Node, Shape, to_onnx


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
        """
        editor = _Chain(dict(self.constants), dict(self.shapes), [])
        scaled = {}
        for name in self.sources:
            if name in source_units:
                shift = (source_offsets or {}).get(name, np.zeros(())) / source_units[name]
                shifted = editor.plus(name, f"{name}/count", shift)
                scaled[name] = editor.times(shifted, f"{name}/value", source_units[name])
        editor.nodes.extend(
            replace(node, inputs=tuple(scaled.get(name, name) for name in node.inputs))
            for node in self.nodes
        )
        rest = editor.plus(
            scaled.get(self.target, self.target), f"{self.target}/rest", -np.asarray(target_offset)
        )
        target = editor.times(rest, f"{self.target}/units", 1.0 / target_unit)
        left, used, shapes = fold(
            editor.nodes, editor.constants, editor.shapes, [*self.sources, target]
        )
        return replace(self, target=target, nodes=tuple(left), constants=used, shapes=shapes)


@dataclass(frozen=True, slots=True)
class _Chain:
    """Nodes under construction, with their constants and shapes."""

    constants: dict[str, np.ndarray]
    shapes: dict[str, Shape]
    nodes: list[Node]

    def times(self, source: str, output: str, factor: np.ndarray) -> str:
        """Write ``output = source * factor``."""
        return self._write("Mul", source, output, factor)

    def plus(self, source: str, output: str, shift: np.ndarray) -> str:
        """Write ``output = source + shift``, or nothing for a shift of zero."""
        return self._write("Add", source, output, shift) if np.any(shift) else source

    def _write(self, op: str, source: str, output: str, operand: np.ndarray) -> str:
        rank = len(self.shapes[source])
        array = np.asarray(operand, dtype=np.float32)
        name = f"{output}/operand"
        self.constants[name] = array.reshape(1, *[1] * (rank - array.ndim), *array.shape)
        self.shapes[output] = self.shapes[source]
        self.nodes.append(Node(op=op, inputs=(source, name), outputs=(output,), name=output))
        return output
