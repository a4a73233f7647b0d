"""What the file computes, which everything that is made of it is compared with."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from onnx import helper

from onnx2genn.errors import Problem, UnsupportedModelError
from onnx2genn.frontend.context import Rounding
from onnx2genn.frontend.probe import random_inputs
from onnx2genn.ir.graph import Graph, Node
from onnx2genn.ir.run import Runner, samples_at_once

_MOST_SAMPLES, _FEWEST_SAMPLES = 12, 3
_TENSORS = 200  # as many as an input's size, all activations of a usual network together
_INDEXED = {"Gather", "GatherElements", "GatherND", "OneHot", "ScatterElements", "ScatterND"}
_ROUNDING_ERROR = 1.01

Values = Mapping[str, np.ndarray]


@dataclass(frozen=True, kw_only=True)
class Reference:
    """The file in its own operators, ready to run.

    Attributes:
        graph: The file as a graph; one with operators that onnxruntime lacks is taken after these
            have been expanded.
        input_types: ONNX element types of the inputs.
        batch: The batch size that the file is fixed to; None if it is open.
    """

    graph: Graph
    input_types: Mapping[str, int]
    batch: int | None

    @cached_property
    def _runner(self) -> Runner:
        return Runner.of(self.graph, input_types=self.input_types)

    def values(self, feeds: Values) -> dict[str, np.ndarray]:
        """Return every tensor for inputs [N, ...] by name.

        Where N is a multiple of the file's own batch size, those without a batch are left out.
        """
        count = len(next(iter(feeds.values())))
        # Of inputs that are not given, the graph reads the shape alone.
        given = {
            name: feeds.get(name, np.zeros((count, *shape)))
            for name, shape in self.graph.inputs.items()
        }
        typed = {
            name: np.asarray(array).astype(helper.tensor_dtype_to_np_dtype(self.input_types[name]))
            for name, array in given.items()
        }
        parts = list(self._runner.batches(typed, self.batch or count))
        if len(parts) == 1:
            return {**typed, **parts[0]}
        joined = {
            name: np.concatenate([part[name] for part in parts])
            for name, value in parts[0].items()
            if np.shape(value)[:1] == (self.batch,)
        }
        return {**typed, **joined}

    def draws(self) -> dict[str, np.ndarray]:
        """Make inputs of both signs: a third in 0..1, the rest up to 1 and up to 3 in magnitude."""
        size = sum(int(np.prod(shape)) for shape in self.graph.inputs.values())
        count = max(_FEWEST_SAMPLES, samples_at_once(_TENSORS * size, _MOST_SAMPLES))
        count = -(-count // (self.batch or 1)) * (self.batch or 1)
        drawn = random_inputs(self.graph, count, self.input_types)
        for name, array in drawn.items():
            reach = np.arange(count).reshape(-1, *[1] * (array.ndim - 1)) % 3
            if array.dtype.kind == "f":
                signed = (2 * array - 1) * np.where(reach == 1, 1, 3)
                drawn[name] = np.where(reach == 0, array, signed).astype(array.dtype)
            elif array.dtype.kind == "i" and not _is_index(self.graph, name):
                drawn[name] = np.where(reach == 1, -array, array)
        return drawn

    def without_roundings(self, graph: Graph, roundings: Mapping[str, Rounding]) -> Reference:
        """Take a graph that lost roundings for the reference, once that is proven to be right.

        Each pair that is gone has to be within one step of what took its place, on the values that
        the file computes; with the file's values in the places of the pairs, all else is equal.

        Args:
            graph: The file without some pairs of QuantizeLinear and DequantizeLinear.
            roundings: The pairs, by the tensor that they end in.

        Raises:
            UnsupportedModelError: A tensor differs; the message names the first.
        """
        feeds = self.draws()
        wanted = self.values(feeds)
        shapes = {name: wanted[name].shape[1:] for name in roundings}
        cut, unrounded = _cut(graph, shapes)
        types = {name: helper.np_dtype_to_tensor_dtype(wanted[name].dtype) for name in cut.inputs}
        got = Reference(graph=cut, input_types=types, batch=self.batch).values(wanted)
        for node in self.graph.nodes:
            for name in node.outputs:
                if name in roundings:
                    found = [roundings[name].of(wanted[roundings[name].source])]
                    # The ranges of inputs and of the output are not part of the graph.
                    if name != graph.output and roundings[name].source not in graph.inputs:
                        found.append(got[unrounded[name]])
                    self._require_within(roundings[name].step, name, wanted[name], found)
                elif name in got and name in wanted:
                    self._require_within(0.0, name, wanted[name], [got[name]])
        return replace(self, graph=graph)

    def _require_within(
        self, step: float, name: str, wanted: np.ndarray, found: list[np.ndarray]
    ) -> None:
        for array in found:
            if not (np.abs(array - wanted.astype(np.float64)) <= _ROUNDING_ERROR * step).all():
                raise mismatch(self.graph, name, "by more than a step of its quantisation")


def mismatch(graph: Graph, name: str, difference: str) -> UnsupportedModelError:
    """Describe a tensor that differs from the file's.

    Args:
        graph: The file.
        name: The tensor.
        difference: By how much it differs.
    """
    source = graph.producers.get(name, Node(op="output", inputs=(), outputs=(name,), name=name))
    return UnsupportedModelError(
        "The converted graph does not compute what the model computes.",
        [
            Problem(
                node=source.name,
                operator=source.operator,
                reason=f"its output {name!r} differs {difference}.",
                advice="This is an error of onnx2genn: please report it with the model.",
            )
        ],
    )


def _is_index(graph: Graph, name: str) -> bool:
    """Whether whole numbers choose elements of something."""
    readers = graph.consumers.get(name, [])
    return any(
        node.op in _INDEXED or (node.op == "Cast" and _is_index(graph, node.output))
        for node in readers
    )


def _cut(graph: Graph, shapes: Mapping[str, tuple[int, ...]]) -> tuple[Graph, dict[str, str]]:
    """Let a graph read some of its tensors as inputs; return what it makes in their place."""
    names = {name: f"{name}/unrounded" for name in shapes}
    nodes = [
        replace(node, outputs=tuple(names.get(name, name) for name in node.outputs))
        for node in graph.nodes
    ]
    return replace(graph, nodes=nodes, inputs={**graph.inputs, **shapes}), names
