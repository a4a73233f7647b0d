"""onnx's own tests of single operators as networks: converted right, or refused with a reason."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx
from onnx import numpy_helper

from helpers.trials import OWN_FAULT
from onnx2genn.api import SpikingNetwork
from onnx2genn.calibrate.encode import encode
from onnx2genn.coding import make
from onnx2genn.errors import Onnx2GennError
from onnx2genn.frontend.pipeline import read
from onnx2genn.ir.inputs import join_arrays
from onnx2genn.ir.run import Runner

RIGHT, REFUSED = "right", "refused"
_CODING = "few-spike"
_STEPS = 12
_TOLERANCE = {np.dtype(np.float16): 2e-2}
_NEAR = 0.05


@dataclass(frozen=True, kw_only=True)
class Case:
    """A model of one operator, with inputs and the outputs that it has to have for them.

    Its inputs but the first are ``frozen``, or it is as onnx has it.
    """

    name: str
    operator: str
    model: onnx.ModelProto
    feeds: Mapping[str, Any]
    wanted: Mapping[str, Any]
    frozen: bool = False


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What became of a case: right, refused or a fault; the reason; the error of the spikes."""

    kind: str
    reason: str = ""
    spikes: float | None = None


def cases() -> Iterator[Case]:
    """List all tests of onnx, as they are and with all inputs but the first as weights."""
    from onnx.backend.test.loader import load_model_tests

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        tests = load_model_tests(kind="node")
    for test in tests:
        inputs, outputs = (list(map(_array, part)) for part in test.data_sets[0])
        feeds = dict(zip([item.name for item in test.model.graph.input], inputs, strict=False))
        wanted = dict(zip([item.name for item in test.model.graph.output], outputs, strict=False))
        operator = test.model.graph.node[0].op_type
        case = Case(name=test.name, operator=operator, model=test.model, feeds=feeds, wanted=wanted)
        yield case
        if len(feeds) > 1 and all(isinstance(item, np.ndarray | np.generic) for item in inputs):
            yield _frozen(case)


def _array(value: Any) -> Any:
    """Read a tensor; sequences and what is missing stay as they are."""
    return numpy_helper.to_array(value) if isinstance(value, onnx.TensorProto) else value


def _frozen(case: Case) -> Case:
    """Make weights of all inputs but the first."""
    first, *rest = case.feeds
    model = onnx.ModelProto()
    model.CopyFrom(case.model)
    kept = [item for item in model.graph.input if item.name == first]
    del model.graph.input[:]
    model.graph.input.extend(kept)
    model.graph.initializer.extend(
        numpy_helper.from_array(np.asarray(case.feeds[name]), name) for name in rest
    )
    return Case(
        name=f"{case.name}, weights frozen",
        operator=case.operator,
        model=model,
        feeds={first: case.feeds[first]},
        wanted=case.wanted,
        frozen=True,
    )


def outcome(case: Case) -> Outcome:
    """Convert a case and compare it with what it has to compute."""
    try:
        model = read(case.model)
    except Onnx2GennError as error:
        fault = OWN_FAULT in str(error)
        return Outcome(kind="own fault" if fault else REFUSED, reason=str(error))
    feeds = {name: np.asarray(case.feeds[name], np.float32) for name in model.entries}
    (entry,) = model.parts.inputs
    x = join_arrays(model.entries, feeds)
    name, logits = model.graph.output, model.parts.readout.target  # before a head
    found = Runner(model.to_onnx([logits] if logits != entry else []), [name, logits])({entry: x})
    got, wanted = found[name], case.wanted[name]
    tolerance = _TOLERANCE.get(wanted.dtype, 1e-4)
    wanted = wanted.astype(np.float32)
    scale = np.abs(wanted[np.isfinite(wanted)]).max(initial=1e-6)
    if got.shape != wanted.shape or not np.allclose(
        got, wanted, rtol=tolerance, atol=tolerance * scale, equal_nan=True
    ):
        return Outcome(kind="wrong", reason=f"{got.shape} {wanted.shape}")
    try:
        network = SpikingNetwork.of(encode(model, make(_CODING, steps=_STEPS), _around(x)))
        spikes = network.predict(x, backend="onnxruntime").reshape(found[logits].shape)
    except Onnx2GennError as error:
        return Outcome(kind=REFUSED, reason=str(error))
    error = float(np.abs(spikes - found[logits]).max() / np.abs(found[logits]).max(initial=1e-6))
    return Outcome(kind=RIGHT if error <= _NEAR else "far", reason=f"{error:.2g}", spikes=error)


def _around(x: np.ndarray) -> np.ndarray:
    """Make samples like a few, for calibration."""
    random = np.random.default_rng(0)
    return np.concatenate([x, *(x * random.uniform(0.9, 1.1, x.shape) for _ in range(20))])
