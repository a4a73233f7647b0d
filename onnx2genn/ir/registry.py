"""What is known of each ONNX operator: how it is rewritten, and its traits."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from onnx2genn.ir.functions import is_function
from onnx2genn.ir.graph import Node

Handler = Callable[..., "str | Sequence[str]"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Operator:
    """An entry of the registry.

    Attributes:
        op: ONNX operator.
        kind: What it becomes: ``affine``, ``data movement``, ``population`` or ``head``;
            ``condition`` only has a meaning within a function, ``refused`` has none.
        handler: Function that rewrites it.
        restrictions: What is not converted, in a few words, for the support matrix.
        domain: ONNX domain, empty for the standard operators.
    """

    op: str
    kind: str
    handler: Handler
    restrictions: str = ""
    domain: str = ""


REGISTRY: dict[tuple[str, str], Operator] = {}


def operator(
    op: str, *, kind: str = "affine", restrictions: str = "", domain: str = ""
) -> Callable[[Handler], Handler]:
    """Register a handler for an ONNX operator; a later registration replaces an earlier one.

    Args:
        op: ONNX operator, as ``"Gemm"``.
        kind: What it becomes: ``affine``, ``data movement``, ``population`` or ``head``.
        restrictions: What the handler refuses, for the support matrix.
        domain: ONNX domain, empty for the standard operators.

    A handler of a domain that onnxruntime does not know runs before shapes are known; it writes
    operators of the model's own opset and cannot ask for shapes.

    Example:
        >>> import onnx2genn
        >>> @onnx2genn.operator("Double", domain="com.example")
        ... def double(rewrite, x):
        ...     return rewrite.emit("Mul", x, np.float32(2))
    """

    def register(handler: Handler) -> Handler:
        REGISTRY[domain, op] = Operator(
            op=op, kind=kind, handler=handler, restrictions=restrictions, domain=domain
        )
        return handler

    return register


def kind_of(node: Node) -> str:
    """Return what a node of the canonical graph is."""
    if is_function(node):
        return "population"
    entry = REGISTRY.get((node.domain, node.op))
    return entry.kind if entry else "affine"
