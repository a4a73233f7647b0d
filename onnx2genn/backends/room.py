"""Whether a simulation fits into the memory budget, asked before it starts."""

from __future__ import annotations

from onnx2genn.errors import BackendError
from onnx2genn.ir.memory import budget, in_gib, more_memory


def require_room(what: str, size: int) -> None:
    """Refuse what does not fit.

    Args:
        what: What takes the memory, for the message.
        size: Bytes that it takes.

    Raises:
        BackendError: It does not fit.
    """
    if size > budget():
        raise BackendError(
            f"There is not enough memory: {what} takes about {in_gib(size)}, of which it may have "
            f"{in_gib(budget())}. Use fewer steps or smaller inputs; or {more_memory()}."
        )
