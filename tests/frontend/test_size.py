"""The size of a network is known before anything of it runs."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from helpers.models import mlp
from helpers.onnx_models import ints, model, node

import onnx2genn
from onnx2genn import UnsupportedModelError
from onnx2genn.cli import main
from onnx2genn.evaluate.operations import macs
from onnx2genn.frontend.outputs import choose_outputs
from onnx2genn.frontend.pipeline import read
from onnx2genn.frontend.raw import raw_graph
from onnx2genn.frontend.size import Size, estimate, require

FLOAT = 4
SAMPLES = 3


def size_of(proto: onnx.ModelProto) -> Size:
    return estimate(*raw_graph(proto, choose_outputs(proto)[0]))


def large() -> onnx.ModelProto:
    """Two convolutions of 256 channels on 1024 x 1024 pixels."""
    weights = {
        "w0": np.ones((256, 3, 3, 3), np.float32),
        "w1": np.ones((256, 256, 3, 3), np.float32),
    }
    nodes = [
        node("Conv", "x w0", "c", pads=[1] * 4),
        node("Relu", "c", "r"),
        node("Conv", "r w1", "d", pads=[1] * 4),
        node("GlobalAveragePool", "d", "g"),
        node("Flatten", "g", "y"),
    ]
    return model(nodes, {"x": ["N", 3, 1024, 1024]}, weights)


def test_what_cannot_fit_is_refused_at_once() -> None:
    found = size_of(large())
    assert found.macs == 1024**2 * 256 * 9 * (3 + 256)
    assert found.bytes > SAMPLES * FLOAT * 3 * 256 * 1024**2
    for function in (onnx2genn.check, onnx2genn.convert):
        with (
            onnx2genn.memory_budget(4),
            pytest.raises(UnsupportedModelError, match=r"takes 9\.0 GiB .* have 4\.0"),
        ):
            function(large())


def test_a_constant_shape_of_absurd_size_is_refused() -> None:
    nodes = [node("Expand", "x s", "e"), node("ReduceSum", "e a", "y", keepdims=0)]
    proto = model(nodes, {"x": ["N", 1]}, {"s": ints(1, 10**12), "a": ints(1)})
    with pytest.raises(UnsupportedModelError, match="too large"):
        onnx2genn.convert(proto)


def test_multiply_accumulates_are_those_of_the_canonical_graph() -> None:
    proto = mlp(sizes=(6, 8, 5, 3))
    found = size_of(proto)
    assert found.macs == macs(read(proto).graph) == 6 * 8 + 8 * 5 + 5 * 3
    assert found.values == 2 * 8 + 2 * 5 + 3
    weights = sum(len(item.raw_data) for item in proto.graph.initializer)
    assert found.bytes == weights + SAMPLES * FLOAT * found.values


def test_products_of_activations_and_transposed_weights() -> None:
    nodes = [
        node("Transpose", "x", "t", perm=[0, 2, 1]),
        node("MatMul", "x t", "s"),
        node("Flatten", "s", "f"),
        node("Gemm", "f w", "y", transB=1),
    ]
    proto = model(nodes, {"x": ["N", 5, 7]}, {"w": np.ones((2, 25), np.float32)})
    assert size_of(proto).macs == 5 * 5 * 7 + 25 * 2


def test_a_transposed_convolution_and_a_fixed_batch() -> None:
    weight = np.ones((4, 2, 3, 3), np.float32)
    for batch in ("N", 1, 8):
        nodes = [node("ConvTranspose", "x w", "y", strides=[2, 2])]
        proto = model(nodes, {"x": [batch, 4, 5, 5]}, {"w": weight})
        assert size_of(proto).macs == 4 * 5 * 5 * 2 * 9


def test_what_onnx_does_not_know_counts_nothing() -> None:
    proto = model([node("Own", "x", "y", domain="own")], {"x": ["N", 3]}, domains={"own": 1})
    assert size_of(proto) == Size(bytes=0, values=0, macs=0)


def test_what_takes_long_is_said_first() -> None:
    with pytest.warns(UserWarning, match="30 billion multiply-accumulates.* from minutes to hours"):
        require(Size(bytes=1, values=1, macs=30 * 10**9))


def test_the_budget_of_the_command_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "small.onnx"
    onnx.save(mlp(), path)
    assert main([str(path), "--check", "--memory", "1e-9"]) == 1
    assert "too large" in capsys.readouterr().err
    assert main([str(path), "--check", "--memory", "0.1"]) == 0
    for words in ("nan", "0", "-1", "x"):
        with pytest.raises(SystemExit, match="2"):
            main([str(path), f"--memory={words}"])
