"""Chains of operators that are one convolution."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from math import gcd

import numpy as np

from onnx2genn.backends.genn.lowering.convolution import Convolution, identity
from onnx2genn.ir.graph import Node, Shape
from onnx2genn.ir.segment import Segment

# Channels, and one or two spatial axes.
_RANKS = (2, 3)


def as_convolution(segment: Segment, source: str, chain: list[Node]) -> Convolution | None:
    """Compose a chain of operators to one convolution, if that is exact.

    Args:
        segment: Segment that the chain is part of.
        source: Source that the chain starts from.
        chain: Operators from the source to the target, each reading the one before.
    """
    shape = segment.shapes[source]
    if len(shape) not in _RANKS:
        return None
    total, name = identity(shape), source
    for node in chain:
        step = _append(segment, total, name, node)
        if step is None:
            return None
        total, name = step, node.output
    return total


def _append(segment: Segment, before: Convolution, name: str, node: Node) -> Convolution | None:
    shape, output = segment.shapes[name], segment.shapes[node.output]
    if node.op == "Concat":
        return _concatenated(segment, before, name, node)
    if node.op in ("Add", "Identity"):
        return before if shape == output else None
    if node.op == "Conv":
        return _composed(before, _conv(segment, node), output)
    factor = None
    if node.op == "Mul":
        factor = _scale(segment, node)
    elif node.op == "AveragePool":
        factor = _pool(segment, node)
    elif node.op == "ReduceMean":
        factor = _global_mean(segment, node)
    return None if factor is None else _composed(before, factor, output)


def _concatenated(
    segment: Segment, before: Convolution, name: str, node: Node
) -> Convolution | None:
    if node.attributes["axis"] != 1 or node.inputs.count(name) != 1:
        return None
    ahead = node.inputs[: node.inputs.index(name)]
    if not all(item in segment.shapes for item in ahead):
        return None
    first = before.first + sum(segment.shapes[item][0] for item in ahead)
    return replace(before, first=first, target=segment.shapes[node.output])


def _conv(segment: Segment, node: Node) -> Convolution:
    rank = len(node.attributes["strides"])
    return Convolution(
        kernel=segment.constants[node.inputs[1]],
        strides=tuple(node.attributes["strides"]),
        dilations=tuple(node.attributes["dilations"]),
        pads=tuple(node.attributes["pads"][:rank]),
        group=node.attributes["group"],
        source=segment.shapes[node.inputs[0]],
        target=segment.shapes[node.output],
    )


def _scale(segment: Segment, node: Node) -> Convolution | None:
    """A factor for each channel."""
    variable, constant = node.inputs
    if variable in segment.constants:
        variable, constant = constant, variable
    shape = segment.shapes[variable]
    factor = segment.constants[constant]
    full: np.ndarray = factor.reshape((1,) * (len(shape) + 1 - factor.ndim) + factor.shape)
    if shape != segment.shapes[node.output] or full.size not in (1, full.shape[1]):
        return None
    unit = identity(shape)
    return replace(unit, kernel=unit.kernel * full.reshape(-1, 1, *[1] * (len(shape) - 1)))


def _pool(segment: Segment, node: Node) -> Convolution | None:
    """A mean, if all windows lie within the source and so divide by the same number."""
    attributes, rank = node.attributes, len(node.attributes["strides"])
    shape, output = segment.shapes[node.inputs[0]], segment.shapes[node.output]
    kernel = tuple(attributes["kernel_shape"])
    axes = zip(
        shape[1:], output[1:], kernel, attributes["strides"], attributes["dilations"], strict=True
    )
    inside = all((out - 1) * s + (k - 1) * d < size for size, out, k, s, d in axes)
    if any(attributes["pads"]) or not inside:
        return None
    return replace(
        identity(shape),
        kernel=np.full((shape[0], 1, *kernel), 1.0 / np.prod(kernel)),
        strides=tuple(attributes["strides"]),
        dilations=tuple(attributes["dilations"]),
        pads=(0,) * rank,
        target=output,
    )


def _global_mean(segment: Segment, node: Node) -> Convolution | None:
    """A mean over all spatial axes that leaves them with size 1."""
    shape = segment.shapes[node.inputs[0]]
    axes = sorted(int(axis) for axis in segment.constants[node.inputs[1]])
    if axes != list(range(2, len(shape) + 1)) or not node.attributes.get("keepdims", 1):
        return None
    return replace(
        identity(shape),
        kernel=np.full((shape[0], 1, *shape[1:]), 1.0 / np.prod(shape[1:])),
        strides=shape[1:],
        target=segment.shapes[node.output],
    )


def _composed(a: Convolution, b: Convolution, output: Shape) -> Convolution | None:
    """Return b after a, where a's outputs are some of b's input channels."""
    product = _product(a, b)
    if product is None or not _borders_agree(a, b):
        return None
    # By tap: [*K, O, I / group].
    of_a, of_b = (np.moveaxis(item.kernel, (0, 1), (-2, -1)) for item in (a, b))
    taps_a, taps_b = a.kernel.shape[2:], b.kernel.shape[2:]
    near = np.array(a.dilations)
    far = np.array(a.strides) * b.dilations
    unit = np.array(
        [
            gcd(int(far[axis]) * (taps_b[axis] > 1), int(near[axis]) * (taps_a[axis] > 1)) or 1
            for axis in range(len(near))
        ]
    )
    sizes = (far * (np.array(taps_b) - 1) + near * (np.array(taps_a) - 1)) // unit + 1
    first = (0,) * len(near)
    kernel = np.zeros((*sizes, *product(of_a[first], of_b[first]).shape))
    for tap_b in np.ndindex(taps_b):
        for tap_a in np.ndindex(taps_a):
            at = tuple((far * tap_b + near * tap_a) // unit)
            kernel[at] += product(of_a[tap_a], of_b[tap_b])
    return Convolution(
        kernel=np.moveaxis(kernel, (-2, -1), (0, 1)),
        strides=tuple(i * j for i, j in zip(a.strides, b.strides, strict=True)),
        dilations=tuple(unit.tolist()),
        pads=tuple(s * i + j for s, i, j in zip(a.strides, b.pads, a.pads, strict=True)),
        group=a.group if b.depthwise else b.group,
        source=a.source,
        target=output,
        first=a.first if b.depthwise else 0,
    )


def _product(
    a: Convolution, b: Convolution
) -> Callable[[np.ndarray, np.ndarray], np.ndarray] | None:
    """Return how the weights of one tap of each multiply, [O, I / group]; None if groups mix."""
    channels = slice(a.first, a.first + len(a.kernel))
    if b.depthwise:
        return lambda of_a, of_b: of_b[channels] * of_a
    if a.depthwise and b.group == 1:
        return lambda of_a, of_b: of_b[:, channels] * of_a[:, 0]
    if a.depthwise and len(a.kernel) == b.source[0]:
        return lambda of_a, of_b: of_b * of_a[b.inputs, 0]
    if b.group == 1:
        full = np.zeros((len(a.kernel), a.source[0]))
        rows = np.arange(len(full))[:, None]

        def mixed(of_a: np.ndarray, of_b: np.ndarray) -> np.ndarray:
            full[rows, a.inputs] = of_a
            return of_b[:, channels] @ full

        return mixed
    return None


def _borders_agree(a: Convolution, b: Convolution) -> bool:
    """Whether what b reads beyond its source is zero in a's continuation, too."""
    for axis in range(len(a.pads)):
        size, middle, outputs = a.source[1 + axis], b.source[1 + axis], b.target[1 + axis]
        stride, pad = a.strides[axis], a.pads[axis]
        last_tap = a.dilations[axis] * (a.kernel.shape[2 + axis] - 1)
        reach = b.dilations[axis] * (b.kernel.shape[2 + axis] - 1)
        last_read = b.strides[axis] * (outputs - 1) + reach - b.pads[axis]
        if b.pads[axis] > 0 and last_tap - stride - pad >= 0:
            return False
        if last_read >= middle and stride * middle - pad < size:
            return False
    return True
