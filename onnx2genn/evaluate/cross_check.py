"""The same network on two backends: whether all neurons send the same, population by population."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from onnx2genn.backends.base import Activity
from onnx2genn.backends.registry import EMBEDDED, first_other, open_simulator
from onnx2genn.data import Inputs, Progress
from onnx2genn.errors import BackendError
from onnx2genn.evaluate.moments import Moments
from onnx2genn.evaluate.result import plain
from onnx2genn.ir.partition import Population
from onnx2genn.network import Network

# Order of sums: the share of neurons whose sum may lie so near to a threshold, by how much their
# codes then differ, and the share of the largest logit by which a second run may. Neurons that fire
# while they integrate pass on when they do, too.
_EXACT, _STEPWISE = (1e-3, 1, 0.01), (1e-2, 2, 0.1)
_FEW = 3
# What follows from a difference in the sources is within this share of the activity.
_FOLLOWING = 0.5
_LOGITS = 1e-4


@dataclass(frozen=True, kw_only=True)
class PopulationCheck:
    """How the neurons of one population differ between two backends.

    Attributes:
        name: Name of the population.
        node: Name of the ONNX node.
        neurons: Number of neurons.
        spikes: Spikes of all neurons over all samples, on the reference and on the other backend.
        different: Pairs of a neuron and a sample with another code (or number of spikes).
        own: Those of them where all sources of the population sent the same.
        largest: Largest difference among these, in units of the smallest spike.
        wrong: Whether that is more than the order of float sums explains.
    """

    name: str
    node: str
    neurons: int
    spikes: tuple[int, int]
    different: int
    own: int
    largest: float
    wrong: bool


@dataclass(frozen=True, kw_only=True)
class CrossCheck:
    """What two backends made of the same network and samples.

    Attributes:
        model: Name of the model.
        coding: Name of the coding.
        steps: Time steps of a window.
        reference: Backend that is compared with.
        backend: Backend that is checked.
        samples: Number of samples.
        populations: In topological order.
        logits: Largest difference of logits where the readout's sources sent the same.
        logits_wrong: Whether that, or what follows from other spikes, is more than rounding.
        error: Root mean square of the logits' differences over their standard deviation.
        repeated: Whether a second run of the first samples gave the same answers.
    """

    model: str
    coding: str
    steps: int
    reference: str
    backend: str
    samples: int
    populations: list[PopulationCheck]
    logits: float
    logits_wrong: bool
    error: float
    repeated: bool

    @property
    def fault(self) -> str:
        """Where the backends first differ by more than rounding, in words; empty if nowhere."""
        found = next((item for item in self.populations if item.wrong), None)
        if found is not None:
            return f"population {found.name!r} (ONNX node {found.node!r})"
        if self.logits_wrong:
            return "the readout"
        return "" if self.repeated else "the second run of the same samples"

    @property
    def identical(self) -> bool:
        """Whether every neuron sent the same."""
        return not any(item.different for item in self.populations)

    def to_dict(self) -> dict[str, Any]:
        """Return everything as plain values, for JSON."""
        return plain({**asdict(self), "fault": self.fault})


def cross_check(
    network: Network,
    x: Inputs,
    *,
    backend: str | None = None,
    against: str = EMBEDDED,
    batch_size: int | None = None,
    progress: Progress | None = None,
    **options: Any,
) -> CrossCheck:
    """Run the same samples on two backends and compare what every neuron sent.

    Sums of floats depend on their order. Where one lies on a threshold, two backends may send
    another code, and what follows in the populations after it differs, too. So a population is
    wrong if its codes differ in more neurons or by more levels than that explains, for samples
    whose codes are the same in all of its sources; else, if they have little to do with each other.

    Args:
        network: The spiking network.
        x: Samples [N, ...]; of several inputs, arrays by name or in the model's order.
        backend: Backend to check; if None the first other one that this machine has.
        against: Backend to compare with.
        batch_size: Samples simulated at once on the backend that is checked.
        progress: Called with the number of samples done and the total.
        options: Options of the backend that is checked.

    Raises:
        DataError: The samples do not fit the model.
        BackendError: A backend is missing or cannot run the network, or both are the same.
    """
    checked = first_other(against).name if backend is None else backend
    if checked == against:
        raise BackendError(f"{checked} is to be compared with itself: choose another backend.")
    samples = network.prepare(x)
    tallies = [_Tally(network, item) for item in network.populations]
    readout = _Readout(network)
    with (
        open_simulator(network, against) as reference,
        open_simulator(network, checked, batch_size=batch_size, **options) as simulator,
    ):
        size = min(reference.batch_size, simulator.batch_size)
        for start in range(0, len(samples), size):
            batch = samples[start : start + size]
            wanted, got = (
                item.run(batch, first=start, record=True) for item in (reference, simulator)
            )
            same = {network.input_name: np.ones(len(batch), bool)}
            for item in tallies:
                item.add(wanted, got, same)
            readout.add(wanted, got, same)
            if progress is not None:
                progress(start + len(batch), len(samples))
        again = simulator.run(samples[:size], first=0).logits
    return CrossCheck(
        model=network.model.graph.name,
        coding=network.coding.name,
        steps=network.coding.steps,
        reference=reference.backend,
        backend=simulator.backend,
        samples=len(samples),
        populations=[item.result() for item in tallies],
        logits=readout.largest,
        logits_wrong=readout.wrong,
        error=readout.error,
        repeated=readout.repeated(again),
    )


def _limits(network: Network) -> tuple[float, int, float]:
    return _EXACT if network.coding.accumulates else _STEPWISE


class _Tally:
    """Adds up over batches how a population differs."""

    def __init__(self, network: Network, population: Population) -> None:
        self._population = population
        self._share, self._levels, _ = _limits(network)
        self._spikes = [0, 0]
        self._different = self._own = self._compared = 0
        self._largest = 0.0
        self._rest = np.zeros(3)

    def add(self, wanted: Activity, got: Activity, same: dict[str, np.ndarray]) -> None:
        """Compare a batch.

        Args:
            wanted: Of the reference.
            got: Of the backend that is checked.
            same: Which samples have the same codes, by tensor; that of the population is added.
        """
        name = self._population.name
        before = _all_same(self._population.segment.sources, same)
        codes, spikes = (
            [_rows(getattr(item, kind), name) for item in (wanted, got)]
            for kind in ("codes", "spikes")
        )
        for index, item in enumerate(spikes):
            self._spikes[index] += int(np.nansum(item, dtype=np.float64))
        difference = np.abs(codes[1].astype(np.float64) - codes[0])
        differs = (difference != 0) | (spikes[1] != spikes[0])
        self._different += int(differs.sum())
        self._own += int(differs[before].sum())
        self._compared += differs[before].size
        # np.maximum keeps what is not a number.
        self._largest = float(np.maximum(self._largest, difference[before].max(initial=0.0)))
        follows = difference[~before]
        self._rest += (
            np.square(follows).sum(),
            np.square(codes[0][~before], dtype=np.float64).sum(),
            follows.size,
        )
        same[self._population.tensor] = before & ~differs.any(axis=1)

    def result(self) -> PopulationCheck:
        """Return what was found."""
        error, power, size = self._rest
        many = self._own > max(_FEW, self._share * self._compared)
        apart = not error <= _FOLLOWING**2 * power + self._share * size + _FEW
        large = not self._largest <= self._levels
        return PopulationCheck(
            name=self._population.name,
            node=self._population.node.name,
            neurons=int(np.prod(self._population.shape)),
            spikes=(self._spikes[0], self._spikes[1]),
            different=self._different,
            own=self._own,
            largest=self._largest,
            wrong=bool(many or large or apart),
        )


class _Readout:
    """Adds up over batches how the logits differ.

    Attributes:
        largest: Largest difference where the sources sent the same.
        wrong: Whether a difference is more than rounding.
    """

    def __init__(self, network: Network) -> None:
        self.largest, self.wrong = 0.0, False
        self._squares, self._logits = 0.0, Moments()
        self._first = np.empty(0)
        _, _, self._repeated = _limits(network)
        self._sources = network.model.parts.readout.sources
        # One spike of output neurons.
        coding = network.coding
        unit = np.max(coding.unit(network.readout_threshold)) / coding.steps
        self._spike = float(unit) if network.firing_readout else 0.0

    def add(self, wanted: Activity, got: Activity, same: Mapping[str, np.ndarray]) -> None:
        """Compare a batch."""
        a, b = (item.logits.reshape(len(item.logits), -1) for item in (wanted, got))
        if not self._first.size:
            self._first = got.logits
        before = _all_same(self._sources, same)
        difference, scale = np.abs(b - a), float(np.abs(a).max())
        largest = float(difference[before].max(initial=0.0))
        self.largest = float(np.maximum(self.largest, largest))
        error, power = (np.square(item[~before]).sum() for item in (difference, a))
        close = largest <= _LOGITS * scale + 1.01 * self._spike
        follows = error <= _FOLLOWING**2 * power + len(a) * self._spike**2 + 1e-30
        self.wrong |= not (close and follows)
        self._squares += float(np.square(difference, dtype=np.float64).sum())
        self._logits.add(a, b)

    @property
    def error(self) -> float:
        """Root mean square of the differences over the standard deviation of the logits."""
        variance, _ = self._logits.variances()
        return float(np.sqrt(self._squares / self._logits.count / max(variance, 1e-30)))

    def repeated(self, again: np.ndarray) -> bool:
        """Whether the first batch was answered in the same way once more.

        A GPU may add in another order every time.
        """
        difference = np.abs(again - self._first).max()
        return bool(difference <= self._repeated * np.abs(self._first).max())


def _all_same(sources: tuple[str, ...], same: Mapping[str, np.ndarray]) -> np.ndarray:
    """Return for which samples all sources sent the same."""
    return np.logical_and.reduce([same[name] for name in sources])


def _rows(values: dict[str, np.ndarray] | None, name: str) -> np.ndarray:
    assert values is not None
    return values[name].reshape(len(values[name]), -1)
