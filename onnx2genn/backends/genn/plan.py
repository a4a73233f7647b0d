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
# Bytes of currents that are computed at once: they stay in the caches while they are turned.
_CACHED = 2**21
# The channels of an image [N, C, H, W] become its last axis.
_PLANES = [0, 2, 3, 1]


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
        hidden: Whether they only compute for others, and nobody reads what they sent, which is any
            number.
        relays: Whether they only pass on what arrives, which has no constant part for them.
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
    relays: bool = False
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
        if self.relays:
            return ()
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
        return self._runner(self._feeds(samples))[self.segment.target]

    def _feeds(self, samples: np.ndarray | None) -> dict[str, np.ndarray]:
        """Let samples enter, and no spikes arrive."""
        assert self.segment is not None
        count = 1 if samples is None or not self.reads_input else len(samples)
        feeds = {
            name: np.zeros((count, *self.segment.shapes[name]), np.float32)
            for name in self.segment.sources
        }
        if self.reads_input and samples is not None:
            feeds[self.reads_input] = samples
        return feeds

    def entering(self, samples: np.ndarray | None) -> np.ndarray:
        """Return the currents as neurons have them for each bias, [biases, N, neurons]."""
        (values,) = self._entering(self._feeds(samples)).values()
        return values.reshape(-1, self.operands, self.size).swapaxes(0, 1)

    def enter(self, samples: np.ndarray, bias: np.ndarray) -> None:
        """Write the currents of neurons with one bias into it, [N, neurons]."""
        assert self.operands == 1
        into = bias.reshape(-1, *self._entered)
        at_once = max(1, _CACHED // (4 * self.size))
        for start in range(0, len(samples), at_once):
            part = slice(start, start + at_once)
            self._entering.fill(self._feeds(samples[part]), into[part])

    @property
    def _is_image(self) -> bool:
        """Whether currents are computed as images, with one sum for each neuron."""
        assert self.segment is not None
        return self.segment.shape == self.shape and len(self.shape) == len(_PLANES) - 1

    @property
    def _entered(self) -> Shape:
        """Shape of what :attr:`_entering` computes, without the batch."""
        if len(self.shape) <= 1:
            return self.shape
        channels = self.shape[0]
        if self._is_image:
            return (*self.shape[1:], channels)
        return self.operands, self.size // channels, channels

    @cached_property
    def _entering(self) -> Runner:
        """Computes currents with the channel, the first axis, as the fastest, as in ``order``.

        It is part of the one graph, since onnxruntime's convolutions can leave their sums in either
        order: several times as fast as to bring them into order afterwards.
        """
        segment = self.segment
        assert segment is not None
        if len(self.shape) <= 1:
            return self._runner
        builder, target = Builder(self.name, taken=segment.shapes), segment.target
        if self._is_image:
            builder.emit("Transpose", target, perm=_PLANES)
        else:
            shape = np.array([-1, self.operands, self.shape[0], self.size // self.shape[0]])
            builder.emit("Transpose", builder.emit("Reshape", target, shape), perm=[0, 1, 3, 2])
        return Runner(
            to_onnx(
                [*segment.nodes, *builder.nodes],
                {**segment.constants, **builder.constants},
                {name: segment.shapes[name] for name in segment.sources},
                {builder.nodes[-1].output: None},
            )
        )

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
