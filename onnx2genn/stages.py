"""How long each stage of the work took, for Python's ``logging``."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager

LOG = logging.getLogger("onnx2genn")
"""Says each stage at the level of information; nothing is printed unless a program asks."""
LOG.addHandler(logging.NullHandler())


@contextmanager
def stage(what: str) -> Iterator[None]:
    """Log how long something took.

    Args:
        what: What is done, as ``"calibration"``.
    """
    began = time.perf_counter()
    yield
    LOG.info("%s: %.2f s", what, time.perf_counter() - began)
