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
from onnx2genn.calibrate.encode import encode
from onnx2genn.calibrate.observe import observe
from onnx2genn.coding import make
from onnx2genn.errors import Onnx2GennError, UnsupportedModelError
from onnx2genn.evaluate.forecast import Forecast
from onnx2genn.frontend.pipeline import read
from onnx2genn.ir.inputs import join_arrays
from onnx2genn.ir.model import Model
from onnx2genn.ir.run import Runner
from onnx2genn.spiking_network import SpikingNetwork

RIGHT, REFUSED = "right", "refused"
_CODING = "few-spike"
_STEPS = 12
_TOLERANCE = {"float16": 2e-2, "bfloat16": 2e-2}
_NEAR = 0.05
# onnxruntime takes another size for the scale than onnx.
_OTHERWISE_IN_ONNXRUNTIME = (
    "test_resize_downsample_scales_linear_align_corners",
    "test_resize_downsample_scales_cubic_align_corners",
)


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
    """What became of a case: right, refused or a fault, and why; if spikes are near the ANN."""

    kind: str
    reason: str = ""
    near: bool = False


def cases() -> Iterator[Case]:
    """List all tests of onnx, as they are and with all inputs but the first as weights."""
    from onnx.backend.test.loader import load_model_tests

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        tests = load_model_tests(kind="node")
    for test in (item for item in tests if item.name not in _OTHERWISE_IN_ONNXRUNTIME):
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


def outcome(case: Case, *, spikes: bool = True) -> Outcome:
    """Convert a case and compare it with what it has to compute.

    Args:
        case: The case.
        spikes: Whether its first output is also simulated.
    """
    found = [
        _output(case, name, spikes=spikes and not index) for index, name in enumerate(case.wanted)
    ]
    wrong = [item for item in found if item.kind not in (RIGHT, REFUSED)]
    return (wrong or found)[0]


def _output(case: Case, name: str, *, spikes: bool) -> Outcome:
    """Convert a case for one of its outputs."""
    try:
        model = read(case.model, output=name)
    except UnsupportedModelError as error:
        fault = OWN_FAULT in str(error)
        return Outcome(kind="own fault" if fault else REFUSED, reason=str(error))
    feeds = {
        entry: _batch_first(np.asarray(case.feeds[entry], np.float32), shape)
        for entry, shape in model.entries.items()
    }
    (entry,) = model.parts.inputs
    x = join_arrays(model.entries, feeds)
    logits = model.parts.readout.target  # what a head reads
    extra = [logits] if logits != entry else []
    found = Runner(model.to_onnx(extra), [model.graph.output, logits])({entry: x})
    got, wanted = found[model.graph.output], np.asarray(case.wanted[name])
    tolerance = _TOLERANCE.get(wanted.dtype.name, 1e-4)
    wanted = _batch_first(wanted.astype(np.float32), got.shape[1:])
    margin = tolerance * np.abs(wanted[np.isfinite(wanted)]).max(initial=1e-6)
    if not np.allclose(got, wanted, rtol=1e-3, atol=margin, equal_nan=True):
        return Outcome(kind="wrong", reason=f"{name} of {got.shape} for {wanted.shape}")
    return _spikes(model, x, found[logits]) if spikes else Outcome(kind=RIGHT)


def _batch_first(array: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """Bring the samples of a recurrent layer, which has the time first, to the front."""
    for axis in range(1, array.ndim):
        if array.shape[1:] == shape:
            break
        moved = np.moveaxis(array, axis, 0)
        if moved.shape[1:] == shape:
            return np.ascontiguousarray(moved)
    return array


def _spikes(model: Model, x: np.ndarray, logits: np.ndarray) -> Outcome:
    """Compare the spiking network with its forecast, which has to be equal, and with the ANN."""
    try:
        network = SpikingNetwork.of(encode(observe(model, _around(x)), make(_CODING, steps=_STEPS)))
        got = network.predict(x, backend="onnxruntime").reshape(logits.shape)
    except Onnx2GennError as error:
        return Outcome(kind=REFUSED, reason=str(error))
    scale = np.abs(logits).max(initial=1e-6)
    forecast = Forecast(network).logits(x).reshape(logits.shape)
    if not np.allclose(got, forecast, atol=1e-3 * scale):
        return Outcome(kind="not as forecast", reason=f"{np.abs(got - forecast).max() / scale:.2g}")
    return Outcome(kind=RIGHT, near=bool(np.abs(got - logits).max(initial=0) <= _NEAR * scale))


def _around(x: np.ndarray) -> np.ndarray:
    """Make samples like a few, for calibration."""
    random = np.random.default_rng(0)
    return np.concatenate([x, *(x * random.uniform(0.9, 1.1, x.shape) for _ in range(20))])
