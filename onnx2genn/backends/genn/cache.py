"""Where compiled models are kept, so that a second start compiles nothing."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Iterable
from pathlib import Path

from onnx2genn.errors import BackendError

# Directories whose library is loaded in this process. The operating system would give a second
# load the same memory, and both models would write to it.
_LOADED: set[Path] = set()
# A file with the hashes of the libraries, written when these are complete; its time is the last
# use.
_COMPLETE = "complete"
_LIBRARIES = (".so", ".dylib", ".dll")
_SIZE = "ONNX2GENN_CACHE_SIZE"
_DEFAULT_SIZE = "4"
_GIB = 2**30
# Seconds after which a directory without a complete model is what a broken process left behind.
_ABANDONED = 24 * 3600


def cache_root() -> Path:
    """Return the folder of compiled models: ``ONNX2GENN_CACHE``, or the user's cache directory."""
    if own := os.environ.get("ONNX2GENN_CACHE"):
        return Path(own)
    if sys.platform == "win32":
        base = Path(os.environ.get("LOCALAPPDATA", Path.home() / "AppData" / "Local"))
    elif sys.platform == "darwin":
        base = Path.home() / "Library" / "Caches"
    else:
        base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return base / "onnx2genn"


def is_writable(folder: Path) -> bool:
    """Whether a folder can be written, or made."""
    while not folder.exists() and folder != folder.parent:
        folder = folder.parent
    return folder.is_dir() and os.access(folder, os.W_OK)


def key_of(texts: Iterable[str]) -> str:
    """Return the name of a model: a hash of all that is compiled and of how."""
    digest = hashlib.sha256()
    for text in texts:
        digest.update(text.encode())
        digest.update(b"\0")
    return digest.hexdigest()[:32]


class CodeDirectory:
    """The directory that one model in this process is built in and loaded from.

    A new model is built in a directory of its own, which takes its final name when it is complete:
    two processes that build the same model do not meet, and a broken build leaves nothing behind.
    A library that is not as it was built is built again: loading it could end the process.

    Attributes:
        path: Directory to build in and load from.
        is_built: Whether it already holds the compiled model.

    Raises:
        BackendError: The folder cannot be written.
    """

    def __init__(self, key: str) -> None:
        self._root = cache_root()
        self._final = self._root / key
        self._scratch: Path | None = None
        self.is_built = _is_intact(self._final)
        try:
            self.path = self._open(key)
        except OSError as error:
            raise BackendError(
                f"{self._root}, where compiled models are kept, cannot be written: {error}. Set "
                "ONNX2GENN_CACHE to a folder that can."
            ) from error
        _LOADED.add(self.path)

    def _open(self, key: str) -> Path:
        """Return the final directory if its model can be loaded, else one of its own."""
        if self.is_built:
            (self._final / _COMPLETE).touch()
            if self._final not in _LOADED:
                return self._final
        self._root.mkdir(parents=True, exist_ok=True)
        self._scratch = Path(tempfile.mkdtemp(prefix=f"{key}.", dir=self._root))
        if self.is_built:
            shutil.copytree(self._final, self._scratch, dirs_exist_ok=True)
        return self._scratch

    def publish(self) -> None:
        """Give a newly built model its final name, unless another process was faster."""
        if self.is_built:
            return
        (self.path / _COMPLETE).write_text(json.dumps(_hashes(self.path)))
        if self._final not in _LOADED and not _is_intact(self._final):
            # Not before: another process may have put a good one there since this one looked.
            shutil.rmtree(self._final, ignore_errors=True)
        try:
            self.path.rename(self._final)
        except OSError:
            return
        _LOADED.discard(self.path)
        self._scratch, self.path = None, self._final
        _LOADED.add(self.path)
        prune(self._root)

    def release(self) -> None:
        """Forget the directory when its library is unloaded; remove it if it is a copy."""
        _LOADED.discard(self.path)
        if self._scratch is not None:
            shutil.rmtree(self._scratch, ignore_errors=True)


def prune(root: Path) -> None:
    """Remove what was not used for longest, until the rest has the size that is allowed.

    ``ONNX2GENN_CACHE_SIZE`` gives it in GiB. What this process has loaded stays, and so does what
    others are building.
    """
    text = os.environ.get(_SIZE, _DEFAULT_SIZE)
    try:
        left = float(text) * _GIB
    except ValueError as error:
        raise BackendError(f"{_SIZE}={text!r} is not a number of GiB.") from error
    complete = {item.parent: item.stat().st_mtime for item in root.glob(f"*/{_COMPLETE}")}
    for folder in sorted(complete, key=lambda item: complete[item], reverse=True):
        left -= sum(item.stat().st_size for item in folder.rglob("*"))
        if left < 0 and folder not in _LOADED:
            shutil.rmtree(folder, ignore_errors=True)
    for folder in root.glob("*.*"):
        if folder not in _LOADED and folder.stat().st_mtime < time.time() - _ABANDONED:
            shutil.rmtree(folder, ignore_errors=True)


def _is_intact(folder: Path) -> bool:
    """Whether a directory holds the libraries that were built in it."""
    try:
        return json.loads((folder / _COMPLETE).read_text()) == _hashes(folder)
    except (OSError, ValueError):
        return False


def _hashes(folder: Path) -> dict[str, str]:
    return {
        item.relative_to(folder).as_posix(): hashlib.sha256(item.read_bytes()).hexdigest()
        for item in sorted(folder.rglob("*"))
        if item.suffix in _LIBRARIES
    }
