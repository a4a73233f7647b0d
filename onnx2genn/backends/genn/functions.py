"""The functions that neurons send, as expressions in GeNN's language."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from onnx2genn.errors import BackendError
from onnx2genn.ir.functions import PORT
from onnx2genn.ir.graph import Node
from onnx2genn.ir.partition import Population
from onnx2genn.ir.registry import entry_of


def expression(population: Population, arguments: Sequence[str]) -> str:
    """Write the function of a population.

    Args:
        population: Population that sends a function of what it collected.
        arguments: Expression of what it collected at each port.

    Raises:
        BackendError: It has an operator without an expression.
    """
    node = population.node
    values = {name: _number(array) for name, array in population.constants.items()}
    values |= {name: key for key, (name, _) in varying(population).items()}
    values[node.inputs[0]] = f"({arguments[0]})"
    for item in node.body or (node,):
        if item.op == PORT:
            values[item.output] = f"({arguments[int(population.constants[item.inputs[1]])]})"
            continue
        values[item.output] = (
            f"({_expression(item, [values.get(name, '') for name in item.inputs])})"
        )
    return values[node.output]


def varying(population: Population) -> dict[str, tuple[str, np.ndarray]]:
    """Return the constants of a function that are not one number: tensor and values by name.

    Returns:
        By the name that they have in the expression, the values in a shape that broadcasts to
        that of the population.
    """
    found = {name: array for name, array in population.constants.items() if array.size > 1}
    return {
        f"constant_{index}": (name, array[0]) for index, (name, array) in enumerate(found.items())
    }


def _number(array: Any) -> str:
    return f"({float(array.reshape(-1)[0])!r})" if array.dtype.kind == "f" else f"({int(array)}.0)"


def _expression(node: Node, operands: Sequence[str]) -> str:
    write = entry_of(node).expression
    if not write:
        raise BackendError(
            f"{node.op} {node.name!r} has no expression for GeNN; use backend onnxruntime."
        )
    if callable(write):
        return write(*operands, **node.attributes)
    return write.format(**dict(zip("xyz", operands, strict=False)), **node.attributes)
