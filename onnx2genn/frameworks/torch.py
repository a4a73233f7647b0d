"""PyTorch modules, by torch.onnx."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

import numpy as np
import onnx

from onnx2genn.network import SpikingNetwork, convert

if TYPE_CHECKING:
    import torch


def from_torch(
    module: torch.nn.Module, calibration: np.ndarray | torch.Tensor, **options: Any
) -> SpikingNetwork:
    """Turn a trained PyTorch module into a spiking network.

    Args:
        module: Module of one input and one output. It is exported in evaluation mode.
        calibration: Training samples [N, ...] as the module takes them; also the example that the
            export needs.
        options: As for :func:`onnx2genn.convert`.

    Raises:
        UnsupportedModelError: The module cannot be converted; ``problems`` lists all reasons.

    Example:
        >>> from onnx2genn.frameworks import from_torch
        >>> network = from_torch(module, x_train[:500], steps=8)  # doctest: +SKIP
    """
    samples = np.asarray(calibration, dtype=np.float32)
    return convert(export(module, samples[:2]), samples, **options)


def export(module: torch.nn.Module, example: np.ndarray) -> onnx.ModelProto:
    """Export a module with an open batch axis.

    Args:
        module: Module of one input.
        example: Two samples or more: an exporter takes an axis of size 1 for fixed.
    """
    import torch

    was_training = module.training
    module.eval()
    buffer = io.BytesIO()
    try:
        # The exporter that traces: it needs no package beyond torch itself.
        torch.onnx.export(
            module,
            (torch.from_numpy(example),),
            buffer,
            dynamo=False,
            input_names=["input"],
            output_names=["output"],
            dynamic_axes={"input": {0: "batch"}, "output": {0: "batch"}},
        )
    finally:
        module.train(was_training)
    return onnx.load_from_string(buffer.getvalue())
