"""The GeNN backends: the spiking network as a PyGeNN model, on a GPU or one CPU thread."""

from __future__ import annotations

from collections.abc import Collection
from functools import partial
from typing import TYPE_CHECKING

from onnx2genn.backends.base import Backend, Simulator
from onnx2genn.backends.genn.installation import CPU, needs
from onnx2genn.errors import BackendError

if TYPE_CHECKING:
    from onnx2genn.network import Network

__all__ = ["BACKENDS", "CONNECTIVITY", "build_on_cpu", "build_on_gpu"]

CONNECTIVITY = ("scatter", "portable")

# Samples of one call on the CPU, where the device simulates them one after the other.
_CPU_BLOCK = 256


def build_on_gpu(
    network: Network,
    *,
    backend: str,
    batch_size: int | None = None,
    relays: str | Collection[str] = "auto",
) -> Simulator:
    """Build a network on a GPU, with synapse groups.

    Args:
        network: Network to simulate.
        backend: ``cuda`` or ``hip``.
        batch_size: Samples that the GPU simulates at once, by default as many as fit into its
            memory and at most as many.
        relays: Neurons that sum up within the linear parts of the network, for all that reads the
            sum: ``auto`` for those that save time, ``none`` or ``all``; or their ONNX tensors.

    Raises:
        BackendError: The network does not fit, or GeNN cannot build it.
    """
    from onnx2genn.backends.genn.device.assembly import Target
    from onnx2genn.backends.genn.device.gpu import groups_at_once, largest_batch
    from onnx2genn.backends.genn.planner import make_plan
    from onnx2genn.backends.genn.simulator import GennSimulator

    plan = make_plan(network, relays)
    at_once = largest_batch(plan, backend, batch_size)
    target = Target(backend=backend, batch_size=at_once, connectivity="portable")
    return GennSimulator(network, plan, target, batch_size=at_once * groups_at_once(plan, at_once))


def build_on_cpu(
    network: Network,
    *,
    batch_size: int | None = None,
    connectivity: str = CONNECTIVITY[0],
    relays: str | Collection[str] = "auto",
) -> Simulator:
    """Build a network on one CPU thread.

    Args:
        network: Network to simulate.
        batch_size: Samples of one call.
        connectivity: ``scatter``: custom updates. ``portable``: synapse groups, as on a GPU: the
            same spikes several times as slow.
        relays: As of :func:`build_on_gpu`.

    Raises:
        BackendError: The network does not fit, or GeNN cannot build it.
    """
    if connectivity not in CONNECTIVITY:
        raise BackendError(f"connectivity={connectivity!r}: choose {' or '.join(CONNECTIVITY)}.")
    from onnx2genn.backends.genn.device.assembly import Target
    from onnx2genn.backends.genn.planner import make_plan
    from onnx2genn.backends.genn.simulator import GennSimulator

    plan = make_plan(network, relays)
    target = Target(backend=CPU, batch_size=1, connectivity=connectivity)
    return GennSimulator(network, plan, target, batch_size=batch_size or _CPU_BLOCK)


BACKENDS = (
    *(
        Backend(
            name=name,
            description=f"GeNN on a GPU by {toolkit}",
            build=partial(build_on_gpu, backend=name),
            needs=partial(needs, name),
            options=frozenset({"relays"}),
        )
        for name, toolkit in (("cuda", "CUDA"), ("hip", "HIP"))
    ),
    Backend(
        name=CPU,
        description="GeNN on the CPU",
        build=build_on_cpu,
        needs=partial(needs, CPU),
        options=frozenset({"connectivity", "relays"}),
    ),
)
