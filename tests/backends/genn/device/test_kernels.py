"""Loops over spikes, compiled and run: what arrives is the product with the projection's matrix."""

from __future__ import annotations

import ctypes
import subprocess
from pathlib import Path

import numpy as np
import pytest
from scipy import sparse

from onnx2genn.backends.genn.device.kernels import Kernel, make_kernel
from onnx2genn.backends.genn.installation import CPU, compiler
from onnx2genn.backends.genn.lowering.convolution import Convolution, sparse_matrix
from onnx2genn.backends.genn.lowering.projection import Dense, Linear, Sparse

pytestmark = pytest.mark.genn


def convolution(outputs: int, fan_in: int, rows: int, columns: int, **changed: object) -> Linear:
    kernel = np.random.default_rng(0).integers(-4, 5, (outputs, fan_in, rows, columns))
    whole = {
        "kernel": kernel.astype(np.float64),
        "strides": (1, 1),
        "dilations": (1, 1),
        "pads": (1, 1),
        "group": 1,
        "source": (fan_in, 6, 7),
        "target": (outputs, 6, 7),
    }
    return Convolution(**{**whole, **changed})  # type: ignore[arg-type]


def listed(density: float) -> Linear:
    matrix = sparse.random_array((40, 30), density=density, format="csr", rng=0)
    matrix.data = np.round(8 * matrix.data).astype(np.float32)
    return Sparse(matrix=matrix.astype(np.float32))


PROJECTIONS = {
    "convolution": convolution(5, 6, 3, 3),
    "strides and pads": convolution(8, 3, 4, 3, strides=(2, 3), pads=(2, 0), target=(8, 4, 2)),
    "dilated": convolution(4, 9, 2, 3, dilations=(3, 2), pads=(0, 2)),
    "grouped, into a slice": convolution(
        6, 2, 3, 3, group=2, source=(4, 6, 7), target=(10, 6, 7), first=3
    ),
    "depth multiplier": convolution(8, 1, 3, 3, group=4, source=(4, 6, 7)),
    "depthwise": convolution(5, 1, 3, 3, group=5, source=(5, 6, 7)),
    "depthwise, strides and pads": convolution(
        5, 1, 5, 4, group=5, source=(5, 6, 7), strides=(2, 2), pads=(2, 1), target=(5, 3, 4)
    ),
    "depthwise, dilated, into a slice": convolution(
        3, 1, 3, 2, group=3, source=(3, 6, 7), dilations=(1, 4), pads=(0, 3), target=(9, 4, 9),
        first=2,
    ),
    "depthwise, wider than its source": convolution(
        3, 1, 1, 9, group=3, source=(3, 6, 7), pads=(0, 4)
    ),
    "dense": Dense(matrix=np.random.default_rng(1).integers(-4, 5, (23, 9)).astype(np.float32)),
    "few": listed(0.02),
    "many": listed(0.3),
}  # fmt: skip


def matrix_of(linear: Linear) -> np.ndarray:
    if isinstance(linear, Convolution):
        return sparse_matrix(linear).toarray()
    return linear.matrix if isinstance(linear, Dense) else linear.matrix.toarray()


def written(name: str, kernel: Kernel) -> str:
    types = {"f": "float", "i": "int"}
    arrays = [f"{types[item.dtype.kind]} *{key}" for key, item in kernel.arrays.items()]
    parameters = ", ".join(["const float *sent", "float *target", *arrays])
    return f"void {name}({parameters}) {{ {kernel.code} }}"


@pytest.fixture(scope="module")
def compiled(tmp_path_factory: pytest.TempPathFactory) -> ctypes.CDLL:
    """All kernels, for spikes and for graded ones, in one library."""
    folder: Path = tmp_path_factory.mktemp("kernels")
    texts = [
        written(f"k{index}_{int(graded)}", make_kernel(linear, "sent[", graded=graded))
        for index, linear in enumerate(PROJECTIONS.values())
        for graded in (False, True)
    ]
    code = 'typedef float scalar;\nextern "C" {\n' + "\n".join(texts) + "\n}\n"
    (folder / "kernels.cc").write_text(code)
    flags = ["-O2", "-shared", "-fPIC", "-o", folder / "kernels.so", folder / "kernels.cc"]
    subprocess.run([*(compiler(CPU) or "g++").split(), *flags], check=True)
    return ctypes.CDLL(str(folder / "kernels.so"))


@pytest.mark.parametrize("graded", [False, True])
@pytest.mark.parametrize("name", PROJECTIONS)
@pytest.mark.parametrize("density", [0.0, 0.3, 1.0])
def test_spikes_arrive_as_by_the_matrix(
    name: str, density: float, graded: bool, compiled: ctypes.CDLL
) -> None:
    linear = PROJECTIONS[name]
    matrix = matrix_of(linear)
    kernel = make_kernel(linear, "sent[", graded=graded)
    random = np.random.default_rng(2)
    sent = (random.random(len(matrix)) < density).astype(np.float32)
    if graded:
        sent *= random.integers(-3, 4, len(matrix))
    target = np.ones(matrix.shape[1], np.float32)
    arrays = [sent, target, *(item.copy() for item in kernel.arrays.values())]
    step = compiled[f"k{list(PROJECTIONS).index(name)}_{int(graded)}"]
    step(*(item.ctypes.data_as(ctypes.c_void_p) for item in arrays))
    np.testing.assert_array_equal(target, 1 + sent @ matrix)
