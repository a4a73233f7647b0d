"""Damage: random changes of the bytes of a file, the fields of a model, and files of data."""

from __future__ import annotations

import io
import math
import struct
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
from google.protobuf.message import Message

_NUMBERS = (0, 1, -1, 2, 3, 7, 99, 2**31 - 1, -(2**31), 2**63 - 1)
_FRACTIONS = (0.0, -1.0, math.nan, math.inf, 1e38, 1e-40)
_WORDS = (
    "",
    "Relu",
    "Conv",
    "MatMul",
    "x",
    "y",
    "a b",
    "[/red]",
    "../../x",
    '";exit(1);//',
    "\x1b[2J",
)
_FAULTS = (ValueError, TypeError, IndexError)  # what protobuf says of a value that a field lacks


def mutate_message(message: Message, random: Random) -> None:
    """Change one field of a protobuf message, or of one within it, at any depth."""
    try:
        while not _change(message, random):
            message = _step(message, random)
    except _FAULTS:
        return


def _change(message: Message, random: Random) -> bool:
    """Change something right here, or decide to go on within."""
    fields = message.ListFields()
    if not fields:
        return True
    field, value = random.choice(fields)
    if hasattr(value, "append"):
        index = random.randrange(len(value))
        draw = random.random()
        if draw < 0.12:
            del value[index]
        elif draw < 0.2:
            value.append(value[index])
        elif isinstance(value[index], Message):
            return False
        else:
            value[index] = _other(value[index], random)
        return True
    if random.random() < 0.1:
        message.ClearField(field.name)
    elif isinstance(value, Message):
        return False
    else:
        setattr(message, field.name, _other(value, random))
    return True


def _step(message: Message, random: Random) -> Message:
    """Choose a message within a message; the message itself if it has none."""
    inner: list[Message] = []
    for _, value in message.ListFields():
        if isinstance(value, Message):
            inner.append(value)
        elif hasattr(value, "append") and isinstance(value[0], Message):
            inner.append(random.choice(value))
    return random.choice(inner) if inner else message


def _other(value: Any, random: Random) -> Any:
    if isinstance(value, bool):
        return not value
    if isinstance(value, int):
        return random.choice([*_NUMBERS, value + 1, value - 1, value * 2])
    if isinstance(value, float):
        return random.choice([*_FRACTIONS, -value, value * 2])
    if isinstance(value, str):
        return random.choice([*_WORDS, value + "x", value[:-1]])
    return mutate_bytes(value, random)


def mutate_bytes(content: bytes, random: Random) -> bytes:
    """Flip, cut, repeat, insert or overwrite bytes."""
    if not content:
        return random.randbytes(4)
    start = random.randrange(len(content))
    end = min(len(content), start + random.choice([1, 1, 2, 4, 8, 100]))
    piece = content[start:end]
    return random.choice(
        [
            content[:start]
            + bytes([content[start] ^ (1 << random.randrange(8))])
            + content[start + 1 :],
            content[:start],
            content[:start] + content[end:],
            content[:end] + piece + content[end:],
            content[:start] + random.randbytes(len(piece)) + content[end:],
            content[:start] + random.choice([b"\0", b"\xff", b"9"]) * len(piece) + content[end:],
        ]
    )


def mutate_npy(array: np.ndarray, random: Random) -> bytes:
    """Write an array as .npy with a header or a content that is wrong in some way."""
    shape, dtype = str(array.shape), array.dtype.str
    header = random.choice(
        [
            f"{{'descr': '{dtype}', 'fortran_order': False, 'shape': {_shape(random)}, }}",
            f"{{'descr': {_dtype(random)}, 'fortran_order': False, 'shape': {shape}, }}",
            f"{{'descr': '{dtype}', 'fortran_order': 1, 'shape': {shape}, }}",
            f"{{'descr': '{dtype}', 'shape': {shape}, }}",
            "{'descr': __import__('os'), 'fortran_order': False, 'shape': (1,), }",
            "(" * random.choice([1, 90, 5000]),
            "",
        ]
    )
    return npy(header, array.tobytes(), version=random.choice([1, 1, 3, 9]))


def npy(header: str, content: bytes, *, version: int = 1) -> bytes:
    """Write .npy with a header that need not be true."""
    size = struct.pack("<H" if version == 1 else "<I", len(header))
    return b"\x93NUMPY" + bytes([version, 0]) + size + header.encode() + content


def _shape(random: Random) -> str:
    return random.choice(
        [
            "()",
            "(0,)",
            "(-1,)",
            "(99999999999,)",
            f"({2**62}, 8)",
            "(1.5,)",
            "('a',)",
            "(True,)",
            "7",
        ]
    )


def _dtype(random: Random) -> str:
    names = ["|O", "<U3", "<c8", "<f16", "|V4", "<M8[s]", "nonsense", "<f2", ">f4", "|b1", "<u8"]
    return random.choice([repr(random.choice(names)), "[('a', '<f4')]", "5", "None"])


def mutate_npz(arrays: dict[str, np.ndarray], random: Random) -> bytes:
    """Write arrays as .npz of which a member, or the archive itself, is wrong in some way."""
    buffer = io.BytesIO()
    method = random.choice([zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
    with zipfile.ZipFile(buffer, "w", method) as archive:
        broken = random.choice(list(arrays))
        for name, array in arrays.items():
            good = io.BytesIO()
            np.save(good, array)
            content = mutate_npy(array, random) if name == broken else good.getvalue()
            archive.writestr(f"{name}.npy", content)
    content = buffer.getvalue()
    if random.random() < 0.3:
        return encrypted(content)
    return mutate_bytes(content, random) if random.random() < 0.5 else content


def encrypted(archive: bytes) -> bytes:
    """Set the flag of encryption in every header of a zip archive."""
    changed = bytearray(archive)
    for signature, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        place = archive.find(signature)
        while place >= 0:
            changed[place + offset] |= 1
            place = archive.find(signature, place + 1)
    return bytes(changed)


def png(width: int, height: int, *, depth: int = 8, content: bytes | None = None) -> bytes:
    """Write a grey PNG; what its header says and what it holds need not agree."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return (
            struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        )

    if content is None:
        content = (b"\0" + bytes(width * depth // 8)) * height
    header = struct.pack(">IIBBBBB", width, height, depth, 0, 0, 0, 0)
    data = zlib.compress(content)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", data) + chunk(b"IEND", b"")
    )


def mutate_image(size: tuple[int, int], random: Random) -> bytes:
    """Write an image that is damaged, absurdly large, of another size or depth, or sound."""
    makers: list[Callable[[], bytes]] = [
        lambda: png(*size),
        lambda: png(*size, depth=16),
        lambda: png(size[0] + 1, size[1]),
        lambda: png(60_000, 60_000, content=b"\0" * 1000),
        lambda: png(*size, content=b""),
        lambda: mutate_bytes(png(*size), random),
        lambda: random.randbytes(50),
        lambda: b"",
    ]
    return random.choice(makers)()


def write_data(folder: Path, arrays: dict[str, np.ndarray], random: Random) -> Path:
    """Write a file of data, or a folder of images, that is damaged; return its place."""
    kind = random.choice(["npz", "npz", "npy", "images", "npz bytes"])
    if kind == "images":
        for label in range(2):
            (folder / str(label)).mkdir()
            (folder / str(label) / "0.png").write_bytes(mutate_image((4, 4), random))
        return folder
    place = folder / f"data.{kind[:3]}"
    if kind == "npz":
        place.write_bytes(mutate_npz(arrays, random))
    elif kind == "npy":
        place.write_bytes(mutate_npy(arrays["x"], random))
    else:
        buffer = io.BytesIO()
        np.savez(buffer, **arrays)  # type: ignore[arg-type]
        place.write_bytes(mutate_bytes(buffer.getvalue(), random))
    return place
