"""The functions that neurons send, as expressions in GeNN's language."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from onnx2genn.errors import BackendError
from onnx2genn.ir.graph import Node
from onnx2genn.ir.partition import Population

Attributes = Mapping[str, Any]


def expression(population: Population, argument: str) -> str:
    """Write the function of a population.

    Args:
        population: Population that sends a function of what it collected.
        argument: Expression of what it collected.

    Raises:
        BackendError: It has an operator without an expression here.
    """
    node = population.node
    values = {name: _number(array) for name, array in population.constants.items()}
    values[node.inputs[0]] = f"({argument})"
    for item in node.body or (node,):
        values[item.output] = (
            f"({_expression(item, [values.get(name, '') for name in item.inputs])})"
        )
    return values[node.output]


def _number(array: Any) -> str:
    return f"({float(array.reshape(-1)[0])!r})" if array.dtype.kind == "f" else f"({int(array)}.0)"


def _expression(node: Node, operands: Sequence[str]) -> str:
    write = EXPRESSIONS.get(node.op)
    if write is None:
        raise BackendError(
            f"{node.op} {node.name!r} has no expression for GeNN; use backend onnxruntime."
        )
    return write(operands, node.attributes)


def _clip(x: Sequence[str], attributes: Attributes) -> str:
    result = x[0]
    if len(x) > 1 and x[1]:
        result = f"fmax({result}, {x[1]})"
    if len(x) > 2 and x[2]:
        result = f"fmin({result}, {x[2]})"
    return result


def _gelu(x: Sequence[str], attributes: Attributes) -> str:
    if attributes.get("approximate") == "tanh":
        inner = f"0.7978845608 * ({x[0]} + 0.044715 * {x[0]} * {x[0]} * {x[0]})"
        return f"0.5 * {x[0]} * (1.0 + tanh({inner}))"
    return f"0.5 * {x[0]} * (1.0 + erf({x[0]} * 0.7071067812))"


def _elu(x: str, alpha: float) -> str:
    return f"({x} < 0.0) ? {float(alpha)!r} * (exp({x}) - 1.0) : {x}"


def _softplus(x: str) -> str:
    return f"fmax({x}, 0.0) + log(1.0 + exp(-fabs({x})))"


def _unary(text: str) -> Callable[[Sequence[str], Attributes], str]:
    return lambda x, attributes: text.format(x=x[0], **attributes)


def _infix(sign: str) -> Callable[[Sequence[str], Attributes], str]:
    return lambda x, attributes: f" {sign} ".join(x)


def _call(name: str) -> Callable[[Sequence[str], Attributes], str]:
    return lambda x, attributes: f"{name}({', '.join(x)})"


Write = Callable[[Sequence[str], Attributes], str]
EXPRESSIONS: dict[str, Write] = {
    "Abs": _call("fabs"),
    "Add": _infix("+"),
    "Ceil": _call("ceil"),
    "Celu": _unary("fmax({x}, 0.0) + fmin({alpha} * (exp({x} / {alpha}) - 1.0), 0.0)"),
    "Clip": _clip,
    "Cos": _call("cos"),
    "Div": _infix("/"),
    "Elu": lambda x, attributes: _elu(x[0], attributes["alpha"]),
    "Equal": _infix("=="),
    "Erf": _call("erf"),
    "Exp": _call("exp"),
    "Floor": _call("floor"),
    "Gelu": _gelu,
    "Greater": _infix(">"),
    "GreaterOrEqual": _infix(">="),
    "HardSigmoid": _unary("fmin(fmax({alpha} * {x} + {beta}, 0.0), 1.0)"),
    "HardSwish": _unary("{x} * fmin(fmax({x} / 6.0 + 0.5, 0.0), 1.0)"),
    "Identity": _unary("{x}"),
    "LeakyRelu": _unary("({x} < 0.0) ? {alpha} * {x} : {x}"),
    "Less": _infix("<"),
    "LessOrEqual": _infix("<="),
    "Log": _call("log"),
    "Max": _call("fmax"),
    "Min": _call("fmin"),
    "Mish": lambda x, attributes: f"{x[0]} * tanh({_softplus(x[0])})",
    "Mul": _infix("*"),
    "Pow": _call("pow"),
    "Reciprocal": _unary("1.0 / {x}"),
    "Relu": _unary("fmax({x}, 0.0)"),
    "Round": _call("rint"),
    "Selu": lambda x, attributes: f"{attributes['gamma']} * ({_elu(x[0], attributes['alpha'])})",
    "Sigmoid": _unary("1.0 / (1.0 + exp(-{x}))"),
    "Sign": _unary("({x} > 0.0) ? 1.0 : (({x} < 0.0) ? -1.0 : 0.0)"),
    "Sin": _call("sin"),
    "Softplus": lambda x, attributes: _softplus(x[0]),
    "Softsign": _unary("{x} / (1.0 + fabs({x}))"),
    "Sqrt": _call("sqrt"),
    "Sub": _infix("-"),
    "Tanh": _call("tanh"),
    "ThresholdedRelu": _unary("({x} > {alpha}) ? {x} : 0.0"),
    "Where": lambda x, attributes: f"({x[0]}) ? {x[1]} : {x[2]}",
}
