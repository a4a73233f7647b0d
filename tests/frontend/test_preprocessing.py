"""Preparation of samples, which is part of the network and the same wherever samples come in."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from conftest import Example
from helpers.models import mlp
from helpers.onnx_models import model, node, side_by_side
from onnx import numpy_helper

import onnx2genn
from onnx2genn import CodingError, DataError, Preprocessing
from onnx2genn.backends.registry import BACKENDS
from onnx2genn.ir.run import session

CHANNELS = 3


def convolution(last: bool = False, dtype: int = onnx.TensorProto.FLOAT) -> onnx.ModelProto:
    """A small network of colour images, whose channels may be last."""
    random = np.random.default_rng(0)
    weights = {
        "w": random.normal(0, 0.3, (8, CHANNELS, 3, 3)).astype(np.float32),
        "v": random.normal(0, 0.1, (8 * 4 * 3, 5)).astype(np.float32),
    }
    nodes = [
        *([node("Transpose", "x", "t", perm=[0, 3, 1, 2])] if last else []),
        node("Conv", "t w" if last else "x w", "c"),
        node("Relu", "c", "r"),
        node("Flatten", "r", "f"),
        node("MatMul", "f v", "y"),
    ]
    shape = ["N", 6, 5, CHANNELS] if last else ["N", CHANNELS, 6, 5]
    return model(nodes, {"x": shape}, weights, dtype=dtype)


BYTES = np.random.default_rng(1).integers(0, 256, (40, CHANNELS, 6, 5)).astype(np.uint8)
MEAN, STD = (0.5, 0.4, 0.3), (0.2, 0.25, 0.3)
WHOLE = Preprocessing(scale=1 / 255, mean=MEAN, std=STD)


def prepared(x: np.ndarray) -> np.ndarray:
    mean, std = (np.reshape(item, (CHANNELS, 1, 1)) for item in (MEAN, STD))
    return ((x / 255 - mean) / std).astype(np.float32)


@pytest.mark.parametrize("last", [False, True])
@pytest.mark.parametrize("layout", [None, "channels-first", "channels-last"])
def test_samples_are_those_before(last: bool, layout: str | None) -> None:
    proto = convolution(last)
    options: dict[str, Any] = {**WHOLE.options(), "layout": layout}
    given_last = last if layout is None else layout == "channels-last"
    x, ready = BYTES, prepared(BYTES)
    x = x.transpose(0, 2, 3, 1) if given_last else x
    ready = ready.transpose(0, 2, 3, 1) if last else ready
    expected = session(proto).run(None, {"x": ready})[0]
    network = onnx2genn.convert(proto, x, steps=12, preprocessing=Preprocessing(**options))
    found = network.predict(x, backend="onnxruntime")
    np.testing.assert_allclose(found, expected, atol=0.02 * expected.std())
    plain = onnx2genn.convert(proto, ready, steps=12).predict(ready, backend="onnxruntime")
    np.testing.assert_allclose(found, plain, atol=0.01 * expected.std())


def test_it_is_saved_with_the_network(tmp_path: Path) -> None:
    chosen = Preprocessing(**WHOLE.options(), resize="crop")
    network = onnx2genn.convert(convolution(), BYTES, preprocessing=chosen)
    network.save(tmp_path / "saved.onnx")
    again = onnx2genn.load(tmp_path / "saved.onnx")
    assert again.model.preprocessing == chosen
    assert np.array_equal(again.predict(BYTES), network.predict(BYTES))


def test_all_of_one_value_and_a_fixed_batch() -> None:
    proto, x = mlp(), np.random.default_rng(0).normal(3, 2, (40, 6)).astype(np.float32)
    proto.graph.input[0].type.tensor_type.shape.dim[0].dim_value = 4
    chosen = Preprocessing(mean=3, std=[2] * 6)
    network = onnx2genn.convert(proto, x, steps=12, preprocessing=chosen)
    runner = session(proto)
    parts = np.split((x - 3) / np.float32(2), 10)
    expected = np.concatenate([runner.run(None, {"x": part})[0] for part in parts])
    found = network.predict(x, backend="onnxruntime")
    np.testing.assert_allclose(found, expected, atol=0.02 * expected.std())


@pytest.mark.parametrize(
    ("chosen", "populations"),
    [
        (Preprocessing(scale=8 / 255, mean=4, layout="channels-last"), 1),
        # Of channels, the range is another for each: neurons clip to it.
        (Preprocessing(scale=8 / 255, mean=(4, 4, 3)), 2),
    ],
)
def test_the_range_of_a_quantised_input(chosen: Preprocessing, populations: int) -> None:
    proto = convolution()
    proto.graph.node[0].input[0] = "d"
    pair = [node("QuantizeLinear", "x s z", "q"), node("DequantizeLinear", "q s z", "d")]
    for index, item in enumerate(pair):
        proto.graph.node.insert(index, item)
    for name, value in (("s", np.float32(8 / 255)), ("z", np.uint8(128))):
        proto.graph.initializer.append(numpy_helper.from_array(np.asarray(value), name))
    x = BYTES * 1.2 - 20  # beyond the range, too
    mean = np.reshape(np.broadcast_to(chosen.mean, CHANNELS), (CHANNELS, 1, 1))
    expected = session(proto).run(None, {"x": (x * 8 / 255 - mean).astype(np.float32)})[0]
    x = x.transpose(0, 2, 3, 1) if chosen.layout else x
    network = onnx2genn.convert(proto, x, steps=12, preprocessing=chosen)
    assert len(network.populations) == populations
    found = network.predict(x, backend="onnxruntime")
    np.testing.assert_allclose(found, expected, atol=0.05 * expected.std())


@pytest.mark.genn
@pytest.mark.parametrize("coding", ["few-spike", "rate"])
def test_backends_agree(coding: str) -> None:
    network = onnx2genn.convert(convolution(), BYTES, coding, preprocessing=WHOLE)
    assert BACKENDS["single_threaded_cpu"]
    assert not network.cross_check(BYTES[:4], backend="single_threaded_cpu").fault


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"std": 0}, "std is 0"),
        ({"std": (0.1, -1, 0.2)}, "above 0"),
        ({"scale": 0}, "scale is 0"),
        ({"scale": float("nan")}, "finite"),
        ({"mean": float("inf")}, "finite"),
        ({"mean": ()}, "finite"),
        ({"mean": (1, 2), "std": (1, 2, 3)}, "mean has 2 values and std 3"),
        ({"layout": "NHWC"}, "channels-first and channels-last"),
        ({"resize": "big"}, "resize is 'big'"),
        ({"resize": 0}, "resize is 0"),
    ],
)
def test_values_out_of_range(options: dict[str, Any], message: str) -> None:
    with pytest.raises(DataError, match=message):
        Preprocessing(**options)


@pytest.mark.parametrize(
    ("proto", "options", "message"),
    [
        (convolution(), {"mean": (1, 2)}, "do not have 2 channels"),
        (mlp(), {"layout": "channels-last"}, "not seen where samples \\[6\\]"),
        (side_by_side({"a_": mlp(), "b_": mlp()}), {"scale": 2}, "models of one input"),
        (convolution(dtype=onnx.TensorProto.UINT8), {"scale": 0.5}, "takes whole numbers"),
    ],
)
def test_what_does_not_go_with_a_model(
    proto: onnx.ModelProto, options: dict[str, Any], message: str
) -> None:
    with pytest.raises(DataError, match=message):
        onnx2genn.convert(proto, preprocessing=Preprocessing(**options))


def test_another_layout_than_that_of_the_data_is_named() -> None:
    last = BYTES.transpose(0, 2, 3, 1)
    with pytest.raises(DataError, match="layout='channels-last'"):
        onnx2genn.convert(convolution(), last)
    network = onnx2genn.convert(convolution(), BYTES)
    with pytest.raises(DataError, match="--layout channels-last"):
        network.predict(last)


def test_a_command_line_and_its_file(digits: Example, tmp_path: Path) -> None:
    from onnx2genn.cli import main

    with np.load(digits.test) as file:
        np.savez(tmp_path / "bytes.npz", x=np.round(file["x"] * 255), y=file["y"])
    (tmp_path / "run.toml").write_text(
        f'model = "{digits.model}"\ncalibrate = "bytes.npz"\nevaluate = "bytes.npz"\nlimit = 100\n'
        f'scale = {1 / 255}\nmean = [0.0]\nstd = [1.0]\njson = "a.json"\nsave = "s.onnx"\n'
        'backend = "onnxruntime"\n'
    )
    assert main(["--config", str(tmp_path / "run.toml")]) == 0
    words = ["--evaluate", str(tmp_path / "bytes.npz"), "--limit", "100"]
    words += ["--backend", "onnxruntime", "--json", str(tmp_path / "b.json")]
    assert main([str(tmp_path / "s.onnx"), *words]) == 0
    first, second = ((tmp_path / name).read_text() for name in ("a.json", "b.json"))
    assert '"ann_accuracy": 0.99' in first
    keep = [line for line in first.splitlines() if "samples_per_second" not in line]
    same = [line for line in second.splitlines() if "samples_per_second" not in line]
    assert [line for line in keep if '"model"' not in line] == [
        line for line in same if '"model"' not in line
    ]
    with pytest.raises(SystemExit, match="2"):
        main([str(tmp_path / "s.onnx"), *words, "--scale", "2"])
    with pytest.raises(SystemExit, match="2"):
        main([str(digits.model), "--std", "0"])


def test_names_of_some_of_the_classes_are_refused(digits: Example) -> None:
    network = onnx2genn.convert(digits.model, digits.x_train)
    x, y = digits.x_test[:5], digits.y_test[:5]
    with pytest.raises(DataError, match="3 classes by name"):
        network.evaluate(x, y, class_names=["a", "b", "c"])
    names = [f"number {i}" for i in range(10)]
    assert network.evaluate(x, y, class_names=names).to_dict()["class_names"] == names
    with pytest.raises(CodingError):
        onnx2genn.convert(digits.model, digits.x_train, colour=3)
