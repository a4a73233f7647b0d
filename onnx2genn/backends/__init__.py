"""The one function that chooses a backend."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from onnx2genn.backends.base import Simulator
from onnx2genn.errors import BackendError

if TYPE_CHECKING:
    from onnx2genn.network import SpikingNetwork

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
    network: SpikingNetwork, backend: str = "auto", *, batch_size: int | None = None, **options: Any
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


def _build(
    network: SpikingNetwork, backend: str, batch_size: int | None, options: dict[str, Any]
) -> Simulator:
    if backend != EMBEDDED:
        from onnx2genn.backends import genn

        return genn.build(network, backend=backend, batch_size=batch_size, **options)
    from onnx2genn.backends import onnxruntime

    if "workers" in options:
        raise BackendError(
            "Workers are for single_threaded_cpu; onnxruntime uses all cores by itself."
        )
    return onnxruntime.build(network, batch_size=batch_size, **options)
