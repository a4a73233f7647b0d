"""The embedded backend: the spiking network on onnxruntime and numpy."""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING

from onnx2genn.backends.base import Backend, Simulator

if TYPE_CHECKING:
    from onnx2genn.network import Network

__all__ = ["BACKEND", "NAME", "build"]

NAME = "onnxruntime"


def build(
    network: Network,
    *,
    batch_size: int | None = None,
    threads: int | None = None,
    relays: str | Collection[str] | None = None,
) -> Simulator:
    """Make the simulator that suits the network's coding.

    Args:
        network: Network to simulate.
        batch_size: Samples simulated at once.
        threads: Threads to use; one per core if None.
        relays: Those of a network on GeNN. Here linear parts are computed once without them; what
            is counted, and the latency, go by them.

    Raises:
        BackendError: There are no such relays.
    """
    network.streams_with(relays)
    from onnx2genn.backends.embedded.accumulating import AccumulatingSimulator
    from onnx2genn.backends.embedded.stepwise import StepwiseSimulator

    simulator = AccumulatingSimulator if network.coding.accumulates else StepwiseSimulator
    return simulator(network, batch_size=batch_size, threads=threads)


BACKEND = Backend(
    name=NAME,
    description="the embedded engine",
    build=build,
    options=frozenset({"threads", "relays"}),
)
