"""All backends by name, and the one function that opens one."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Any

import numpy as np

from onnx2genn.backends import embedded, genn
from onnx2genn.backends.base import Backend, Finding, Simulator
from onnx2genn.errors import BackendError
from onnx2genn.stages import stage

if TYPE_CHECKING:
    from onnx2genn.network import Network

AUTO = "auto"
EMBEDDED = embedded.NAME
BACKENDS: dict[str, Backend] = {}
"""In the order in which ``auto`` tries them."""


def register(backend: Backend) -> None:
    """Add a backend, behind all others; one of the same name is replaced in its place."""
    BACKENDS[backend.name] = backend


for _item in (*genn.BACKENDS, embedded.BACKEND):
    register(_item)


@dataclass(frozen=True, kw_only=True, slots=True)
class Choice:
    """A backend, and why it was taken."""

    name: str
    reason: str


def choose(backend: str = AUTO) -> Choice:
    """Choose a backend: the one asked for, or the first that this machine has.

    Args:
        backend: Name of a backend, or ``auto``.

    Raises:
        BackendError: The name is unknown.
    """
    if backend != AUTO:
        return Choice(name=_named(backend).name, reason="as asked")
    passed = []
    for item in BACKENDS.values():
        lacking = item.missing()
        if not lacking:
            break
        passed.append(f"{item.name} lacks {lacking[0].name}")
    reason = "; ".join([f"{item.description}, the first that this machine has", *passed])
    return Choice(name=item.name, reason=reason)


def first_other(than: str) -> Choice:
    """Choose the first backend of this machine beside one.

    Args:
        than: Name of the backend that is left out.

    Raises:
        BackendError: This machine has no other; the message says what each of them lacks.
    """
    passed = []
    for item in BACKENDS.values():
        if item.name == _named(than).name:
            continue
        lacking = item.missing()
        if not lacking:
            reason = f"{item.description}, the first that this machine has beside {than}"
            return Choice(name=item.name, reason=reason)
        passed.append(f"  {item.name} lacks {lacking[0].name}. {lacking[0].remedy}")
    reasons = "\n".join(passed)
    raise BackendError(f"This machine has no other backend to compare {than} with:\n{reasons}")


def doctor() -> tuple[Finding, ...]:
    """Look for everything that any backend needs, and return what was found."""
    return tuple(dict.fromkeys(item for entry in BACKENDS.values() for item in entry.needs()))


@contextmanager
def open_simulator(
    network: Network, backend: str = AUTO, *, batch_size: int | None = None, **options: Any
) -> Iterator[Simulator]:
    """Build a network on a backend; release it at the end.

    Args:
        network: Network to simulate.
        backend: Name of a backend; ``auto`` for the first that this machine has and that can build
            the network, with a warning for each that cannot.
        batch_size: Samples simulated at once; chosen by the backend if None.
        options: Options of the backend.

    Raises:
        BackendError: The backend is missing, has no such option or cannot build the network.
    """
    given = {key: value for key, value in options.items() if value is not None}
    with stage(f"building the network on {backend}"):
        if backend == AUTO:
            simulator = _first(network, batch_size, given)
        else:
            simulator = _build(_named(backend), network, batch_size, given)
    try:
        yield simulator
    finally:
        simulator.close()


def predict(
    network: Network,
    samples: np.ndarray,
    backend: str = AUTO,
    *,
    batch_size: int | None = None,
    **options: Any,
) -> np.ndarray:
    """Simulate samples and return the readout, [N, ...], in ANN units.

    Args:
        network: Network to simulate.
        samples: As :func:`onnx2genn.data.samples_of` gives them.
        backend: As for :func:`open_simulator`.
        batch_size: Samples simulated at once; chosen by the backend if None.
        options: Options of the backend.

    Raises:
        BackendError: The backend is missing or cannot run the network.
    """
    with open_simulator(network, backend, batch_size=batch_size, **options) as simulator:
        size = simulator.batch_size
        parts = [
            simulator.run(samples[start : start + size], first=start).logits
            for start in range(0, len(samples), size)
        ]
    return np.concatenate(parts)


def stream(
    network: Network, samples: Iterable[np.ndarray], backend: str = AUTO, *, at_once: int = 1
) -> Iterator[np.ndarray]:
    """Simulate samples as they come, each [1, ...], and yield their logits, [...].

    Args:
        network: Network to simulate, which is built once.
        samples: As :func:`onnx2genn.data.samples_of` gives them, one by one.
        backend: As for :func:`open_simulator`.
        at_once: Samples to wait for; they are then simulated together, as the backend does that.

    Raises:
        BackendError: The backend is missing or cannot run the network.
    """
    if at_once < 1:
        raise BackendError(f"at_once={at_once}: at least one sample has to be waited for.")
    coming, first = iter(samples), 0
    with open_simulator(network, backend, batch_size=at_once) as simulator:
        while group := list(islice(coming, at_once)):
            yield from simulator.run(np.concatenate(group), first=first).logits
            first += len(group)


def _named(name: str) -> Backend:
    if name not in BACKENDS:
        raise BackendError(f"There is no backend {name!r}; choose {', '.join([AUTO, *BACKENDS])}.")
    return BACKENDS[name]


def _first(network: Network, batch_size: int | None, options: dict[str, Any]) -> Simulator:
    usable = [item for item in BACKENDS.values() if not item.missing()]
    for item in usable[:-1]:
        try:
            return _build(item, network, batch_size, options)
        except BackendError as error:
            warnings.warn(f"Another backend than {item.name} is taken: {error}", stacklevel=4)
    return _build(usable[-1], network, batch_size, options)


def _build(
    backend: Backend, network: Network, batch_size: int | None, options: dict[str, Any]
) -> Simulator:
    if unknown := sorted(set(options) - backend.options):
        others = ", ".join(key for key, item in BACKENDS.items() if set(unknown) <= item.options)
        raise BackendError(
            f"{backend.name} has no option {', '.join(unknown)}, which is for "
            f"{others or 'no backend'}; it has {', '.join(sorted(backend.options)) or 'none'}."
        )
    if lacking := backend.missing():
        reasons = "\n".join(f"  {item.name} is missing. {item.remedy}" for item in lacking)
        raise BackendError(f"The backend {backend.name!r} cannot be used:\n{reasons}")
    return backend.build(network, batch_size=batch_size, **options)
