"""The codings by name."""

from __future__ import annotations

from typing import TypeVar

from onnx2genn.coding.base import Coding

CODINGS: dict[str, type[Coding]] = {}
C = TypeVar("C", bound=type[Coding])


def register(coding: C) -> C:
    """Make a coding known by its name; a later one of the same name replaces an earlier one."""
    CODINGS[coding.name] = coding
    return coding
