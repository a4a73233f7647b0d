import pytest
from helpers.onnx_models import one_node

from onnx2genn.frontend.pipeline import check


@pytest.mark.parametrize(
    ("op", "inputs", "attributes", "words"),
    [
        ("Bernoulli", [(3,)], {}, "onnx2genn.operator"),
        ("DynamicQuantizeLinear", [(3,)], {"outputs": 3}, "QDQ"),
    ],
)
def test_refusals_say_what_to_do(op, inputs, attributes, words):
    (problem,) = check(one_node(op, inputs, **attributes))
    assert problem.operator == op
    assert words in problem.advice
