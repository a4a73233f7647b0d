"""How long each stage of the work took, for Python's ``logging``."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

LOG = logging.getLogger("onnx2genn")
"""Says each stage at the level of information; nothing is printed unless a program asks."""
LOG.addHandler(logging.NullHandler())


_begun: list[str] = []
_watchers: list[Callable[[str], None]] = []


@contextmanager
def stage(what: str) -> Iterator[None]:
    """Log how long something took.

    Args:
        what: What is done, as ``"calibration"``.
    """
    began = time.perf_counter()
    _begun.append(what)
    _tell()
    try:
        yield
    finally:
        _begun.pop()
        _tell()
    LOG.info("%s: %.2f s", what, time.perf_counter() - began)


@contextmanager
def watched(watcher: Callable[[str], None]) -> Iterator[None]:
    """Tell of every stage that begins or ends.

    Args:
        watcher: Called with the stage that the work is in, innermost; empty if it is in none.
    """
    _watchers.append(watcher)
    try:
        yield
    finally:
        _watchers.remove(watcher)


def _tell() -> None:
    for watcher in _watchers:
        watcher(_begun[-1] if _begun else "")
