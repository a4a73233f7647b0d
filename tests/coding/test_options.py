"""The values that options take, whether they come by name or to the class."""

from __future__ import annotations

import json
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from helpers.models import mlp

import onnx2genn
from onnx2genn import CodingError
from onnx2genn.coding import make
from onnx2genn.coding.rate import Rate


@pytest.mark.parametrize(
    ("option", "value", "kept"),
    [
        ("steps", np.int64(8), 8),
        ("steps", np.uint8(8), 8),
        ("percentile", 99, 99.0),
        ("percentile", np.float16(99.5), 99.5),
        ("percentile", np.int32(99), 99.0),
        ("initial", Fraction(1, 4), 0.25),
        ("signed", np.True_, True),
        ("reset", np.str_("soft"), "soft"),
    ],
)
def test_scalars_of_numpy_are_kept_as_plain_values(option: str, value: Any, kept: object) -> None:
    for coding in (make("rate", **{option: value}), Rate(**{option: value})):
        found = coding.options()[option]
        assert found == kept and type(found) is type(kept)
        assert json.loads(json.dumps(coding.options())) == coding.options()


def test_a_network_converts_with_steps_of_numpy() -> None:
    assert onnx2genn.convert(mlp(), steps=np.int64(6)).coding.steps == 6  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("steps", True),
        ("steps", np.True_),
        ("steps", 8.0),
        ("steps", "8"),
        ("steps", np.float32(8)),
        ("steps", float("nan")),
        ("percentile", float("nan")),
        ("percentile", np.float32("nan")),
        ("percentile", True),
        ("initial", float("nan")),
        ("initial", "half"),
        ("per_channel", 1),
        ("per_channel", None),
        ("threshold", 3),
        ("seed", -1),
        ("seed", 2**31),
    ],
)
def test_other_values_are_refused(option: str, value: Any) -> None:
    with pytest.raises(CodingError, match=option):
        Rate(**{option: value})
    if value is not None:
        with pytest.raises(CodingError, match=option):
            make("rate", **{option: value})
