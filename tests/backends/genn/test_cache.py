"""The cache of compiled models: its size, what is left behind, folders that cannot be written."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from onnx2genn.backends.genn import cache
from onnx2genn.backends.genn.cache import CodeDirectory
from onnx2genn.errors import BackendError

MIB = 2**20
HOUR = 3600


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("ONNX2GENN_CACHE", str(tmp_path))
    return tmp_path


def keep(key: str, *, age: float = 0) -> None:
    """Store a library of one MiB that was used some hours ago."""
    directory = CodeDirectory(key)
    (directory.path / "librunner.so").write_bytes(bytes(MIB))
    directory.publish()
    directory.release()
    when = time.time() - age * HOUR
    os.utime(directory.path / "complete", (when, when))


def test_the_slower_of_two_processes_uses_its_own(root: Path) -> None:
    first, second = CodeDirectory("key"), CodeDirectory("key")
    assert first.path != second.path
    first.publish()
    second.publish()
    assert first.path == root / "key"
    assert second.path != first.path
    first.release()
    second.release()
    assert [item.name for item in root.iterdir()] == ["key"]
    third = CodeDirectory("key")
    assert third.is_built
    third.release()


def test_what_another_process_puts_there_meanwhile_stays(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    keep("key")
    library = root / "key" / "librunner.so"
    library.write_bytes(b"damaged")

    def look(folder: Path, is_intact=cache._is_intact) -> bool:
        found = is_intact(folder)
        monkeypatch.setattr(cache, "_is_intact", is_intact)
        keep("key")
        return found

    monkeypatch.setattr(cache, "_is_intact", look)
    directory = CodeDirectory("key")
    assert not directory.is_built
    assert library.read_bytes() == bytes(MIB)
    directory.publish()
    directory.release()
    assert library.read_bytes() == bytes(MIB)


def test_what_is_not_used_goes(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for key, age in {"old": 3, "used": 4, "young": 1}.items():
        keep(key, age=age)
    CodeDirectory("used").release()
    monkeypatch.setenv("ONNX2GENN_CACHE_SIZE", str(3.5 / 1024))
    keep("new")
    assert {item.name for item in root.iterdir()} == {"used", "young", "new"}


def test_what_is_loaded_stays(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    keep("loaded", age=2)
    keep("old", age=1)
    loaded = CodeDirectory("loaded")
    monkeypatch.setenv("ONNX2GENN_CACHE_SIZE", "0")
    keep("new")
    assert {item.name for item in root.iterdir()} == {"loaded", "new"}
    loaded.release()


def test_what_a_killed_process_left_goes(root: Path) -> None:
    for name, age in {"key.left": 30, "key.building": 1}.items():
        (root / name).mkdir()
        when = time.time() - age * HOUR
        os.utime(root / name, (when, when))
    keep("new")
    assert {item.name for item in root.iterdir()} == {"key.building", "new"}


@pytest.mark.parametrize("content", [b"", bytes(MIB - 1), bytes(MIB - 1) + b"1"])
def test_a_library_that_is_not_as_it_was_built_is_built_again(root: Path, content: bytes) -> None:
    keep("key")
    (root / "key" / "librunner.so").write_bytes(content)
    again = CodeDirectory("key")
    assert not again.is_built
    again.publish()
    assert again.path == root / "key"
    again.release()


def test_a_folder_that_cannot_be_written_is_explained(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    folder = tmp_path / "file" / "folder"
    monkeypatch.setenv("ONNX2GENN_CACHE", str(folder))
    assert not cache.is_writable(folder)
    with pytest.raises(BackendError, match=r"cannot be written.*Set ONNX2GENN_CACHE"):
        CodeDirectory("key")


def test_a_size_that_is_no_number_is_explained(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ONNX2GENN_CACHE_SIZE", "large")
    with pytest.raises(BackendError, match="ONNX2GENN_CACHE_SIZE='large' is not a number of GiB"):
        keep("key")
