"""The GeNN backend: the spiking network as a PyGeNN model, on a GPU or one CPU thread."""

from __future__ import annotations

from typing import TYPE_CHECKING

from onnx2genn.backends.base import Simulator
from onnx2genn.backends.genn.installation import CPU, INSTALLATION, Finding, doctor, missing
from onnx2genn.errors import BackendError

if TYPE_CHECKING:
    from onnx2genn.network import Network

__all__ = ["CONNECTIVITY", "Finding", "build", "doctor", "missing"]

CONNECTIVITY = ("scatter", "portable")

# Samples of one call on the CPU, where the device simulates them one after the other.
_CPU_BLOCK = 256
# Groups of samples of one call on a GPU.
_GPU_GROUPS = 16


def build(
    network: Network,
    *,
    backend: str,
    batch_size: int | None = None,
    workers: int | None = None,
    connectivity: str | None = None,
) -> Simulator:
    """Build a network with GeNN.

    Args:
        network: Network to simulate.
        backend: ``cuda``, ``hip`` or ``single_threaded_cpu``.
        batch_size: Samples that a GPU simulates at once, by default as many as fit into its
            memory; on the CPU, samples of one call.
        workers: Processes that share the samples, on the CPU only; each has a copy of the network.
        connectivity: ``portable``: synapse groups, on all backends. ``scatter``: custom updates,
            on the CPU only, where they are the default: the same spikes several times as fast.

    Raises:
        BackendError: GeNN or something that it needs is missing, or the network does not fit.
    """
    if lacking := missing(backend):
        reasons = "\n".join(f"  {item.name} is missing. {item.remedy}" for item in lacking)
        raise BackendError(
            f"The backend {backend!r} cannot be used:\n{reasons}\n"
            f"How to install GeNN: {INSTALLATION}"
        )
    on_cpu = backend == CPU
    chosen = connectivity or ("scatter" if on_cpu else "portable")
    if chosen not in CONNECTIVITY:
        raise BackendError(f"connectivity={chosen!r}: choose {' or '.join(CONNECTIVITY)}.")
    if not on_cpu and (chosen == "scatter" or (workers or 1) > 1):
        raise BackendError(f"{backend!r} takes neither workers nor scatter connectivity.")
    from onnx2genn.backends.genn.simulator import GennSimulator

    if on_cpu:
        size, at_once = batch_size or _CPU_BLOCK, 1
    else:
        from onnx2genn.backends.genn.device.memory import largest_batch

        at_once = batch_size or largest_batch(network)
        size = at_once * _GPU_GROUPS
    simulator = GennSimulator(
        network, backend=backend, device_batch=at_once, batch_size=size, connectivity=chosen
    )
    if (workers or 1) == 1:
        return simulator
    # What was built here is in the cache, where the workers find it.
    simulator.close()
    from onnx2genn.backends.genn.workers import Workers

    return Workers(network, workers=workers or 1, batch_size=size, connectivity=chosen)
