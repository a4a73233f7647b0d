import pytest
from helpers.onnx_models import model, node, normal, one_node

from onnx2genn.graph.reader import check


@pytest.mark.parametrize(
    ("op", "inputs", "attributes", "words"),
    [
        ("LRN", [(3, 4, 4)], {"size": 3}, "BatchNormalization"),
        ("LayerNormalization", [(3, 4), normal(4)], {}, "BatchNormalization"),
        ("InstanceNormalization", [(3, 4), normal(3), normal(3)], {}, "BatchNormalization"),
        ("CumSum", [(3,), normal(1).astype("i4")], {}, "onnx2genn.operator"),
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
