from helpers.onnx_models import check_model, model, node, normal

from onnx2genn.frontend.pipeline import check


def sources(found):
    names = {item.tensor: item.name for item in found.parts.populations}
    return {
        item.name: [names.get(name, name) for name in item.segment.sources]
        for item in found.parts.populations
    }


def test_residual_with_projection():
    nodes = [
        node("Conv", "x w1", "c1"),
        node("Relu", "c1", "r1", name="stem"),
        node("Conv", "r1 w2", "c2", pads=[1, 1, 1, 1]),
        node("Relu", "c2", "r2", name="inner"),
        node("Conv", "r2 w2", "c3", pads=[1, 1, 1, 1]),
        node("Conv", "r1 w3", "p"),
        node("Add", "c3 p", "s"),
        node("Relu", "s", "r3", name="out"),
        node("GlobalAveragePool", "r3", "g"),
        node("Flatten", "g", "f"),
        node("Gemm", "f v", "y"),
    ]
    weights = {
        "w1": normal(4, 3, 3, 3),
        "w2": normal(4, 4, 3, 3),
        "w3": normal(4, 4, 1, 1),
        "v": normal(4, 2),
    }
    found = check_model(model(nodes, {"x": ["N", 3, 6, 6]}, weights))
    assert sources(found) == {"stem": ["x"], "inner": ["stem"], "out": ["stem", "inner"]}
    assert [item.depth for item in found.parts.populations] == [0, 1, 2]
    assert found.parts.depth == 3
    assert found.parts.readout.sources == ("r3",)


def test_affine_trunk_shared_by_branches():
    nodes = [
        node("MatMul", "x w", "trunk"),
        node("Relu", "trunk", "a", name="positive"),
        node("Neg", "trunk", "n"),
        node("Relu", "n", "b", name="negative"),
        node("Sub", "a b", "s"),
        node("Add", "s trunk", "y"),
    ]
    found = check_model(model(nodes, {"x": ["N", 3]}, {"w": normal(3, 4)}))
    assert sources(found) == {"positive": ["x"], "negative": ["x"]}
    assert set(found.parts.readout.sources) == {"x", "a", "b"}


def test_concat_of_populations():
    nodes = [
        node("Relu", "x", "a", name="a"),
        node("MatMul", "a w", "m"),
        node("Relu", "m", "b", name="b"),
        node("Concat", "a b", "c", axis=1),
        node("Relu", "c", "y", name="c"),
    ]
    found = check_model(model(nodes, {"x": ["N", 3]}, {"w": normal(3, 4)}))
    assert sources(found)["c"] == ["a", "b"]
    assert found.parts.populations[-1].shape == (7,)


def test_relu_twice_and_relu_on_the_input():
    nodes = [node("Relu", "x", "a"), node("Relu", "a", "y")]
    found = check_model(model(nodes, {"x": ["N", 3]}))
    assert found.parts.readout.nodes == ()


def test_a_network_without_activations():
    found = check_model(model([node("MatMul", "x w", "y")], {"x": ["N", 3]}, {"w": normal(3, 2)}))
    assert found.parts.populations == ()
    assert found.parts.depth == 0
    assert found.parts.readout.sources == ("x",)


def test_every_problem_is_named_at_once():
    nodes = [
        node("ArgMax", "x", "p", axis=1, name="choice"),
        node("Cast", "p", "c", to=1),
        node("Relu", "c", "r"),
        node("ArgMax", "r", "q", axis=1, name="again"),
        node("Cast", "q", "d", to=1),
        node("Relu", "d", "y"),
    ]
    problems = check(model(nodes, {"x": ["N", 3]}))
    assert [item.node for item in problems] == ["choice", "again"]


def test_heads_in_the_middle_are_named_beside_other_problems():
    """In the order of the graph; what is at the end stays a head."""
    nodes = [
        node("MatMul", "x w", "q"),
        node("Bernoulli", "x", "n", name="norm"),
        node("MatMul", "q n", "scores"),
        node("ArgMax", "scores", "k", axis=-1, name="choice"),
        node("Cast", "k", "p", to=1),
        node("Mul", "p n", "mixed"),
        node("ArgMax", "mixed", "unused", axis=-1, name="unused"),
        node("Bernoulli", "mixed", "l", name="local"),
        node("Dropout", "l", "d"),
        node("Softmax", "d", "y", axis=-1, name="end"),
    ]
    problems = check(model(nodes, {"x": ["N", 4, 3, 3]}, {"w": normal(3, 3)}))
    assert [item.node for item in problems] == ["norm", "choice", "local"]
    assert "head" in problems[1].reason


def test_a_head_that_is_refused_itself_is_named_once():
    nodes = [node("Softmax", "x", "p", axis=1, name="old"), node("Relu", "p", "y")]
    (problem,) = check(model(nodes, {"x": ["N", 4, 3]}, opset=11))
    assert "opset 13" in problem.reason
