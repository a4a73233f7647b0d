"""Whether something fits into memory, asked before it is allocated."""

from __future__ import annotations

from onnx2genn.errors import BackendError

_GIB = 2**30


def available() -> int:
    """Bytes of main memory that can be had without swapping."""
    import psutil

    return psutil.virtual_memory().available


def require(what: str, size: int, limit: int | None = None) -> None:
    """Refuse what would not fit.

    Args:
        what: What needs the memory, for the message.
        size: Bytes that it needs.
        limit: Bytes that there are; what main memory has left if None.

    Raises:
        BackendError: It does not fit.
    """
    limit = available() if limit is None else limit
    if size > limit:
        raise BackendError(
            f"{what} would take {size / _GIB:.1f} GiB, and {limit / _GIB:.1f} GiB are free. "
            "Convolutions and matrix products without other operators between them and the next "
            "activation need only their weights; or use --backend onnxruntime."
        )
