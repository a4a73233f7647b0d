"""What a backend is, and what it gives: a simulator of one network, the activity of one batch."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np


@dataclass(frozen=True, kw_only=True, slots=True)
class Watch:
    """Which populations to record step by step, by their names.

    Attributes:
        spikes: Those whose spikes are wanted.
        potentials: Those whose potentials are wanted.
    """

    spikes: frozenset[str] = frozenset()
    potentials: frozenset[str] = frozenset()


@dataclass(frozen=True, kw_only=True)
class Activity:
    """What a spiking network did with a batch of N samples.

    Attributes:
        logits: The readout at the end of the window in ANN units, [N, ...].
        logits_by_step: The readout after each of the T steps of its window, [T, N, ...]; None if
            it was not recorded.
        spikes: Number of spikes of every neuron by population, [N, *shape], whole numbers; None
            if it was not recorded.
        codes: Value that every neuron sent, in units of its smallest spike, [N, *shape]; None if
            it was not recorded.
        trains: What watched populations sent in each step, in units, [T, N, *shape].
        potentials: Potential V of watched populations after each step, [T, N, *shape].
    """

    logits: np.ndarray
    logits_by_step: np.ndarray | None = None
    spikes: dict[str, np.ndarray] | None = None
    codes: dict[str, np.ndarray] | None = None
    trains: dict[str, np.ndarray] = field(default_factory=dict)
    potentials: dict[str, np.ndarray] = field(default_factory=dict)


NOTHING = Watch()


class Simulator(Protocol):
    """A network that is built and ready to run.

    Attributes:
        backend: Name of the backend.
        batch_size: Samples that are simulated at once.
    """

    backend: str
    batch_size: int

    def run(
        self,
        samples: np.ndarray,
        *,
        first: int = 0,
        record: bool = False,
        watch: Watch = NOTHING,
    ) -> Activity:
        """Simulate samples, every time from the same state.

        Args:
            samples: Inputs [N, ...], float32.
            first: Index of the first sample in the data set; it seeds random input.
            record: Also return spikes, codes and the readout by step.
            watch: Also return what these populations do in every step.
        """
        ...

    def close(self) -> None:
        """Release what the simulator holds."""
        ...


@dataclass(frozen=True, kw_only=True, slots=True)
class Finding:
    """One thing that a backend needs.

    Attributes:
        name: What it is.
        found: What was found of it; empty if it is missing.
        remedy: What to do where it is missing.
    """

    name: str
    found: str
    remedy: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Backend:
    """An entry of the registry of backends.

    Attributes:
        name: What users choose it by.
        description: What it is, in a few words.
        build: Makes a simulator of a network, by ``build(network, batch_size=..., **options)``,
            where None leaves the batch to the backend; raises BackendError where it cannot.
        needs: Looks for what the backend needs on this machine.
        options: Names of the options that ``build`` takes beside the size of a batch.
    """

    name: str
    description: str
    build: Callable[..., Simulator]
    needs: Callable[[], Sequence[Finding]] = tuple
    options: frozenset[str] = frozenset()

    def missing(self) -> list[Finding]:
        """Return what the backend needs and this machine does not have."""
        return [item for item in self.needs() if not item.found]
