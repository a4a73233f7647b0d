"""Files of data that are damaged, hostile or out of reach: each has its reason."""

from __future__ import annotations

import io
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest
from helpers.mutations import encrypted, npy, png

from onnx2genn.data import load_samples
from onnx2genn.errors import DataError

ENTRIES = {"in": (3,)}
IMAGE = {"in": (1, 2, 4)}


def _npz(**members: bytes) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(f"{name}.npy", content)
    return buffer.getvalue()


def _npy(array: object) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, np.asarray(array))
    return buffer.getvalue()


GOOD = _npz(x=_npy(np.zeros((2, 3), np.float32)))
HEADER = "{{'descr': '{}', 'fortran_order': False, 'shape': {}, }}"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (GOOD[: len(GOOD) // 2], "damaged"),
        (_npz(x=b"no array"), "damaged"),
        (encrypted(GOOD), "encrypted"),
        (b"", "cannot be read as an array"),
        (b"\x80\x04.", "cannot be read as an array"),
        (_npz(x=_npy(np.float32(1))), "array x is a single value"),
        (_npz(x=_npy(np.zeros((2, 3))), y=_npy(1)), "array y is a single value"),
        (_npz(x=npy(HEADER.format("<f4", (10**12,)), b"")), "there are .* bytes"),
        (npy(HEADER.format("<f4", (2**62, 2**62)), b"1234"), "there are .* bytes"),
        (npy(HEADER.format("<f4", (-1, 3)), b"1234"), "there are .* bytes"),
        (npy(HEADER.format("<f4", "7"), b"1234"), "damaged"),
        (npy(HEADER.format("|O", (1, 3)), b"1234"), "Python objects"),
        (npy(HEADER.format("<U2", (1, 3)), bytes(24)), "type <U2"),
        (npy("(" * 5000, b""), "damaged"),
        (npy("{'descr': __import__('os').abort()}", b""), "damaged"),
    ],
)
def test_a_damaged_array_is_explained(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "data.npz"
    path.write_bytes(content)
    with pytest.raises(DataError, match=message):
        load_samples(path, ENTRIES)


def test_an_archive_that_unpacks_to_more_than_the_memory_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("onnx2genn.data.reading.machine_memory", lambda: 2**20)
    path = tmp_path / "bomb.npz"
    path.write_bytes(_npz(x=_npy(np.zeros((50_000, 3), np.float32))))
    assert path.stat().st_size < 2000
    with pytest.raises(DataError, match="Give fewer samples"):
        load_samples(path, ENTRIES)


@pytest.mark.parametrize("name", ["n" * 300, "with\0null", "missing", "missing/within"])
def test_a_name_that_cannot_be_is_explained(tmp_path: Path, name: str) -> None:
    with pytest.raises(DataError, match=r"cannot be read|damaged|There is no data file"):
        load_samples(tmp_path / name, ENTRIES)


def test_what_is_no_file_is_explained(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(DataError, match="neither a file nor a folder"):
        load_samples(tmp_path / "pipe", ENTRIES)
    with pytest.raises(DataError, match=r"within|not a directory|Not a directory"):
        load_samples(Path(__file__) / "within", ENTRIES)
    if Path("/proc/self/mem").exists():
        with pytest.raises(DataError, match="cannot be read"):
            load_samples("/proc/self/mem", ENTRIES)


@pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="everybody may read here")
def test_what_may_not_be_read_is_explained(tmp_path: Path) -> None:
    for place in (tmp_path / "folder", tmp_path / "file"):
        place.mkdir() if place.name == "folder" else place.write_bytes(GOOD)
        place.chmod(0)
        with pytest.raises(DataError, match="cannot be read: Permission denied"):
            load_samples(place, IMAGE)


def test_a_working_directory_that_is_gone_is_explained(tmp_path: Path) -> None:
    code = (
        "import os, sys, onnx2genn.data as data; from onnx2genn.errors import DataError\n"
        "os.mkdir('gone'); os.chdir('gone'); os.rmdir('../gone')\n"
        "try: data.load_samples('data.npz', {'in': (3,)})\n"
        "except DataError: sys.exit(7)"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, env=environment, check=False)
    assert done.returncode == 7


def _folder(place: Path, content: bytes) -> Path:
    (place / "class").mkdir()
    (place / "class" / "image.png").write_bytes(content)
    return place


def test_sixteen_bits_are_scaled(tmp_path: Path) -> None:
    rows = b"".join(b"\0" + np.full(4, value, ">u2").tobytes() for value in (300, 65535))
    samples = load_samples(_folder(tmp_path, png(4, 2, depth=16, content=rows)), IMAGE)
    assert np.allclose(samples.x[0, 0, 0], 300 / 65535)
    assert (samples.x[0, 0, 1] == 1).all()


def test_sixteen_grey_bits_as_three_channels(tmp_path: Path) -> None:
    rows = b"".join(b"\0" + np.full(4, value, ">u2").tobytes() for value in (300, 65535))
    samples = load_samples(_folder(tmp_path, png(4, 2, depth=16, content=rows)), {"in": (3, 2, 4)})
    assert np.allclose(samples.x[0, :, 0], 300 / 65535)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (png(60_000, 60_000, content=b"\0"), "decompression bomb"),
        (png(4, 3), "3 x 4 pixels; the model takes 2 x 4"),
        (png(4, 2)[:35], r"image\.png"),
        (b"text", r"image\.png"),
        (b"", r"image\.png"),
    ],
)
def test_a_damaged_image_is_explained(tmp_path: Path, content: bytes, message: str) -> None:
    with pytest.raises(DataError, match=message):
        load_samples(_folder(tmp_path, content), IMAGE)


def test_a_folder_called_as_an_image_is_explained(tmp_path: Path) -> None:
    (tmp_path / "class" / "image.png").mkdir(parents=True)
    with pytest.raises(DataError, match="Is a directory"):
        load_samples(tmp_path, IMAGE)


def test_pixels_of_32_bits_are_refused(tmp_path: Path) -> None:
    image = pytest.importorskip("PIL.Image")
    (tmp_path / "class").mkdir()
    image.fromarray(np.zeros((2, 4), np.float32)).save(tmp_path / "class" / "image.tiff")
    with pytest.raises(DataError, match="32 bits"):
        load_samples(tmp_path, IMAGE)
