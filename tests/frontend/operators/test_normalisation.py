import numpy as np
import onnx
import pytest
from helpers.onnx_models import OLD_ONNXRUNTIME, check_model, check_op, ints, model, node, normal

import onnx2genn
from onnx2genn.frontend.pipeline import check
from onnx2genn.ir.run import session

SCALE, BIAS = normal(6, seed=1), normal(6, seed=2)


@pytest.mark.parametrize(
    ("op", "inputs", "attributes", "opset"),
    [
        ("LayerNormalization", [(3, 6), SCALE, BIAS], {}, 17),
        ("LayerNormalization", [(6,), SCALE], {"epsilon": 0.1}, 17),
        ("LayerNormalization", [(3, 6), normal(3, 6)], {"axis": 1}, 17),
        ("InstanceNormalization", [(6, 3, 4), SCALE, BIAS], {"epsilon": 0.01}, 17),
        ("GroupNormalization", [(6, 3, 4), SCALE, BIAS], {"num_groups": 2}, 21),
        ("LRN", [(6, 3, 4)], {"size": 3, "alpha": 0.5, "beta": 0.6, "bias": 2.0}, 17),
        ("LRN", [(6, 3, 3)], {"size": 5, "alpha": 0.5}, 17),
        ("LpNormalization", [(3, 6)], {"p": 2}, 17),
        ("LpNormalization", [(3, 6)], {"p": 1, "axis": 1}, 17),
        ("ReduceL1", [(3, 6)], {"axes": [2], "keepdims": 0}, 17),
        ("ReduceL2", [(3, 6), ints(-1)], {}, 18),
        ("ReduceSumSquare", [(3, 6)], {"axes": [1, 2]}, 17),
        ("ReduceLogSumExp", [(3, 6)], {"axes": [1]}, 17),
    ],
)
def test_normalisations(op, inputs, attributes, opset):
    if opset > onnx.defs.onnx_opset_version():
        pytest.skip(f"this onnx has no opset {opset}")
    check_op(op, inputs, opset=opset, **attributes)


def test_root_mean_square():
    if onnx.defs.onnx_opset_version() < 23:
        pytest.skip("this onnx has no RMSNormalization")
    check_op("RMSNormalization", [(3, 6), SCALE], opset=23)


def test_statistics_of_the_batch_are_refused():
    nodes = [node("MeanVarianceNormalization", "x", "y", axes=[0, 2, 3])]
    (problem,) = check(model(nodes, {"x": ["N", 3, 4, 4]}))
    assert "batch" in problem.reason


def spelled_out():
    """A layer normalisation as exporters without the operator write it."""
    nodes = [
        node("ReduceMean", "a", "mean", axes=[-1]),
        node("Sub", "a mean", "rest"),
        node("Pow", "rest two", "square"),
        node("ReduceMean", "square", "variance", axes=[-1]),
        node("Add", "variance epsilon", "shifted"),
        node("Sqrt", "shifted", "deviation"),
        node("Div", "rest deviation", "n"),
    ]
    return nodes, {"two": np.float32(2).reshape(()), "epsilon": np.float32(1e-5).reshape(())}


def network(nodes, constants):
    nodes = [node("MatMul", "x w", "a"), *nodes, node("Relu", "n", "r"), node("MatMul", "r v", "y")]
    weights = {"w": normal(6, 6), "v": normal(6, 3), "scale": SCALE, **constants}
    return model(nodes, {"x": ["N", 4, 6]}, weights)


@pytest.mark.parametrize(
    "parts",
    [([node("LayerNormalization", "a scale", "n")], {}), spelled_out()],
    ids=["operator", "spelled out"],
)
def test_layer_normalisation_by_spikes(parts):
    proto = network(*parts)
    found = check_model(proto)
    kinds = [item.kind for item in found.parts.populations]
    assert len(kinds) == 3  # squares, 1 / root, and Relu of the product
    x = normal(128, 4, 6, seed=5)
    (wanted,) = session(proto).run(None, {"x": x})
    got = onnx2genn.convert(proto, x, steps=12).predict(x, backend="onnxruntime")
    assert np.corrcoef(got.ravel(), wanted.ravel())[0, 1] > 0.9999


def test_the_logarithm_of_a_sum_of_exponentials_by_spikes():
    nodes = [node("MatMul", "x w", "a"), node("ReduceLogSumExp", "a", "y", axes=[2], keepdims=0)]
    proto = model(nodes, {"x": ["N", 4, 6]}, {"w": normal(6, 8, scale=2.0)})
    x = normal(128, 4, 6, seed=5)
    (wanted,) = session(proto).run(None, {"x": x})
    got = onnx2genn.convert(proto, x).predict(x, backend="onnxruntime")
    assert np.abs(got - wanted).max() < 0.02 * np.ptp(wanted)


@pytest.mark.skipif(OLD_ONNXRUNTIME, reason="this onnxruntime cannot run it")
@pytest.mark.parametrize("scale", [(5,), (4, 5), (1,), (3, 1, 1)], ids=str)
@pytest.mark.parametrize("bias", [(5,), (1,), (4, 5)], ids=str)
def test_scale_and_bias_that_broadcast(scale, bias):
    operands = [normal(*scale), normal(*bias)]
    check_op("LayerNormalization", [(3, 4, 5), *operands], axis=1)
