"""Input for networks of others: rendered text, photographs, files, tones."""

from __future__ import annotations

import string
import sys
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFilter, ImageFont

from common import SHARED
from common.datasets import decode_jpeg

_RATE = 16_000  # samples a second
_FRAME = 1024


def words(random: np.random.Generator, letters: int) -> str:
    """Make a line of words and numbers."""
    found = ""
    while len(found) < letters:
        kind = random.choice([string.ascii_lowercase, string.ascii_uppercase, string.digits])
        found += "".join(random.choice(list(kind), random.integers(2, 8))) + " "
    return found[:letters].strip()


def line(text: str, height: int, width: int, random: np.random.Generator) -> np.ndarray:
    """Render a line of text that fits, as uint8 [height, width, 3]."""
    size = height * random.uniform(0.5, 0.75)
    font = ImageFont.load_default(size)
    while font.getlength(text) > 0.95 * width:
        size *= 0.95
        font = ImageFont.load_default(size)
    dark, light = random.integers(0, 90, 3), random.integers(150, 255, 3)
    paper, ink = (dark, light) if random.random() < 0.3 else (light, dark)
    image = Image.new("RGB", (width, height), tuple(paper.tolist()))
    place = (float(random.integers(2, 8)), height / 2 + random.uniform(-3, 3))
    ImageDraw.Draw(image).text(place, text, tuple(ink.tolist()), font, anchor="lm")
    image = image.filter(ImageFilter.GaussianBlur(random.uniform(0, 0.8)))
    pixels = np.asarray(image) + random.normal(0, random.uniform(0, 8), (height, width, 3))
    return pixels.clip(0, 255).astype(np.uint8)


def lines(
    count: int, height: int, width: int, seed: int, letters: int
) -> tuple[np.ndarray, list[str]]:
    """Render lines, uint8 [N, height, width, 3], and return their texts."""
    random = np.random.default_rng(seed)
    texts = [words(random, int(random.integers(4, letters))) for _ in range(count)]
    return np.stack([line(text, height, width, random) for text in texts]), texts


def pages(count: int, size: int, seed: int) -> np.ndarray:
    """Render pages with a few lines of text, uint8 [N, size, size, 3]."""
    random = np.random.default_rng(seed)
    found = []
    for _ in range(count):
        page = np.full((size, size, 3), random.integers(150, 255, 3), np.uint8)
        top = int(random.integers(5, 30))
        while top < size - 40:
            height = int(random.integers(16, 40))
            text = words(random, int(random.integers(3, 24)))
            width = int(random.integers(size // 3, size - 10))
            left = int(random.integers(0, size - width))
            strip = line(text, height, width, random)
            page[top : top + height, left : left + width] = strip
            top += height + int(random.integers(4, 40))
        found.append(page)
    return np.stack(found)


def photographs() -> tuple[np.ndarray, np.ndarray]:
    """Return 600 photographs, uint8 [N, 224, 224, 3], and their ImageNet classes."""
    with np.load(SHARED / "data" / "imagenet600.npz") as data:
        return decode_jpeg(data["jpeg"], data["offset"]), data["y"]


def resized(images: np.ndarray, size: int) -> np.ndarray:
    """Resize images [N, H, W, 3] to squares."""
    return np.stack([np.asarray(Image.fromarray(item).resize((size, size))) for item in images])


def files(count: int, seed: int) -> list[bytes]:
    """Read files of many kinds that lie beside this Python, each at most a mebibyte."""
    random = np.random.default_rng(seed)
    kinds: dict[str, list[Path]] = {}
    for folder in (Path(sys.prefix), Path(sys.base_prefix), Path("/usr/share"), Path("/usr/lib")):
        for path in sorted(folder.rglob("*.*")):
            if path.suffix[1:].isalnum() and path.is_file() and 64 < path.stat().st_size < 2**20:
                kinds.setdefault(path.suffix.lower(), []).append(path)
    found: list[bytes] = []
    while len(found) < count:
        for paths in kinds.values():
            found.append(paths[random.integers(len(paths))].read_bytes())
    order = random.permutation(len(found))[:count]
    return [found[index] for index in order]


def tones(count: int, seed: int) -> np.ndarray:
    """Make frames of harmonic tones in noise, standardised, [N, 1024] at 16 kHz."""
    random = np.random.default_rng(seed)
    pitch = 2 ** random.uniform(np.log2(60), np.log2(1200), (count, 1))
    time = np.arange(_FRAME) / _RATE
    found: np.ndarray = np.zeros((count, _FRAME))
    for harmonic in range(1, 7):
        loud = random.uniform(0, 1, (count, 1)) / harmonic
        phase = random.uniform(0, 2 * np.pi, (count, 1))
        found += loud * np.sin(2 * np.pi * harmonic * pitch * time + phase)
    found += random.normal(size=found.shape) * random.uniform(0, 0.1, (count, 1))
    found -= found.mean(axis=1, keepdims=True)
    return (found / found.std(axis=1, keepdims=True)).astype(np.float32)


def voices(count: int, seed: int, samples: int) -> np.ndarray:
    """Make frames at 16 kHz, [N, samples]: half of them vowels in noise, half tones or noise."""
    random = np.random.default_rng(seed)
    time = np.arange(samples) / _RATE
    found: np.ndarray = np.zeros((count, samples))
    for index, frame in enumerate(found):
        pitch = random.uniform(80, 300)
        if index % 2 == 0:
            formants = [random.uniform(*ends) for ends in ((250, 900), (800, 2500), (2200, 3500))]
            for frequency in np.arange(pitch, 4000, pitch):
                near = sum(1 / (1 + ((frequency - formant) / 90) ** 2) for formant in formants)
                phase = random.uniform(0, 2 * np.pi)
                frame += near * np.sin(2 * np.pi * frequency * time + phase)
        elif index % 4 == 1:
            frame += np.sin(2 * np.pi * 4 * pitch * time)
        frame += random.normal(size=samples) * random.uniform(0.01, 0.3)
        frame *= random.uniform(0.05, 0.5) / np.abs(frame).max()
    return found.astype(np.float32)


def melodies(count: int, seed: int, samples: int = 43844, rate: int = 22050) -> np.ndarray:
    """Make two seconds of notes of several voices, [N, samples, 1]."""
    random = np.random.default_rng(seed)
    time = np.arange(samples) / rate
    found: np.ndarray = np.zeros((count, samples))
    for melody in found:
        for _ in range(random.integers(3, 12)):
            start, length = random.uniform(0, 1.8), random.uniform(0.15, 0.8)
            pitch = 440 * 2 ** (random.integers(-24, 24) / 12)
            envelope = np.exp(-3 * (time - start)) * ((time >= start) & (time < start + length))
            for harmonic in range(1, 6):
                melody += 0.1 / harmonic * envelope * np.sin(2 * np.pi * harmonic * pitch * time)
    return found[..., None].astype(np.float32)
