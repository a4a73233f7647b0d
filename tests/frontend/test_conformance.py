"""onnx's own tests of operators: converted right, or refused with a reason."""

from __future__ import annotations

import warnings

import pytest
from helpers.conformance import REFUSED, RIGHT, cases, outcome

_EVERY = 61


def faults(every: int) -> list[str]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = [(case.name, outcome(case)) for case in list(cases())[::every]]
    return [f"{name}: {item}" for name, item in found if item.kind not in (RIGHT, REFUSED)]


def test_some_of_onnx() -> None:
    assert not faults(_EVERY)


@pytest.mark.slow
def test_all_of_onnx() -> None:
    assert not faults(1)
