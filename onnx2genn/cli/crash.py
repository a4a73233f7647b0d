"""What is left of an error of onnx2genn itself: one line, and a file with the rest."""

from __future__ import annotations

import os
import platform
import sys
import tempfile
import traceback
from importlib.metadata import version

_PACKAGES = ("onnx2genn", "numpy", "onnx", "onnxruntime")
_LONGEST = 200


def report(error: BaseException) -> str:
    """Write what happened into a file of the temporary directory; say it in one line.

    Args:
        error: What nobody expected.
    """
    reason = " ".join(f"{type(error).__name__}: {error}".split())[:_LONGEST]
    try:
        handle, path = tempfile.mkstemp(prefix="onnx2genn-", suffix=".txt")
        with os.fdopen(handle, "w", encoding="utf-8", errors="backslashreplace") as file:
            file.write("\n".join([*_circumstances(), "", *traceback.format_exception(error)]))
    except OSError as fault:
        return f"internal error: {reason}; its traceback cannot be written: {fault.strerror}"
    return f"internal error: {reason}; please report it, with what {path} says"


def _circumstances() -> list[str]:
    found = [f"Python {platform.python_version()} on {platform.platform()}"]
    found += [f"{name} {version(name)}" for name in _PACKAGES]
    return [*found, f"arguments: {sys.argv[1:]}"]
