"""Memory of the machine."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

_CONTAINER = Path("/sys/fs/cgroup/memory.max")
_UNKNOWN = 2**33


def machine_memory() -> int:
    """Return the bytes of memory that this process may use at most; 8 GiB if nobody says."""
    found = []
    with suppress(AttributeError, OSError, ValueError):  # Windows lacks it
        found.append(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"))
    with suppress(OSError, ValueError):  # "max", or no container
        found.append(int(_CONTAINER.read_text()))
    return min(found, default=_UNKNOWN)
