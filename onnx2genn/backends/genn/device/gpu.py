"""How many samples the GPU that GeNN takes has memory for."""

from __future__ import annotations

import ctypes
import sys

from onnx2genn.backends.genn.device.neurons import states_of
from onnx2genn.backends.genn.device.portable import updates
from onnx2genn.backends.genn.memory import available, require
from onnx2genn.backends.genn.plan import Plan

# Share of the free memory for the samples; the rest is for weights and the driver.
_SHARE = 0.5
# GeNN puts the batch into a dimension of its kernels that ends before 1024.
_LARGEST = 512
_UNKNOWN = 64
# Groups of one call: at least, and for each window that a sample takes to the readout.
_FEWEST_GROUPS, _PER_WINDOW = 16, 4
_BYTES = 4
_WINDOWS = sys.platform == "win32"
_CUDA = "nvcuda.dll" if _WINDOWS else "libcuda.so.1"
_HIP = "amdhip64.dll" if _WINDOWS else "libamdhip64.so"


def largest_batch(plan: Plan, backend: str, wanted: int | None = None) -> int:
    """Return how many samples the GPU simulates at once.

    Args:
        plan: What to simulate.
        backend: ``cuda`` or ``hip``.
        wanted: The most that there should be.

    Raises:
        BackendError: Not even one fits into the memory.
    """
    free, size = free_memory(backend), bytes_per_sample(plan)
    most = wanted or (_UNKNOWN if free is None else _LARGEST)
    # Whatever is on the GPU has a copy in main memory.
    limit = int(_SHARE * min(available(), available() if free is None else free))
    require("The neurons of one sample", size, limit)
    fitting = 1 << ((limit // size).bit_length() - 1)
    return min(most, _LARGEST, fitting)


def groups_at_once(plan: Plan, batch: int) -> int:
    """Return how many groups of samples one call should have.

    A call begins and ends with windows in which a part of the network has nothing to do: the deeper
    it is, the more. What all neurons sent fits into main memory, should it be recorded.

    Args:
        plan: What to simulate.
        batch: Samples of a group.
    """
    filling = -(-plan.readout.start // plan.steps)
    recorded = _BYTES * batch * sum(item.size * len(item.results) for item in plan.neurons)
    fitting = int(_SHARE * available()) // (2 * recorded)
    return max(1, min(max(_FEWEST_GROUPS, _PER_WINDOW * filling), fitting))


def bytes_per_sample(plan: Plan) -> int:
    """Return the memory that the neurons of one sample take on a GPU.

    A neuron has its state, its biases, and the input of every port. For each step that its spikes
    are delayed, and for the current one, there is a place in every list of events, and one for the
    value of a graded spike.
    """
    delays = dict.fromkeys(plan.by_name, 0)
    for item in plan.neurons:
        for projection in item.projections:
            delays[projection.source] = max(delays[projection.source], projection.delay)
    total = 0
    for item in plan.neurons:
        lists = 1 + (1 + len(updates(item, "SPARSE" if item.hidden else "TOEPLITZ"))) * item.graded
        numbers = (
            len(states_of(item, buffered=False)) + len(item.biases) + max(item.ports, item.operands)
        )
        total += _BYTES * item.size * (numbers + (delays[item.name] + 1) * lists)
    return total


def free_memory(backend: str) -> int | None:
    """Return the bytes that are free on the first GPU, as the driver counts; None if unknown.

    Args:
        backend: ``cuda`` or ``hip``.
    """
    free, total = ctypes.c_size_t(), ctypes.c_size_t()
    into = ctypes.byref(free), ctypes.byref(total)
    try:
        if backend == "hip":
            states = [ctypes.CDLL(_HIP).hipMemGetInfo(*into)]
        else:
            driver = ctypes.CDLL(_CUDA)
            device, context = ctypes.c_int(), ctypes.c_void_p()
            states = [
                driver.cuInit(0),
                driver.cuDeviceGet(ctypes.byref(device), 0),
                # The context that GeNN will use, too.
                driver.cuDevicePrimaryCtxRetain(ctypes.byref(context), device),
                driver.cuCtxSetCurrent(context),
                driver.cuMemGetInfo_v2(*into),
            ]
    except (OSError, AttributeError):
        return None
    return None if any(states) else free.value
