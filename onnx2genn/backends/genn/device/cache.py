"""Where compiled models are kept, so that a second start compiles nothing."""

from __future__ import annotations

import hashlib
import os
import shutil
import sys
import tempfile
from collections.abc import Iterable
from pathlib import Path

# Directories whose library is loaded in this process. The operating system would give a second
# load the same memory, and both models would write to it.
_LOADED: set[Path] = set()
_COMPLETE = "complete"


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

    Attributes:
        path: Directory to build in and load from.
        is_built: Whether it already holds the compiled model.
    """

    def __init__(self, key: str) -> None:
        root = cache_root()
        root.mkdir(parents=True, exist_ok=True)
        self._final = root / key
        self.is_built = (self._final / _COMPLETE).exists()
        self._scratch: Path | None = None
        if self.is_built and self._final not in _LOADED:
            self.path = self._final
        else:
            self._scratch = Path(tempfile.mkdtemp(prefix=f"{key}.", dir=root))
            self.path = self._scratch
            if self.is_built:
                shutil.copytree(self._final, self.path, dirs_exist_ok=True)
        _LOADED.add(self.path)

    def publish(self) -> None:
        """Give a newly built model its final name, unless another process was faster."""
        if self.is_built:
            return
        (self.path / _COMPLETE).touch()
        try:
            self.path.rename(self._final)
        except OSError:
            return
        _LOADED.discard(self.path)
        self._scratch, self.path = None, self._final
        _LOADED.add(self.path)

    def release(self) -> None:
        """Forget the directory when its library is unloaded; remove it if it is a copy."""
        _LOADED.discard(self.path)
        if self._scratch is not None:
            shutil.rmtree(self._scratch, ignore_errors=True)
