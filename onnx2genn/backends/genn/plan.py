"""What is to be simulated, in numbers and text: neurons, their timing and their projections."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np

from onnx2genn.backends.genn.lowering.projection import Linear, neuron_order
from onnx2genn.coding.neuron import NeuronCode
from onnx2genn.ir.builder import Builder
from onnx2genn.ir.graph import Shape, to_onnx
from onnx2genn.ir.run import Runner
from onnx2genn.ir.segment import Segment

# Names of populations neither start nor end with an underscore.
INPUT = "input_"
READOUT = "readout_"
_CURRENTS = "currents"


@dataclass(frozen=True, kw_only=True)
class Projection:
    """Spikes of one group of neurons on their way to another.

    Attributes:
        source: Name of the neurons that they come from.
        linear: Their weights.
        delay: Steps of delay beyond the one step that every spike takes.
        port: Which of the sums that a target keeps apart they add to.
    """

    source: str
    linear: Linear
    delay: int
    port: int = 0


@dataclass(frozen=True, kw_only=True)
class Neurons:
    """A group of neurons with one equation.

    Attributes:
        name: Unique name, a C identifier.
        shape: Shape of the ONNX tensor that they stand for, without the batch.
        code: Their equation; None for a readout that only integrates, and for random input.
        weight: What an arriving spike is worth, as :attr:`NeuronCode.weight`.
        start: First step of their first window.
        ahead: Steps before it in which the first input arrives.
        segment: Affine map that feeds them, in units; None for random input.
        reads_input: Network input whose samples the segment reads as constants, or None.
        projections: Where their spikes come from.
        largest: Value of their largest spike.
        signed: Whether they also send negative spikes.
        ports: Inputs that a neuron keeps apart: the elements of the window of a max pooling, of
            whose sums only the largest counts.
        operands: Sums that a neuron keeps apart, to send a function of all. Their names in the
            equation are ``sum_0``, ... where what arrives at each is ``arrived_0``, ... and its
            constant part ``bias_0``, ...
        constants: Values that the equation reads under these names; they broadcast to the shape.
        hidden: Whether they only compute for others, and nobody reads what they sent.
        output: Expression of what a window gave, which is then kept until the next one has ended;
            empty if only the host reads it.
    """

    name: str
    shape: Shape
    code: NeuronCode | None
    weight: str
    start: int
    ahead: int = 0
    segment: Segment | None = None
    reads_input: str | None = None
    projections: tuple[Projection, ...] = ()
    largest: int = 1
    signed: bool = False
    ports: int = 1
    operands: int = 1
    constants: Mapping[str, np.ndarray] = field(default_factory=dict)
    hidden: bool = False
    output: str = ""

    @property
    def size(self) -> int:
        """Number of neurons."""
        return int(np.prod(self.shape, dtype=np.int64))

    @property
    def graded(self) -> bool:
        """Whether their own spikes carry a value."""
        return self.signed or self.largest > 1

    @cached_property
    def order(self) -> np.ndarray:
        """Element of the ONNX tensor that each neuron is."""
        return neuron_order(self.shape)

    @cached_property
    def position(self) -> np.ndarray:
        """Neuron that each element of the ONNX tensor is."""
        return np.argsort(self.order)

    @property
    def is_fed(self) -> bool:
        """Whether the host sets the current of every sample."""
        return self.reads_input is not None and (self.code is not None or bool(self.output))

    @property
    def biases(self) -> tuple[str, ...]:
        """Constants that hold what arrives without any spike, for each of the operands."""
        if self.operands == 1:
            return ("bias",)
        return tuple(f"bias_{index}" for index in range(self.operands))

    @property
    def results(self) -> tuple[str, ...]:
        """Variables that hold what the current window gave so far; the value first."""
        if self.segment is None or self.hidden:
            return ()
        if self.code is None:
            return ("V",)
        return ("code", "spikes") if self.code.graded else ("code",)

    def in_onnx_order(self, values: np.ndarray) -> np.ndarray:
        """Turn values of the neurons, [N, neurons], into ONNX tensors, [N, *shape]."""
        return values[:, self.position].reshape(-1, *self.shape)

    def currents(self, samples: np.ndarray | None) -> np.ndarray:
        """Return what arrives without any spike: f of the samples, or f(0) once, [N, *shape]."""
        assert self.segment is not None
        count = 1 if samples is None or not self.reads_input else len(samples)
        feeds = {
            name: np.zeros((count, *self.segment.shapes[name]), np.float32)
            for name in self.segment.sources
        }
        if self.reads_input and samples is not None:
            feeds[self.reads_input] = samples
        return self._runner(feeds)[self.segment.target]

    def fed(self, currents: np.ndarray) -> np.ndarray:
        """Turn currents [N, ...] into those of neurons for each bias, [biases, N, neurons]."""
        channels = self.shape[0] if len(self.shape) > 1 else 1
        apart = currents.reshape(len(currents) * self.operands, channels, -1)
        if channels > 1:
            # By onnxruntime several times as fast as by an index, or by numpy.
            (apart,) = self._turn({_CURRENTS: apart}).values()
        return apart.reshape(len(currents), self.operands, self.size).swapaxes(0, 1)

    @cached_property
    def _turn(self) -> Runner:
        """Makes the channel, the first axis of currents, the fastest, as in ``order``."""
        builder = Builder(self.name)
        turned = builder.emit("Transpose", _CURRENTS, perm=[0, 2, 1])
        shape = self.shape[0], self.size // self.shape[0]
        return Runner(to_onnx(builder.nodes, {}, {_CURRENTS: shape}, {turned: None}))

    @cached_property
    def _runner(self) -> Runner:
        assert self.segment is not None
        return Runner(self.segment.to_onnx())


@dataclass(frozen=True, kw_only=True)
class Plan:
    """A network as a simulator of spikes sees it.

    Attributes:
        steps: T, the period in which samples follow each other.
        neurons: Groups in topological order; random input first, the readout last.
    """

    steps: int
    neurons: tuple[Neurons, ...]
    by_name: dict[str, Neurons] = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "by_name", {item.name: item for item in self.neurons})

    def plain(self) -> Plan:
        """Return the plan for another process, without what this one has computed for itself."""
        return replace(self, neurons=tuple(replace(item) for item in self.neurons))

    @property
    def readout(self) -> Neurons:
        """The output neurons."""
        return self.neurons[-1]
