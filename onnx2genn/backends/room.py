"""Whether a simulation fits into the memory budget, asked before it starts."""

from __future__ import annotations

from onnx2genn.errors import BackendError
from onnx2genn.ir.memory import budget, in_gib, more_memory


def threads_that_fit(what: str, size: int, most: int = 1) -> int:
    """Return how many threads may work at a time.

    Args:
        what: What takes the memory, for the message.
        size: Bytes that each takes.
        most: Largest answer.

    Raises:
        BackendError: Not even one fits.
    """
    if size > budget():
        raise BackendError(
            f"There is not enough memory: {what} takes about {in_gib(size)}, of which it may have "
            f"{in_gib(budget())}. Use fewer steps or smaller inputs; or {more_memory()}."
        )
    return max(1, min(most, budget() // max(size, 1)))
