"""The one function that chooses a backend."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from onnx2genn.backends.base import Simulator
from onnx2genn.errors import BackendError

if TYPE_CHECKING:
    from onnx2genn.network import Network

EMBEDDED = "onnxruntime"
GENN = ("cuda", "hip", "single_threaded_cpu")
BACKENDS = ("auto", EMBEDDED, *GENN)


@dataclass(frozen=True, kw_only=True, slots=True)
class Choice:
    """A backend, and why it was taken."""

    name: str
    reason: str


def choose(backend: str = "auto") -> Choice:
    """Choose a backend: the one asked for, or the best one that this machine has.

    Args:
        backend: One of ``BACKENDS``.

    Raises:
        BackendError: The name is unknown.
    """
    if backend not in BACKENDS:
        raise BackendError(f"There is no backend {backend!r}; choose {', '.join(BACKENDS)}.")
    if backend != "auto":
        return Choice(name=backend, reason="as asked")
    from onnx2genn.backends.genn import missing

    for name in GENN:
        if not missing(name):
            return Choice(name=name, reason="the first that GeNN can use on this machine")
    lacking = ", ".join(item.name for item in missing(GENN[-1]))
    return Choice(name=EMBEDDED, reason=f"embedded; GeNN lacks {lacking}")


@contextmanager
def open_simulator(
    network: Network, backend: str = "auto", *, batch_size: int | None = None, **options: Any
) -> Iterator[Simulator]:
    """Build a network on a backend; release it at the end.

    Args:
        network: Network to simulate.
        backend: One of ``BACKENDS``.
        batch_size: Samples simulated at once; chosen by the backend if None.
        options: Options of the backend.

    Raises:
        BackendError: The backend is missing or cannot build the network.
    """
    chosen = choose(backend)
    given = {key: value for key, value in options.items() if value is not None}
    simulator = _build(network, chosen.name, batch_size, given)
    try:
        yield simulator
    finally:
        simulator.close()


def predict(
    network: Network, samples: np.ndarray, backend: str = "auto", *, batch_size: int | None = None
) -> np.ndarray:
    """Simulate samples and return the readout, [N, ...], in ANN units.

    Args:
        network: Network to simulate.
        samples: As :func:`onnx2genn.data.samples_of` gives them.
        backend: One of ``BACKENDS``.
        batch_size: Samples simulated at once; chosen by the backend if None.

    Raises:
        BackendError: The backend is missing or cannot run the network.
    """
    with open_simulator(network, backend, batch_size=batch_size) as simulator:
        size = simulator.batch_size
        parts = [
            simulator.run(samples[start : start + size], first=start).logits
            for start in range(0, len(samples), size)
        ]
    return np.concatenate(parts)


def _build(
    network: Network, backend: str, batch_size: int | None, options: dict[str, Any]
) -> Simulator:
    if backend != EMBEDDED:
        from onnx2genn.backends import genn

        return genn.build(network, backend=backend, batch_size=batch_size, **options)
    from onnx2genn.backends import embedded

    if "workers" in options:
        raise BackendError(
            "Workers are for single_threaded_cpu; onnxruntime uses all cores by itself."
        )
    return embedded.build(network, batch_size=batch_size, **options)
