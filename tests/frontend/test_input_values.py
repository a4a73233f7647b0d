"""Inputs with one value for all samples."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from helpers.onnx_models import FLOAT, ints, model, node, normal
from onnx import TensorProto, helper

import onnx2genn
from onnx2genn import DataError, UnsupportedModelError
from onnx2genn.api import examine
from onnx2genn.frontend.input_values import with_values
from onnx2genn.ir.run import session

HIDDEN = 3


def typed(proto: onnx.ModelProto, **kinds: int) -> onnx.ModelProto:
    """Change the element types of inputs."""
    for info in proto.graph.input:
        info.type.tensor_type.elem_type = kinds.get(info.name, FLOAT)
    return proto


def recurrent(batch: int | str = "N") -> onnx.ModelProto:
    """An LSTM with the time first, whose first state is an input."""
    nodes = [
        node("LSTM", "x w r _ _ h c", "_ last _", hidden_size=HIDDEN),
        node("Squeeze", "last first", "z"),
        node("Relu", "z", "p"),
        node("MatMul", "p v", "y"),
    ]
    state = [1, batch, HIDDEN]
    weights = {
        "w": normal(1, 4 * HIDDEN, 2),
        "r": normal(1, 4 * HIDDEN, HIDDEN, seed=1),
        "v": normal(HIDDEN, 2, seed=2),
        "first": ints(0),
    }
    return model(nodes, {"x": [4, "N", 2], "h": state, "c": state}, weights)


@pytest.mark.parametrize("batch", ["N", 1, ""])
def test_a_first_state_is_repeated_for_all_samples(batch: int | str) -> None:
    proto = recurrent(batch)
    h, c = normal(1, 1, HIDDEN, seed=3), normal(1, 1, HIDDEN, seed=4)
    found = examine(proto, input_values={"h": h, "c": c})
    for count in (1, 3, 7):
        x = normal(4, count, 2, seed=5)
        (wanted,) = session(recurrent()).run(
            None, {"x": x, "h": h.repeat(count, 1), "c": c.repeat(count, 1)}
        )
        (got,) = session(found.to_onnx()).run(None, {"x": x.swapaxes(0, 1)})
        np.testing.assert_allclose(got, wanted, atol=1e-5)


def gated() -> onnx.ModelProto:
    """A mask of each step, a rate, a flag and a gain beside the samples."""
    nodes = [
        node("MatMul", "x w", "a"),
        node("Unsqueeze", "mask last", "m"),
        node("Mul", "a m", "b"),
        node("Cast", "rate", "f", to=FLOAT),
        node("Mul", "b f", "s"),
        node("Add", "s gain", "z"),
        node("Relu", "z", "p"),
        node("ReduceMean", "p", "y", axes=[1], keepdims=0),
    ]
    inputs = {"x": ["N", "L", 3], "mask": ["N", "L"], "rate": [], "gain": ["N", 1, 4]}
    return typed(
        model(nodes, inputs, {"w": normal(3, 4), "last": ints(-1)}), rate=TensorProto.INT64
    )


@pytest.mark.parametrize("mask", ["ones", 1.0, np.ones((1, 5)), [[1, 1, 0, 1, 0]]])
def test_what_has_the_name_of_another_size_is_as_long(mask: object) -> None:
    values = {"mask": mask, "rate": 2, "gain": np.arange(4.0).reshape(1, 1, 4)}
    x = normal(6, 5, 3, seed=1)
    network = onnx2genn.convert(gated(), x, input_values=values, steps=12)
    full = np.full((6, 5), 1.0) if np.ndim(mask) != 2 else np.repeat(mask, 6, axis=0)
    feed = {"x": x, "mask": full, "rate": np.int64(2), "gain": values["gain"].repeat(6, axis=0)}
    feed = {
        name: np.asarray(item, np.int64 if name == "rate" else np.float32)
        for name, item in feed.items()
    }
    (wanted,) = session(gated()).run(None, feed)
    np.testing.assert_allclose(network.predict(x), wanted, atol=0.01)
    np.testing.assert_array_equal(network.predict(x[2:3]), network.predict(x)[2:3])
    assert any("'rate' has the value 2 " in note for note in network.model.graph.notes)


def test_a_saved_network_has_the_values(tmp_path: Path) -> None:
    x = normal(6, 5, 3, seed=1)
    values = {"mask": "ones", "rate": 3, "gain": "zeros"}
    network = onnx2genn.convert(gated(), x, input_values=values)
    network.save(tmp_path / "saved.onnx")
    again = onnx2genn.load(tmp_path / "saved.onnx")
    np.testing.assert_array_equal(again.predict(x), network.predict(x))
    assert list(again.entries) == ["x"]


def test_a_value_takes_the_place_of_a_default() -> None:
    proto = gated()
    proto.graph.initializer.append(onnx.numpy_helper.from_array(np.array(5, np.int64), "rate"))
    found, _ = with_values(proto, {"rate": 7})
    kept = [item for item in found.graph.initializer if item.name == "rate"]
    assert [onnx.numpy_helper.to_array(item).tolist() for item in kept] == [7]
    assert "rate" not in [info.name for info in found.graph.input]


def test_a_flag_decides_about_a_branch() -> None:
    graphs = {
        f"{name}_branch": helper.make_graph(
            [node(op, "a", "z")], name, [], [helper.make_tensor_value_info("z", FLOAT, None)]
        )
        for name, op in (("then", "Relu"), ("else", "Neg"))
    }
    nodes = [node("MatMul", "x w", "a"), node("If", "training", "y", **graphs)]
    proto = model(nodes, {"x": ["N", 3], "training": []}, {"w": normal(3, 4)})
    proto = typed(proto, training=TensorProto.BOOL)
    with pytest.raises(UnsupportedModelError, match="--input-value"):
        examine(proto)
    (population,) = examine(proto, input_values={"training": True}).parts.populations
    assert population.node.op == "Relu"
    assert not examine(proto, input_values={"training": 0}).parts.populations


INPUTS = ("x", "mask", "rate", "gain")


@pytest.mark.parametrize(
    ("values", "error", "message"),
    [
        ({"sr": 1}, UnsupportedModelError, "'sr', which is no input.* x, mask, rate, gain"),
        (dict.fromkeys(INPUTS, 1), UnsupportedModelError, "no input is left"),
        ({"rate": 0.5}, DataError, r"'rate', 0.5, is none of the type int64"),
        ({"rate": 2**63}, DataError, "none of the type int64"),
        ({"rate": [1, 2]}, DataError, r"shape \[2\], and the model takes \[\]"),
        ({"gain": [1, 2, 3, 4]}, DataError, r"shape \[4\], .* takes \[N, 1, 4\].* axis of size 1"),
        ({"gain": np.zeros((3, 1, 4))}, DataError, "one value for all samples"),
        ({"gain": 1e39}, DataError, "none of the type float32"),
        ({"gain": float("nan")}, DataError, "no number"),
        ({"gain": "many"}, DataError, "'many', and no number"),
        ({"gain": [[1], [1, 2]]}, DataError, "no array"),
        ({"gain": np.zeros((0,))}, DataError, "nothing"),
    ],
)
def test_what_does_not_fit(values: dict, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        examine(gated(), input_shape={"x": (5, 3), "mask": (5,)}, input_values=values)


def test_one_number_for_an_unknown_shape() -> None:
    proto = model([node("Add", "x s", "y")], {"x": ["N", 3], "s": ["A", "B"]})
    with pytest.raises(DataError, match=r"\[A, B\], where several sizes are open"):
        examine(proto, input_values={"s": 1})


def test_samples_for_some_inputs_alone() -> None:
    proto = model([node("Add", "x s", "y")], {"x": ["N", 3], "s": ["N", 3]})
    for x in ({"x": normal(6, 3)}, normal(6, 3)):
        with pytest.raises(DataError, match="--input-value"):
            onnx2genn.convert(proto, x)


def test_a_first_state_of_one_sample_is_repeated_where_the_file_does_not_say() -> None:
    nodes = [
        node("Unsqueeze", "x first", "s"),
        node("GRU", "s w r _ _ h", "_ last", hidden_size=HIDDEN),
        node("MatMul", "last v", "z"),
        node("Squeeze", "z", "y"),  # with one sample alone, this removes the batch, too
    ]
    weights = {
        "first": ints(0),
        "w": normal(1, 3 * HIDDEN, 2),
        "r": normal(1, 3 * HIDDEN, HIDDEN, seed=1),
        "v": normal(HIDDEN, 1, seed=2),
    }
    h, x = normal(1, 1, HIDDEN, seed=3), normal(5, 2, seed=4)
    proto = model(nodes, {"x": ["N", 2], "h": [1, "M", HIDDEN]}, weights)
    found = examine(proto, input_values={"h": h})
    (wanted,) = session(proto).run(None, {"x": x, "h": h.repeat(5, 1)})
    (got,) = session(found.to_onnx()).run(None, {"x": x})
    np.testing.assert_allclose(got.reshape(wanted.shape), wanted, atol=1e-5)
