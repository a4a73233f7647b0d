"""Quantised models in QDQ format."""

import numpy as np
import onnx
import pytest
from helpers.onnx_models import model, node, normal, one_node
from onnx.reference import ReferenceEvaluator

import onnx2genn
from onnx2genn import UnsupportedModelError
from onnx2genn.frontend.passes import quantisation
from onnx2genn.frontend.pipeline import check, read
from onnx2genn.ir.run import session


def pair(source, target, scale, zero):
    return [
        node("QuantizeLinear", f"{source} {scale} {zero}", f"{target}_q"),
        node("DequantizeLinear", f"{target}_q {scale} {zero}", target),
    ]


def network(relu, opset=17):
    """Two convolutions with 8-bit weights and activations; relu: whether it is still there."""
    random = np.random.default_rng(0)
    weights = {
        "wq": random.integers(-127, 128, (4, 2, 3, 3)).astype(np.int8),
        "vq": random.integers(-127, 128, (64, 3)).astype(np.int8),
        "ws": np.float32(0.01),
        "vs": np.float32(0.02),
        "z8": np.int8(0),
        "s_in": np.float32(8 / 255),
        "z_in": np.uint8(128),
        "s_a": np.float32(6 / 255),
        "zero": np.uint8(0),
        "s_out": np.float32(0.25),
        "z_out": np.int8(3),
    }
    nodes = [
        *pair("x", "xd", "s_in", "z_in"),
        node("DequantizeLinear", "wq ws z8", "w"),
        node("Conv", "xd w", "c"),
        *([node("Relu", "c", "r")] if relu else []),
        *pair("r" if relu else "c", "a", "s_a", "zero"),
        node("MaxPool", "a", "p", kernel_shape=[3, 3]),
        *pair("p", "pd", "s_a", "zero"),
        node("Flatten", "pd", "f"),
        node("DequantizeLinear", "vq vs z8", "v"),
        node("MatMul", "f v", "l"),
        *pair("l", "y", "s_out", "z_out"),
    ]
    arrays = {name: np.asarray(array) for name, array in weights.items()}
    return model(nodes, {"x": ["N", 2, 8, 8]}, arrays, opset=opset)


@pytest.mark.parametrize("opset", [10, 13, 17, 21])
@pytest.mark.parametrize("relu", [True, False])
def test_ranges_are_bounds(relu, opset):
    found = read(network(relu, opset))
    assert [item.kind for item in found.parts.populations] == ["Clip", "MaxPool"]
    assert found.parts.populations[0].bound == pytest.approx(6)
    assert any("QuantizeLinear" in note for note in found.graph.notes)


@pytest.mark.parametrize("relu", [True, False])
def test_eight_steps_have_the_levels_of_eight_bits_without_calibration(relu):
    snn = onnx2genn.convert(network(relu), coding="few-spike", steps=8)
    first = snn.populations[0]
    np.testing.assert_allclose(snn.units[first.tensor], 6 / 255, rtol=1e-6)
    # Inputs on the levels of the model's own quantisation, whose rounding is left out here.
    x = (np.random.default_rng(1).integers(-100, 101, (64, 2, 8, 8)) * (8 / 255)).astype("f4")
    # As it is written: the integer kernels of an optimised graph may saturate on some processors.
    (quantised,) = session(network(relu), optimise=False).run(["y"], {"x": x})
    logits = snn.predict(x, backend="onnxruntime")
    step = 0.25
    inside = np.abs(quantised) < 100 * step
    assert np.abs(logits - quantised)[inside].max() <= step / 2 * 1.01


def test_integer_operators_are_refused():
    weights = [normal(3, 4).astype(np.int8)]
    proto = one_node("MatMulInteger", [(3,), *weights])
    proto.graph.input[0].type.tensor_type.elem_type = 3
    proto.graph.output[0].type.tensor_type.elem_type = 6
    (problem,) = check(proto)
    assert "QDQ" in problem.advice


def symmetric(scale, dtype=np.int8, *, other=None, zero="z", signed=False):
    """A hidden layer whose activations are quantised to whole numbers around zero."""
    weights = {
        "w": normal(6, 16),
        "v": normal(16, 4, seed=1),
        "s": np.asarray(np.float32(scale)),
        "t": np.asarray(np.float32(scale if other is None else other)),
        "z": np.asarray(dtype(0)),
    }
    nodes = [
        node("MatMul", "x w", "m"),
        node("LeakyRelu" if signed else "Relu", "m", "r"),
        node("QuantizeLinear", f"r s {zero}", "q"),
        node("DequantizeLinear", f"q t {zero}", "d"),
        node("MatMul", "d v", "y"),
    ]
    return model(nodes, {"x": ["N", 6]}, weights, opset=21)


def on_file(proto, x):
    """What the file computes as it is written."""
    return session(proto, optimise=False).run(["y"], {"x": x})[0]


# A coarse scale rounds, a fine one cuts most of the values off.
@pytest.mark.parametrize("scale", [0.05, 0.01, 0.002])
@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"signed": True},
        {"dtype": np.uint8},
        {"dtype": np.int16},
        {"other": 0.03},
        {"zero": "_"},
        {"zero": "_", "other": 0.004},
    ],
    ids=str,
)
def test_the_file_is_met_within_its_own_rounding(scale, settings):
    proto = symmetric(scale, **settings)
    x = normal(400, 6, seed=3)
    wanted = on_file(proto, x)
    found = read(proto)
    (name,) = found.graph.inputs
    (got,) = session(found.to_onnx()).run([found.graph.output], {name: x})
    step = max(scale, settings.get("other", scale))
    bound = 0.51 * step * np.abs(normal(16, 4, seed=1)).sum(axis=0).max()
    assert np.abs(got - wanted).max() <= bound
    snn = onnx2genn.convert(proto, x, steps=10)
    logits = snn.predict(x, backend="onnxruntime")
    assert np.abs(logits - wanted).max() <= 2 * bound + 0.02 * np.abs(wanted).max()
    assert np.mean(logits.argmax(1) == wanted.argmax(1)) > 0.95


def test_a_pair_that_loses_its_range_is_caught(monkeypatch):
    def without_clip(builder, node, rounding, graph, *, clip):
        builder.emit("Identity", rounding.source, output=node.output, name=node.name)

    proto = symmetric(0.01)
    read(proto)
    monkeypatch.setattr(quantisation, "_write", without_clip)
    with pytest.raises(UnsupportedModelError, match="step of its quantisation"):
        read(proto)


def test_what_is_within_the_range_needs_no_neurons():
    """The maximum of quantised values, or a sigmoid, never reaches beyond it."""
    weights = {"s": np.asarray(np.float32(1 / 127)), "z": np.asarray(np.int8(0))}
    nodes = [
        node("Sigmoid", "x", "a"),
        *pair("a", "b", "s", "z"),
        node("MaxPool", "b", "c", kernel_shape=[2], strides=[2]),
        *pair("c", "d", "s", "z"),
        node("Flatten", "d", "y"),
    ]
    found = read(model(nodes, {"x": ["N", 2, 6]}, weights))
    assert [item.kind for item in found.parts.populations] == ["Sigmoid", "MaxPool"]


def test_several_scales_are_refused():
    weights = {"s": np.full(6, 0.1, np.float32), "z": np.zeros(6, np.uint8), "w": normal(6, 3)}
    nodes = [
        node("QuantizeLinear", "x s z", "q", axis=1),
        node("DequantizeLinear", "q s z", "d", axis=1),
        node("MatMul", "d w", "y"),
    ]
    (first, *_) = check(model(nodes, {"x": ["N", 6]}, weights))
    assert first.operator == "QuantizeLinear"


def test_inputs_are_clipped_as_the_file_clips_them(tmp_path):
    """Without neurons for it: when samples are prepared."""
    proto = network(relu=True)
    x = (normal(40, 2, 8, 8) * 6).astype(np.float32)
    snn = onnx2genn.convert(proto, x, steps=12)
    assert snn.model.limits["x"] == pytest.approx((-128 * 8 / 255, 127 * 8 / 255))
    # On the levels of its quantisation.
    low, high = snn.model.limits["x"]
    levels = np.clip(np.round(x / (8 / 255)) * np.float32(8 / 255), low, high)
    snn.save(tmp_path / "snn.onnx")
    for item in (snn, onnx2genn.load(tmp_path / "snn.onnx")):
        logits = item.predict(x, backend="onnxruntime")
        clipped = item.predict(np.clip(x, low, high).astype(np.float32), backend="onnxruntime")
        np.testing.assert_array_equal(logits, clipped)
    wanted = on_file(proto, levels.astype(np.float32))
    far = np.abs(wanted) < 31
    assert np.corrcoef(logits[far], wanted[far])[0, 1] > 0.99


@pytest.mark.parametrize("form", ["zero point", "output type", "casts"])
def test_float8_is_the_float_network_within_a_step(form):
    """onnx computes the file: onnxruntime's optimiser changes what it computes in float8."""
    small = pytest.importorskip("ml_dtypes").float8_e4m3fn
    kind = onnx.TensorProto.FLOAT8E4M3FN
    if form == "casts":
        pairs = [node("Cast", "x", "q", to=kind), node("Cast", "q", "d", to=1)]
        pairs += [node("Cast", "weight", "w", to=1)]
    else:
        zero, options = ("zero", {}) if form == "zero point" else ("", {"output_dtype": kind})
        pairs = [
            node("QuantizeLinear", f"x scale {zero}", "q", **options),
            node("DequantizeLinear", f"q scale {zero}", "d"),
            node("DequantizeLinear", f"weight scale {zero}", "w"),
        ]
    nodes = [*pairs, node("MatMul", "d w", "a"), node("Relu", "a", "y")]
    weights = {"weight": (normal(6, 8) * 100).astype(small), "scale": np.float32(0.01)}
    weights["zero"] = np.zeros((), small)
    proto = model(nodes, {"x": ["N", 6]}, weights, opset=21)
    found = read(proto)
    assert [item.kind for item in found.parts.populations] == ["Relu"]
    x = normal(50, 6)
    (wanted,) = ReferenceEvaluator(proto).run(None, {"x": x})
    (got,) = session(found.to_onnx()).run([found.graph.output], {"x": x})
    assert np.sqrt(((got - wanted) ** 2).mean()) < 0.06 * wanted.std()  # half of 1 / 8


@pytest.mark.parametrize("kind", ["float8_e5m2", "float8_e4m3fnuz"])
@pytest.mark.parametrize("form", ["zero point", "output type", "casts"])
def test_other_floats_of_eight_bits_are_refused_by_name(kind, form):
    small = np.dtype(getattr(pytest.importorskip("ml_dtypes"), kind))
    number = onnx.helper.np_dtype_to_tensor_dtype(small)
    if form == "casts":
        pair = [node("Cast", "x", "q", to=number), node("Cast", "q", "y", to=1)]
    else:
        zero, options = ("zero", {}) if form == "zero point" else ("", {"output_dtype": number})
        pair = [
            node("QuantizeLinear", f"x scale {zero}", "q", **options),
            node("DequantizeLinear", f"q scale {zero}", "y"),
        ]
    weights = {"scale": np.float32(0.01), "zero": np.zeros((), small)}
    problems = check(model(pair, {"x": ["N", 6]}, weights, opset=21))
    assert problems[0].operator == pair[0].op_type
    assert kind in problems[0].reason
