"""The one place where onnxruntime sessions are made."""

from __future__ import annotations

from typing import TYPE_CHECKING

from onnx2genn.errors import UnsupportedModelError

if TYPE_CHECKING:
    import onnx
    import onnxruntime

_ERRORS_ONLY = 3
_KEPT_BYTES = 2**29


def samples_at_once(values: int, most: int) -> int:
    """Return how many samples to compute at once.

    Args:
        values: Numbers that are kept of each sample, as float32; half a gibibyte of them is kept.
        most: Largest answer; the smallest is 1.
    """
    return max(1, min(most, _KEPT_BYTES // (4 * max(values, 1))))


def session(
    model: onnx.ModelProto, *, threads: int = 0, optimise: bool = True
) -> onnxruntime.InferenceSession:
    """Make a session on the CPU.

    Args:
        model: The model to run.
        threads: Threads within an operator; 0 takes one per core. Idle threads sleep: the threads
            of several sessions would otherwise spin against each other.
        optimise: Whether onnxruntime may rewrite the graph.

    Raises:
        UnsupportedModelError: The model is too large, or onnxruntime refuses it; the message has
            the reason.
    """
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = _ERRORS_ONLY + 1
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    if not optimise:
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    content = serialised(model)
    try:
        return onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # onnxruntime's exceptions share no public base class
        raise UnsupportedModelError(_refusal(model, error)) from error


def serialised(model: onnx.ModelProto) -> bytes:
    """Write a model as bytes.

    Raises:
        UnsupportedModelError: It is larger than an ONNX model can be.
    """
    try:
        return model.SerializeToString()
    except Exception as error:  # of protobuf, by its implementation
        raise UnsupportedModelError(
            "The network takes more than the 2 GiB that an ONNX model can hold. Convert a smaller "
            "network, or one with smaller inputs."
        ) from error


def _refusal(model: onnx.ModelProto, error: Exception) -> str:
    """Say why onnxruntime refused, with both versions, since a too new opset is the usual cause."""
    import onnxruntime

    opsets = ", ".join(f"{item.domain or 'ai.onnx'} {item.version}" for item in model.opset_import)
    return (
        f"onnxruntime {onnxruntime.__version__} cannot run the model (opset {opsets}): "
        f"{str(error).strip().splitlines()[0]} If the opset is newer than onnxruntime knows, "
        "upgrade onnxruntime or export with a lower opset."
    )
