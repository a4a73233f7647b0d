"""Tests of what GeNN runs need PyGeNN and what it compiles with."""

from __future__ import annotations

import warnings

import pytest

from onnx2genn.backends.registry import BACKENDS

_LACKING = [item.name for item in BACKENDS["single_threaded_cpu"].missing()]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip the tests marked ``genn`` where it cannot run, and say so in one line."""
    marked = [item for item in items if item.get_closest_marker("genn")]
    if not (_LACKING and marked):
        return
    reason = f"GENN CANNOT RUN HERE, ITS TESTS ARE SKIPPED: missing {', '.join(_LACKING)}"
    warnings.warn(reason, stacklevel=1)
    for item in marked:
        item.add_marker(pytest.mark.skip(reason=reason))
