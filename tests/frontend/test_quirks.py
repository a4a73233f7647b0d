"""What exporters write, one test for each quirk."""

import numpy as np
import onnx
import pytest
from helpers.onnx_models import check_model, ints, model, node, normal, operators
from onnx import helper, numpy_helper

import onnx2genn
from onnx2genn import UnsupportedModelError
from onnx2genn.frontend.pipeline import check, read
from onnx2genn.ir.run import session


def mlp(**options):
    nodes = [node("MatMul", "x w", "a"), node("Relu", "a", "r"), node("MatMul", "r v", "y")]
    weights = {"w": normal(4, 5), "v": normal(5, 3, seed=1)}
    return model(nodes, {"x": ["N", 4]}, weights, **options)


def test_weights_in_a_second_file(tmp_path):
    path = tmp_path / "model.onnx"
    onnx.save(mlp(), path, save_as_external_data=True, location="weights.bin", size_threshold=0)
    assert (tmp_path / "weights.bin").exists()
    assert len(read(path).parts.populations) == 1
    (tmp_path / "weights.bin").unlink()
    with pytest.raises(UnsupportedModelError, match=r"second file.*weights\.bin"):
        read(path)


@pytest.mark.parametrize("batch", [1, 8])
def test_fixed_batch(batch):
    nodes = [
        node("Conv", "x w", "c"),
        node("Relu", "c", "r"),
        node("Reshape", "r flat", "f"),
        node("Gemm", "f v b", "y", transB=1),
    ]
    weights = {"w": normal(2, 1, 3, 3), "flat": ints(batch, 8), "v": normal(3, 8), "b": normal(3)}
    proto = model(nodes, {"x": [batch, 1, 4, 4]}, weights)
    found = read(proto)
    x = normal(5, 1, 4, 4)
    (together,) = session(found.to_onnx()).run(None, {"x": x})
    for index in range(5):
        feed = np.repeat(x[index : index + 1], batch, axis=0)
        (alone,) = session(proto).run(None, {"x": feed})
        np.testing.assert_allclose(together[index], alone[0], rtol=1e-5, atol=1e-5)


def test_batch_free_is_noted():
    nodes = [node("Reshape", "x flat", "y")]
    found = read(model(nodes, {"x": [8, 2, 3]}, {"flat": ints(8, 6)}))
    assert any("batch" in note for note in found.graph.notes)


def test_one_weight_for_several_users_is_not_changed_in_place():
    nodes = [
        node("Conv", "x w", "a"),
        node("Mul", "a s", "b"),
        node("Conv", "b w", "c"),
        node("Add", "c shift", "y"),
    ]
    weights = {"w": normal(2, 2, 3, 3), "s": normal(2, 1, 1), "shift": normal(2, 1, 1)}
    check_model(model(nodes, {"x": ["N", 2, 7, 7]}, weights))


def test_weights_as_constant_nodes():
    weight = numpy_helper.from_array(normal(4, 3), "w")
    nodes = [node("Constant", "", "w", value=weight), node("MatMul", "x w", "y")]
    check_model(model(nodes, {"x": ["N", 4]}))


def test_constants_of_every_kind():
    nodes = [
        node("Constant", "", "one", value_float=2.0),
        node("Constant", "", "many", value_floats=[1.0, 2.0, 3.0]),
        node("Constant", "", "axes", value_ints=[1]),
        node("Constant", "", "axis", value_int=1),
        node("Mul", "x one", "a"),
        node("Add", "a many", "b"),
        node("Unsqueeze", "b axes", "c"),
        node("Gather", "b axis", "d", axis=1),
        node("Add", "b d2", "y"),
        node("Unsqueeze", "d axes", "d2"),
    ]
    nodes[-2:] = nodes[:-3:-1]
    check_model(model(nodes, {"x": ["N", 3]}))


def test_initializers_listed_as_inputs():
    proto = mlp()
    proto.ir_version = 3
    for item in proto.graph.initializer:
        info = helper.make_tensor_value_info(item.name, item.data_type, item.dims)
        proto.graph.input.append(info)
    assert list(check_model(proto).graph.inputs) == ["x"]


def test_nodes_without_names_or_with_the_same_name():
    proto = mlp()
    assert [item.name for item in read(proto).parts.populations] == ["Relu_1_r"]
    for item in proto.graph.node:
        item.name = "layer/1"
    names = [item.name for item in read(proto).graph.nodes]
    assert len(set(names)) == len(names)


def test_names_become_identifiers():
    nodes = [
        node("Relu", "x", "a", name="7/a.b:0"),
        node("Neg", "a", "n"),
        node("Relu", "n", "y", name="7/a-b:0"),
    ]
    names = [item.name for item in read(model(nodes, {"x": ["N", 3]})).parts.populations]
    assert len(set(names)) == 2
    assert all(name.isidentifier() and name.isascii() for name in names)


FLATTENS = {
    "flatten": ([node("Flatten", "r", "f")], {}),
    "view": ([node("Reshape", "r s", "f")], {"s": ints(-1, 12)}),
    "zero": ([node("Reshape", "r s", "f")], {"s": ints(0, -1)}),
    "shape arithmetic of torch": (
        [
            node("Shape", "r", "shape"),
            node("Gather", "shape zero", "n", axis=0),
            node("Unsqueeze", "n axis", "n1"),
            node("Concat", "n1 minus", "s", axis=0),
            node("Reshape", "r s", "f"),
        ],
        {"zero": np.array(0), "axis": ints(0), "minus": ints(-1)},
    ),
    "shape arithmetic of tf2onnx": (
        [
            node("Transpose", "r", "t", perm=[0, 2, 3, 1]),
            node("Shape", "r", "shape"),
            node("Gather", "shape order", "moved", axis=0),
            node("Cast", "moved", "moved32", to=onnx.TensorProto.INT32),
            node("Slice", "moved32 zero one zero", "n"),
            node("Concat", "n rest", "s32", axis=0),
            node("Cast", "s32", "s", to=onnx.TensorProto.INT64),
            node("Reshape", "t s", "f"),
        ],
        {"order": ints(0, 2, 3, 1), "zero": ints(0), "one": ints(1), "rest": np.array([12], "i4")},
    ),
}


@pytest.mark.parametrize("flatten", FLATTENS, ids=str)
def test_flatten_in_every_spelling(flatten):
    nodes, weights = FLATTENS[flatten]
    nodes = [node("Relu", "x", "r"), *nodes, node("MatMul", "f w", "y")]
    found = check_model(model(nodes, {"x": ["N", 3, 2, 2]}, {**weights, "w": normal(12, 5)}))
    assert operators(found) == ["Relu", "Reshape", "MatMul"]


def test_the_layout_of_the_input_is_moved():
    for channels, op in ((1, "Reshape"), (3, "Transpose")):
        nodes = [node("Transpose", "x", "t", perm=[0, 3, 1, 2]), node("Conv", "t w", "y")]
        weights = {"w": normal(2, channels, 3, 3)}
        found = check_model(model(nodes, {"x": ["N", 5, 6, channels]}, weights))
        assert operators(found) == [op, "Conv"]


def test_padding_of_its_own():
    nodes = [node("Pad", "x pads", "p"), node("Conv", "p w", "y", strides=[2, 2])]
    weights = {"pads": ints(0, 0, 0, 0, 0, 0, 1, 1), "w": normal(2, 3, 3, 3)}
    found = check_model(model(nodes, {"x": ["N", 3, 6, 6]}, weights))
    assert operators(found) == ["Conv"]


def test_batch_normalization_at_every_place():
    bn = {"s": normal(3), "b": normal(3), "m": normal(3), "v": np.abs(normal(3)) + 0.1}
    nodes = [
        node("BatchNormalization", "x s b m v", "first"),
        node("Conv", "first w", "c", pads=[1, 1, 1, 1]),
        node("Relu", "c", "r"),
        node("BatchNormalization", "r s b m v", "after"),
        node("AveragePool", "after", "p", kernel_shape=[2, 2]),
        node("BatchNormalization", "p s b m v", "pooled"),
        node("Conv", "pooled w", "y", pads=[1, 1, 1, 1]),
    ]
    check_model(model(nodes, {"x": ["N", 3, 6, 6]}, {**bn, "w": normal(3, 3, 3, 3)}))


def test_normalisation_of_the_input():
    nodes = [
        node("Cast", "x", "f", to=onnx.TensorProto.FLOAT),
        node("Div", "f scale", "d"),
        node("Sub", "d mean", "n"),
        node("Conv", "n w", "y", pads=[1, 1, 1, 1]),
    ]
    weights = {"scale": np.float32(255), "mean": normal(3, 1, 1), "w": normal(2, 3, 3, 3)}
    weights = {name: np.asarray(value) for name, value in weights.items()}
    proto = model(nodes, {"x": ["N", 3, 5, 5]}, weights)
    proto.graph.input[0].type.tensor_type.elem_type = onnx.TensorProto.UINT8
    read(proto)


def test_second_outputs():
    nodes = [node("Dropout", "x", "a mask"), node("Relu", "a", "y")]
    check_model(model(nodes, {"x": ["N", 3]}))


def test_a_second_output_that_is_used_is_refused():
    nodes = [
        node("MaxPool", "x", "a where", kernel_shape=[2, 2], name="the pool"),
        node("Cast", "where", "f", to=onnx.TensorProto.FLOAT),
        node("Add", "a f", "y"),
    ]
    problems = check(model(nodes, {"x": ["N", 3, 4, 4]}))
    assert "the pool" in [problem.node for problem in problems]


def test_functions_are_inlined():
    function = helper.make_function(
        "local",
        "Twice",
        ["a"],
        ["b"],
        [node("Add", "a a", "b")],
        [helper.make_opsetid("", 17)],
    )
    call = helper.make_node("Twice", ["x"], ["y"], domain="local")
    proto = model([call], {"x": ["N", 3]}, domains={"local": 1})
    proto.functions.append(function)
    assert operators(check_model(proto)) == ["Add"]


def test_control_flow_that_depends_on_data_is_refused():
    branch = helper.make_graph(
        [node("Identity", "x", "z")], "branch", [], [helper.make_tensor_value_info("z", 1, None)]
    )
    nodes = [
        node("ReduceSum", "x", "s", keepdims=0),
        node("Greater", "s zero", "c"),
        node("If", "c", "a", then_branch=branch, else_branch=branch, name="if"),
        node("Hardmax", "a", "y", name="norm"),
    ]
    zero = {"zero": np.asarray(np.float32(0))}
    problems = check(model(nodes, {"x": ["N", 3, 4, 4]}, zero))
    assert "if" in [item.node for item in problems]


@pytest.mark.parametrize("dtype", [onnx.TensorProto.FLOAT16, onnx.TensorProto.DOUBLE])
def test_other_floats(dtype):
    kind = helper.tensor_dtype_to_np_dtype(dtype)
    nodes = [node("Gemm", "x w b", "a"), node("Relu", "a", "y")]
    weights = {"w": normal(4, 3).astype(kind), "b": normal(3).astype(kind)}
    found = read(model(nodes, {"x": ["N", 4]}, weights, dtype=dtype))
    assert any(str(kind) in note for note in found.graph.notes)


@pytest.mark.parametrize("opset", [9, 10, 12, 14, 16, 18, 20, 22, 23])
def test_opsets(opset):
    check_model(mlp(opset=opset))


def test_an_opset_that_onnxruntime_does_not_know():
    with pytest.raises(UnsupportedModelError, match=r"opset ai\.onnx 999"):
        read(mlp(opset=999))


def test_unused_domains_do_not_matter():
    check_model(mlp(domains={"ai.onnx.ml": 3, "com.example": 1}))


def test_dead_nodes_and_the_choice_of_outputs():
    proto = mlp(outputs=["y", "aux"])
    proto.graph.node.extend([node("Erf", "r", "dead"), node("Mul", "r two", "aux")])
    proto.graph.initializer.append(numpy_helper.from_array(np.float32(2), "two"))
    assert [item.name for item in check_model(proto).parts.outputs] == ["y", "aux"]
    assert operators(check_model(proto, output="y")) == ["MatMul", "Relu", "MatMul"]
    assert operators(check_model(proto, output="aux")) == ["MatMul", "Relu", "Mul"]
    with pytest.raises(UnsupportedModelError, match="outputs are y, aux"):
        read(proto, output="nothing")


def test_the_labels_of_scikit_learn_are_not_the_default_output():
    proto = mlp(outputs=["label", "y"])
    proto.graph.node.append(node("ArgMax", "y", "label", axis=1))
    proto.graph.output[0].type.tensor_type.elem_type = onnx.TensorProto.INT64
    assert read(proto).graph.output == "y"


def test_all_problems_are_reported_at_once():
    nodes = [
        node("MatMul", "x w", "a"),
        node("Hardmax", "a", "b", name="largest"),
        node("Cast", "a", "d", to=onnx.TensorProto.INT32, name="rounding"),
        node("Cast", "d", "e", to=onnx.TensorProto.FLOAT),
        node("Add", "b e", "y"),
    ]
    weights = {"w": normal(3, 3)}
    proto = model(nodes, {"x": ["N", 3]}, weights)
    assert [item.node for item in onnx2genn.check(proto)] == ["largest", "rounding"]
    with pytest.raises(
        UnsupportedModelError, match=r"(?s)Hardmax 'largest'.*Cast 'rounding'"
    ) as caught:
        read(proto)
    assert len(caught.value.problems) == 2


def test_dead_nodes_are_no_problem():
    nodes = [node("MatMul", "x w", "a"), node("NonZero", "a", "dead"), node("Relu", "a", "y")]
    assert check(model(nodes, {"x": ["N", 3]}, {"w": normal(3, 3)})) == []


def test_an_open_size_needs_samples():
    proto = model([node("GlobalAveragePool", "x", "y")], {"x": ["N", 3, "H", "W"]})
    (problem,) = check(proto)
    assert problem.node == "x"
    assert read(proto, input_shape=(3, 6, 7)).graph.inputs == {"x": (3, 6, 7)}


def test_files_that_are_no_models(tmp_path):
    with pytest.raises(UnsupportedModelError, match="no model file"):
        read(tmp_path / "absent.onnx")
    (tmp_path / "text.onnx").write_text("not a model")
    with pytest.raises(UnsupportedModelError):
        read(tmp_path / "text.onnx")
    (tmp_path / "empty.onnx").write_bytes(b"")
    with pytest.raises(UnsupportedModelError, match="no ONNX graph"):
        read(tmp_path / "empty.onnx")


def test_operators_that_nobody_knows():
    call = helper.make_node("Spline", ["x"], ["y"], domain="com.example", name="spline")
    (problem,) = check(model([call], {"x": ["N", 3]}, domains={"com.example": 1}))
    assert problem.node == "spline"
    assert problem.operator == "com.example.Spline"


@pytest.mark.parametrize("batch", [2, "N"])
def test_of_a_moved_batch_only_the_cause_is_named(batch):
    """Weights over the samples; a fixed batch keeps the graph from running at others."""
    moved = [
        node("Hardmax", "x", "a", name="norm"),
        node("Reshape", "a shape", "b", name="flat"),
        node("Transpose", "b", "c", perm=[1, 0, 2], name="turn"),
        node("MatMul", "c w", "d"),
        node("Softmax", "d", "r", axis=1),
        node("Transpose", "r", "e", perm=[1, 2, 0], name="back"),
        node("Softmax", "e", "s", axis=-1, name="weights"),
        node("MatMul", "s b", "y", name="mix"),
    ]
    weights = {"shape": ints(0 if batch == "N" else batch, 9, 9), "w": normal(9, 9)}
    if batch == 2:
        moved.insert(4, node("Reshape", "d fixed", "d2", name="pinned"))
        moved[5].input[0] = "d2"
        weights["fixed"] = ints(9, batch, 9)
    problems = check(model(moved, {"x": [batch, 9, 3, 3]}, weights))
    assert [item.node for item in problems] == ["norm", "turn"]


def test_a_graph_that_runs_at_no_batch_size_still_names_its_operators():
    nodes = [node("Spline", "x", "a", domain="com.example"), node("Det", "a", "y")]
    proto = model(nodes, {"x": [1, 3, 4, 4]}, domains={"com.example": 1})
    assert [item.operator for item in check(proto)] == ["com.example.Spline", "Det"]


@pytest.mark.parametrize("mode", ["SAME_UPPER", "SAME_LOWER"])
def test_dilation_beside_auto_pad(mode):
    """PyTorch's padding="same", which onnxruntime does not run."""
    attributes = {"dilations": [2, 3], "kernel_shape": [2, 3]}
    weights = {"w": normal(2, 3, 2, 3)}
    inputs = {"x": ["N", 3, 9, 9]}
    found = read(model([node("Conv", "x w", "y", auto_pad=mode, **attributes)], inputs, weights))
    pads = [1, 3, 1, 3]
    same = read(model([node("Conv", "x w", "y", pads=pads, **attributes)], inputs, weights))
    (got,) = (item.attributes["pads"] for item in found.graph.nodes)
    (wanted,) = (item.attributes["pads"] for item in same.graph.nodes)
    assert got == wanted


def test_operators_that_onnx_does_not_have():
    """tf2onnx leaves those of TensorFlow in the file, with attributes that onnx cannot write."""
    proto = model([node("Erfc", "x", "y", name="left", n=1)], {"x": [2, 3]})
    attribute = proto.graph.node[0].attribute[0]
    attribute.ClearField("i")
    attribute.type = onnx.AttributeProto.INTS
    (problem,) = check(proto)
    assert problem.node == "left"
    assert "ONNX has no such operator" in problem.reason


@pytest.mark.parametrize("channels", [1, 2])
def test_samples_without_a_batch_axis_start_where_the_model_adds_one(channels):
    nodes = [node("Unsqueeze", "x first", "u"), node("Conv", "u w", "c"), node("Relu", "c", "y")]
    weights = {"w": normal(4, channels, 3, 3), "first": ints(0)}
    proto = model(nodes, {"x": [channels, 8, 8]}, weights)
    with pytest.raises(UnsupportedModelError, match=r"no batch axis and.*--input"):
        read(proto)
    found = read(proto, start=["u"], input_shape={"u": (channels, 8, 8)})
    assert found.graph.inputs == {"u": (channels, 8, 8)}
