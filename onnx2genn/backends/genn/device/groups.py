"""Groups of neurons and of synapses as PyGeNN takes them, in text and numbers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np


@dataclass(frozen=True, kw_only=True)
class NeuronGroup:
    """Neurons with one equation.

    Attributes:
        name: A C identifier.
        size: Number of neurons.
        states: Types of the variables that start at 0, by name.
        constants: What neurons read and do not change, by name, [neurons].
        fed: Constants that the host sets for each instance of a batch.
        code: What neurons do in a step.
        threshold: Condition of a spike.
        inputs: Input variables beside ``Isyn``.
        buffers: Arrays that other groups write to, by name.
    """

    name: str
    size: int
    states: Mapping[str, str]
    constants: Mapping[str, np.ndarray]
    fed: tuple[str, ...]
    code: str
    threshold: str
    inputs: tuple[str, ...] = ()
    buffers: Mapping[str, np.ndarray] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Toeplitz:
    """A snippet of TOEPLITZ connectivity.

    Attributes:
        code: Which synapses a diagonal has.
        longest: Synapses of a source neuron, at most.
        kernel_size: Size of each axis of the kernel.
    """

    code: str
    longest: int
    kernel_size: tuple[int, ...]


@dataclass(frozen=True, kw_only=True)
class Synapses:
    """How GeNN keeps a linear map.

    Attributes:
        kind: TOEPLITZ, DENSE or SPARSE.
        weights: In the order of that kind.
        places: Source and target of every weight of SPARSE.
        toeplitz: Snippet of TOEPLITZ.
        longest: Weights of a source of SPARSE, at most.
    """

    kind: str
    weights: np.ndarray
    places: tuple[np.ndarray, ...] = ()
    toeplitz: Toeplitz | None = None
    longest: int = 0

    @property
    def compiled(self) -> str:
        """What of all this is compiled."""
        return f"{self.kind} {self.toeplitz} {self.longest}"


@dataclass(frozen=True, kw_only=True)
class SynapseGroup:
    """Synapses from one group of neurons to another.

    Attributes:
        name: A C identifier.
        source: Neurons that they come from.
        target: Neurons that they go to.
        projection: What several groups with the same synapses are parts of.
        synapses: Their weights.
        update: What a spike does, by the names that PyGeNN has for these texts.
        graded: Whether they read the value ``S`` of a spike.
        variable: Input variable of the target.
        delay: Steps of delay beyond the one step that every spike takes.
        by_source: Whether a thread of a GPU has to serve a source neuron.
    """

    name: str
    source: str
    target: str
    projection: str
    synapses: Synapses
    update: Mapping[str, str]
    graded: bool
    variable: str
    delay: int
    by_source: bool
