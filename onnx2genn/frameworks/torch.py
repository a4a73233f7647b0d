"""PyTorch modules, by torch.onnx."""

from __future__ import annotations

import inspect
import io
from collections.abc import Mapping
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

import numpy as np
import onnx

from onnx2genn.api import convert
from onnx2genn.data import Inputs
from onnx2genn.errors import DataError
from onnx2genn.spiking_network import SpikingNetwork

if TYPE_CHECKING:
    from collections.abc import Sequence

    import torch


def from_torch(
    module: torch.nn.Module,
    calibration: Inputs | torch.Tensor | Sequence[torch.Tensor] | Mapping[str, torch.Tensor],
    **options: Any,
) -> SpikingNetwork:
    """Turn a trained PyTorch module into a spiking network.

    Args:
        module: Module with one output. It is exported in evaluation mode.
        calibration: Training samples [N, ...] as the module takes them; also the example that the
            export needs. For several arguments of ``forward``, a tuple of them, or a dictionary
            by their names.
        options: As for :func:`onnx2genn.convert`.

    Raises:
        UnsupportedModelError: The module cannot be converted; ``problems`` lists all reasons.
        DataError: A name in the dictionary is none of the arguments.

    Example:
        >>> from onnx2genn.frameworks import from_torch
        >>> network = from_torch(module, x_train[:500], steps=8)  # doctest: +SKIP
    """
    samples = _by_argument(module, calibration)
    example = {name: array[:2] for name, array in samples.items()}
    try:
        proto = export(module, example)
    except Exception:  # of any class: whole numbers may stand for floats
        floats = {name: array.astype(np.float32) for name, array in example.items()}
        if all(array.dtype == np.float32 for array in example.values()):
            raise
        proto = export(module, floats)
    return convert(proto, samples, **options)


def _by_argument(module: torch.nn.Module, given: Any) -> dict[str, np.ndarray]:
    """Name arrays as the arguments of ``forward``, in their order."""
    arguments = list(inspect.signature(module.forward).parameters)
    if isinstance(given, Mapping):
        if unknown := set(given) - set(arguments):
            raise DataError(f"forward takes {', '.join(arguments)}, but not {min(unknown)!r}.")
        arrays = {name: given[name] for name in arguments if name in given}
    elif isinstance(given, tuple):
        names = arguments if len(arguments) >= len(given) else map(str, range(len(given)))
        arrays = dict(zip(names, given, strict=False))
    else:
        arrays = {"input": given}
    return {name: _typed(np.asarray(array)) for name, array in arrays.items()}


def _typed(array: np.ndarray) -> np.ndarray:
    """Keep token ids and masks; all else is floats, of which modules have float32."""
    return array if array.dtype.kind in "ib" else array.astype(np.float32)


def export(module: torch.nn.Module, example: Mapping[str, np.ndarray]) -> onnx.ModelProto:
    """Export a module with an open batch axis.

    Args:
        module: Module with one output.
        example: Its arguments in order, by the names that inputs get. Two samples or more: an
            exporter takes an axis of size 1 for fixed.
    """
    import torch

    training = [(item, item.training) for item in module.modules()]
    arguments = tuple(torch.from_numpy(array) for array in example.values())
    try:
        module.eval()
        return _by_tracing(module, arguments, list(example))
    except Exception:  # of any class: attention, for one, cannot be traced
        if find_spec("onnxscript") is None:
            raise
        return _by_graph_capture(module, arguments, list(example))
    finally:
        for item, was_training in training:
            item.training = was_training


def _by_tracing(
    module: torch.nn.Module, arguments: tuple[torch.Tensor, ...], names: list[str]
) -> onnx.ModelProto:
    """Export with the exporter that needs no package beyond torch itself."""
    import torch

    buffer = io.BytesIO()
    torch.onnx.export(
        module,
        arguments,
        buffer,
        dynamo=False,
        input_names=names,
        output_names=["output"],
        dynamic_axes={name: {0: "batch"} for name in [*names, "output"]},
    )
    return onnx.load_from_string(buffer.getvalue())


def _by_graph_capture(
    module: torch.nn.Module, arguments: tuple[torch.Tensor, ...], names: list[str]
) -> onnx.ModelProto:
    import torch

    batch = torch.export.Dim("batch")
    program = torch.onnx.export(
        module,
        arguments,
        dynamo=True,
        input_names=names,
        output_names=["output"],
        dynamic_shapes=tuple({0: batch} for _ in arguments),
        verbose=False,
    )
    return program.model_proto
