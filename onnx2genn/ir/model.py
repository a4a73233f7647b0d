"""A model that can be converted: its canonical graph, cut at its activations."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import onnx

from onnx2genn.ir.front import Front
from onnx2genn.ir.graph import Graph, Shape, live, to_onnx
from onnx2genn.ir.outputs import behind, separate_outputs
from onnx2genn.ir.partition import Partition
from onnx2genn.ir.ports import without_stacks
from onnx2genn.ir.preprocessing import AS_IT_IS, Preprocessing
from onnx2genn.ir.run import Runner, samples_at_once

_BATCH = 50
_CACHE = 2**20  # bytes of the largest tensor: what is before and behind it needs room, too


@dataclass(frozen=True, kw_only=True)
class Model:
    """A model that can be converted.

    Attributes:
        graph: Canonical graph; what onnxruntime computes with it is the ANN's answer. It has one
            input, which joins those of a model with several.
        entries: The model's inputs with their shapes, batch axis left out.
        parts: Its populations and segments.
        error: Largest relative difference to the file, over all tensors that both have.
        limits: What the file clips its inputs to, by name: its quantisation has this range.
        trace: What each pass did, a line for each.
        front: What comes before it, computed when samples are prepared; None if that is nothing.
        preprocessing: What is done to samples; all but the size of images is in the graph, as its
            first operators.
        verify: Compares a graph with the file on samples by name; None once it has been done with
            those that the network is calibrated on.
    """

    graph: Graph
    entries: Mapping[str, Shape]
    parts: Partition
    error: float
    limits: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    trace: tuple[str, ...] = ()
    front: Front | None = None
    preprocessing: Preprocessing = AS_IT_IS
    verify: Callable[[Graph, Mapping[str, np.ndarray]], float] | None = None

    @property
    def taken(self) -> Mapping[str, Shape]:
        """What samples are of: the inputs of the file, even where the network starts later."""
        return self.entries if self.front is None else self.front.entries

    def to_onnx(self, extra_outputs: Sequence[str] = ()) -> onnx.ModelProto:
        """Write the canonical graph as a model.

        Args:
            extra_outputs: Tensors that become outputs, too.
        """
        names: dict[str, Shape | None] = dict.fromkeys([*self.graph.outputs, *extra_outputs])
        graph = self.graph
        nodes = without_stacks(graph.nodes, graph.constants, graph.shapes, names)
        nodes, constants = live(nodes, graph.constants, names)
        return to_onnx(nodes, constants, graph.inputs, names, name=graph.name)

    def runner(self, tensors: Sequence[str], *, threads: int = 0) -> Runner:
        """Run the ANN for some of its tensors, of which the input may be one.

        Args:
            tensors: Their names.
            threads: Threads within an operator; 0 takes one per core.
        """
        computed = [name for name in tensors if name not in self.graph.inputs]
        return Runner(self.to_onnx(computed), tensors, threads=threads)

    @cached_property
    def _heads(self) -> Runner:
        """Runs what comes after the readout."""
        graph, readout = self.graph, self.parts.readout
        nodes = behind(graph, readout.target)
        _, constants = live(nodes, graph.constants, graph.outputs)
        entry, names = {readout.target: readout.shape}, [item.name for item in self.parts.outputs]
        model = to_onnx(
            nodes, constants, entry, {name: None for name in names if name not in entry}
        )
        return Runner(model, names)

    def with_heads(self, readout: np.ndarray) -> dict[str, np.ndarray]:
        """Return the outputs [N, ...] by name that the model has where its readout is this one.

        Args:
            readout: What is before the heads, [N, ...]: the logits.
        """
        target, outputs = self.parts.readout.target, self.parts.outputs
        if not any(item.heads for item in outputs):
            return separate_outputs(outputs, readout)
        return self._heads({target: readout})

    @cached_property
    def samples_in_cache(self) -> int:
        """Samples at a time with which a network between its activations is computed fastest.

        They are so few that the largest tensor stays in a cache while it is rounded; but not so
        few that loading the weights takes longer than the activations.
        """
        sizes = [4 * int(np.prod(item.shape)) for item in self.parts.populations]
        weights = sum(array.nbytes for array in self.graph.constants.values())
        largest, activations = max(sizes, default=1), max(sum(sizes), 1)
        return max(1, _CACHE // max(largest, 1), weights // activations)

    def summed(self, samples: np.ndarray) -> np.ndarray:
        """Return samples [N, *shape] as the ANN sees them: of events the sum over time.

        Args:
            samples: Samples of the one input, or counts of events, [N, T, *shape].
        """
        (shape,) = self.graph.inputs.values()
        if samples.ndim == len(shape) + 2:
            return samples.sum(axis=1, dtype=np.float32)
        return samples

    def activations(
        self, tensors: Sequence[str], samples: np.ndarray, most: int = _BATCH
    ) -> Iterator[dict[str, np.ndarray]]:
        """Run the ANN for some of its tensors, as many samples at a time as fit into memory.

        Args:
            tensors: Tensors to return; the input may be one.
            samples: Samples [N, ...] of the one input, or events, [N, T, ...].
            most: Most samples at a time.
        """
        (entry,) = self.graph.inputs
        feeds = {entry: np.ascontiguousarray(self.summed(samples), np.float32)}
        return self.runner(tensors).batches(feeds, self.samples_that_fit(tensors, most))

    def samples_that_fit(self, tensors: Sequence[str], most: int) -> int:
        """Return of how many samples some tensors, and the input, fit into memory.

        Args:
            tensors: Their names.
            most: Largest answer.
        """
        names = {*self.graph.inputs, *tensors}
        return samples_at_once(sum(int(np.prod(self.graph.shapes[name])) for name in names), most)
