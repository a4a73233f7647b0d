"""Words of synthesised tones in noise, as spectrograms: a small task of keyword spotting."""

from __future__ import annotations

import itertools

import numpy as np

from common.datasets import Split

RATE = 4000  # samples per second
FRAME = 128  # samples of a frame, a row of the spectrogram
FRAMES = 24
BANDS = 16
PITCHES = (500.0, 800.0, 1280.0)  # hertz
TONES = 3  # in a word, no two equal ones next to each other
WORDS = [
    word
    for word in itertools.product(PITCHES, repeat=TONES)
    if all(a != b for a, b in itertools.pairwise(word))
]
_TRAIN, _TEST = 12000, 4000


def read_tones(seed: int = 1) -> tuple[Split, Split]:
    """Make ((x, y) train, (x, y) test), x about 0..1 of shape [N, FRAMES, BANDS, 1]."""
    generator = np.random.default_rng(seed)
    x, y = _words(_TRAIN + _TEST, generator)
    return (x[:_TRAIN], y[:_TRAIN]), (x[_TRAIN:], y[_TRAIN:])


def _words(count: int, generator: np.random.Generator) -> Split:
    """Say words at pitches, paces, loudnesses and times of their own, and take log spectra."""
    labels = generator.integers(len(WORDS), size=count)
    shift = generator.uniform(0.9, 1.12, (count, 1))
    pitches = np.array(WORDS)[labels] * shift
    ends = np.arange(1, TONES) / TONES + generator.uniform(-0.12, 0.12, (count, TONES - 1))
    time = np.arange(FRAMES * FRAME) / (FRAMES * FRAME)
    part = (time[None, None] > ends[:, :, None]).sum(axis=1)
    frequency = np.take_along_axis(pitches, part, axis=1)
    phase = 2 * np.pi * np.cumsum(frequency, axis=1) / RATE
    noise = generator.normal(size=phase.shape) * generator.uniform(0.3, 1.5, (count, 1))
    frames = (np.sin(phase) + noise).reshape(count, FRAMES, FRAME)
    power = np.abs(np.fft.rfft(frames * np.hanning(FRAME))[..., 1:]) ** 2
    bands = power.reshape(count, FRAMES, BANDS, -1).sum(axis=3)
    return (np.log1p(bands) / 8).astype(np.float32)[..., None], labels.astype(np.int64)
