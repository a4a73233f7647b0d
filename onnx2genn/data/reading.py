"""Whatever is wrong with a file becomes a reason."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from stat import S_ISDIR, S_ISREG

from onnx2genn.errors import DataError
from onnx2genn.ir.memory import machine_memory

_SHARE = 2


@contextmanager
def reading(path: Path) -> Iterator[None]:
    """Turn every fault of a file, in whatever way its parser reports it, into a DataError."""
    try:
        yield
    except DataError:
        raise
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror or error}.") from error
    except MemoryError as error:
        raise DataError(f"{path} holds more than fits into memory.") from error
    except Exception as error:  # zipfile, numpy, zlib and Pillow have dozens
        reason = " ".join(str(error).split()) or type(error).__name__
        raise DataError(f"{path} is damaged, or not what its name says: {reason}.") from error


def is_folder(path: Path) -> bool:
    """Whether a path is a folder, and not a file.

    Raises:
        DataError: It is neither, or cannot be reached.
    """
    with reading(path):
        try:
            mode = path.stat().st_mode
        except FileNotFoundError:
            raise DataError(f"There is no data file or folder {str(path)!r}.") from None
        if not S_ISDIR(mode) and not S_ISREG(mode):
            raise DataError(f"{path} is neither a file nor a folder.")
        return S_ISDIR(mode)


def require_room(path: Path, size: int) -> None:
    """Refuse what would fill the memory, before it does.

    Args:
        path: The file.
        size: Bytes that are needed to hold its content.

    Raises:
        DataError: It is more than half of the machine's memory.
    """
    room = machine_memory() // _SHARE
    if size > room:
        raise DataError(
            f"{path} holds {size / 2**30:,.1f} GiB of data, and no more than half of the memory, "
            f"{room / 2**30:,.1f} GiB, is used for it. Give fewer samples."
        )
