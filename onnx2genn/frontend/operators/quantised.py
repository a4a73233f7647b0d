"""Operators on whole numbers that stand for floats, as the float operators within.

onnxruntime's quantiser writes ``QLinearConv`` and the like: they take whole numbers with scale and
zero point, and give such. Here each becomes DequantizeLinear, the float operator, QuantizeLinear;
the pass that knows these pairs then leaves the rounding to the spikes.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from onnx2genn.frontend.rewrite import Refusal
from onnx2genn.ir.builder import Builder
from onnx2genn.ir.graph import Constants, Node
from onnx2genn.ir.registry import Handler, operator

_AXES_ARE_INPUTS = 18
_LIMITS = "constant scales and zero points; within one step of the rounding that it has"
_MICROSOFT = "com.microsoft"


class Floats(Builder):
    """Writes float operators in the place of those on whole numbers.

    Attributes:
        opset: Version of the standard operators.
        of: The float tensor that stands for one of whole numbers, by its name.
        pairs: Scale and zero point of whole numbers, by their name.
        sums: Of a sum of whole numbers: the float tensor, and the scale that it is in.
        biases: Of whole numbers that stand for a bias: its values, and the scale that it is in.
        inexact: Outputs of operators that round within, too, where no whole numbers are seen.

    Args:
        taken: Names that exist already.
        given: Constants of the graph.
        opset: Version of the standard operators.
    """

    def __init__(self, taken: set[str], given: Constants, opset: int) -> None:
        super().__init__("floats", taken)
        self.given: dict[str, np.ndarray] = dict(given)
        self.opset = opset
        self.of: dict[str, str] = {}
        self.sums: dict[str, tuple[str, str]] = {}
        self.pairs: dict[str, list[str]] = {}
        self.biases: dict[str, tuple[np.ndarray, tuple[str, np.ndarray | None]]] = {}
        self.inexact: set[str] = set()

    def value(self, name: str, scale: str, zero: str | None, axis: int = 0) -> str | np.ndarray:
        """Return the floats that whole numbers stand for; an array if they are constant.

        Args:
            name: The whole numbers.
            scale: Their scale; for several, one for each index of ``axis``.
            zero: Their zero point.
            axis: See ``scale``.
        """
        if name in self.of:
            return self.of[name]
        if name not in self.given:
            return self.emit("DequantizeLinear", name, scale, *([zero] if zero else []))
        whole = self.given[name].astype(np.int64)
        shape = [1] * whole.ndim
        shift, step = self.constant(zero), self.constant(scale)
        if max(shift.size, step.size) > 1:
            shape[axis] = -1
        if shift.size > 1:
            shift = shift.reshape(shape)
        if step.size > 1:
            step = step.reshape(shape)
        return np.asarray((whole - shift.astype(np.int64)) * step, np.float32)

    def twin(self, name: str) -> str:
        """Return a free name for the floats that a tensor stands for."""
        return self._free(f"{name}/float", 0)

    def constant(self, name: str | None) -> np.ndarray:
        """Return a scale or a zero point, which is 0 if left out."""
        if not name:
            return np.zeros((), np.int64)
        if name not in self.given:
            raise Refusal(
                "its scale depends on the network's input.",
                "Of such, DynamicQuantizeLinear before ConvInteger or MatMulInteger is read.",
            )
        array = self.given[name]
        if not np.isfinite(array).all():
            raise Refusal(
                f"its scale {name!r} is {array.ravel()[0]}: what was quantised reached infinity.",
                "Quantise without that operator.",
            )
        return array.reshape(()) if array.size == 1 else array

    def rounded(self, y: str, scale: str, zero: str | None = None, *, output: str) -> str:
        """Give the floats y as whole numbers under a name, and remember what these stand for."""
        if self.constant(scale).size > 1:
            raise Refusal("its output has several scales.", "Quantise with one for each tensor.")
        pair = [scale] if not zero else [scale, zero]
        self.pairs[output] = pair
        self.emit("QuantizeLinear", y, *pair, output=output)
        self.of[output] = self.emit("DequantizeLinear", output, *pair)
        return output


def convolved(
    floats: Floats, x: str | np.ndarray, w: str | np.ndarray, *bias: np.ndarray, **attributes: Any
) -> str:
    """Write a convolution, channels last if its attributes say so."""
    if attributes.pop("channels_last", 0):
        raise Refusal("its channels are last.", "Quantise without that optimisation.")
    return floats.emit("Conv", x, w, *bias, **attributes)


def _quantised(op: str, domain: str = "") -> Callable[[Handler], Handler]:
    return operator(op, kind="quantised", domain=domain, restrictions=_LIMITS)


@_quantised("QLinearConv")
@_quantised("QLinearConv", _MICROSOFT)
def qlinear_conv(
    floats: Floats, node: Node, x: str, xs: str, xz: str, w: str, ws: str, wz: str, *rest: str
) -> str:
    """Convolution; its bias is in steps of both scales."""
    ys, yz, *b = rest
    bias = []
    if b and b[0]:
        step = np.asarray(floats.constant(xs) * floats.constant(ws), np.float32)
        bias = [(floats.constant(b[0]).reshape(-1) * step).astype(np.float32)]
    product = convolved(
        floats, floats.value(x, xs, xz), floats.value(w, ws, wz), *bias, **node.attributes
    )
    return floats.rounded(product, ys, yz, output=node.output)


@_quantised("QLinearMatMul")
def qlinear_matmul(floats: Floats, node: Node, *inputs: str) -> str:
    """Matrix product; scales of the second operand are of its columns."""
    a, a_scale, a_zero, b, b_scale, b_zero, ys, yz = inputs
    first = floats.value(a, a_scale, a_zero, axis=-2)
    product = floats.emit("MatMul", first, floats.value(b, b_scale, b_zero, axis=-1))
    return floats.rounded(product, ys, yz, output=node.output)


@_quantised("QGemm", _MICROSOFT)
def qgemm(floats: Floats, node: Node, *inputs: str) -> str:
    """General matrix product; without a scale for the output it gives floats."""
    a, a_scale, a_zero, b, b_scale, b_zero, c, ys, yz = (*inputs, *[""] * (9 - len(inputs)))
    rows = 0 if node.attributes.get("transB") else 1
    operands = [
        floats.value(a, a_scale, a_zero),
        floats.value(b, b_scale, b_zero, axis=rows),
    ]
    alpha = node.attributes.get("alpha", 1.0)
    if c:
        step = alpha * floats.constant(a_scale) * floats.constant(b_scale)
        operands.append(np.asarray(floats.constant(c) * step, np.float32))
    if not ys:
        return floats.emit("Gemm", *operands, output=node.output, **node.attributes)
    return floats.rounded(
        floats.emit("Gemm", *operands, **node.attributes), ys, yz, output=node.output
    )


def _binary(op: str) -> Handler:
    def handler(floats: Floats, node: Node, *inputs: str) -> str:
        a, a_scale, a_zero, b, b_scale, b_zero, ys, *yz = inputs
        operands = [floats.value(a, a_scale, a_zero), floats.value(b, b_scale, b_zero)]
        return floats.rounded(
            floats.emit(op, *operands), ys, yz[0] if yz else None, output=node.output
        )

    return handler


def _unary(op: str, kept: str) -> Handler:
    def handler(floats: Floats, node: Node, *inputs: str) -> str:
        x, xs, xz, ys, *yz = inputs
        if node.attributes.get("channels_last"):
            raise Refusal("its channels are last.", "Quantise without that optimisation.")
        given = {key: value for key, value in node.attributes.items() if key in kept.split()}
        data = floats.value(x, xs, xz)
        if op == "ReduceMean" and floats.opset >= _AXES_ARE_INPUTS and "axes" in given:
            axes = np.array(given.pop("axes"), np.int64)
            made = floats.emit(op, data, axes, **given)
        else:
            made = floats.emit(op, data, **given)
        return floats.rounded(made, ys, yz[0] if yz else None, output=node.output)

    return handler


for _op in ("Add", "Mul"):
    _quantised(f"QLinear{_op}", _MICROSOFT)(_binary(_op))
_POOL = "auto_pad ceil_mode count_include_pad kernel_shape pads strides"
for _op, _kept in {
    "AveragePool": _POOL,
    "GlobalAveragePool": "",
    "LeakyRelu": "alpha",
    "ReduceMean": "axes keepdims",
    "Sigmoid": "",
    "Softmax": "axis",
}.items():
    _quantised(f"QLinear{_op}", _MICROSOFT)(_unary(_op, _kept))


@_quantised("QLinearConcat", _MICROSOFT)
def qlinear_concat(floats: Floats, node: Node, ys: str, yz: str, *inputs: str) -> str:
    """Concat of tensors, each with a scale of its own."""
    triples = zip(inputs[::3], inputs[1::3], inputs[2::3], strict=True)
    parts = [floats.value(*triple) for triple in triples]
    joined = floats.emit("Concat", *parts, axis=node.attributes["axis"])
    return floats.rounded(joined, ys, yz, output=node.output)


@operator("DynamicQuantizeLinear", kind="quantised", restrictions=_LIMITS)
def dynamic_quantize_linear(floats: Floats, node: Node, x: str) -> str:
    """Whole numbers with a scale of their own; the node stays for those who read it."""
    whole, scale, zero = floats.add(node), *node.outputs[1:]
    floats.of[whole] = floats.emit("DequantizeLinear", whole, scale, zero)
    return whole


@_quantised("DynamicQuantizeMatMul", _MICROSOFT)
def dynamic_quantize_matmul(
    floats: Floats, node: Node, a: str, b: str, b_scale: str, b_zero: str = "", bias: str = ""
) -> str:
    """DynamicQuantizeLinear, and the product of what it gives with a constant matrix."""
    names = tuple(f"{node.output}/{part}" for part in ("whole", "scale", "zero"))
    floats.add(Node(op="DynamicQuantizeLinear", inputs=(a,), outputs=names, name=names[0]))
    data = floats.emit("DequantizeLinear", *names)
    return _shifted_product(floats, node, data, (b, b_scale, b_zero), bias)


@_quantised("MatMulIntegerToFloat", _MICROSOFT)
def matmul_integer_to_float(
    floats: Floats, node: Node, a: str, b: str, a_scale: str, b_scale: str, *rest: str
) -> str:
    """Product of whole numbers with a constant matrix, times the scales of both."""
    a_zero, b_zero, bias = (*rest, *[""] * (3 - len(rest)))
    data = floats.emit("DequantizeLinear", a, a_scale, *([a_zero] if a_zero else []))
    return _shifted_product(floats, node, data, (b, b_scale, b_zero), bias)


def _shifted_product(
    floats: Floats, node: Node, data: str, matrix: tuple[str, str, str], bias: str
) -> str:
    if matrix[0] not in floats.given:
        raise Refusal("its second operand is no constant.", "Quantise in QDQ format.")
    weight = floats.value(*matrix, axis=-1)
    if not bias:
        return floats.emit("MatMul", data, weight, output=node.output, name=node.name)
    product = floats.emit("MatMul", data, weight)
    return floats.emit("Add", product, bias, output=node.output, name=node.name)


def _integer(op: str) -> None:
    """Register a product of whole numbers without scales: what reads it multiplies by them."""

    def handler(floats: Floats, node: Node, a: str, b: str, az: str = "", bz: str = "") -> str:
        if a not in floats.of or b not in floats.given:
            raise Refusal(
                "its operands are not the output of DynamicQuantizeLinear and a constant.",
                "Quantise in QDQ format.",
            )
        one = floats.store(np.float32(1), f"{node.output}/one")
        floats.given[one] = floats.constants[one]
        weight = floats.value(b, one, bz, axis=0 if op == "Conv" else -1)
        product = floats.emit(op, floats.of[a], weight, **node.attributes)
        floats.sums[node.output] = product, a
        floats.add(node)  # for those who read it in another way
        return product

    operator(f"{op}Integer", kind="quantised", restrictions=_LIMITS)(handler)


for _op in ("Conv", "MatMul"):
    _integer(_op)
