import pytest
from helpers.onnx_models import model, node, normal, one_node

from onnx2genn.frontend.pipeline import check


@pytest.mark.parametrize(
    ("op", "inputs", "attributes", "words"),
    [
        ("Hardmax", [(3,)], {}, "onnx2genn.operator"),
        ("DynamicQuantizeLinear", [(3,)], {"outputs": 3}, "QDQ"),
    ],
)
def test_refusals_say_what_to_do(op, inputs, attributes, words):
    (problem,) = check(one_node(op, inputs, **attributes))
    assert problem.operator == op
    assert words in problem.advice


def test_recurrent_networks():
    nodes = [node("LSTM", "t w r", "h", hidden_size=3, name="memory"), node("Squeeze", "h", "y")]
    nodes.insert(0, node("Transpose", "x", "t", perm=[1, 0, 2]))
    weights = {"w": normal(1, 12, 2), "r": normal(1, 12, 3)}
    problems = check(model(nodes, {"x": ["N", 5, 2]}, weights))
    (problem,) = [item for item in problems if item.node == "memory"]
    assert "recurrent" in problem.reason
    assert "feed-forward" in problem.advice
