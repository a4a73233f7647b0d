"""Models that were exported for one batch size, and run at any."""

import numpy as np
import pytest
from helpers.onnx_models import ints, model, node, normal

import onnx2genn
from onnx2genn import UnsupportedModelError
from onnx2genn.frontend.pipeline import read
from onnx2genn.ir.run import session


def check_at_its_batch(proto, found, batch):
    """Compare with the original, some samples at once; then one by one with all at once."""
    (shape,) = found.entries.values()
    x = normal(batch, *shape)
    (wanted,) = session(proto).run(None, {"x": x})
    got = session(found.to_onnx())
    np.testing.assert_allclose(got.run(None, {"x": x})[0], wanted, rtol=1e-4, atol=1e-5)
    many = normal(5, *shape)
    alone = [got.run(None, {"x": many[index : index + 1]})[0] for index in range(5)]
    (together,) = got.run(None, {"x": many})
    np.testing.assert_allclose(together, np.concatenate(alone), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("batch", [1, 3])
@pytest.mark.parametrize(
    ("order", "axis"),
    [("c h", 1), ("h c", 1), ("h c", -2), ("h d", 2), ("h d", -1), ("d h d", 2), ("c h h c", 1)],
)
def test_constants_that_are_joined(order, axis, batch):
    """A class token, as it is left when its Expand is folded."""
    tokens = {"c": normal(1, 2, 5), "d": normal(1, 4, 3)}
    weights = {name: np.repeat(array, batch, axis=0) for name, array in tokens.items()}
    used = {name: weights[name] for name in weights if name in order}
    nodes = [node("MatMul", "x w", "h"), node("Concat", order, "y", axis=axis)]
    proto = model(nodes, {"x": [batch, 4, 3]}, {"w": normal(3, 5), **used})
    found = read(proto)
    assert found.graph.notes == [f"The batch axis was fixed to {batch}; it is open now."]
    check_at_its_batch(proto, found, batch)


@pytest.mark.parametrize(
    ("op", "order"),
    [
        ("Add", "x c"),
        ("Add", "c x"),
        ("Sub", "c x"),
        ("Mul", "c x"),
        ("Div", "x c"),
        ("Max", "x c"),
    ],
)
def test_constants_of_sums_and_products(op, order):
    """A position embedding that was expanded to the batch."""
    weights = {"c": np.repeat(normal(1, 4, 5), 3, axis=0)}
    proto = model([node(op, order, "y")], {"x": [3, 4, 5]}, weights)
    check_at_its_batch(proto, read(proto), 3)


def test_a_constant_that_differs_between_samples_stays_refused():
    proto = model([node("Add", "x c", "y")], {"x": [3, 4]}, {"c": normal(3, 4)})
    with pytest.raises(UnsupportedModelError, match="reaches over the batch"):
        read(proto)


def test_an_expand_of_a_constant_that_is_joined():
    nodes = [node("Expand", "c s", "e"), node("Concat", "e x", "y", axis=1)]
    proto = model(nodes, {"x": [2, 3, 5]}, {"c": normal(1, 1, 5), "s": ints(2, 1, 5)})
    check_at_its_batch(proto, read(proto), 2)


def test_joined_constants_that_differ_between_samples_are_refused():
    proto = model([node("Concat", "x c", "y", axis=1)], {"x": [2, 3]}, {"c": normal(2, 4)})
    with pytest.raises(UnsupportedModelError, match=r"Concat.*\[2, 4\] reaches over the batch"):
        read(proto)


@pytest.mark.parametrize("batch", [1, 3])
@pytest.mark.parametrize("mode", ["nearest", "linear"])
def test_resize_to_given_sizes(batch, mode):
    resize = node("Resize", "x _ _ s", "y", mode=mode)
    proto = model([resize], {"x": [batch, 2, 3, 4]}, {"s": ints(batch, 2, 6, 7)})
    check_at_its_batch(proto, read(proto), batch)


def test_a_class_token_in_a_spiking_network():
    nodes = [
        node("Conv", "x w0", "c", strides=[2, 2]),
        node("Reshape", "c s", "f"),
        node("Transpose", "f", "t", perm=[0, 2, 1]),
        node("Concat", "token t", "j", axis=1),
        node("Add", "j place", "p"),
        node("MatMul", "p w1", "m"),
        node("Relu", "m", "r"),
        node("Concat", "token r", "k", axis=1),
        node("Flatten", "k", "g"),
        node("MatMul", "g w2", "y"),
    ]
    weights = {
        "w0": normal(6, 3, 2, 2),
        "s": ints(1, 6, 9),
        "token": normal(1, 1, 6),
        "place": normal(1, 10, 6),
        "w1": normal(6, 6),
        "w2": normal(66, 4),
    }
    proto = model(nodes, {"x": [1, 3, 6, 6]}, weights)
    x = normal(40, 3, 6, 6)
    runner = session(proto)
    wanted = np.concatenate([runner.run(None, {"x": item[None]})[0] for item in x])
    errors = []
    for steps in (4, 8, 12):
        logits = onnx2genn.convert(proto, x, steps=steps).predict(x, backend="onnxruntime")
        errors.append(np.sqrt(((logits - wanted) ** 2).mean()) / wanted.std())
    assert errors == sorted(errors, reverse=True)
    assert errors[-1] < 0.005
