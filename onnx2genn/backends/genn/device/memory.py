"""Whether something fits into memory, asked before it is allocated."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from onnx2genn.backends.genn.installation import free_device_memory
from onnx2genn.errors import BackendError

if TYPE_CHECKING:
    from onnx2genn.network import Network

_GIB = 2**30
# State, input and list of spikes of one neuron for one sample.
_NEURON = 64
# Share of the free memory for the samples; the rest is for weights and the driver.
_SHARE = 0.5
_LARGEST = 512
_UNKNOWN = 64


def available() -> int:
    """Bytes of main memory that can be had without swapping."""
    import psutil

    return psutil.virtual_memory().available


def require(what: str, size: int, limit: int | None = None) -> None:
    """Refuse what would not fit.

    Args:
        what: What needs the memory, for the message.
        size: Bytes that it needs.
        limit: Bytes that there are; what main memory has left if None.

    Raises:
        BackendError: It does not fit.
    """
    limit = available() if limit is None else limit
    if size > limit:
        raise BackendError(
            f"{what} would take {size / _GIB:.1f} GiB, and {limit / _GIB:.1f} GiB are free. "
            "Convolutions and matrix products without other operators between them and the next "
            "activation need only their weights; or use --backend onnxruntime."
        )


def largest_batch(network: Network) -> int:
    """Return how many samples a GPU can simulate at once, a power of two.

    Args:
        network: Network to simulate.
    """
    free = free_device_memory()
    if free is None:
        return _UNKNOWN
    neurons = 1 + sum(int(np.prod(item.shape)) for item in network.populations)
    fitting = max(1, int(free * _SHARE) // (_NEURON * neurons))
    return min(_LARGEST, 1 << (fitting.bit_length() - 1))
