"""Workers of a Dask scheduler."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import Executor
from contextlib import contextmanager

from onnx2genn.errors import BackendError

_SECONDS = 5


@contextmanager
def scheduler(address: str | None) -> Iterator[Executor | None]:
    """Open the executor of a scheduler; None without an address.

    Args:
        address: Such as ``tcp://host:8786``.

    Raises:
        BackendError: Dask is missing, or nobody answers there.
    """
    if address is None:
        yield None
        return
    try:
        from distributed import Client
    except ImportError as error:
        raise BackendError(
            "--scheduler needs Dask: pip install 'onnx2genn[distributed]'."
        ) from error
    try:
        client = Client(address, timeout=_SECONDS)
    except (OSError, ValueError) as error:
        raise BackendError(f"No Dask scheduler answers at {address}: {error}.") from error
    with client:
        if not client.nthreads():
            raise BackendError(f"The Dask scheduler at {address} has no workers.")
        yield client.get_executor()
