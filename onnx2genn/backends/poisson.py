"""Random input: the same spikes for a sample whatever backend, batch or process it runs in."""

from __future__ import annotations

import numpy as np


def generator(seed: int, sample: int) -> np.random.Generator:
    """Return the random numbers of one sample, by its number in the data set."""
    return np.random.Generator(np.random.Philox(key=[seed, sample]))


def fire(random: np.random.Generator, probability: np.ndarray, steps: int) -> np.ndarray:
    """Draw the spikes of the next steps.

    Args:
        random: Random numbers of the sample; to draw steps at once or one by one is the same.
        probability: Of a spike in every step, with its sign, [...].
        steps: T, the number of steps.

    Returns:
        Spikes of -1, 0 and 1, float32 [T, ...].
    """
    drawn = random.random((steps, *probability.shape), dtype=np.float32)
    return (drawn < np.abs(probability)) * np.sign(probability)
