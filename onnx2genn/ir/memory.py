"""Memory of the machine, and how much of it may be taken."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from pathlib import Path

_CONTAINER = Path("/sys/fs/cgroup/memory.max")
_UNKNOWN = 2**33
_SHARE = 4  # of the machine's memory, by default
_GIB = 2**30

_chosen: ContextVar[float | None] = ContextVar("memory budget", default=None)


@contextmanager
def memory_budget(gib: float | None) -> Iterator[None]:
    """Say how much memory reading, calibration and simulation may take.

    How many samples are computed at once, and how many threads simulate, goes by it; a network that
    cannot fit is refused before any work is done. Where nothing is said, a quarter of the machine's
    memory may be taken. It is an estimate, not a limit that the system enforces, and what GeNN
    builds has limits of its own: those of the memory that is free.

    Args:
        gib: GiB within the block; None leaves it as it is.

    Example:
        >>> import onnx2genn
        >>> with onnx2genn.memory_budget(8):  # doctest: +SKIP
        ...     network = onnx2genn.convert("model.onnx", calibration=x)
    """
    token = _chosen.set(_chosen.get() if gib is None else gib)
    try:
        yield
    finally:
        _chosen.reset(token)


def set_budget(size: int) -> None:
    """Say for the rest of a process how many bytes it may take, as for one of several workers."""
    _chosen.set(size / _GIB)


def budget() -> int:
    """Return the bytes of memory that may be taken."""
    chosen = _chosen.get()
    return machine_memory() // _SHARE if chosen is None else int(chosen * _GIB)


def in_gib(size: float) -> str:
    """Write a number of bytes in GiB."""
    size /= _GIB
    return f"{size:,.1f} GiB" if size >= 0.1 else f"{size:.2g} GiB"


def more_memory() -> str:
    """Advise what to do about a budget that is too small."""
    return "give it more (--memory GIB; in Python, with onnx2genn.memory_budget(GIB))"


def machine_memory() -> int:
    """Return the bytes of memory that this process may use at most; 8 GiB if nobody says."""
    found = []
    with suppress(AttributeError, OSError, ValueError):  # Windows lacks it
        found.append(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"))
    with suppress(OSError, ValueError):  # "max", or no container
        found.append(int(_CONTAINER.read_text()))
    return min(found, default=_UNKNOWN)
