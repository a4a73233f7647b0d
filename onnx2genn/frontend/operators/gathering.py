"""Elements that are picked by indices."""

from __future__ import annotations

from onnx2genn.frontend.operators.linear_maps import picked
from onnx2genn.frontend.operators.movement import kept_axis
from onnx2genn.frontend.rewrite import Refusal, Rewrite
from onnx2genn.ir.registry import operator

_MOVES = "data movement"
_RESTRICTIONS = "constant indices, the same for all samples"


@operator("Gather", kind=_MOVES, selects=True, restrictions="constant indices")
def gather(rewrite: Rewrite, x: str, indices: str, *, axis: int = 0) -> str:
    """Pick entries along one axis."""
    chosen = rewrite.constant(indices, "indices")
    return rewrite.emit("Gather", x, chosen, axis=kept_axis(rewrite, x, axis))


@operator("GatherElements", kind=_MOVES, selects=True, restrictions=_RESTRICTIONS)
def gather_elements(rewrite: Rewrite, x: str, indices: str, *, axis: int = 0) -> str:
    """Pick an element along one axis for each element of the output."""
    kept_axis(rewrite, x, axis)
    return _picked(rewrite, x, indices)


@operator("GatherND", kind=_MOVES, selects=True, restrictions=_RESTRICTIONS)
def gather_nd(rewrite: Rewrite, x: str, indices: str, *, batch_dims: int = 0) -> str:
    """Pick parts by their places in each sample."""
    if not batch_dims:
        kept_axis(rewrite, x, 0)
    return _picked(rewrite, x, indices)


def _picked(rewrite: Rewrite, x: str, indices: str) -> str:
    """Let the node pick from the numbers of the elements, and pick those."""
    chosen = rewrite.constant(indices, "indices")
    if len(chosen) != 1:
        raise Refusal(
            f"its indices of shape {list(chosen.shape)} reach over the batch axis.",
            "Use some that are equal for all samples.",
        )
    return picked(rewrite, x, chosen)
