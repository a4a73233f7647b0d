"""Files that are damaged, or say little: a reason, and never a traceback."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from helpers.models import mlp
from helpers.onnx_models import model, node, normal
from onnx import helper

import onnx2genn
from onnx2genn import UnsupportedModelError
from onnx2genn.frontend.pipeline import check, read
from onnx2genn.ir.run import session


def dims_cut(proto):
    proto.graph.initializer[0].dims[0] = 99


def type_unknown(proto):
    proto.graph.initializer[0].data_type = 99


def type_undefined(proto):
    proto.graph.initializer[0].data_type = 0


def data_lost(proto):
    proto.graph.initializer[0].ClearField("raw_data")


def input_of_text(proto):
    proto.graph.input[0].type.tensor_type.elem_type = onnx.TensorProto.STRING


def input_undefined(proto):
    proto.graph.input[0].type.tensor_type.elem_type = 0


def input_no_tensor(proto):
    proto.graph.input[0].type.CopyFrom(helper.make_sequence_type_proto(proto.graph.input[0].type))


def empty_axis(proto):
    proto.graph.input[0].type.tensor_type.shape.dim[1].dim_value = 0


def endless_axis(proto):
    proto.graph.input[0].type.tensor_type.shape.dim[1].dim_value = 2**40


def constant_without_value(proto):
    proto.graph.node.add().CopyFrom(helper.make_node("Constant", [], ["c"]))


def constant_with_two(proto):
    proto.graph.node.add().CopyFrom(
        helper.make_node("Constant", [], ["c"], value_float=1.0, value_int=2)
    )


def input_lost(proto):
    del proto.graph.node[1].input[0]


def weight_lost(proto):
    del proto.graph.initializer[1]


def attribute_of_text(proto):
    proto.graph.node[0].attribute.add().CopyFrom(helper.make_attribute("alpha", "much"))


def opset_unknown(proto):
    proto.opset_import[0].version = 999


DAMAGES = [
    dims_cut,
    type_unknown,
    type_undefined,
    data_lost,
    input_of_text,
    input_undefined,
    input_no_tensor,
    empty_axis,
    endless_axis,
    constant_without_value,
    constant_with_two,
    input_lost,
    weight_lost,
    attribute_of_text,
    opset_unknown,
]


@pytest.mark.parametrize("damage", DAMAGES)
def test_damage(damage):
    proto = mlp()
    assert check(proto) == []
    damage(proto)
    try:
        problems = check(proto)
    except UnsupportedModelError as error:
        problems = [str(error)]
    assert problems
    assert "error of onnx2genn" not in " ".join(map(str, problems))


def test_a_batch_of_minus_one():
    """As Paddle writes an open axis."""
    proto = mlp()
    proto.graph.input[0].type.tensor_type.shape.dim[0].dim_value = -1
    assert read(proto).entries == {"x": (6,)}
    x = normal(7, 6)
    assert onnx2genn.convert(proto, x).predict(x, backend="onnxruntime").shape == (7, 3)


def test_an_axis_of_size_zero_is_not_called_open():
    proto = mlp()
    empty_axis(proto)
    with pytest.raises(UnsupportedModelError, match="size 0"):
        read(proto)


def test_shapes_that_do_not_fit_are_no_matter_of_the_opset():
    nodes = [node("Gemm", "x w", "y")]
    proto = model(nodes, {"x": ["N", 3]}, {"w": np.zeros((4, 2), np.float32)})
    with pytest.raises(UnsupportedModelError, match="Gemm") as raised:
        check(proto)
    assert "opset is newer" not in str(raised.value) and "batch" not in str(raised.value)


@pytest.mark.parametrize("name", [b"w1", b"Gemm", b"test"])
def test_names_that_are_no_text_are_refused(name):
    content = mlp().SerializeToString().replace(name, b"\xff" * len(name))
    with pytest.raises(UnsupportedModelError, match="no text in UTF-8"):
        read(onnx.load_from_string(content))


@pytest.mark.parametrize("name", ["n" * 300, "missing", "with\0null"])
def test_files_that_cannot_be_are_explained(tmp_path, name):
    with pytest.raises(UnsupportedModelError, match=r"cannot be read|There is no model file"):
        read(tmp_path / name)


def test_a_file_that_may_not_be_read_is_not_called_a_wrong_model():
    if not Path("/proc/self/mem").exists():
        pytest.skip("no file here that nobody may read")
    with pytest.raises(UnsupportedModelError, match=r"cannot be read: Input/output error"):
        read("/proc/self/mem")


def test_an_output_without_a_name_is_refused():
    proto = mlp()
    proto.graph.node[-1].output[0] = proto.graph.output[0].name = ""
    with pytest.raises(UnsupportedModelError, match="has no name"):
        read(proto)


def test_opsets_before_broadcasting_are_written_in_a_newer_one():
    """Add has the axis of its second operand as an attribute, and Relu what it may overwrite."""
    nodes = [
        node("Conv", "x w", "c"),
        node("Add", "c b", "s", broadcast=1, axis=1),
        node("Relu", "s", "y"),
    ]
    weights = {"w": normal(2, 1, 3, 3), "b": np.array([1, -2], np.float32)}
    found = read(model(nodes, {"x": ["N", 1, 4, 4]}, weights, opset=6))
    again = node("Add", "c b", "s")
    newer = model([nodes[0], again, nodes[2]], {"x": ["N", 1, 4, 4]},
                  {**weights, "b": weights["b"].reshape(2, 1, 1)})  # fmt: skip
    x = {"x": normal(3, 1, 4, 4)}
    (got,) = session(found.to_onnx()).run([found.graph.output], x)
    np.testing.assert_allclose(got, session(newer).run(None, x)[0], atol=1e-5)
    old = [node("Neg", "x", "n", consumed_inputs=[0]), node("Relu", "n", "y", consumed_inputs=[0])]
    assert check(model(old, {"x": ["N", 4]}, opset=1)) == []


def test_bfloat16_is_read_as_float32():
    """onnxruntime neither computes with it on a CPU nor gives it as numbers."""
    kind = onnx.TensorProto.BFLOAT16
    weight = onnx.helper.make_tensor("w", kind, (4, 3), np.arange(12, dtype=np.float32))
    nodes = [
        node("Cast", "x", "b", to=kind),
        node("MatMul", "b w", "c"),
        node("Relu", "c", "r"),
        node("Cast", "r", "y", to=onnx.TensorProto.FLOAT),
    ]
    proto = model(nodes, {"x": ["N", 4]})
    proto.graph.initializer.append(weight)
    found = read(proto)
    x = normal(3, 4)
    (got,) = session(found.to_onnx()).run([found.graph.output], {"x": x})
    wanted = np.maximum(x @ np.arange(12, dtype=np.float32).reshape(4, 3), 0)
    np.testing.assert_allclose(got, wanted, rtol=1e-5)
    assert proto.graph.initializer[0].data_type == kind
