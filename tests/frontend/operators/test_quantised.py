"""Operators on whole numbers, as onnxruntime's quantiser writes them."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from helpers.onnx_models import model, node, normal
from onnx import helper, numpy_helper
from onnxruntime import quantization

import onnx2genn
from onnx2genn.errors import UnsupportedModelError
from onnx2genn.frontend.pipeline import check, read
from onnx2genn.ir.run import session

SAMPLES = normal(128, 2, 8, 8)


def network() -> onnx.ModelProto:
    """Convolutions, a residual sum, a gate, pools, a concatenation and two matrix products."""
    nodes = [
        node("Conv", "x w1 b1", "c1", pads=[1, 1, 1, 1]),
        node("Relu", "c1", "r1"),
        node("Conv", "r1 w2 b2", "c2", pads=[1, 1, 1, 1]),
        node("Sigmoid", "c2", "s2"),
        node("Mul", "r1 s2", "m2"),
        node("Add", "m2 r1", "a2"),
        node("MaxPool", "a2", "p2", kernel_shape=[2, 2], strides=[2, 2]),
        node("AveragePool", "r1", "p1", kernel_shape=[2, 2], strides=[2, 2]),
        node("Concat", "p2 p1", "k", axis=1),
        node("LeakyRelu", "k", "l", alpha=0.1),
        node("GlobalAveragePool", "l", "g"),
        node("Flatten", "g", "f"),
        node("MatMul", "f w3", "h"),
        node("Relu", "h", "r3"),
        node("Gemm", "r3 w4 b4", "y", transB=1),
    ]
    weights = {
        "w1": normal(4, 2, 3, 3, scale=0.4),
        "b1": normal(4),
        "w2": normal(4, 4, 3, 3, scale=0.3),
        "b2": normal(4, seed=1),
        "w3": normal(8, 6),
        "w4": normal(3, 6),
        "b4": normal(3),
    }
    return model(nodes, {"x": ["N", 2, 8, 8]}, weights)


class Reader(quantization.CalibrationDataReader):  # type: ignore[misc]
    """Hands samples to the quantiser."""

    def __init__(self) -> None:
        self._samples = iter({"x": sample[None]} for sample in SAMPLES)

    def get_next(self) -> dict[str, np.ndarray] | None:
        """Return the next one."""
        return next(self._samples, None)


def quantised(kind: str, folder: Path) -> onnx.ModelProto:
    logging.getLogger().setLevel(logging.ERROR)
    given, made = folder / "float.onnx", folder / "quantised.onnx"
    onnx.save(network(), given)
    if kind == "dynamic":
        quantization.quantize_dynamic(given, made)
    else:
        quantization.quantize_static(
            given,
            made,
            Reader(),
            quant_format=quantization.QuantFormat.QOperator,
            per_channel=kind == "of channels",
            activation_type=quantization.QuantType.QUInt8,
            weight_type=quantization.QuantType.QUInt8,
        )
    return onnx.load(made)


def error(got: np.ndarray, wanted: np.ndarray) -> float:
    return float(np.sqrt(((got - wanted) ** 2).mean()) / wanted.std())


@pytest.mark.parametrize("kind", ["dynamic", "of tensors", "of channels"])
def test_what_the_quantiser_writes(kind: str, tmp_path: Path) -> None:
    proto = quantised(kind, tmp_path)
    (wanted,) = session(proto).run(["y"], {"x": SAMPLES})
    (exact,) = session(network()).run(["y"], {"x": SAMPLES})
    snn = onnx2genn.convert(proto, SAMPLES, steps=10)
    got = snn.predict(SAMPLES, backend="onnxruntime")
    assert error(got, wanted) < error(wanted, exact) + 0.01
    assert error(got, exact) < error(wanted, exact) + 0.01


def test_dynamic_quantisation_takes_no_populations(tmp_path: Path) -> None:
    found = read(quantised("dynamic", tmp_path)).parts.populations
    assert [item.kind for item in found] == [
        item.kind for item in read(network()).parts.populations
    ]


def test_other_values_than_the_operator_computes_are_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each operator is compared with the file, from the file's own whole numbers on."""
    from onnx2genn.frontend.operators.quantised import Floats

    value = Floats.value

    def wrong(floats: Floats, name: str, *rest: Any, **axis: int) -> str | np.ndarray:
        found = value(floats, name, *rest, **axis)
        return found * np.float32(1.1) if isinstance(found, np.ndarray) else found

    monkeypatch.setattr(Floats, "value", wrong)
    with pytest.raises(UnsupportedModelError, match="more than a step"):
        read(quantised("of tensors", tmp_path))


def test_a_scale_that_is_no_number_is_named(tmp_path: Path) -> None:
    proto = quantised("of tensors", tmp_path)
    scale = next(item for item in proto.graph.initializer if item.name == "c2_scale")
    scale.CopyFrom(numpy_helper.from_array(np.array(np.nan, np.float32), "c2_scale"))
    assert any("'c2_scale' is nan" in problem.reason for problem in check(proto))


def test_sums_of_whole_numbers_without_their_scale_are_refused() -> None:
    nodes = [
        node("DynamicQuantizeLinear", "x", "q s z"),
        node("MatMulInteger", "q w z", "i"),
        node("Cast", "i", "y", to=onnx.TensorProto.FLOAT),
    ]
    weights = {"w": np.arange(12, dtype=np.uint8).reshape(4, 3)}
    assert check(model(nodes, {"x": ["N", 4]}, weights))


@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("fused", ["DynamicQuantizeMatMul", "MatMulIntegerToFloat"])
def test_products_that_onnxruntime_fuses(fused: str, bias: bool) -> None:
    matrix = np.random.default_rng(0).integers(-100, 100, (6, 3)).astype(np.int8)
    weights = {
        "w": matrix, "w_scale": np.array(0.01, np.float32), "w_zero": np.array(3, np.int8),
        "b": np.arange(3, dtype=np.float32),
    }  # fmt: skip
    last = ["b"] if bias else []
    if fused == "DynamicQuantizeMatMul":
        first, inputs = [], ["x", "w", "w_scale", "w_zero", *last]
    else:
        first = [node("DynamicQuantizeLinear", "x", "q s z")]
        inputs = ["q", "w", "s", "w_scale", "z", "w_zero", *last]
    made = helper.make_node(fused, inputs, ["y"], domain="com.microsoft")
    proto = model([*first, made], {"x": ["N", 6]}, weights, domains={"com.microsoft": 1})
    found = read(proto)
    assert found.parts.populations == ()
    x = np.random.default_rng(1).normal(size=(1, 6)).astype(np.float32)
    (wanted,) = session(proto).run(None, {"x": x})
    (got,) = session(found.to_onnx()).run([found.graph.output], {"x": x})
    np.testing.assert_allclose(got, wanted, atol=0.02)  # half a step of 0.013 in 6 inputs


def older_form(channels: int = 1) -> onnx.ModelProto:
    """A convolution whose bias is rounded to the scale of its sum, as older quantisers write it."""
    scales = np.linspace(0.01, 0.02, channels).astype(np.float32)
    weights = {
        "w": np.random.default_rng(0).integers(-127, 127, (4, 2, 3, 3)).astype(np.int8),
        "w_scale": scales if channels > 1 else scales[0], "w_zero": np.zeros((), np.int8),
        "b": normal(4), "sizes": np.array([1, -1, 1, 1]), "columns": np.array([1, 4, 1, 1]),
    }  # fmt: skip
    nodes = [
        node("DynamicQuantizeLinear", "x", "q s z"),
        node("Mul", "s w_scale", "step"),
        node("Div", "b step", "t"),
        node("Floor", "t", "f"),
        node("Cast", "f", "i", to=onnx.TensorProto.INT32),
        node("ConvInteger", "q w z w_zero", "c"),
        node("Reshape", "i sizes", "r"),
        node("Add", "c r", "a"),
        node("Cast", "a", "e", to=onnx.TensorProto.FLOAT),
        *([node("Reshape", "step columns", "wide")] if channels > 1 else []),
        node("Mul", "e wide" if channels > 1 else "e step", "k"),
        node("Relu", "k", "y"),
    ]
    return model(nodes, {"x": ["N", 2, 8, 8]}, weights)


def test_a_bias_that_is_rounded_to_the_scale_of_a_sum() -> None:
    proto = older_form()
    found = read(proto)
    assert [item.kind for item in found.parts.populations] == ["Relu"]
    x = SAMPLES[:1]
    (wanted,) = session(proto).run(None, {"x": x})
    (got,) = session(found.to_onnx()).run([found.graph.output], {"x": x})
    assert error(got, wanted) < 0.01


@pytest.mark.parametrize("gates", [False, True])
@pytest.mark.parametrize("directions", [1, 2])
def test_an_lstm_with_weights_in_whole_numbers(directions: int, gates: bool) -> None:
    random, hidden, inputs = np.random.default_rng(0), 5, 3
    scales = (directions, 4 * hidden) if gates else (directions,)
    weights = {
        "w": random.integers(-127, 127, (directions, inputs, 4 * hidden)).astype(np.int8),
        "r": random.integers(-127, 127, (directions, hidden, 4 * hidden)).astype(np.int8),
        "b": normal(directions, 8 * hidden, scale=0.1),
        "w_scale": random.uniform(0.005, 0.01, scales).astype(np.float32),
        "r_scale": random.uniform(0.002, 0.004, scales).astype(np.float32),
        "zero": np.zeros(scales, np.int8),
    }
    made = helper.make_node(
        "DynamicQuantizeLSTM",
        ["t", "w", "r", "b", "", "", "", "", "w_scale", "zero", "r_scale", "zero"],
        ["s", "h"],
        domain="com.microsoft",
        hidden_size=hidden,
        direction="forward" if directions == 1 else "bidirectional",
    )
    nodes = [
        node("Transpose", "x", "t", perm=[1, 0, 2]),
        made,
        node("Transpose", "h", "y", perm=[1, 0, 2]),
    ]
    proto = model(nodes, {"x": ["N", 6, inputs]}, weights, domains={"com.microsoft": 1})
    found = read(proto)
    x = normal(20, 6, inputs)
    (wanted,) = session(proto).run(None, {"x": x})
    (got,) = session(found.to_onnx()).run([found.graph.output], {"x": x})
    assert error(got, wanted) < 0.03


def test_an_lstm_with_other_weights_than_it_computes_with_is_found(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from onnx2genn.frontend.operators import quantised_recurrent

    read_weights = quantised_recurrent._weights
    monkeypatch.setattr(
        quantised_recurrent, "_weights", lambda *given: read_weights(*given)[:, ::-1].copy()
    )
    with pytest.raises(UnsupportedModelError, match="than its rounding explains"):
        test_an_lstm_with_weights_in_whole_numbers(1, gates=False)
