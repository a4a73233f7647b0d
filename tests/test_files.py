"""Results as files: whole or not at all, in the place that was named."""

from __future__ import annotations

import os
import stat
import threading
from pathlib import Path

import pytest

from onnx2genn import DataError, files


def test_a_failed_write_leaves_the_old_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"old")

    def fail(*_: object) -> None:
        raise OSError("disk full")

    monkeypatch.setattr(Path, "replace", fail)
    with pytest.raises(DataError, match="disk full"):
        files.write(path, b"new")
    assert path.read_bytes() == b"old"
    assert [item.name for item in tmp_path.iterdir()] == ["file"]


def test_a_link_is_followed(tmp_path: Path) -> None:
    (tmp_path / "there").mkdir()
    link = tmp_path / "link"
    link.symlink_to(tmp_path / "there" / "file")
    for content in (b"first", b"second"):
        files.write(link, content)
        assert link.is_symlink()
        assert (tmp_path / "there" / "file").read_bytes() == content


@pytest.mark.parametrize("mode", [0o600, 0o664])
def test_a_file_keeps_its_mode(tmp_path: Path, mode: int) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"old")
    path.chmod(mode)
    files.write(path, b"new")
    assert stat.S_IMODE(path.stat().st_mode) == mode
    (tmp_path / "plain").touch()
    files.write(tmp_path / "other", b"new")
    assert (tmp_path / "other").stat().st_mode == (tmp_path / "plain").stat().st_mode


def test_a_pipe_stays_a_pipe(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    found: list[bytes] = []
    reader = threading.Thread(target=lambda: found.append(pipe.read_bytes()))
    reader.start()
    files.write(pipe, b"content")
    reader.join()
    assert found == [b"content"]
    assert pipe.is_fifo()


def test_a_device_stays_a_device() -> None:
    files.write(Path(os.devnull), b"content")
    assert Path(os.devnull).is_char_device()


def test_what_cannot_be_written_is_explained(tmp_path: Path) -> None:
    (tmp_path / "circle").symlink_to(tmp_path / "circle")
    for place in (tmp_path, tmp_path / "no" / "file", tmp_path / "circle"):
        for function in (lambda path: files.write(path, b""), files.require_place):
            with pytest.raises(DataError, match="cannot be written"):
                function(place)


def test_what_can_be_written_is_found_out_first(tmp_path: Path) -> None:
    for place in (tmp_path / "new", Path(os.devnull)):
        files.require_place(place)
    assert list(tmp_path.iterdir()) == []
