"""Results as files."""

from __future__ import annotations

import errno
import io
import os
import secrets
import shutil
import stat
from pathlib import Path
from typing import BinaryIO

from onnx2genn.errors import DataError


def write(path: Path, content: bytes) -> None:
    """Write a file in one step, so that nobody ever finds half of it.

    It is written beside its place and then moved there. A link is followed, and a file that was
    there keeps its mode. What is no file, as a pipe or /dev/null, is written to as it stands.

    Args:
        path: Where to write.
        content: What to write.

    Raises:
        DataError: It cannot be written; a file that was there before is left as it was.
    """
    try:
        place = _place(path)
        if place.exists() and not place.is_file():
            place.write_bytes(content)
        else:
            _replace(place, io.BytesIO(content))
    except OSError as error:
        raise _refusal(path, error) from error


def copy(source: Path, path: Path) -> None:
    """Write a file in one step, as :func:`write` does, from another one that may be large.

    Args:
        source: What to write.
        path: Where to write.

    Raises:
        DataError: It cannot be written; a file that was there before is left as it was.
    """
    try:
        place = _place(path)
        with source.open("rb") as content:
            if place.exists() and not place.is_file():
                with place.open("wb") as target:
                    shutil.copyfileobj(content, target)
            else:
                _replace(place, content)
    except OSError as error:
        raise _refusal(path, error) from error


def require_place(path: Path) -> None:
    """Find out before the work, not after it, that a file cannot be written.

    Args:
        path: Where to write.

    Raises:
        DataError: There is no such folder, or it is one, or it is closed to this user.
    """
    try:
        place = _place(path)
        if place.is_dir() or not place.parent.is_dir():
            raise DataError(f"{path} cannot be written: there is no such folder, or it is one.")
        if not os.access(place if place.exists() else place.parent, os.W_OK):
            raise DataError(f"{path} cannot be written: permission denied.")
    except OSError as error:
        raise _refusal(path, error) from error


def make_folder(path: Path) -> None:
    """Make a folder, unless it is there.

    Args:
        path: Where to; the folder that it is in has to be there.

    Raises:
        DataError: It cannot be made or written to.
    """
    try:
        path.mkdir(exist_ok=True)
    except OSError as error:
        raise _refusal(path, error) from error
    require_place(path / "file")


def _refusal(path: Path, error: OSError) -> DataError:
    return DataError(f"{path} cannot be written: {error.strerror or error}.")


def _place(path: Path) -> Path:
    """Follow links; those in a circle lead nowhere."""
    place = Path(os.path.realpath(path))
    if place.is_symlink():
        raise OSError(errno.ELOOP, os.strerror(errno.ELOOP))
    return place


def _replace(place: Path, content: BinaryIO) -> None:
    beside = place.with_name(f".onnx2genn-{secrets.token_hex(8)}")
    try:
        with beside.open("xb") as file:
            shutil.copyfileobj(content, file)
        if place.exists():
            beside.chmod(stat.S_IMODE(place.stat().st_mode))
        beside.replace(place)
    except BaseException:
        beside.unlink(missing_ok=True)
        raise
