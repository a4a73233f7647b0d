"""Random feed-forward networks, as a strategy of hypothesis."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from math import gcd

import numpy as np
import onnx
from hypothesis import strategies as st
from hypothesis.strategies import DrawFn

from helpers.onnx_models import model, node

Shape = tuple[int, ...]
_MOST_VALUES = 600
_CLASSES = 3


@dataclass
class _Net:
    """A network that grows: its nodes, its weights, and the shapes of its tensors."""

    draw: DrawFn
    grid: bool
    nodes: list[onnx.NodeProto] = field(default_factory=list)
    weights: dict[str, np.ndarray] = field(default_factory=dict)
    shapes: dict[str, Shape] = field(default_factory=dict)
    last: str = "x"

    @property
    def shape(self) -> Shape:
        return self.shapes[self.last]

    def integer(self, low: int, high: int) -> int:
        return self.draw(st.integers(low, high))

    def weight(self, *shape: int, scale: float = 1.0, positive: bool = False) -> str:
        """Add weights; on a grid they are small multiples of 1/8."""
        random = np.random.default_rng([len(self.weights), *shape])
        values = random.normal(size=shape) * scale
        if self.grid:
            values = random.integers(-4, 5, shape) / 8
        if positive:
            values = np.abs(values) + 0.5
        name = f"w{len(self.weights)}"
        self.weights[name] = values.astype(np.float32)
        return name

    def add(self, op: str, inputs: str, shape: Shape, **attributes: object) -> None:
        self.last = f"t{len(self.nodes)}"
        self.nodes.append(node(op, inputs, self.last, name=self.last, **attributes))
        self.shapes[self.last] = shape


def _conv(net: _Net) -> None:
    channels, *size = net.shape
    groups = net.draw(st.sampled_from([1, 1, channels, gcd(channels, 2)]))
    kernel = [net.integer(1, 3) for _ in size]
    strides = [net.integer(1, 2) for _ in size]
    dilations = [net.integer(1, 2) for _ in size]
    pads = [net.integer(0, 2) for _ in range(4)]
    reach = [(k - 1) * d + 1 for k, d in zip(kernel, dilations, strict=True)]
    sizes = [(n + pads[i] + pads[i + 2] - reach[i]) // strides[i] + 1 for i, n in enumerate(size)]
    if min(sizes) < 1 or any(n + pads[i] + pads[i + 2] < reach[i] for i, n in enumerate(size)):
        return
    made = groups * net.integer(1, 3)
    fan = channels // groups * int(np.prod(kernel))
    inputs = f"{net.last} {net.weight(made, channels // groups, *kernel, scale=fan**-0.5)}"
    if net.draw(st.booleans()):
        inputs += f" {net.weight(made, scale=0.2)}"
    net.add(
        "Conv", inputs, (made, *sizes), kernel_shape=kernel, strides=strides, dilations=dilations,
        pads=pads, group=groups,
    )  # fmt: skip


def _conv_transpose(net: _Net) -> None:
    channels, *size = net.shape
    made, stride, kernel = net.integer(1, 3), net.integer(1, 2), net.integer(1, 3)
    sizes = [(n - 1) * stride + kernel for n in size]
    weight = net.weight(channels, made, kernel, kernel, scale=(channels * kernel) ** -0.5)
    net.add("ConvTranspose", f"{net.last} {weight}", (made, *sizes), strides=[stride] * 2)


def _pool(net: _Net) -> None:
    channels, *size = net.shape
    kernel = [net.integer(1, min(3, n)) for n in size]
    strides = [net.integer(1, 2) for _ in size]
    pads = [net.integer(0, k - 1) for k in (*kernel, *kernel)]
    sizes = [(n + pads[i] + pads[i + 2] - kernel[i]) // strides[i] + 1 for i, n in enumerate(size)]
    op = net.draw(st.sampled_from(["MaxPool", "AveragePool"]))
    extra = {"count_include_pad": net.integer(0, 1)} if op == "AveragePool" else {}
    net.add(
        op, net.last, (channels, *sizes), kernel_shape=kernel, strides=strides, pads=pads, **extra
    )


def _normalise(net: _Net) -> None:
    count = net.shape[0]
    names = [net.weight(count, positive=positive) for positive in (True, False, False, True)]
    net.add("BatchNormalization", f"{net.last} {' '.join(names)}", net.shape)


def _relu(net: _Net) -> None:
    net.add("Relu", net.last, net.shape)


def _leaky(net: _Net) -> None:
    net.add("LeakyRelu", net.last, net.shape, alpha=0.25)


def _clip(net: _Net) -> None:
    net.weights["low"], net.weights["high"] = np.float32(0), np.float32(2)
    net.add("Clip", f"{net.last} low high", net.shape)


def _merge(net: _Net) -> None:
    """Add or multiply with another tensor, or with itself."""
    others = [name for name, shape in net.shapes.items() if shape == net.shape]
    op = net.draw(st.sampled_from(["Add", "Add", "Sub"] if net.grid else ["Add", "Sub", "Mul"]))
    net.add(op, f"{net.last} {net.draw(st.sampled_from(others))}", net.shape)


def _concat(net: _Net) -> None:
    others = [name for name, shape in net.shapes.items() if shape[1:] == net.shape[1:]]
    other = net.draw(st.sampled_from(others))
    shape = (net.shape[0] + net.shapes[other][0], *net.shape[1:])
    net.add("Concat", f"{net.last} {other}", shape, axis=1)


def _swap(net: _Net) -> None:
    channels, height, width = net.shape
    net.add("Transpose", net.last, (channels, width, height), perm=[0, 1, 3, 2])


def _flatten(net: _Net) -> None:
    net.add("Flatten", net.last, (int(np.prod(net.shape)),))


def _dense(net: _Net, made: int | None = None) -> None:
    (count,) = net.shape
    made = made or net.integer(1, 8)
    inputs = f"{net.last} {net.weight(count, made, scale=count**-0.5)}"
    if net.draw(st.booleans()):
        inputs += f" {net.weight(made, scale=0.2)}"
    net.add("Gemm", inputs, (made,))


_ANY = (_relu, _relu, _relu, _clip, _leaky, _merge, _merge, _concat, _normalise)
_IMAGE = (*_ANY, _conv, _conv, _conv, _conv_transpose, _pool, _pool, _swap, _flatten)
_VECTOR = (*_ANY, _dense, _dense, _dense)
_OFF_GRID = (_leaky, _normalise)


@st.composite
def networks(draw: DrawFn, *, grid: bool = False) -> onnx.ModelProto:
    """Draw a network of images or of vectors with three outputs.

    Args:
        draw: Of hypothesis.
        grid: Whether float32 sums are exact: weights on a binary grid, and fewer operators.
    """
    net = _Net(draw=draw, grid=grid)
    image = (draw(st.integers(1, 3)), draw(st.integers(2, 7)), draw(st.integers(2, 7)))
    net.shapes["x"] = draw(st.sampled_from([image, (draw(st.integers(1, 8)),)]))
    for _ in range(draw(st.integers(2, 8))):
        steps: tuple[Callable[[_Net], None], ...] = _IMAGE if len(net.shape) == 3 else _VECTOR
        step = draw(st.sampled_from([item for item in steps if not grid or item not in _OFF_GRID]))
        before = net.last, len(net.nodes)
        step(net)
        if np.prod(net.shape) > _MOST_VALUES:
            net.last = before[0]
            del net.nodes[before[1] :]
    if len(net.shape) > 1:
        _flatten(net)
    _dense(net, _CLASSES)
    used = {name for item in net.nodes for name in item.input}
    weights = {name: array for name, array in net.weights.items() if name in used}
    inputs = {"x": ["N", *net.shapes["x"]]}
    return model(net.nodes, inputs, weights, outputs=(net.last,))
