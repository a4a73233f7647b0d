"""onnx's own tests of single operators: each is converted and right, or refused with a reason."""

import warnings

import numpy as np
import onnx
import pytest
from helpers.onnx_models import OLD_ONNXRUNTIME
from onnx import numpy_helper

from onnx2genn import UnsupportedModelError
from onnx2genn.frontend.pipeline import read
from onnx2genn.ir.inputs import join_arrays
from onnx2genn.ir.registry import REGISTRY
from onnx2genn.ir.run import session

# onnxruntime takes another size for the scale than onnx.
OTHERWISE_IN_ONNXRUNTIME = (
    "test_resize_downsample_scales_linear_align_corners",
    "test_resize_downsample_scales_cubic_align_corners",
)
CONVERTED = 700


def cases():
    """Yield name, model, inputs and outputs: with all inputs, and with all but one constant."""
    from onnx.backend.test.loader import load_model_tests

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = load_model_tests(kind="node")
    for case in found:
        known = any((node.domain, node.op_type) in REGISTRY for node in case.model.graph.node)
        if not known or case.name in OTHERWISE_IN_ONNXRUNTIME:
            continue
        inputs, outputs = (
            [
                numpy_helper.to_array(item) if isinstance(item, onnx.TensorProto) else item
                for item in part
            ]
            for part in case.data_sets[0]
        )
        names = [info.name for info in case.model.graph.input]
        feeds = dict(zip(names, inputs, strict=True))
        if not all(isinstance(item, np.ndarray) for item in (*inputs, *outputs)):
            continue
        yield case.name, case.model, feeds, outputs
        if len(names) > 1:
            yield f"{case.name} with constants", with_constants(case.model, feeds), feeds, outputs


def with_constants(proto, feeds):
    """Make all inputs but the first constants."""
    other = onnx.ModelProto()
    other.CopyFrom(proto)
    first, *rest = other.graph.input
    other.graph.ClearField("input")
    other.graph.input.append(first)
    other.graph.initializer.extend(
        numpy_helper.from_array(feeds[info.name], info.name) for info in rest
    )
    return other


def outcome(proto, feeds, name, wanted):
    """Return what is wrong, or whether an output was converted."""
    try:
        found = read(proto, output=name)
    except UnsupportedModelError as error:
        return str(error) if "error of onnx2genn" in str(error) else False
    (entry,) = found.graph.inputs
    joined = join_arrays(found.entries, {key: feeds[key] for key in found.entries})
    (got,) = session(found.to_onnx()).run([found.graph.output], {entry: joined})
    scale = np.abs(wanted, where=np.isfinite(wanted), out=np.zeros(wanted.shape)).max(initial=0.0)
    close = np.allclose(got, wanted, rtol=1e-3, atol=1e-4 * scale, equal_nan=True)
    return close or f"differs by {np.abs(got - wanted).max()}"


@pytest.mark.skipif(OLD_ONNXRUNTIME, reason="some of its operators are wrong")
def test_right_or_refused_with_a_reason():
    wrong, converted = {}, 0
    for name, proto, feeds, outputs in cases():
        for info, wanted in zip(proto.graph.output, outputs, strict=True):
            found = outcome(proto, feeds, info.name, wanted.astype(np.float64))
            if isinstance(found, str):
                wrong[name, info.name] = found
            converted += found is True
    assert wrong == {}
    assert converted >= CONVERTED
