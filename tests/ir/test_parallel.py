"""Samples that the cores of the machine share."""

from __future__ import annotations

import numpy as np
import pytest
from helpers.onnx_models import model as proto
from helpers.onnx_models import node, normal

from onnx2genn import UnsupportedModelError
from onnx2genn.ir.parallel import ParallelRunner, _parts, cores

NODES = [node("Mul", "x x", "square"), node("ReduceSum", "square axes", "y", keepdims=0)]
SQUARES = proto(NODES, {"x": ["N", 5]}, {"axes": np.array([1])})


def made(made_for: list[str]) -> object:
    made_for.append("a session")
    return SQUARES


@pytest.mark.parametrize("threads", [None, 1, 3])
@pytest.mark.parametrize("count", [1, 4, 5, 23])
def test_all_samples_are_computed_whoever_does_it(count: int, threads: int | None) -> None:
    sessions: list[str] = []
    runner = ParallelRunner(lambda: made(sessions), at_once=4, threads=threads)
    x = normal(count, 5)
    found = runner({"x": x}, ["y"])
    runner.close()
    np.testing.assert_allclose(found["y"], np.square(x).sum(axis=1), rtol=1e-6)
    assert len(sessions) == 1


def test_the_rest_of_many_samples_needs_no_other_session() -> None:
    sessions: list[str] = []
    runner = ParallelRunner(lambda: made(sessions), at_once=4, threads=2)
    for count in (9, 2, 9):
        runner({"x": normal(count, 5)}, ["y"])
    assert len(sessions) == 1


def test_what_a_thread_meets_is_raised() -> None:
    runner = ParallelRunner(lambda: SQUARES, at_once=1, threads=2)
    with pytest.raises(UnsupportedModelError, match="cannot run the model"):
        runner({"x": normal(4, 3, 5, 2)}, ["y"])


def test_there_is_a_core() -> None:
    assert cores() >= 1


@pytest.mark.parametrize(
    ("count", "at_once", "sizes"),
    [(0, 4, [0]), (4, 4, [4]), (5, 4, [2, 3]), (3, 1, [1, 1, 1]), (256, 28, [16] * 16)],
)
def test_parts_are_of_nearly_the_same_size(count: int, at_once: int, sizes: list[int]) -> None:
    found = _parts(count, at_once)
    assert [part.stop - part.start for part in found] == sizes
    assert (found[0].start, found[-1].stop) == (0, count)
