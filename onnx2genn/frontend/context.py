"""What passes share while they rewrite a graph."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from onnx2genn.errors import Problem, UnsupportedModelError
from onnx2genn.frontend.probe import BATCHES, Probe, Trial, probe, try_out
from onnx2genn.frontend.rewrite import ADD_NO_BATCH
from onnx2genn.ir.graph import Graph, Node
from onnx2genn.ir.run import Runner

_DYNAMIC_LEVELS = 255


@dataclass(frozen=True, kw_only=True, slots=True)
class Rounding:
    """What a pair of QuantizeLinear and DequantizeLinear does to a tensor.

    It gives ``ratio * clip(x, low, high) + shift`` up to one step; a step of 0 stands for that of
    DynamicQuantizeLinear, 1 / 255 of the range from the least to the largest value and 0.
    ``entering`` says that its range is left to what prepares the samples.
    """

    source: str
    low: float
    high: float
    ratio: float
    shift: float
    step: float
    entering: bool = False

    def step_of(self, values: np.ndarray) -> float:
        """Return the step for these values."""
        if self.step or not values.size:
            return self.step
        return (max(float(values.max()), 0.0) - min(float(values.min()), 0.0)) / _DYNAMIC_LEVELS

    @property
    def range(self) -> tuple[float, float]:
        """What it clips to."""
        return self.low, self.high

    def of(self, values: np.ndarray) -> np.ndarray:
        """Return what it makes of values, without the rounding."""
        return self.ratio * np.clip(values.astype(np.float64), self.low, self.high) + self.shift


@dataclass(kw_only=True)
class Context:
    """How the graph may be run, and what passes found.

    Attributes:
        input_types: ONNX element types of the inputs.
        batch: Batch size that the file is fixed to; None if it is open.
        batches: Batch sizes that are compared to learn shapes.
        problems: Everything that keeps the model from being converted.
        trace: What each pass did.
        roundings: Tensors that lost a rounding, by name.
        limits: What the model clips its inputs to, by name.
        outputs: Names of the outputs of the model that are converted.
        stuck: The node behind which the batch could not be followed; None if it could.
    """

    input_types: Mapping[str, int]
    batch: int | None = None
    batches: tuple[int, int] = BATCHES
    problems: list[Problem] = field(default_factory=list)
    trace: list[str] = field(default_factory=list)
    roundings: dict[str, Rounding] = field(default_factory=dict)
    limits: dict[str, tuple[float, float]] = field(default_factory=dict)
    outputs: tuple[str, ...] = ()
    stuck: Node | None = None
    _runner: tuple[Graph, Runner] | None = None
    _trials: tuple[Graph, dict[int, Trial]] | None = None

    def runner(self, graph: Graph) -> Runner:
        """Return what runs a graph in the model's own operators; the last one is kept."""
        if self._runner is None or self._runner[0] is not graph:
            self._runner = graph, Runner.of(graph, input_types=self.input_types)
        return self._runner[1]

    def trial(self, graph: Graph, batch: int) -> Trial:
        """Run a graph on so many random samples; what the last graph showed is kept."""
        if self._trials is None or self._trials[0] is not graph:
            self._trials = graph, {}
        known = self._trials[1]
        if batch not in known:
            try:
                known[batch] = try_out(graph, self.runner(graph), batch, self.input_types)
            except UnsupportedModelError as error:
                if error.problems or self.batch in (None, batch):
                    raise
                raise UnsupportedModelError(
                    _other_batch(graph, self.batch, batch, error)
                ) from error
        return known[batch]

    def probe(self, graph: Graph) -> Probe:
        """Learn shapes and constants of a graph with an open batch axis."""
        first, second = (self.trial(graph, batch) for batch in self.batches)
        return probe(graph, first, second)


def _other_batch(graph: Graph, fixed: int | None, batch: int, error: Exception) -> str:
    """Say what it may mean that a file runs with its own first axis alone."""
    inputs = ", ".join(f"{name!r} {[fixed, *shape]}" for name, shape in graph.inputs.items())
    return (
        f"{error} The first axis of the inputs is taken for the batch ({inputs}): with {fixed} "
        f"in it the model runs, with {batch} it does not. {ADD_NO_BATCH} Else export it with an "
        "open batch axis."
    )
