"""Attention, the operator of opset 23, against onnxruntime."""

import numpy as np
import pytest
from helpers.onnx_models import OLD_ONNXRUNTIME, check_op, normal, one_node

from onnx2genn.frontend.pipeline import check

CAUSAL = np.triu(np.full((5, 5), -np.inf, "f4"), 1)
THREE = [(2, 5, 4), (2, 5, 4), (2, 5, 3)]


@pytest.mark.parametrize(
    ("inputs", "attributes"),
    [
        (THREE, {}),
        ([(4, 5, 4), (2, 6, 4), (2, 6, 3)], {"scale": 0.3}),
        ([(5, 8), (6, 8), (6, 6)], {"q_num_heads": 2, "kv_num_heads": 2}),
        ([(5, 8), (6, 4), (6, 3)], {"q_num_heads": 2, "kv_num_heads": 1}),
        (THREE, {"is_causal": 1}),
        ([*THREE, CAUSAL], {}),
        ([*THREE, CAUSAL == 0], {}),
        ([*THREE, normal(2, 5, 5)[None]], {"softcap": 2.0}),
    ],
    ids=["plain", "groups", "three axes", "one key", "causal", "mask", "boolean", "bias"],
)
def test_attention(inputs, attributes):
    if OLD_ONNXRUNTIME and "softcap" in attributes:
        pytest.skip("this onnxruntime adds the mask before the soft cap")
    found = check_op("Attention", inputs, opset=23, **attributes)
    assert all(item.is_function or item.pools or item.signed for item in found.parts.populations)
    assert found.parts.populations[0].node.name == "the_node"


def test_a_mask_that_depends_on_the_input_is_refused():
    (problem,) = check(one_node("Attention", [*THREE, (2, 5, 5)], opset=23))
    assert "mask" in problem.reason


def test_a_cache_is_refused():
    past = [(2, 4, 4), (2, 4, 3)]
    (problem,) = check(one_node("Attention", [*THREE, None, *past], opset=23, outputs=3))
    assert "cache" in problem.reason


@pytest.mark.skipif(OLD_ONNXRUNTIME, reason="this onnxruntime makes it NaN")
@pytest.mark.parametrize("hidden", [-np.inf, np.finfo(np.float32).min])
def test_a_row_that_is_hidden_as_a_whole_is_zero(hidden):
    mask = np.zeros((5, 5), np.float32)
    mask[2] = mask[0, 1:] = hidden
    check_op("Attention", [*THREE, mask], opset=23)
    check_op("Attention", [*THREE, mask == 0], opset=23, is_causal=1)
