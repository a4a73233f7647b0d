"""What is known of each ONNX operator: how it is rewritten, and its traits.

Each fact about an operator is stated once, where it is registered, and read by whatever needs it:
passes, the networks between populations, backends, the page of operators.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from onnx2genn.ir.graph import Node

Handler = Callable[..., "str | Sequence[str]"]
Expression = Callable[..., str]
Registered = TypeVar("Registered", bound=Handler)


@dataclass(frozen=True, kw_only=True, slots=True)
class Operator:
    """An entry of the registry.

    Attributes:
        op: ONNX operator.
        handler: Function that rewrites it.
        kind: What it becomes: ``affine``, ``data movement``, ``population``, ``function`` (a
            population that sends a function of one tensor) or ``head``; ``condition`` only has a
            meaning within a function, ``refused`` has none.
        restrictions: What is not converted, in a few words, for the support matrix.
        domain: ONNX domain, empty for the standard operators.
        elementwise: Each element of the output comes from one of each input, all in the same way;
            inputs broadcast. Functions and conditions do so.
        increasing: The output grows with the input, or stays, unless a factor in its attributes
            (alpha, gamma) is negative.
        selects: Each element of the output is an element of the first input, and the other inputs
            say which.
        homogeneous: f(s x) = s f(x) for a number s. What moves data is.
        bounded: No output is above or below all elements of the first input and zero. What selects
            is.
        output_range: Bounds of the output, whatever the inputs are.
        ends: After the logits, it only turns them into probabilities or labels. Heads do so.
        expression: The same in GeNN's language, for functions that contain it: a format of the
            operands x, y and z and of the attributes, or a function of both.
        lowered: Handler of its canonical form, which writes it with the activations that neurons
            have: Relu and Clip from 0 to a bound.
    """

    op: str
    handler: Handler
    kind: str = "affine"
    restrictions: str = ""
    domain: str = ""
    elementwise: bool = False
    increasing: bool = False
    selects: bool = False
    homogeneous: bool = False
    bounded: bool = False
    output_range: tuple[float, float] = (-math.inf, math.inf)
    ends: bool = False
    expression: str | Expression = ""
    lowered: Callable[..., str] | None = None

    def __post_init__(self) -> None:
        implied = {
            "elementwise": self.kind in ("function", "condition"),
            "homogeneous": self.moves,
            "bounded": self.selects,
            "ends": self.kind == "head",
        }
        for trait, holds in implied.items():
            object.__setattr__(self, trait, holds or getattr(self, trait))

    @property
    def moves(self) -> bool:
        """Whether each element of the output is an element of an input, or zero."""
        return self.kind == "data movement"

    @property
    def gathers(self) -> bool:
        """Whether elements of the output are sums of many, if the operator is a canonical one."""
        return self.kind == "affine" and not self.elementwise

    @property
    def rescales(self) -> bool:
        """Whether it only copies, scales or shifts, if all its inputs but one are constants."""
        return self.elementwise and self.kind in ("affine", "data movement")


REGISTRY: dict[tuple[str, str], Operator] = {}


def operator(op: str, **facts: Any) -> Callable[[Registered], Registered]:
    """Register a handler for an ONNX operator; a later registration replaces an earlier one.

    Args:
        op: ONNX operator, as ``"Gemm"``.
        facts: Further attributes of :class:`Operator`, as its ``kind``, ``domain``,
            ``restrictions`` (what the handler refuses) and its traits.

    A handler of a domain that onnxruntime does not know runs before shapes are known; it writes
    operators of the model's own opset and cannot ask for shapes.

    Example:
        >>> import onnx2genn
        >>> @onnx2genn.operator("Double", domain="com.example")
        ... def double(rewrite, x):
        ...     return rewrite.emit("Mul", x, np.float32(2))
    """

    def register(handler: Registered) -> Registered:
        entry = Operator(op=op, handler=handler, **facts)
        REGISTRY[entry.domain, op] = entry
        return handler

    return register


def find(node: Node) -> Operator | None:
    """Return the entry of a node's operator; None if there is none."""
    from onnx2genn.frontend import operators  # noqa: F401  (fills the registry)

    return REGISTRY.get((node.domain, node.op))


def entry_of(node: Node) -> Operator:
    """Return the entry of a node's operator; one of an affine map if there is none."""
    return find(node) or _UNKNOWN


def kind_of(node: Node) -> str:
    """Return what a node of the canonical graph is."""
    kind = entry_of(node).kind
    return "population" if node.body or kind == "function" else kind


def _no_handler(*inputs: Any, **attributes: Any) -> str:
    raise NotImplementedError


_UNKNOWN = Operator(op="", handler=_no_handler)
