"""What many tests need: the shipped example, and the data that lies beside the repository."""

from __future__ import annotations

import os
import signal
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

import onnx2genn
from onnx2genn.backends.registry import BACKENDS

ROOT = Path(__file__).parent.parent
SHARED = Path(os.environ.get("ONNX2GENN_SHARED", ROOT.parent / "shared"))

# A shell lets what it runs in the background ignore Ctrl-C, and what that starts would, too.
signal.signal(signal.SIGINT, signal.default_int_handler)

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


@dataclass(frozen=True)
class Example:
    """The shipped example: a model, and its training and test data."""

    model: Path
    train: Path
    test: Path
    x_train: np.ndarray
    x_test: np.ndarray
    y_test: np.ndarray


@pytest.fixture(scope="session", autouse=True)
def compiled_models(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Keep what GeNN compiles out of the user's cache."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ONNX2GENN_CACHE", str(tmp_path_factory.mktemp("compiled")))
        yield


@pytest.fixture(scope="session")
def digits() -> Example:
    """A small CNN on the 8x8 digits of scikit-learn."""
    folder = Path(onnx2genn.__file__).parent / "examples"
    train, test = folder / "digits_train.npz", folder / "digits_test.npz"
    with np.load(train) as a, np.load(test) as b:
        return Example(folder / "digits.onnx", train, test, a["x"], b["x"], b["y"])


@pytest.fixture(scope="session")
def shared() -> Callable[[str], Path]:
    """Find a file of the folder beside the repository; skip where it is missing."""

    def find(name: str) -> Path:
        path = SHARED / name
        if not path.exists():
            pytest.skip(f"{name} is not in the folder 'shared' beside the repository")
        return path

    return find
