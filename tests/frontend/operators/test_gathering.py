"""GatherElements and GatherND, whose indices are often repeated for each sample."""

import numpy as np
import pytest
from helpers.onnx_models import check_model, ints, model, node, one_node, operators

from onnx2genn.frontend.pipeline import check


def repeated(index, *nodes):
    """Pick with indices that are repeated for as many samples as there are."""
    weights = {"index": index, "zero": ints(0), "rest": ints(*index.shape[1:])}
    before = [
        node("Shape", "x", "shape"),
        node("Gather", "shape zero", "batch", axis=0),
        node("Concat", "batch rest", "target", axis=0),
        node("Expand", "index target", "i"),
    ]
    return model([*before, *nodes], {"x": ["N", 3, 4]}, weights)


@pytest.mark.parametrize("axis", [1, 2, -1])
def test_gather_elements(axis):
    index = np.array([[[0, 2], [1, 0]]])
    found = check_model(repeated(index, node("GatherElements", "x i", "y", axis=axis)))
    assert operators(found) == ["Reshape", "Gather", "Reshape"]


@pytest.mark.parametrize(("width", "dims"), [(1, 1), (2, 1), (1, 2)])
def test_gather_nd(width, dims):
    index = np.array([[[2, 1], [0, 3], [1, 0]]])[..., :width]
    check_model(repeated(index, node("GatherND", "x i", "y", batch_dims=dims)))


def test_picking_from_other_samples_is_refused():
    (problem,) = check(repeated(np.array([[[0, 0, 0, 0]]]), node("GatherElements", "x i", "y")))
    assert "along the batch axis" in problem.reason
    proto = one_node("GatherND", [(3,), np.array([[0, 1], [1, 0]])])
    (problem,) = check(proto)
    assert "along the batch axis" in problem.reason


def test_indices_of_each_sample_are_refused():
    nodes = [node("GatherElements", "x index", "y", axis=1)]
    proto = model(nodes, {"x": [2, 3]}, {"index": np.array([[0, 1], [2, 0]])})
    problems = check(proto)
    assert [item.operator for item in problems] == ["GatherElements"]
    assert "over the batch axis" in problems[0].reason
