"""Write a graph again with the batch taken out of its place in a tensor and put first."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from math import prod

import numpy as np

from onnx2genn.frontend.probe import Trial
from onnx2genn.ir.builder import Builder
from onnx2genn.ir.graph import Graph, Node


@dataclass(frozen=True, slots=True)
class Place:
    """Where the batch is in a tensor: in an axis of size outer * batch * inner."""

    axis: int = 0
    outer: int = 1
    inner: int = 1


FIRST = Place()


class Lost(Exception):
    """Samples mix, or the operator has no rule."""


class BatchMover(Builder):
    """Writes the nodes again, with a tensor T' for each tensor T without the batch first.

    Attributes:
        places: Where the batch is in each tensor that depends on the inputs.
        moved: The name of T' for tensors T that do not have it first. Nodes of such T stay, too:
            some read their shapes only.

    Args:
        graph: Graph in its own operators.
        trial: What a run of it shows.
    """

    def __init__(self, graph: Graph, trial: Trial) -> None:
        super().__init__("batch_first", graph.names)
        self.places = dict.fromkeys(graph.inputs, FIRST)
        self.moved: dict[str, str] = {}
        self._trial = trial

    def shape(self, name: str) -> tuple[int, ...]:
        """Shape of a tensor T, batch included; sequences have none."""
        if name not in self._trial.shapes:
            raise Lost
        return self._trial.shapes[name]

    def value(self, name: str) -> np.ndarray:
        """Value of a tensor that does not depend on the inputs."""
        if name not in self._trial.values:
            raise Lost
        return self._trial.values[name]

    def data(self, node: Node) -> list[str]:
        """Inputs of a node that depend on those of the graph."""
        return [name for name in node.inputs if name and name not in self._trial.independent]

    def move(
        self, node: Node, rule: Rule | None, *, always: bool, broadcasts: bool = False
    ) -> None:
        """Write a node, with T' for each of its outputs T that does not have the batch first.

        Args:
            node: The next node of the graph.
            rule: Writes the node for T' in terms of T, and returns the place of the batch in the
                outputs; None if the operator has none.
            always: Whether the batch may move where all inputs have it first.
            broadcasts: Whether the inputs may have it in different places.
        """
        data = self.data(node)
        places = {self.places[name] for name in data}
        if not data or self._trial.independent >= set(node.outputs):
            self.add(node)
            return
        if places == {FIRST} and not always and (not broadcasts or self._stays(node)):
            self._keep(node)
            return
        if (len(places) > 1 and not broadcasts) or rule is None or node.domain:
            raise Lost
        place = next(iter(places))
        start = len(self.nodes)
        after = rule(self, node, place)
        written, self.nodes = self.nodes[start:], self.nodes[:start]
        if after == FIRST == place:
            self._keep(node)
        elif after == FIRST:
            self._end(node, written)
        else:
            self._go_on(node, written)
        self.places |= dict.fromkeys(filter(None, node.outputs), after)

    def _keep(self, node: Node) -> None:
        if not self._stays(node):
            raise Lost
        self.add(node)
        self.places |= dict.fromkeys(filter(None, node.outputs), FIRST)

    def _stays(self, node: Node) -> bool:
        """Whether the first axis of all outputs has the size of the batch."""
        shapes = [self.shape(name) for name in node.outputs if name]
        return all(shape[:1] == (self._trial.batch,) for shape in shapes)

    def _go_on(self, node: Node, written: Sequence[Node]) -> None:
        names = {name: f"{name}/batch_first" for name in node.outputs if name}
        self.moved |= names
        self.add(replace(node, name=f"{node.name}/batch_within"))
        for item in written:
            self._add_moved(item, names)

    def _end(self, node: Node, written: Sequence[Node]) -> None:
        """Write T itself, without the axis of one element in the place of the batch."""
        names = {name: f"{name}/batch_first" for name in node.outputs if name}
        for item in written:
            self._add_moved(item, names)
        for name, source in names.items():
            target = np.array([0, *self.shape(name)[1:]], np.int64)
            self.emit("Reshape", source, target, output=name, name=source)

    def _add_moved(self, node: Node, outputs: Mapping[str, str]) -> None:
        sources = {**self.moved, **outputs}
        self.add(
            replace(
                node,
                inputs=tuple(sources.get(name, name) for name in node.inputs),
                outputs=tuple(outputs.get(name, name) for name in node.outputs),
            )
        )

    def find(self, place: Place, before: Sequence[int], after: Sequence[int]) -> Place:
        """Find the batch in a new shape of the same elements."""
        left = prod(before[: place.axis]) * place.outer
        found = []
        for axis, size in enumerate(after):
            outer, rest = divmod(left, prod(after[:axis]) or 1)
            if outer and not rest and size % (outer * self._trial.batch) == 0:
                found.append(Place(axis, outer, size // (outer * self._trial.batch)))
        if not found:
            raise Lost
        return min(found, key=lambda item: item.outer * item.inner)

    def without_batch(self, name: str, place: Place) -> list[int]:
        """Shape of T' behind its first axis."""
        sizes = list(self.shape(name))
        sizes[place.axis] //= self._trial.batch
        return sizes

    def refuse(self, *mixing: bool) -> None:
        """Give up if samples mix; those of a batch of one cannot, wherever it is."""
        if self._trial.batch > 1 and any(mixing):
            raise Lost


Rule = Callable[[BatchMover, Node, Place], Place]
