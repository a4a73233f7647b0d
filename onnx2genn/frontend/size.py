"""How large a network is, from shapes alone: asked before anything of it runs."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from math import prod

import onnx
from onnx import helper, shape_inference

from onnx2genn.errors import UnsupportedModelError
from onnx2genn.frontend.probe import BATCHES
from onnx2genn.ir.graph import Graph, Shape, to_onnx
from onnx2genn.ir.memory import budget, in_gib, more_memory

_LONG = 2 * 10**10
# Larger constants have no say in shapes.
_READ_BYTES = 2**16


@dataclass(frozen=True, kw_only=True, slots=True)
class Size:
    """What a network takes.

    Attributes:
        bytes: Memory for the weights and for all tensors of the samples that show shapes.
        values: Numbers that all tensors of one sample hold together.
        macs: Multiply-accumulates of one sample.
    """

    bytes: int
    values: int
    macs: int

    def __str__(self) -> str:
        return (
            f"{self.values:,} numbers and {self.macs / 1e9:,.3g} billion multiply-accumulates for "
            "each sample"
        )


def estimate(graph: Graph, input_types: Mapping[str, int], batch: int | None) -> Size:
    """Estimate the size of a network; what nobody can tell without running it counts nothing.

    Args:
        graph: Graph in the model's own operators.
        input_types: ONNX element types of the inputs.
        batch: Batch size that the file is fixed to; None if it is open.
    """
    samples = batch or max(BATCHES)
    weights = {name: array.shape for name, array in graph.constants.items()}
    computed = _computed(graph, input_types, samples)
    inputs = {name: (samples, *shape) for name, shape in graph.inputs.items()}
    shapes = {**weights, **inputs, **{name: shape for name, (shape, _) in computed.items()}}
    total = sum(prod(shape) * size for shape, size in computed.values())
    return Size(
        bytes=total + sum(array.nbytes for array in graph.constants.values()),
        values=sum(prod(shape) for shape, _ in computed.values()) // samples,
        macs=sum(
            macs_of(node.op, *(shapes.get(name, ()) for name in (*node.inputs[:2], node.output)))
            for node in graph.nodes
            if len(node.inputs) > 1
        )
        // samples,
    )


def macs_of(op: str, data: Shape, weight: Shape, output: Shape) -> int:
    """Count the multiply-accumulates of an operator, with the products at padded borders.

    Args:
        op: Operator; those that are no convolution or matrix product have none.
        data: Shape of its first input.
        weight: Shape of its second input.
        output: Shape of its output.
    """
    if op == "MatMul" and data and output:
        return prod(output) * data[-1]
    if op == "Gemm" and output:
        return prod(output[:-1]) * prod(weight)
    # A kernel [M, C / g, k...] is applied once for each output of Conv, and one [C, M / g, k...]
    # once for each input of ConvTranspose.
    if op in ("Conv", "ConvTranspose") and output:
        return prod(output if op == "Conv" else data) * prod(weight[1:])
    return 0


def _computed(
    graph: Graph, input_types: Mapping[str, int], samples: int
) -> dict[str, tuple[Shape, int]]:
    """Return the shape and the bytes of an element of tensors, where onnx can infer them."""
    large = {name: array for name, array in graph.constants.items() if array.nbytes > _READ_BYTES}
    found: dict[str, tuple[Shape, int]] = {}
    with suppress(shape_inference.InferenceError, LookupError, RuntimeError, TypeError, ValueError):
        proto = to_onnx(
            graph.nodes,
            {name: array for name, array in graph.constants.items() if name not in large},
            graph.inputs,
            {graph.output: None},
            opset=graph.opset,
            imports=graph.imports,
            batch=samples,
            input_types=input_types,
            fed=large,
        )
        inferred = shape_inference.infer_shapes(proto, data_prop=True).graph
        for info in (*inferred.value_info, *inferred.output):
            kind = info.type.tensor_type
            sizes = tuple(axis.dim_value for axis in kind.shape.dim)
            if kind.elem_type != onnx.TensorProto.UNDEFINED and all(size > 0 for size in sizes):
                found[info.name] = sizes, helper.tensor_dtype_to_np_dtype(kind.elem_type).itemsize
    return found


def require(size: Size) -> None:
    """Refuse a network that does not fit, and warn of one that takes long.

    Args:
        size: Its size.

    Raises:
        UnsupportedModelError: It takes more.
    """
    if size.bytes > budget():
        raise UnsupportedModelError(
            f"The network is too large: it has {size}, and reading it takes "
            f"{in_gib(size.bytes)} of memory, of which it may have {in_gib(budget())}. Convert it "
            f"for smaller inputs, or {more_memory()}."
        )
    if size.macs > _LONG:
        warnings.warn(
            f"The network has {size}. It is run dozens of times while it is read and calibrated: "
            "this may take from minutes to hours.",
            stacklevel=2,
        )
